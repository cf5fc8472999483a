//! close: a lease ends in good order, when it holds nothing.

use celeriac_broker_schema::script::Closed;

use crate::support::*;

on_both_servers![an_empty_lease_is_gone, a_busy_lease_stays, a_lost_lease_stays_lost];

async fn an_empty_lease_is_gone(world: World) {
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    world.open("w2").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[done("a")]).await;
    let before = world.state().await;

    let closed = world.broker.close(&lease("w1")).await;

    assert!(matches!(closed, Ok(Closed::Done)), "{closed:?}");
    assert_changes!(world, before, { "leases": { "w1": null }, "inflight:w1": null });
}

async fn a_busy_lease_stays(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.enqueue_job(&job("J", 10)).await;
    world.open("w1").await;
    world.claim("w1", 7).await;
    let before = world.state().await;

    let closed = world.broker.close(&lease("w1")).await;

    assert!(matches!(closed, Ok(Closed::Busy(3))), "two tasks and a run: {closed:?}");
    assert_changes!(world, before, {});
}

async fn a_lost_lease_stays_lost(world: World) {
    world.enqueue(&["a"]).await;
    world.lose_worker("w1", 1).await;
    let before = world.state().await;

    for name in ["w1", "nobody"] {
        let closed = world.broker.close(&lease(name)).await;
        assert!(matches!(closed, Ok(Closed::Lost)), "{closed:?}");
    }

    assert_changes!(world, before, {});
}
