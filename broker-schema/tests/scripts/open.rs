//! open: a lease begins.

use std::time::Duration;

use celeriac_broker_schema::script::Opened;

use crate::support::*;

on_both_servers![
    a_lease_begins,
    a_taken_lease_stays_as_it_is,
    a_lease_without_an_end_disturbs_nobody,
    the_machine_of_a_worker_is_noted_as_long_as_its_lease,
];

async fn a_lease_begins(world: World) {
    let before = world.state().await;

    let opened = world.broker.open(&lease("w1"), Duration::from_millis(HOUR_MS)).await;

    assert!(matches!(opened, Ok(Opened::At(now)) if now <= world.now().await), "{opened:?}");
    assert_changes!(world, before, {
        "leases": { "w1": "now+60min" },
        "inflight:w1": { "#": "0" },
    });
}

async fn a_taken_lease_stays_as_it_is(world: World) {
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    let before = world.state().await;

    let opened = world.broker.open(&lease("w1"), Duration::from_millis(2 * HOUR_MS)).await;

    assert!(matches!(opened, Ok(Opened::Taken)), "{opened:?}");
    assert_changes!(world, before, {});
}

async fn a_lease_without_an_end_disturbs_nobody(world: World) {
    world.broker.open(&lease("w1"), Duration::MAX).await.expect("opened");
    world.open("w2").await;

    let grant = world.claim("w2", 1).await;

    assert!(grant.next_event > Some(world.now().await.plus_ms(HOUR_MS)), "{grant:?}");
}

async fn the_machine_of_a_worker_is_noted_as_long_as_its_lease(world: World) {
    let hour = Duration::from_millis(HOUR_MS);
    world.broker.open_on("ma-1.lab", &lease("w1"), hour).await.expect("opened");
    assert_eq!(world.state().await["hosts"], serde_json::json!({ "w1": "ma-1.lab" }));
    world.broker.close(&lease("w1")).await.expect("closed");
    assert!(!world.state().await.contains_key("hosts"));
}
