//! cancel: what does not run ends at once; what runs is flagged, and nothing takes the flag from it but
//! its end.

use celeriac_broker_schema::script::{Cancelled, Ending, Entry, Found, Start};
use celeriac_broker_schema::{LeaseId, Requester, TaskId};

use crate::support::*;

on_both_servers![
    a_ready_task_ends_and_is_not_counted,
    what_is_left_in_its_list_is_dropped,
    a_delayed_task_leaves_at_once,
    a_task_that_expires_leaves_at_once,
    a_suspect_is_dropped,
    a_running_task_is_flagged_once,
    a_flagged_task_may_still_succeed,
    a_flagged_task_that_stops_is_cancelled,
    a_flagged_task_is_not_tried_again,
    a_flagged_task_that_failed_by_itself_has_failed,
    a_flagged_task_is_not_handed_on,
    a_flagged_task_that_loses_its_worker_is_cancelled,
    what_an_expired_lease_held_does_not_come_back,
    those_who_wait_are_told,
    a_job_ends_with_its_chunks,
    a_job_that_is_reduced_ends,
    a_reducer_that_runs_ends_its_job,
    what_has_ended_or_never_was_is_left_alone,
    many_are_answered_in_order,
];

fn ada() -> Requester {
    Requester::new("ada").because("a \"typo\"")
}

/// What stands in an outcome of hers.
const NOTE: &str = r#""by":"ada","why":"a \"typo\"""#;

async fn cancel(world: &World, ids: &[TaskId]) -> Vec<Cancelled> {
    world.broker.cancel(ids, &ada()).await.expect("an answer")
}

async fn cancel_one(world: &World, name: &str) -> Cancelled {
    cancel(world, &[id(name)]).await.remove(0)
}

