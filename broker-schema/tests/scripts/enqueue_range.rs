//! enqueue_range: a job of any number of chunks is one element, and its reducer waits.

use celeriac_broker_schema::UniqueKey;
use celeriac_broker_schema::script::{Duplicate, RangeJob};
use serde_json::json;

use crate::support::*;

on_both_servers![
    a_job_is_one_element,
    a_reducer_waits,
    a_job_joins_the_end_of_its_list,
    a_repeated_job_changes_nothing,
    a_key_stands_for_its_first_job,
    a_refused_job_takes_no_key,
    bitmaps_have_their_full_length,
    a_job_may_be_kept_for_ever,
];

async fn a_job_is_one_element(world: World) {
    let before = world.state().await;

    let duplicate = world.enqueue_job(&job("J", 10)).await;

    assert_eq!(duplicate, None);
    assert_changes!(world, before, {
        "job:J": {
            "spec": spec(10), "total": "10", "state": "running", "keep": "3600000",
            "created": "now", "done": "0", "failed": "0",
        },
        "job:J:done": "0000000000000000",
        "jobs:open": { "J": "now" },
        "ready:default:5": ["J:0-10"],
        "chunks": { "default:5": "9" },
        "bell:default": ["1"],
        "queues": ["default"],
        "stats": { "enqueued": "10" },
        "producer:c1": "1",
        "expires": { "producer:c1": true },
    });
}

async fn a_reducer_waits(world: World) {
    world.enqueue_job(&job("I", 1)).await;
    let before = world.state().await;
    let reducer = Some((record("J"), queue("last"), priority(2)));

    world.enqueue_job(&RangeJob { reducer, ..job("J", 1) }).await;

    assert_changes!(world, before, {
        "tasks": { "J": record("J") },
        "waiting": { "J": "2:last" },
        "job:J": {
            "spec": spec(1), "total": "1", "state": "running", "keep": "3600000",
            "created": "now", "done": "0", "failed": "0",
        },
        "job:J:done": "00000000",
        "jobs:open": { "J": "now" },
        "ready:default:5": ["I:0-1", "J:0-1"],
        "queues": ["default", "last"],
        "stats": { "enqueued": "2" },
        "producer:c1": "2",
    });
}

async fn a_job_joins_the_end_of_its_list(world: World) {
    world.enqueue(&["a"]).await;
    world.enqueue_job(&job("J", 100)).await;
    world.enqueue(&["b"]).await;
    let high = RangeJob { priority: priority(9), ..job("K", 5) };

    world.enqueue_job(&high).await;
    world.enqueue_job(&job("L", 11)).await;

    let state = world.state().await;
    assert_eq!(state["ready:default:5"], json!(["a", "J:0-100", "b", "L:0-11"]));
    assert_eq!(state["ready:default:9"], json!(["K:0-5"]));
    assert_eq!(state["chunks"], json!({ "default:5": "109", "default:9": "4" }));
}

async fn a_repeated_job_changes_nothing(world: World) {
    world.enqueue_job_numbered(1, &job_to_reduce("J", 10)).await;
    world.open("w1").await;
    world.claim("w1", 3).await;
    let before = world.state().await;

    let duplicate = world.enqueue_job_numbered(1, &job_to_reduce("J", 10)).await;
    world.enqueue_numbered(1, &[entry("a")]).await;

    assert_eq!(duplicate, None);
    assert_changes!(world, before, {});
}

fn keyed(name: &str, key: &str) -> RangeJob {
    RangeJob { unique: Some((UniqueKey::new(key).expect("a key"), HOUR_MS)), ..job(name, 10) }
}

async fn a_key_stands_for_its_first_job(world: World) {
    world.enqueue_job_numbered(1, &keyed("J", "k")).await;
    let before = world.state().await;

    let same = world.enqueue_job_numbered(1, &keyed("J", "k")).await;
    let other = world.enqueue_job_numbered(2, &keyed("K", "k")).await;

    assert_eq!(same, None);
    assert_eq!(other, Some(Duplicate { id: id("K"), first: id("J") }));
    assert_changes!(world, before, {});
}

async fn a_refused_job_takes_no_key(world: World) {
    world.enqueue_numbered(1, &[entry("a")]).await;
    let before = world.state().await;

    // Refused, because this number was there before.
    world.enqueue_job_numbered(1, &keyed("J", "k")).await;

    assert_changes!(world, before, {});
    assert_eq!(world.enqueue_job_numbered(2, &keyed("K", "k")).await, None);
    assert_eq!(world.state().await["unique:k"], json!("K"));
}

async fn bitmaps_have_their_full_length(world: World) {
    for (name, chunks, bytes) in [("A", 8, 1), ("B", 9, 2), ("C", 1_000_000, 125_000)] {
        world.enqueue_job(&job(name, chunks)).await;

        let key = world.key(&format!("job:{}:done", job_id(name)));
        let length: u64 = world.redis(redis::cmd("STRLEN").arg(&key)).await;
        let set: u64 = world.redis(redis::cmd("BITCOUNT").arg(&key)).await;
        assert_eq!((length, set), (bytes, 0), "{chunks} chunks");
    }
}

async fn a_job_may_be_kept_for_ever(world: World) {
    world.enqueue_job(&RangeJob { keep_ms: u64::MAX, ..job("J", 1) }).await;
    world.open("w1").await;
    let grant = world.claim("w1", 1).await;

    world.complete("w1", &[run_succeeded(&grant.runs[0])]).await;

    let state = world.state().await;
    assert_eq!(state["job:J"]["state"], json!("succeeded"));
    assert_eq!(state["expires"]["result:J"], json!(true));
}
