//! speculate: chunks that take far too long are started once more, and count once.

use celeriac_broker_schema::TaskId;
use celeriac_broker_schema::script::{RangeJob, Run, Speculated};
use serde_json::json;

use crate::support::*;

on_both_servers![
    a_late_chunk_is_started_once_more,
    the_first_start_that_ends_counts,
    the_slow_start_may_still_be_the_first,
    nothing_is_started_without_need,
    chunks_that_need_not_be_finished_are_told,
    what_is_kept_for_it_leaves_with_the_job,
];

async fn speculate(world: &World, most: u32, chunks: &[TaskId]) -> Speculated {
    world.broker.speculate(most, chunks).await.expect("it is answered")
}

/// A job of 5 chunks that allows second starts: three are done, w1 holds the last two.
async fn given_two_left(world: &World) -> Vec<Run> {
    world.enqueue_job(&RangeJob { speculate: Some(300), ..job("J", 5) }).await;
    world.open("w1").await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.extend(world.claim("w1", 1).await.runs);
    }
    assert_eq!(runs(&held), ["J:0-1 #1", "J:1-2 #1", "J:2-3 #1", "J:3-4 #1", "J:4-5 #1"]);
    let endings: Vec<_> = held.drain(..3).map(|run| run_succeeded(&run)).collect();
    world.complete("w1", &endings).await;
    world.hush().await;
    held
}

/// Makes it long ago that a chunk began.
async fn is_late(world: &World, index: u64) {
    let key = world.key(&format!("job:{}:running", job_id("J")));
    world.redis::<u64>(redis::cmd("ZADD").arg(key).arg(1).arg(index)).await;
}

async fn a_late_chunk_is_started_once_more(world: World) {
    given_two_left(&world).await;
    is_late(&world, 3).await;
    let before = world.state().await;

    assert_eq!(speculate(&world, 5, &[]).await, Speculated { jobs: 1, started: 1, over: vec![] });

    assert_changes!(world, before, {
        "ready:default:5": ["J:3"],
        "bell:default": ["1"],
        "job:J": { "started_twice": "1" },
        "job:J:running": { "3": null },
    });
    is_late(&world, 4).await;
    assert_eq!(speculate(&world, 0, &[]).await.started, 0);
    assert_eq!(speculate(&world, 1, &[]).await.started, 1);
    assert_eq!(speculate(&world, 5, &[]).await.started, 0);
}

async fn the_first_start_that_ends_counts(world: World) {
    let held = given_two_left(&world).await;
    is_late(&world, 3).await;
    speculate(&world, 1, &[]).await;
    world.open("w2").await;
    let copy = world.claim("w2", 1).await.runs.remove(0);
    assert_eq!(runs(std::slice::from_ref(&copy)), ["J:3 #1"]);

    let grant = world.complete("w2", &[run_succeeded(&copy)]).await;
    assert!(grant.stale.is_empty(), "{grant:?}");
    let before = world.state().await;
    let late = world.complete("w1", &[run_succeeded(&held[0])]).await;

    assert_eq!(named(&late.stale), ["J:3-4"]);
    assert_changes!(world, before, { "inflight:w1": { "#": "7", "J:3-4": null } });
    assert_eq!(before["job:J"]["done"], "4");
}

async fn the_slow_start_may_still_be_the_first(world: World) {
    let held = given_two_left(&world).await;
    is_late(&world, 3).await;
    speculate(&world, 1, &[]).await;

    let endings: Vec<_> = held.iter().map(run_succeeded).collect();
    assert!(world.complete("w1", &endings).await.stale.is_empty());

    let state = world.state().await;
    assert_eq!(
        (&state["job:J"]["done"], &state["job:J"]["state"]),
        (&json!("5"), &json!("succeeded"))
    );
    // The second start finds nothing to do.
    assert!(world.claim("w1", 1).await.runs.is_empty());
}

async fn nothing_is_started_without_need(world: World) {
    world.enqueue_job(&RangeJob { speculate: Some(300), ..job("J", 9) }).await;
    world.enqueue_job(&job("K", 9)).await;
    world.open("w1").await;
    let first = world.claim("w1", 1).await.runs;
    world.claim("w1", 1).await;
    world.complete("w1", &[run_succeeded(&first[0])]).await;
    // It is late, but the one that is done says little.
    is_late(&world, 1).await;
    let before = world.state().await;

    assert_eq!(speculate(&world, 9, &[]).await.started, 0);

    assert_changes!(world, before, {});
}

async fn chunks_that_need_not_be_finished_are_told(world: World) {
    given_two_left(&world).await;
    let ids: Vec<TaskId> = (0..5).map(|index| TaskId::of_chunk(job_id("J"), index)).collect();

    assert_eq!(speculate(&world, 0, &ids).await.over, ids[..3]);

    let gone = TaskId::of_chunk(job_id("gone"), 1);
    assert_eq!(speculate(&world, 0, &[gone]).await.over, [gone]);
}

async fn what_is_kept_for_it_leaves_with_the_job(world: World) {
    let held = given_two_left(&world).await;
    assert!(world.state().await.contains_key("jobs:speculate"));

    world.complete("w1", &[chunk_failed(&held[0], 3)]).await;

    let state = world.state().await;
    assert!(!state.contains_key("jobs:speculate") && !state.contains_key("job:J:running"));
    assert_eq!(speculate(&world, 5, &[]).await.jobs, 0);
}
