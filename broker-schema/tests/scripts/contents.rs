//! contents: all keys of the shard with what they hold, and what must hold of them.

use celeriac_broker_schema::check::{Held, Invariant};

use crate::support::*;

on_both_servers![
    all_that_the_shard_holds_is_read,
    an_empty_shard_holds_nothing,
    a_part_is_told_to_be_one,
    what_is_wrong_is_found_in_redis,
];

const ALL: usize = 1_000_000;

async fn all_that_the_shard_holds_is_read(world: World) {
    world.enqueue(&["a", "b", "c"]).await;
    world.enqueue_job(&job("J", 20)).await;
    world.open("w1").await;
    world.claim("w1", 2).await;
    world.complete("w1", &[succeeded("a")]).await;
    let before = world.state().await;

    let contents = world.broker.contents(ALL).await.expect("it is read");

    assert!(!contents.partial);
    let mut names: Vec<String> = contents
        .keys
        .keys()
        .map(|name| world.readable(name))
        .filter(|name| name != "watch")
        .collect();
    names.sort();
    let keys: Vec<&String> =
        before.keys().filter(|key| !["expires", "watch"].contains(&key.as_str())).collect();
    assert_eq!(names.iter().collect::<Vec<_>>(), keys);
    let ids = |names: &[&str]| names.iter().map(|name| id(name).to_string()).collect::<Vec<_>>();
    let mut expected = ids(&["b", "c"]);
    expected.sort();
    assert_eq!(contents.hash("tasks").keys().cloned().collect::<Vec<_>>(), expected);
    assert_eq!(contents.bits(&format!("job:{}:done", job_id("J"))), 0);
    let (result, job) = (format!("result:{}", id("a")), format!("job:{}", job_id("J")));
    assert!(contents.keys[&result].expires && !contents.keys[&job].expires);
    assert!(matches!(contents.keys[&result].held, Held::Text(_)));
    assert_eq!(world.broker.check(ALL).await.expect("checked"), (Vec::new(), true));
    assert_changes!(world, before, {});
}

async fn an_empty_shard_holds_nothing(world: World) {
    assert!(world.broker.contents(ALL).await.expect("it is read").keys.is_empty());
}

async fn a_part_is_told_to_be_one(world: World) {
    let names: Vec<String> = (0..2_000).map(|n| format!("t{n:04}")).collect();
    world.enqueue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(world.broker.contents(1_000).await.expect("it is read").partial);
    let (found, whole) = world.broker.check(1_000).await.expect("checked");
    assert_eq!((found, whole), (Vec::new(), false));
}

async fn what_is_wrong_is_found_in_redis(world: World) {
    world.enqueue(&["a", "b"]).await;
    let list = world.key("ready:default:5");
    world.redis::<u64>(redis::cmd("LREM").arg(&list).arg(1).arg(id("a").to_string())).await;
    world.redis::<u64>(redis::cmd("HSET").arg(world.key("chunks")).arg("default:5").arg(3)).await;

    let (found, _) = world.broker.check(ALL).await.expect("checked");

    let found: Vec<_> =
        found.iter().map(|one| (one.invariant, world.readable(&one.subject))).collect();
    let expected =
        [(Invariant::OnePlace, "a".to_owned()), (Invariant::Depths, "default:5".to_owned())];
    assert_eq!(found, expected);
}
