//! memory: every key of the shard with its bytes, page by page, and no other.

use std::collections::BTreeMap;

use celeriac_broker_schema::script::KeyMemory;

use crate::support::*;

on_both_servers![every_key_has_its_bytes, large_keys_are_estimated, an_empty_shard_has_no_keys];

async fn all(world: &World) -> BTreeMap<String, KeyMemory> {
    let (mut found, mut cursor) = (BTreeMap::new(), Some(0));
    while let Some(at) = cursor {
        let page = world.broker.memory(at).await.expect("a page");
        found.extend(page.keys.into_iter().map(|key| (world.readable(&key.name), key)));
        cursor = page.next;
    }
    found
}

async fn every_key_has_its_bytes(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.enqueue_job(&job("J", 8_000)).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[succeeded("a")]).await;
    let before = world.state().await;

    let found = all(&world).await;

    let mut keys: Vec<String> = before.keys().filter(|key| *key != "expires").cloned().collect();
    keys.sort();
    let names: Vec<String> = found.keys().cloned().collect();
    // A watched moment may be over by now.
    let without_watch =
        |names: Vec<String>| names.into_iter().filter(|name| name != "watch").collect::<Vec<_>>();
    assert_eq!(without_watch(names), without_watch(keys));
    assert!(found.values().all(|key| key.bytes >= 40 && !key.estimated), "{found:#?}");
    assert!((1_000..3_000).contains(&found["job:J:done"].bytes), "{found:#?}");
    assert_changes!(world, before, {});
}

async fn large_keys_are_estimated(world: World) {
    let names: Vec<String> = (0..1_000).map(|n| format!("t{n:04}")).collect();
    world.enqueue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;

    let found = all(&world).await;

    let tasks = &found["tasks"];
    assert!(tasks.estimated && (80_000..400_000).contains(&tasks.bytes), "{tasks:?}");
    assert!(!found["queues"].estimated);
}

async fn an_empty_shard_has_no_keys(world: World) {
    assert!(all(&world).await.is_empty());
}
