//! purge: what waits in a queue is cancelled, all of it and nothing else.

use std::time::Duration;

use celeriac_broker_schema::Requester;
use celeriac_broker_schema::script::Purged;
use celeriac_broker_schema::{ErrorKind, Outcome, State, UniqueKey};
use serde_json::json;

use crate::support::*;

on_both_servers![
    an_empty_queue,
    tasks_of_all_priorities_are_cancelled,
    other_queues_and_what_runs_are_not_touched,
    delayed_tasks_only_if_asked_for,
    those_who_wait_are_told,
    outcomes_are_kept_as_long_as_asked_for,
    a_job_that_loses_chunks_ends,
    a_job_that_loses_its_reducer_ends,
    suspects_go_and_are_forgotten,
    many_in_bites,
    a_part_and_then_the_rest,
];

/// What a purge or a move says.
pub(crate) fn purged(tasks: u64, jobs: u64, elements: u64) -> Purged {
    Purged { tasks, jobs, elements }
}

async fn an_empty_queue(world: World) {
    let before = world.state().await;

    assert_eq!(world.purge("nothing", true).await, Purged::default());

    assert_changes!(world, before, {});
}

async fn tasks_of_all_priorities_are_cancelled(world: World) {
    world.enqueue_all(&[entry("a"), entry_in("b", QUEUE, 9), entry_in("c", QUEUE, 0)]).await;
    let before = world.state().await;

    assert_eq!(world.purge(QUEUE, false).await, purged(3, 0, 3));

    let outcome = r#"{"v":1,"state":"cancelled","ended":now,"error":{"fingerprint":"purged","kind":"cancelled","message":"queue default was purged by ada: t"},"by":"ada","why":"t"}"#;
    let outcome: serde_json::Value = outcome.into();
    assert_changes!(world, before, {
        "tasks": null,
        "ready:default:9": null,
        "ready:default:5": null,
        "ready:default:0": null,
        "result:a": outcome,
        "result:b": outcome,
        "result:c": outcome,
        "stats": { "cancelled": "3" },
        "expires": { "result:a": true, "result:b": true, "result:c": true },
    });
    let stored: String =
        world.redis(redis::cmd("GET").arg(world.key(&format!("result:{}", id("a"))))).await;
    let outcome: Outcome = serde_json::from_str(&stored).expect("an outcome");
    assert_eq!(
        (outcome.state, outcome.error.expect("why").kind),
        (State::Cancelled, ErrorKind::Cancelled)
    );
}

