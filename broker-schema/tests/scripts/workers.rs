//! workers: who is there, page by page, and nothing changes.

use std::time::Duration;

use celeriac_broker_schema::script::Workers;

use crate::support::*;

on_both_servers![nobody_is_there, everybody_is_listed, pages, who_left_meanwhile_is_left_out];

async fn workers(world: &World, offset: u64, limit: u32) -> Workers {
    let before = world.state().await;
    let found = world.broker.workers(offset, limit).await.expect("an answer");
    assert_changes!(world, before, {});
    found
}

async fn beat(world: &World, name: &str, minutes: u64) {
    let live = Duration::from_secs(60 * minutes);
    world.broker.beat(&lease(name), live, Some(&format!("I am {name}"))).await.expect("told");
}

fn leases(found: &Workers) -> Vec<&str> {
    found.page.iter().map(|worker| &*worker.lease).collect()
}

async fn nobody_is_there(world: World) {
    let found = workers(&world, 0, 10).await;

    assert_eq!((found.total, found.page), (0, Vec::new()));
    assert!(found.now <= world.now().await);
}

async fn everybody_is_listed(world: World) {
    beat(&world, "w1", 60).await;
    beat(&world, "w2", 30).await;

    let found = workers(&world, 0, 10).await;

    assert_eq!((found.total, leases(&found)), (2, vec!["w2", "w1"]));
    assert_eq!(found.page[0].description, "I am w2");
    assert!(found.page[0].expires > found.now && found.page[0].expires < found.page[1].expires);
}

async fn pages(world: World) {
    for n in 1..=5 {
        beat(&world, &format!("w{n}"), n * 10).await;
    }

    for (offset, limit, expected) in [
        (0, 2, &["w1", "w2"][..]),
        (2, 2, &["w3", "w4"]),
        (4, 2, &["w5"]),
        (5, 2, &[]),
        (0, 0, &[]),
        (3, 0, &[]),
    ] {
        let found = workers(&world, offset, limit).await;
        assert_eq!((found.total, leases(&found)), (5, expected.to_vec()), "{offset} {limit}");
    }
}

async fn who_left_meanwhile_is_left_out(world: World) {
    beat(&world, "w1", 30).await;
    beat(&world, "w2", 60).await;
    let key = format!("{}worker:w1", world.broker.keys().fleet());
    world.redis::<u64>(redis::cmd("DEL").arg(key)).await;

    let found = workers(&world, 0, 10).await;

    assert_eq!(leases(&found), ["w2"]);
}
