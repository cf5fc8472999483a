//! elements: what large keys hold, page by page, of every type.

use std::collections::BTreeSet;

use crate::support::*;

on_both_servers![large_keys_are_read_whole];

async fn large_keys_are_read_whole(world: World) {
    let names: Vec<String> = (0..3_000).map(|n| format!("t{n:04}")).collect();
    let mut entries: Vec<_> = names.iter().map(|name| entry(name)).collect();
    for late in entries.iter_mut().skip(2_000) {
        late.start.delay_ms = Some(HOUR_MS);
    }
    world.enqueue_all(&entries).await;
    let many: Vec<String> = (0..1_000).map(|n| format!("q{n}")).collect();
    world.redis::<u64>(redis::cmd("SADD").arg(world.key("queues")).arg(&many)).await;
    let before = world.state().await;

    let contents = world.broker.contents(1_000_000).await.expect("it is read");

    let ids: Vec<String> = names.iter().map(|name| id(name).to_string()).collect();
    assert_eq!(contents.list("ready:default:5"), &ids[..2_000]);
    let all: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(contents.hash("tasks").keys().collect::<BTreeSet<_>>(), all);
    assert_eq!(contents.sorted("delayed").len(), 1_000);
    assert!(contents.sorted("delayed").values().all(|due| *due > 1e12));
    assert_eq!(contents.set("queues").len(), 1_001);
    assert_changes!(world, before, {});
}
