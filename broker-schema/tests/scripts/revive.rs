//! revive: dead tasks run again, and those who wait for them can.

use celeriac_broker_schema::TaskId;
use celeriac_broker_schema::script::{Revived, Watched};
use serde_json::json;

use crate::support::*;

on_both_servers![
    a_revived_task_is_ready_and_has_its_attempts,
    a_revived_task_ends_as_any_other,
    a_revived_task_goes_where_it_came_from,
    what_is_not_dead_is_unknown,
    chunks_and_reducers_of_ended_jobs_are_refused,
    what_cannot_be_read_is_refused,
    large_ones_are_revived_in_bites,
];

/// Tasks that failed for good at their second attempt.
async fn given_dead(world: &World, names: &[&str]) {
    world.enqueue(names).await;
    world.open("w1").await;
    world.claim("w1", names.len()).await;
    let endings: Vec<_> = names.iter().map(|name| retry(name, 0)).collect();
    world.complete("w1", &endings).await;
    world.claim("w1", names.len()).await;
    let endings: Vec<_> = names.iter().map(|name| failed_twice(name)).collect();
    world.complete("w1", &endings).await;
}

fn failed_twice(name: &str) -> celeriac_broker_schema::script::Ending {
    let outcome = FAILED.replace("\"ended\":1", &format!("\"ended\":1,\"attempts\":[{ATTEMPT}]"));
    celeriac_broker_schema::script::Ending::Failed {
        id: id(name),
        outcome,
        keep_ms: HOUR_MS,
        failure: FAILURE.to_owned(),
    }
}

async fn revive(world: &World, ids: &[TaskId]) -> Vec<&'static str> {
    let revived = world.broker.revive(ids, &ada()).await.expect("an answer");
    assert!(revived.iter().map(|(id, _)| id).eq(ids));
    revived.iter().map(|(_, word)| word.as_str()).collect()
}

async fn a_revived_task_is_ready_and_has_its_attempts(world: World) {
    given_dead(&world, &["a", "b"]).await;
    world.hush().await;
    let before = world.state().await;

    assert_eq!(revive(&world, &[id("a")]).await, ["revived"]);

    let marker =
        r#"{"attempt":1,"outcome":"revived","worker":"","ended":now,"by":"ada","why":"t"}"#;
    assert_changes!(world, before, {
        "bell:default": ["1"],
        "dead": { "a": null },
        "dead:tasks": { "a": null },
        "history": { "a": format!("0 0\n{ATTEMPT}\n{marker}") },
        "ready:default:5": ["a"],
        "result:a": null,
        "expires": { "result:a": null },
        "stats": { "revived": "1" },
        "tasks": { "a": record("a") },
    });
}

async fn a_revived_task_ends_as_any_other(world: World) {
    given_dead(&world, &["a"]).await;
    revive(&world, &[id("a")]).await;
    let watched = world.broker.watch(&client("c1"), &[id("a")]).await.expect("an answer");
    assert!(matches!(watched[..], [Watched::Watching]), "{watched:?}");

    let grant = world.claim("w1", 1).await;
    assert_eq!(names(&grant.tasks), ["a"]);
    world.complete("w1", &[succeeded("a")]).await;

    let state = world.state().await;
    assert_eq!(state["result:a"], json!(outcome("a")));
    for key in ["history", "watchers", "tasks", "dead"] {
        assert!(!state.contains_key(key), "{key}");
    }
}

async fn a_revived_task_goes_where_it_came_from(world: World) {
    world.enqueue_all(&[entry_in("a", "x", 8)]).await;
    world.open("w1").await;
    world.claim_as("w1", Ask::want(1).from(&["x"])).await;
    world.complete("w1", &[failed("a")]).await;
    revive(&world, &[id("a")]).await;
    assert_eq!(world.state().await["ready:x:8"], json!(["a"]));
}

async fn what_is_not_dead_is_unknown(world: World) {
    given_dead(&world, &["a"]).await;
    world.enqueue(&["b"]).await;
    assert_eq!(
        revive(&world, &[id("z"), id("a"), id("b"), id("a")]).await,
        ["unknown", "revived", "unknown", "unknown"]
    );
    let before = world.state().await;
    assert_eq!(revive(&world, &[id("a")]).await, ["unknown"]);
    assert_changes!(world, before, {});
}

async fn chunks_and_reducers_of_ended_jobs_are_refused(world: World) {
    world.enqueue_job(&job_to_reduce("J", 2)).await;
    world.enqueue_job(&job_to_reduce("R", 1)).await;
    world.open("w1").await;
    let run = world.claim("w1", 2).await.runs.remove(0);
    world.complete("w1", &[chunk_failed(&run, 1)]).await;
    let run = world.claim("w1", 2).await.runs.remove(0);
    world.complete("w1", &[run_succeeded(&run)]).await;
    world.claim("w1", 1).await;
    world.complete("w1", &[failed("R")]).await;
    let before = world.state().await;

    let ids = [TaskId::of_chunk(job_id("J"), 1), id("R")];
    assert_eq!(revive(&world, &ids).await, ["job_over", "job_over"]);
    assert_changes!(world, before, {});
    // Nor when nothing is left of the job.
    world.redis::<()>(redis::cmd("DEL").arg(world.key(&format!("job:{}", id("R"))))).await;
    assert_eq!(revive(&world, &[id("R")]).await, ["job_over"]);
}

async fn what_cannot_be_read_is_refused(world: World) {
    world.enqueue(&["a"]).await;
    let mut overwrite = redis::cmd("HSET");
    overwrite.arg(world.key("tasks")).arg(id("a").to_string()).arg("no JSON");
    world.redis::<()>(&overwrite).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[failed("a")]).await;

    assert_eq!(
        world.broker.revive(&[id("a")], &ada()).await.expect("an answer"),
        [(id("a"), Revived::Unreadable)]
    );
    let letter = world.broker.dead_letter(id("a")).await.expect("an answer").expect("it is dead");
    assert_eq!(letter.error.message, "no");
    assert!(letter.stored.contains("no JSON"), "the payload is kept");
}

async fn large_ones_are_revived_in_bites(world: World) {
    let names = ["a", "b", "c", "d"];
    let large = format!("\"{}\"", "x".repeat(600_000));
    let entries = names.map(|name| {
        let mut entry = entry(name);
        entry.record = entry.record.replace(&format!("\"{name}\""), &large);
        entry
    });
    world.enqueue_all(&entries).await;
    world.open("w1").await;
    world.claim("w1", 4).await;
    world.complete("w1", &names.map(failed)).await;

    assert_eq!(
        revive(&world, &[id("z"), id("a"), id("b"), id("y"), id("c"), id("d"), id("x")]).await,
        ["unknown", "revived", "revived", "unknown", "revived", "revived", "unknown"]
    );
    assert_eq!(names_of(&world).await, ["a", "b", "c", "d"]);
}

async fn names_of(world: &World) -> Vec<String> {
    names(&world.claim("w1", 9).await.tasks)
}
