//! watch: outcomes of what has ended, and word of what ends later.

use std::time::Duration;

use celeriac_broker_schema::Subscription;
use celeriac_broker_schema::script::{Entry, Start, Watched};
use serde_json::json;

use crate::support::*;

on_both_servers![
    each_id_is_answered,
    a_waiting_client_is_noted_once,
    so_many_clients_are_noted,
    nothing_is_noted_for_what_is_over,
    a_success_is_told,
    successes_of_one_call_are_told_together,
    a_final_failure_is_told,
    an_expiry_is_told,
    what_will_expire_says_when,
    what_is_overdue_expires_when_it_is_asked_for,
    so_many_expire_in_one_call,
    the_end_of_a_job_is_told,
    the_failure_of_a_job_is_told,
    the_success_of_a_reducer_is_told,
    a_death_by_lost_workers_is_told,
    every_client_hears_of_its_own,
];

async fn watch(world: &World, who: &str, names: &[&str]) -> Vec<Watched> {
    let ids: Vec<_> = names.iter().map(|name| id(name)).collect();
    world.broker.watch(&client(who), &ids).await.expect("an answer")
}

/// Subscribes as this client and watches these tasks.
async fn listen(world: &World, who: &str, names: &[&str]) -> Subscription {
    let subscription = world.broker.subscribe(&client(who)).await.expect("subscribed");
    assert_eq!(watch(world, who, names).await, vec![Watched::Watching; names.len()]);
    subscription
}

/// The names in the next message.
async fn next(subscription: &mut Subscription) -> Vec<String> {
    let ended = tokio::time::timeout(Duration::from_secs(30), subscription.ended()).await;
    let ids = ended.expect("a message in time").expect("a connection");
    named(&ids.iter().map(ToString::to_string).collect::<Vec<_>>())
}

async fn each_id_is_answered(world: World) {
    world.enqueue_all(&[entry("a"), entry("b"), entry("c"), delayed("d", HOUR_MS)]).await;
    world.enqueue_job(&job("J", 3)).await;
    world.enqueue_job(&job_to_reduce("K", 3)).await;
    world.open("w1").await;
    world.claim("w1", 3).await;
    world.complete("w1", &[succeeded("a"), done("b")]).await;
    let before = world.state().await;

    let found = watch(&world, "c1", &["a", "b", "c", "d", "J", "K", "x"]).await;

    let (watching, unknown) = (Watched::Watching, Watched::Unknown);
    let expected = [
        Watched::Ended(outcome("a")),
        unknown.clone(),
        watching.clone(),
        watching.clone(),
        watching.clone(),
        watching,
        unknown,
    ];
    assert_eq!(found, expected);
    assert_changes!(world, before, {
        "watchers": { "c": "c1", "d": "c1", "J": "c1", "K": "c1" },
    });
}

async fn a_waiting_client_is_noted_once(world: World) {
    world.enqueue(&["a", "b"]).await;
    watch(&world, "c1", &["a"]).await;
    watch(&world, "c2", &["a", "b"]).await;
    let before = world.state().await;
    assert_eq!(before["watchers"], json!({ "a": "c1 c2", "b": "c2" }));

    watch(&world, "c1", &["a", "a"]).await;
    watch(&world, "c2", &["a", "b"]).await;

    assert_changes!(world, before, {});
}

/// The others ask again now and then, as all do.
async fn so_many_clients_are_noted(world: World) {
    world.enqueue(&["a"]).await;

    for n in 0..100 {
        assert_eq!(watch(&world, &format!("{n:016x}"), &["a"]).await, [Watched::Watching]);
    }

    let state = world.state().await;
    let noted = state["watchers"]["a"].as_str().expect("text").split(' ').count();
    assert!((50..80).contains(&noted), "{noted}");
}

async fn nothing_is_noted_for_what_is_over(world: World) {
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[succeeded("a")]).await;
    let before = world.state().await;

    watch(&world, "c1", &["a", "x"]).await;
    watch(&world, "c1", &[]).await;

    assert_changes!(world, before, {});
}

