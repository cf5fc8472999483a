//! Snoozes: later, and neither a failure nor an attempt.

use celeriac_broker_schema::script::Run;
use serde_json::json;

use crate::support::*;

on_both_servers![
    a_snoozed_task_waits_and_counts_nothing,
    a_snoozed_task_may_be_snoozed_for_ever,
    a_snooze_keeps_failures_and_crashes,
    a_snooze_of_what_is_not_held_is_stale,
    a_snoozed_chunk_leaves_its_range,
    a_snoozed_chunk_keeps_the_crashes_of_its_range,
];

async fn a_snoozed_task_waits_and_counts_nothing(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.open("w1").await;
    world.claim("w1", 2).await;
    let before = world.state().await;

    world.complete("w1", &[snoozed("a", HOUR_MS)]).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "2", "a": null },
        "delayed": { "5:default:a": "now+60min" },
        "stats": { "snoozed": "1" },
    });
}

async fn a_snoozed_task_may_be_snoozed_for_ever(world: World) {
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    for _ in 0..10 {
        let grant = world.claim("w1", 1).await;
        assert_eq!((names(&grant.tasks), &*grant.tasks[0].history), (vec!["a".to_owned()], ""));
        world.complete("w1", &[snoozed("a", HOUR_MS)]).await;
        world.delays_pass().await;
    }
    assert_eq!(world.state().await["stats"], json!({ "enqueued": "1", "snoozed": "10" }));
}

async fn a_snooze_keeps_failures_and_crashes(world: World) {
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[retry("a", 0)]).await;
    world.lose_worker("w2", 1).await;
    let history = world.claim("w1", 1).await.tasks.remove(0).history;
    world.complete("w1", &[snoozed("a", HOUR_MS)]).await;
    world.delays_pass().await;

    assert_eq!(world.claim("w1", 1).await.tasks.remove(0).history, history);
    assert!(history.starts_with("1 1\n"), "{history}");
}

async fn a_snooze_of_what_is_not_held_is_stale(world: World) {
    let run = given_run(&world).await;
    world.enqueue(&["a"]).await;
    let before = world.state().await;

    let grant = world.complete("w1", &[snoozed("a", 1), chunk_snoozed(&run, 7, 1)]).await;

    assert_eq!(named(&grant.stale), ["a", "J:0-4"]);
    assert_changes!(world, before, { "inflight:w1": { "#": "2" } });
}

/// A job of nine chunks, of which w1 holds the first four.
async fn given_run(world: &World) -> Run {
    world.enqueue_job(&job("J", 9)).await;
    world.open("w1").await;
    world.claim("w1", 4).await.runs.remove(0)
}

async fn a_snoozed_chunk_leaves_its_range(world: World) {
    let run = given_run(&world).await;
    let before = world.state().await;

    world.complete("w1", &[chunk_snoozed(&run, 2, HOUR_MS)]).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "2", "J:0-4": "1:now:5:default:3" },
        "job:J:out": "0010000000000000",
        "delayed": { "5:default:J:2": "now+60min" },
        "stats": { "snoozed": "1" },
    });
    world.delays_pass().await;
    // Its range goes on in front of it; then it comes as it was, and may be snoozed again.
    let grant = world.claim("w1", 9).await;
    assert_eq!(runs(&grant.runs), ["J:4-8 #1"]);
    let grant = world.claim("w1", 9).await;
    assert_eq!(runs(&grant.runs), ["J:8-9 #1", "J:2 #1"]);
    let before = world.state().await;
    world.complete("w1", &[chunk_snoozed(&grant.runs[1], 2, HOUR_MS)]).await;
    assert_changes!(world, before, {
        "inflight:w1": { "#": "5", "J:2": null },
        "delayed": { "5:default:J:2": "now+60min" },
        "stats": { "snoozed": "2" },
    });
}

async fn a_snoozed_chunk_keeps_the_crashes_of_its_range(world: World) {
    world.enqueue_job(&job("J", 2)).await;
    world.lose_worker("w1", 2).await;
    world.open("w2").await;
    let run = world.claim("w2", 2).await.runs.remove(0);
    world.complete("w2", &[chunk_snoozed(&run, 1, HOUR_MS)]).await;
    world.delays_pass().await;

    assert_eq!(runs(&world.claim("w2", 2).await.runs), ["J:1 #2"]);
}