async fn other_queues_and_what_runs_are_not_touched(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.enqueue_all(&[entry_in("c", "other", 5), delayed("d", HOUR_MS)]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;

    assert_eq!(world.purge(QUEUE, false).await, purged(1, 0, 1));

    let state = world.state().await;
    assert_eq!(state["ready:other:5"], json!(["c"]));
    assert_eq!(state["delayed"], json!({ "5:default:d": "now+60min" }));
    let grant = world.complete("w1", &[succeeded("a")]).await;
    assert_eq!(grant.stale, Vec::<String>::new());
}

async fn delayed_tasks_only_if_asked_for(world: World) {
    let other = celeriac_broker_schema::script::Entry {
        start: delayed("x", HOUR_MS).start,
        ..entry_in("b", "default2", 5)
    };
    world.enqueue_all(&[delayed("a", HOUR_MS), other]).await;

    assert_eq!(world.purge(QUEUE, true).await, purged(1, 0, 1));

    let state = world.state().await;
    assert_eq!(state["delayed"], json!({ "5:default2:b": "now+60min" }));
    assert!(state.contains_key("result:a") && !state.contains_key("result:b"));
}

async fn those_who_wait_are_told(world: World) {
    world.enqueue(&["a"]).await;
    let mut ended = world.broker.subscribe(&client("c1")).await.expect("subscribed");
    world.broker.watch(&client("c1"), &[id("a")]).await.expect("watched");

    world.purge(QUEUE, false).await;

    assert_eq!(ended.ended().await, Some(vec![id("a")]));
    assert!(!world.state().await.contains_key("watchers"));
}

async fn outcomes_are_kept_as_long_as_asked_for(world: World) {
    let key = Some(celeriac_broker_schema::Unique {
        key: UniqueKey::new("k").expect("a key"),
        mode: celeriac_broker_schema::UniqueMode::For { ms: HOUR_MS },
    });
    let expires = celeriac_broker_schema::script::Start {
        expires_after_ms: Some(HOUR_MS),
        ..Default::default()
    };
    let entry = celeriac_broker_schema::script::Entry { unique: key, start: expires, ..entry("a") };
    world.enqueue_all(&[entry]).await;
    let reason = Requester::new("ada");

    let purged = world.broker.purge_queue(&queue(QUEUE), false, Duration::ZERO, &reason).await;

    assert_eq!(purged.expect("purged").tasks, 1);
    let state = world.state().await;
    let left: Vec<&String> = state.keys().collect();
    assert_eq!(left, ["bell:default", "expires", "producer:c1", "queues", "stats", "unique:k"]);
}

async fn a_job_that_loses_chunks_ends(world: World) {
    world.enqueue_job(&job_to_reduce("J", 10)).await;
    world.enqueue_job(&job("K", 3)).await;
    world.open("w1").await;
    let run = world.claim("w1", 2).await.runs.remove(0);

    assert_eq!(world.purge(QUEUE, false).await, purged(0, 2, 2));

    let state = world.state().await;
    for key in ["ready:default:5", "tasks", "waiting", "jobs:open"] {
        assert!(!state.contains_key(key), "{key} is left: {state:#?}");
    }
    assert_eq!(state["chunks"], json!({ "default:5": "0" }));
    assert_eq!(state["job:J"]["state"], json!("cancelled"));
    assert_eq!(state["expires"]["job:J"], json!(true));
    // What ran of it is not counted any more.
    assert_eq!(world.complete("w1", &[run_succeeded(&run)]).await.stale.len(), 1);
}

async fn a_job_that_loses_its_reducer_ends(world: World) {
    world.enqueue_job(&job_to_reduce("J", 1)).await;
    world.open("w1").await;
    let run = world.claim("w1", 1).await.runs.remove(0);
    world.complete_as("w1", Ask::want(0), &[run_succeeded(&run)]).await;

    assert_eq!(world.purge(QUEUE, false).await, purged(0, 1, 1));

    let state = world.state().await;
    assert_eq!(state["job:J"]["state"], json!("cancelled"));
    assert!(!state.contains_key("inputs") && !state.contains_key("tasks"));
}

async fn suspects_go_and_are_forgotten(world: World) {
    world.enqueue(&["a", "b"]).await;
    for worker in ["w1", "w2"] {
        world.lose_worker(worker, 2).await;
    }

    assert_eq!(world.purge(QUEUE, false).await, purged(2, 0, 2));

    let state = world.state().await;
    for key in ["suspects:default", "history", "tasks"] {
        assert!(!state.contains_key(key), "{key} is left");
    }
}

async fn many_in_bites(world: World) {
    let names: Vec<String> = (0..1_500).map(|n| format!("t{n}")).collect();
    world.enqueue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let later: Vec<_> = (0..700).map(|n| delayed(&format!("d{n}"), HOUR_MS)).collect();
    world.enqueue_all(&later).await;
    world.enqueue_all(&[entry_in("x", "other", 5)]).await;

    assert_eq!(world.purge(QUEUE, true).await, purged(2_200, 0, 2_200));

    let state = world.state().await;
    assert_eq!(state["tasks"].as_object().map(serde_json::Map::len), Some(1));
    assert!(!state.contains_key("delayed"));
    assert_eq!(state["stats"], json!({ "enqueued": "2201", "cancelled": "2200" }));
}

async fn a_part_and_then_the_rest(world: World) {
    let names: Vec<String> = (0..250).map(|n| n.to_string()).collect();
    let entries: Vec<_> = names.iter().map(|name| entry(name)).collect();
    world.enqueue_all(&entries).await;
    let part = async || {
        let keep = Duration::from_secs(60);
        world.broker.purge_some(&queue(QUEUE), true, keep, 150, &ada()).await.expect("purged")
    };

    assert_eq!(part().await, (purged(200, 0, 200), true));
    assert_eq!(part().await, (purged(50, 0, 50), false));
    assert_eq!(part().await, (Purged::default(), false));
}