async fn a_success_is_told(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.open("w1").await;
    world.claim("w1", 2).await;
    let mut told = listen(&world, "c1", &["a", "b"]).await;

    world.complete("w1", &[succeeded("a")]).await;

    assert_eq!(next(&mut told).await, ["a"]);
    assert_eq!(watch(&world, "c1", &["a"]).await, [Watched::Ended(outcome("a"))]);
    assert_eq!(world.state().await["watchers"], json!({ "b": "c1" }));
}

async fn successes_of_one_call_are_told_together(world: World) {
    let names: Vec<String> = (0..3_000).map(|n| format!("t{n:05}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.enqueue(&names).await;
    world.open("w1").await;
    world.claim("w1", names.len()).await;
    let mut told = listen(&world, "c1", &names).await;

    let endings: Vec<_> = names.iter().map(|name| done(name)).collect();
    world.complete("w1", &endings).await;

    assert_eq!(next(&mut told).await, names);
    assert!(!world.state().await.contains_key("watchers"));
}

async fn a_final_failure_is_told(world: World) {
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    let mut told = listen(&world, "c1", &["a"]).await;

    // A retry is no end.
    world.complete_as("w1", Ask::want(1), &[retry("a", 0)]).await;
    world.complete("w1", &[failed("a")]).await;

    assert_eq!(next(&mut told).await, ["a"]);
    assert_eq!(watch(&world, "c1", &["a"]).await, [Watched::Ended(FAILED.to_owned())]);
}

async fn an_expiry_is_told(world: World) {
    let start = Start { expires_after_ms: Some(HOUR_MS), ..Start::default() };
    world.enqueue_all(&[Entry { start, ..entry("a") }]).await;
    let mut told = world.broker.subscribe(&client("c1")).await.expect("subscribed");
    assert!(matches!(watch(&world, "c1", &["a"]).await[0], Watched::Expiring(_)));

    let expiry = world.key("expiry");
    let mut past = redis::cmd("ZADD");
    world.redis::<()>(past.arg(expiry).arg("XX").arg(1).arg(id("a").to_string())).await;
    world.reclaim(10).await;

    assert_eq!(next(&mut told).await, ["a"]);
    assert!(
        matches!(&watch(&world, "c1", &["a"]).await[0], Watched::Ended(o) if o.contains("expired"))
    );
}

async fn what_will_expire_says_when(world: World) {
    let start = Start { expires_after_ms: Some(HOUR_MS), ..Start::default() };
    world.enqueue_all(&[Entry { start, ..entry("a") }, entry("b")]).await;
    let before = world.state().await;

    let found = watch(&world, "c1", &["a", "b"]).await;

    let Watched::Expiring(left) = found[0] else { panic!("{found:?}") };
    assert!((Duration::from_secs(3_540)..=Duration::from_secs(3_600)).contains(&left), "{left:?}");
    assert_eq!(found[1], Watched::Watching);
    assert_changes!(world, before, { "watchers": { "a": "c1", "b": "c1" } });

    // Once started it does not expire.
    world.open("w1").await;
    world.claim("w1", 1).await;
    assert_eq!(watch(&world, "c1", &["a"]).await, [Watched::Watching]);
}

/// There is no worker that would do it.
async fn what_is_overdue_expires_when_it_is_asked_for(world: World) {
    let start = Start { expires_after_ms: Some(0), ..Start::default() };
    let late = Start { delay_ms: Some(HOUR_MS), ..start };
    world
        .enqueue_all(&[
            Entry { start, ..entry("a") },
            Entry { start: late, ..entry("b") },
            entry("c"),
        ])
        .await;
    let before = world.state().await;

    let found = watch(&world, "c1", &["a", "b", "a", "c"]).await;

    let expired = |watched: &Watched| matches!(watched, Watched::Ended(o) if o.contains("expired"));
    assert!(found[..3].iter().all(expired) && found[3] == Watched::Watching, "{found:?}");
    let outcome = r#"{"v":1,"state":"expired","task":"t","ended":now}"#;
    assert_eq!(world.readable(&ended(&found[0])), outcome);
    assert_eq!(found[2], found[0]);
    assert_changes!(world, before, {
        "expiry": null,
        "tasks": { "a": null, "b": null },
        "result:a": outcome,
        "result:b": outcome,
        "expires": { "result:a": true, "result:b": true },
        "stats": { "expired": "2" },
        "watchers": { "c": "c1" },
    });
    assert_eq!(watch(&world, "c2", &["a"]).await, found[..1]);
    // Nothing of them is given out.
    world.open("w1").await;
    world.delays_pass().await;
    assert_eq!(world.claim("w1", 10).await.tasks.len(), 1);
}

async fn so_many_expire_in_one_call(world: World) {
    let start = Start { expires_after_ms: Some(0), ..Start::default() };
    let names: Vec<String> = (0..150).map(|n| format!("t{n:05}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let entries: Vec<_> = names.iter().map(|name| Entry { start, ..entry(name) }).collect();
    world.enqueue_all(&entries).await;

    let first = watch(&world, "c1", &names).await;
    let second = watch(&world, "c1", &names).await;

    let ended = |found: &[Watched]| found.iter().filter(|w| matches!(w, Watched::Ended(_))).count();
    assert_eq!((ended(&first), ended(&second)), (100, 150));
    assert_eq!(first[149], Watched::Expiring(Duration::ZERO));
}

fn ended(watched: &Watched) -> String {
    match watched {
        Watched::Ended(outcome) => outcome.clone(),
        other => panic!("{other:?}"),
    }
}

async fn the_end_of_a_job_is_told(world: World) {
    world.enqueue_job(&job("J", 2)).await;
    world.open("w1").await;
    let run = world.claim("w1", 2).await.runs.remove(0);
    let mut told = listen(&world, "c1", &["J"]).await;

    world.complete("w1", &[chunks_succeeded(&run, 0, 1, &[])]).await;
    world.complete("w1", &[chunks_succeeded(&run, 1, 2, &[])]).await;

    assert_eq!(next(&mut told).await, ["J"]);
    assert!(matches!(&watch(&world, "c1", &["J"]).await[0], Watched::Ended(_)));
}

async fn the_failure_of_a_job_is_told(world: World) {
    world.enqueue_job(&job_to_reduce("J", 2)).await;
    world.open("w1").await;
    let run = world.claim("w1", 2).await.runs.remove(0);
    let mut told = listen(&world, "c1", &["J"]).await;

    world.complete("w1", &[chunk_failed(&run, 0)]).await;

    assert_eq!(next(&mut told).await, ["J"]);
    assert!(matches!(&watch(&world, "c1", &["J"]).await[0], Watched::Ended(_)));
}

async fn the_success_of_a_reducer_is_told(world: World) {
    world.enqueue_job(&job_to_reduce("J", 1)).await;
    world.open("w1").await;
    let run = world.claim("w1", 1).await.runs.remove(0);
    let mut told = listen(&world, "c1", &["J"]).await;

    world.complete_as("w1", Ask::want(1), &[run_succeeded(&run)]).await;
    assert_eq!(watch(&world, "c2", &["J"]).await, [Watched::Watching], "the barrier is no end");
    world.complete("w1", &[succeeded("J")]).await;

    assert_eq!(next(&mut told).await, ["J"]);
    assert_eq!(watch(&world, "c1", &["J"]).await, [Watched::Ended(outcome("J"))]);
}

async fn a_death_by_lost_workers_is_told(world: World) {
    world.enqueue(&["a"]).await;
    world.enqueue_job(&job("J", 1)).await;
    let mut told = listen(&world, "c1", &["a", "J"]).await;

    // Suspects are taken one by one, hence more than three workers.
    let mut heard = Vec::new();
    for worker in ["w1", "w2", "w3", "w4"] {
        world.lose_worker(worker, 9).await;
    }
    while heard.len() < 2 {
        heard.extend(next(&mut told).await);
    }

    heard.sort();
    assert_eq!(heard, ["J", "a"]);
}

async fn every_client_hears_of_its_own(world: World) {
    world.enqueue(&["a", "b", "c"]).await;
    world.open("w1").await;
    world.claim("w1", 3).await;
    let mut first = listen(&world, "c1", &["a", "b"]).await;
    let mut second = listen(&world, "c2", &["b", "c"]).await;

    world.complete("w1", &[done("a"), done("b"), done("c")]).await;

    assert_eq!(next(&mut first).await, ["a", "b"]);
    assert_eq!(next(&mut second).await, ["b", "c"]);
}
