//! completed: how far a job is, and word of when that changes.

use std::time::Duration;

use celeriac_broker_schema::script::{Completed, Ending, Run};
use celeriac_broker_schema::{Requester, Subscription};
use serde_json::json;

use crate::support::*;

on_both_servers![
    a_job_that_is_not_there_is_told_as_such,
    settled_members_are_told_by_their_bits,
    who_asks_is_told_once_of_the_next_member,
    a_failure_is_told,
    the_end_is_told,
    a_job_of_chunks_is_watched_alike,
    nothing_is_noted_for_a_job_that_is_over,
];

async fn completed(world: &World, job: &str, who: Option<&str>) -> Completed {
    let client = who.map(client);
    world.broker.completed(job_id(job), client.as_ref(), 0).await.expect("an answer")
}

fn seen(state: &str, done: u64, failed: u64, bits: u8) -> Completed {
    Completed { state: Some(state.to_owned()), total: 3, done, failed, settled: vec![bits] }
}

/// The names in the next message.
async fn next(subscription: &mut Subscription) -> Vec<String> {
    let told = tokio::time::timeout(Duration::from_secs(30), subscription.ended()).await;
    let ids = told.expect("a message in time").expect("a connection");
    named(&ids.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// Two members that a third one follows; the two are run by worker w1.
async fn running(world: &World) -> Run {
    world.enqueue_part(1, &chord("J")).await;
    world.open("w1").await;
    world.claim("w1", 2).await.runs.remove(0)
}

async fn cancel(world: &World) {
    let told = world.broker.cancel(&[id("J")], &Requester::default()).await;
    assert_eq!(told.expect("an answer").len(), 1);
}

fn success(run: &Run, lo: u64) -> Ending {
    let (results, deltas) = (vec![(lo, "7".to_owned())], Vec::new());
    Ending::MembersSucceeded { run: run.field.clone(), lo, hi: lo + 1, results, deltas }
}

async fn a_job_that_is_not_there_is_told_as_such(world: World) {
    let before = world.state().await;

    let found = completed(&world, "J", Some("c1")).await;

    let nothing = Completed { state: None, total: 0, done: 0, failed: 0, settled: Vec::new() };
    assert_eq!(found, nothing);
    assert_eq!(world.state().await, before);
}

async fn settled_members_are_told_by_their_bits(world: World) {
    let run = running(&world).await;
    assert_eq!(completed(&world, "J", None).await, seen("running", 0, 0, 0));
    world.complete("w1", &[success(&run, 1)]).await;
    let before = world.state().await;

    let found = completed(&world, "J", None).await;

    assert_eq!(found, seen("running", 1, 0, 0b0100_0000));
    assert_eq!(world.state().await, before);
}

async fn who_asks_is_told_once_of_the_next_member(world: World) {
    let run = running(&world).await;
    let mut first = world.broker.subscribe(&client("c1")).await.expect("subscribed");
    let mut second = world.broker.subscribe(&client("c2")).await.expect("subscribed");
    let before = world.state().await;

    for who in ["c1", "c2", "c1"] {
        completed(&world, "J", Some(who)).await;
    }

    assert_changes!(world, before, { "watchers": { "J:p": "c1 c2" } });
    world.complete("w1", &[success(&run, 0)]).await;
    assert_eq!(next(&mut first).await, ["J"]);
    assert_eq!(next(&mut second).await, ["J"]);
    assert!(!world.state().await.contains_key("watchers"));
}

async fn a_failure_is_told(world: World) {
    let run = running(&world).await;
    let mut subscription = world.broker.subscribe(&client("c1")).await.expect("subscribed");
    completed(&world, "J", Some("c1")).await;

    world.complete("w1", &[chunk_failed(&run, 1)]).await;

    assert_eq!(next(&mut subscription).await, ["J"]);
    assert_eq!(completed(&world, "J", Some("c1")).await, seen("failed", 0, 1, 0b0100_0000));
    assert!(!world.state().await.contains_key("watchers"));
}

async fn the_end_is_told(world: World) {
    running(&world).await;
    let mut subscription = world.broker.subscribe(&client("c1")).await.expect("subscribed");
    completed(&world, "J", Some("c1")).await;

    cancel(&world).await;

    assert_eq!(next(&mut subscription).await, ["J"]);
    assert!(!world.state().await.contains_key("watchers"));
}

async fn a_job_of_chunks_is_watched_alike(world: World) {
    world.enqueue_job(&job("J", 3)).await;
    world.open("w1").await;
    let run = world.claim("w1", 3).await.runs.remove(0);
    let mut subscription = world.broker.subscribe(&client("c1")).await.expect("subscribed");
    completed(&world, "J", Some("c1")).await;

    world.complete("w1", &[chunks_succeeded(&run, 0, 2, &[])]).await;

    assert_eq!(next(&mut subscription).await, ["J"]);
    assert_eq!(completed(&world, "J", Some("c1")).await, seen("running", 2, 0, 0b1100_0000));
    assert_eq!(world.state().await["watchers"], json!({ "J:p": "c1" }));
}

async fn nothing_is_noted_for_a_job_that_is_over(world: World) {
    running(&world).await;
    cancel(&world).await;
    let before = world.state().await;

    let found = completed(&world, "J", Some("c1")).await;

    assert_eq!(found.state.as_deref(), Some("cancelled"));
    assert_eq!(world.state().await, before);
}