fn outcome_of_ada() -> String {
    format!(r#"{{"v":1,"state":"cancelled","ended":now,{NOTE}}}"#)
}

fn flag() -> String {
    format!(r#"{{"at":now,"keep":86400000,{NOTE}}}"#)
}

fn told(name: &str) -> Cancelled {
    Cancelled::Told(LeaseId::from_wire(name))
}

async fn depth(world: &World) -> u64 {
    let snapshot = world.broker.snapshot(9, 9).await.expect("an answer");
    snapshot.queues.iter().map(|queue| queue.ready).sum()
}

/// `a` is held by w1, and to be cancelled.
async fn given_flagged(world: &World) {
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    assert_eq!(cancel_one(world, "a").await, told("w1"));
}

async fn a_ready_task_ends_and_is_not_counted(world: World) {
    world.enqueue(&["a", "b"]).await;
    let before = world.state().await;

    assert_eq!(cancel_one(&world, "a").await, Cancelled::Done);

    assert_changes!(world, before, {
        "tasks": { "a": null },
        "tombstones": { "a": "default:5" },
        "chunks": { "default:5": "-1" },
        "result:a": outcome_of_ada(),
        "stats": { "cancelled": "1" },
        "expires": { "result:a": true },
    });
    assert_eq!(depth(&world).await, 1);
}

async fn what_is_left_in_its_list_is_dropped(world: World) {
    world.enqueue(&["a", "b", "c"]).await;
    world.enqueue_job(&job("J", 3)).await;
    world.open("w1").await;
    cancel(&world, &["a", "c"].map(id)).await;
    assert_eq!(depth(&world).await, 4);

    let grant = world.claim("w1", 2).await;

    assert_eq!(
        (names(&grant.tasks), runs(&grant.runs)),
        (vec!["b".to_owned()], vec!["J:0-1 #1".to_owned()])
    );
    let state = world.state().await;
    assert!(!state.contains_key("tombstones"));
    assert_eq!(state["chunks"], serde_json::json!({ "default:5": "1" }));
    assert_eq!(depth(&world).await, 2);
}

async fn a_delayed_task_leaves_at_once(world: World) {
    let start = Start { delay_ms: Some(HOUR_MS), ..Start::default() };
    world.enqueue_all(&[Entry { start, ..entry_in("a", "mail", 9) }]).await;
    let before = world.state().await;

    assert_eq!(cancel_one(&world, "a").await, Cancelled::Done);

    assert_changes!(world, before, {
        "tasks": null,
        "delayed": null,
        "result:a": outcome_of_ada(),
        "stats": { "cancelled": "1" },
        "expires": { "result:a": true },
    });
}

async fn a_task_that_expires_leaves_at_once(world: World) {
    let start = Start { expires_after_ms: Some(HOUR_MS), ..Start::default() };
    world.enqueue_all(&[Entry { start, ..entry("a") }]).await;

    assert_eq!(cancel_one(&world, "a").await, Cancelled::Done);

    assert!(!world.state().await.contains_key("expiry"));
}

async fn a_suspect_is_dropped(world: World) {
    world.enqueue(&["a"]).await;
    for worker in ["w1", "w2"] {
        world.lose_worker(worker, 1).await;
    }
    assert_eq!(cancel_one(&world, "a").await, Cancelled::Done);
    assert_eq!(depth(&world).await, 0);
    world.open("w3").await;

    assert!(world.claim("w3", 1).await.tasks.is_empty());

    let state = world.state().await;
    assert!(
        !["tombstones", "history", "suspects:default"].iter().any(|key| state.contains_key(*key))
    );
    assert_eq!(depth(&world).await, 0);
    // Who looks at it later still sees which workers it cost.
    assert!(
        state["result:a"]
            .as_str()
            .expect("text")
            .contains(r#""attempts":[{"attempt":1,"outcome":"lost""#)
    );
}

async fn a_running_task_is_flagged_once(world: World) {
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    let before = world.state().await;

    assert_eq!(cancel_one(&world, "a").await, told("w1"));
    assert_changes!(world, before, { "cancels": { "a": flag() } });

    let grace = Requester::new("grace");
    let again = world.broker.cancel(&[id("a")], &grace).await.expect("an answer");
    assert_eq!(again, [told("w1")]);
    assert_changes!(world, before, { "cancels": { "a": flag() } });
}

async fn a_flagged_task_may_still_succeed(world: World) {
    given_flagged(&world).await;
    let before = world.state().await;

    world.complete("w1", &[succeeded("a")]).await;

    assert_changes!(world, before, {
        "cancels": null,
        "inflight:w1": { "#": "2", "a": null },
        "tasks": null,
        "result:a": outcome("a"),
        "stats": { "succeeded": "1" },
        "expires": { "result:a": true },
    });
}

async fn a_flagged_task_that_stops_is_cancelled(world: World) {
    given_flagged(&world).await;
    let before = world.state().await;
    let outcome = r#"{"v":1,"state":"cancelled","ended":1}"#.to_owned();

    let ending = Ending::Cancelled { id: id("a"), outcome: outcome.clone(), keep_ms: HOUR_MS };
    let grant = world.complete("w1", std::slice::from_ref(&ending)).await;

    assert_eq!(grant.stale, Vec::<String>::new());
    assert_changes!(world, before, {
        "cancels": null,
        "inflight:w1": { "#": "2", "a": null },
        "tasks": null,
        "result:a": outcome,
        "stats": { "cancelled": "1" },
        "expires": { "result:a": true },
    });
    let again = world.complete("w1", &[ending]).await;
    assert_eq!(named(&again.stale), ["a"]);
}

async fn a_flagged_task_is_not_tried_again(world: World) {
    given_flagged(&world).await;
    let before = world.state().await;

    world.complete("w1", &[retry("a", HOUR_MS)]).await;

    let attempts = format!(r#","attempts":[{ATTEMPT}]}}"#);
    assert_changes!(world, before, {
        "cancels": null,
        "inflight:w1": { "#": "2", "a": null },
        "tasks": null,
        "result:a": outcome_of_ada().replace('}', &attempts),
        "stats": { "cancelled": "1" },
        "expires": { "result:a": true },
    });
}

async fn a_flagged_task_that_failed_by_itself_has_failed(world: World) {
    given_flagged(&world).await;

    world.complete("w1", &[failed("a")]).await;

    let state = world.state().await;
    assert_eq!(state["result:a"], FAILED);
    assert!(!state.contains_key("cancels"));
}

async fn a_flagged_task_is_not_handed_on(world: World) {
    given_flagged(&world).await;
    let before = world.state().await;

    world.complete("w1", &[released("a")]).await;

    assert_changes!(world, before, {
        "cancels": null,
        "inflight:w1": { "#": "2", "a": null },
        "tasks": null,
        "result:a": outcome_of_ada(),
        "stats": { "cancelled": "1" },
        "expires": { "result:a": true },
    });
}

async fn a_flagged_task_that_loses_its_worker_is_cancelled(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.open_doomed("w1").await;
    world.claim("w1", 2).await;
    assert_eq!(cancel_one(&world, "a").await, told("w1"));

    world.reclaim_lost(3).await;

    let state = world.state().await;
    let lost = r#"{"attempt":1,"outcome":"lost","worker":"w1","claimed":now,"ended":now}"#;
    let attempts = format!(r#","attempts":[{lost}]}}"#);
    assert_eq!(state["result:a"], outcome_of_ada().replace('}', &attempts));
    assert_eq!(state["ready:default:5"], serde_json::json!(["b"]));
    assert_eq!(state["tasks"], serde_json::json!({ "b": record("b") }));
    assert!(!state.contains_key("cancels"));
}

async fn what_an_expired_lease_held_does_not_come_back(world: World) {
    world.enqueue(&["a", "b", "c"]).await;
    world.open_doomed("w1").await;
    world.claim("w1", 3).await;
    world.overdue("w1").await;
    // Some are still in what was set aside.
    world.reclaim(1).await;
    cancel(&world, &["a", "b", "c"].map(id)).await;

    world.reclaim_lost(3).await;
    world.open("w2").await;
    assert!(world.claim("w2", 9).await.tasks.is_empty());

    let state = world.state().await;
    assert!(
        !["tombstones", "tasks", "orphans"].iter().any(|key| state.contains_key(*key)),
        "{state:#?}"
    );
    assert_eq!(depth(&world).await, 0);
}

async fn those_who_wait_are_told(world: World) {
    world.enqueue(&["a"]).await;
    let client = client("c1");
    world.broker.watch(&client, &[id("a")]).await.expect("watched");
    let mut messages = world.broker.subscribe(&client).await.expect("subscribed");

    cancel_one(&world, "a").await;

    assert_eq!(messages.ended().await, Some(vec![id("a")]));
    assert!(!world.state().await.contains_key("watchers"));
}

async fn a_job_ends_with_its_chunks(world: World) {
    world.enqueue_job(&job_to_reduce("J", 10)).await;
    world.open("w1").await;
    let run = world.claim("w1", 3).await.runs.remove(0);
    world.complete("w1", &[chunks_succeeded(&run, 0, 1, &[]), chunk_retry(&run, 1, HOUR_MS)]).await;
    let before = world.state().await;

    assert_eq!(cancel_one(&world, "J").await, Cancelled::Done);

    assert_changes!(world, before, {
        "job:J": { "state": "cancelled", "ended": "now" },
        "jobs:open": null,
        "jobs:ended": { "J": "now+60min" },
        "tasks": null,
        "waiting": null,
        "result:J": outcome_of_ada(),
        "stats": { "cancelled": "9" },
        "expires": {
            "result:J": true, "job:J": true, "job:J:done": true, "job:J:out": true, "job:J:history": true,
        },
    });
    // What is left of it is dropped as it is met.
    let stale = world.complete("w1", &[chunks_succeeded(&run, 2, 3, &[])]).await.stale;
    assert_eq!(named(&stale), ["J:0-3"]);
    world.delays_pass().await;
    assert!(world.claim("w1", 99).await.runs.is_empty());
    assert_eq!(depth(&world).await, 0);
    assert_eq!(cancel_one(&world, "J").await, Cancelled::Ended);
}

async fn a_job_that_is_reduced_ends(world: World) {
    world.enqueue_job(&job_to_reduce("J", 1)).await;
    world.open("w1").await;
    let run = world.claim("w1", 1).await.runs.remove(0);
    world.complete("w1", &[run_succeeded(&run)]).await;

    assert_eq!(cancel_one(&world, "J").await, Cancelled::Done);

    let state = world.state().await;
    assert_eq!(state["job:J"]["state"], "cancelled");
    assert_eq!(state["result:J"], outcome_of_ada());
    assert!(!["tasks", "inputs", "jobs:open"].iter().any(|key| state.contains_key(*key)));
    assert_eq!(depth(&world).await, 0);
}

async fn a_reducer_that_runs_ends_its_job(world: World) {
    world.enqueue_job(&job_to_reduce("J", 1)).await;
    world.open("w1").await;
    let run = world.claim("w1", 1).await.runs.remove(0);
    world.complete("w1", &[run_succeeded(&run)]).await;
    world.claim("w1", 1).await;

    assert_eq!(cancel_one(&world, "J").await, told("w1"));
    assert_eq!(world.state().await["job:J"]["state"], "reducing");
    world.complete("w1", &[released("J")]).await;

    let state = world.state().await;
    assert_eq!(state["job:J"]["state"], "cancelled");
    assert_eq!(state["result:J"], outcome_of_ada());
    assert!(
        !["tasks", "inputs", "jobs:open", "cancels"].iter().any(|key| state.contains_key(*key))
    );
}

async fn what_has_ended_or_never_was_is_left_alone(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.enqueue_job(&job("J", 1)).await;
    world.open("w1").await;
    let grant = world.claim("w1", 3).await;
    world.complete("w1", &[succeeded("a"), done("b"), run_succeeded(&grant.runs[0])]).await;
    let before = world.state().await;

    let chunk = TaskId::of_chunk(job_id("J"), 0);
    let answers = cancel(&world, &[id("a"), chunk, id("b"), id("J"), id("x")]).await;

    use Cancelled::{Ended, IsChunk, Unknown};
    assert_eq!(answers, [Ended, IsChunk, Unknown, Ended, Unknown]);
    assert_changes!(world, before, {});
    assert_eq!(cancel(&world, &[]).await, []);
}

async fn many_are_answered_in_order(world: World) {
    let names: Vec<String> = (0..450).map(|number| format!("n{number:03}")).collect();
    world.enqueue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    // Look-ups are so many that a call gives up before its last id.
    for number in 0..50 {
        world.open(&format!("w{number}")).await;
    }
    world.claim("w7", 3).await;
    let ids: Vec<TaskId> = names.iter().map(|name| id(name)).collect();

    let answers = cancel(&world, &ids).await;

    assert!(answers[..3].iter().all(|answer| *answer == told("w7")), "{answers:?}");
    assert!(answers[3..].iter().all(|answer| *answer == Cancelled::Done), "{answers:?}");
    assert_eq!(depth(&world).await, 0);
    let found = world.broker.inspect(ids[449]).await.expect("an answer");
    assert!(matches!(found, Found::Ended(_)));
    // The list is emptied in bites.
    assert!(world.claim("w8", 9).await.tasks.is_empty());
    assert!(!world.state().await.contains_key("tombstones"));
}
