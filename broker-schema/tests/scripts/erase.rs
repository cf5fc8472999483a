//! erase: every key of the namespace goes, of whatever type, and no other.

use std::time::Duration;

use crate::support::*;

on_both_servers![all_of_the_namespace_goes_and_nothing_else, an_empty_one_is_left_as_it_is];

async fn all_of_the_namespace_goes_and_nothing_else(world: World) {
    let other = World::beside(&world).await;
    for world in [&world, &other] {
        // More than a page of keys, and more fields than are freed at once.
        let names: Vec<String> = (0..1_200).map(|n| format!("t{n:04}")).collect();
        world.enqueue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
        world.enqueue_job(&job("J", 8_000)).await;
        world.open("w1").await;
        world.claim("w1", 1_000).await;
        let endings: Vec<_> = names[..1_000].iter().map(|name| succeeded(name)).collect();
        world.complete("w1", &endings).await;
        let (lease, live) = (lease("w1"), Duration::from_millis(HOUR_MS));
        world.broker.beat(&lease, live, Some("{}")).await.expect("told");
    }
    let (before, kept) = (world.dump().await, other.dump().await);
    assert!(before.len() > 1_000, "{}", before.len());

    // A moment that was watched may be over by now.
    let removed = world.broker.erase().await.expect("erased");

    assert!((before.len() as u64 - 1..=before.len() as u64).contains(&removed), "{removed}");
    assert_eq!(world.dump().await, State::new());
    assert_eq!(other.dump().await, kept);
}

async fn an_empty_one_is_left_as_it_is(world: World) {
    assert_eq!(world.broker.erase().await.expect("erased"), 0);
}
