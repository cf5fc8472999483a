//! reclaim: what a lost worker held goes back, is counted against it, and ends when it has cost
//! too many workers; and the rest of the upkeep.

mod losses;

use std::collections::BTreeSet;

use celeriac_broker_schema::outcome::{attempts_of, counts_of};
use celeriac_broker_schema::script::{Claimed, Entry, Start};
use celeriac_broker_schema::{ErrorKind, Outcome, State as TaskState};
use serde_json::{Value, json};

use crate::support::*;

on_both_servers![
    nothing_lost_nothing_changed,
    tasks_of_a_lost_worker_go_back_to_the_front,
    a_lease_that_held_nothing_is_removed,
    ones_own_lease_is_left_alone,
    runs_of_a_lost_worker_go_back_in_order,
    chunks_that_were_handed_back_do_not_come_back_twice,
    settled_chunks_between_others_do_not_come_back,
    a_retried_chunk_of_a_lost_worker_goes_back,
    what_had_ended_stays_ended,
    what_is_over_is_dropped,
    a_lost_lease_is_stale_from_the_first_bite,
    nine_thousand_tasks_go_back_in_bites,
    every_claim_reclaims,
    a_second_loss_makes_a_suspect,
    suspects_are_given_out_one_at_a_time,
    the_next_suspect_rings,
    a_suspect_that_is_handed_back_stays_one,
    a_suspect_that_is_gone_hides_no_other,
    the_history_tells_every_loss,
    a_third_loss_is_the_end_of_a_task,
    the_lost_are_kept_as_their_records_say,
    a_third_loss_of_a_reducer_ends_its_job,
    a_run_is_narrowed_down_to_the_guilty_chunk,
    a_third_loss_of_a_retried_chunk_ends_its_job,
    a_limit_of_one_ends_at_the_first_loss,
    a_limit_of_one_spares_the_neighbours,
    upkeep_promotes_and_expires,
];

/// An attempt whose worker was lost, as it stands in a history.
fn lost(attempt: u32, worker: &str) -> String {
    format!(
        r#"{{"attempt":{attempt},"outcome":"lost","worker":"{worker}","claimed":now,"ended":now}}"#
    )
}

/// A run whose worker was lost, as it is remembered.
fn lost_run(stretches: &str, attempt: u32, worker: &str) -> String {
    format!("{stretches} {}", lost(attempt, worker))
}

/// Workers take all that there is and are lost, one after the other.
async fn lose_workers(world: &World, workers: &[&str]) {
    for worker in workers {
        let grant = world.lose_worker(worker, 100).await;
        assert!(!grant.tasks.is_empty() || !grant.runs.is_empty(), "{worker} got nothing");
    }
}

async fn nothing_lost_nothing_changed(world: World) {
    world.enqueue_all(&[entry("a"), entry("b"), delayed("c", HOUR_MS)]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    let before = world.state().await;

    let done = world.reclaim(1000).await;

    assert_eq!((done.reclaimed, done.promoted), (0, 0));
    assert_changes!(world, before, {});
}

async fn tasks_of_a_lost_worker_go_back_to_the_front(world: World) {
    world.enqueue_all(&[entry("c"), entry_in("x", QUEUE, 9), entry("a"), entry("b")]).await;
    world.open_doomed("w1").await;
    world.claim("w1", 9).await;
    world.enqueue(&["d"]).await;
    world.hush().await;
    let before = world.state().await;

    let done = world.reclaim_lost(3).await;

    assert_eq!(done.reclaimed, 4);
    // The oldest is in front.
    assert_changes!(world, before, {
        "leases": null,
        "inflight:w1": null,
        "ready:default:9": ["x"],
        "ready:default:5": ["a", "b", "c", "d"],
        "bell:default": ["1"],
        "history": {
            "a": format!("0 1\n{}", lost(1, "w1")), "b": format!("0 1\n{}", lost(1, "w1")),
            "c": format!("0 1\n{}", lost(1, "w1")), "x": format!("0 1\n{}", lost(1, "w1")),
        },
        "stats": { "reclaimed": "4" },
    });
    world.open("w2").await;
    let tasks = world.claim("w2", 9).await.tasks;
    assert_eq!(names(&tasks), ["x", "a", "b", "c", "d"]);
    assert_eq!(world.state().await["inflight:w2"]["a"], json!("2:now:5:default"));
}

async fn a_lease_that_held_nothing_is_removed(world: World) {
    world.open_doomed("w1").await;
    world.open("w2").await;
    world.overdue("w1").await;
    let before = world.state().await;

    assert_eq!(world.reclaim(10).await.reclaimed, 0);

    let mut changes = world.changes(&before).await;
    changes.as_object_mut().expect("an object").remove("stats");
    assert_eq!(changes, json!({ "leases": { "w1": null }, "inflight:w1": null }));
}

async fn ones_own_lease_is_left_alone(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.open_doomed("w1").await;
    world.claim("w1", 1).await;
    world.overdue("w1").await;
    let before = world.state().await;

    let done = world.broker.reclaim(Some(&lease("w1")), 10, 3).await.expect("upkeep is done");

    assert_eq!(done.reclaimed, 0);
    assert_changes!(world, before, {});
    // As long as nobody else noticed, it may go on.
    assert!(world.complete("w1", &[succeeded("a")]).await.stale.is_empty());
}

async fn runs_of_a_lost_worker_go_back_in_order(world: World) {
    world.enqueue_job(&job("J", 60)).await;
    world.open_doomed("w1").await;
    for want in [9, 6, 10] {
        world.claim("w1", want).await;
    }
    let before = world.state().await;

    let done = world.reclaim_lost(3).await;

    assert_eq!(done.reclaimed, 3);
    assert_changes!(world, before, {
        "leases": null,
        "inflight:w1": null,
        "ready:default:5": ["J:0-9+1", "J:9-15+1", "J:15-25+1", "J:25-60"],
        "chunks": { "default:5": "56" },
        "job:J:losses": [lost_run("15-25", 1, "w1"), lost_run("9-15", 1, "w1"), lost_run("0-9", 1, "w1")],
        "stats": { "reclaimed": "3" },
    });
    world.open("w2").await;
    assert_eq!(runs(&world.claim("w2", 3).await.runs), ["J:0-3 #2"]);
}

async fn chunks_that_were_handed_back_do_not_come_back_twice(world: World) {
    world.enqueue_job(&job("J", 20)).await;
    world.open_doomed("w1").await;
    let run = world.claim("w1", 10).await.runs.remove(0);
    let endings = [
        chunks_released(&run, 7, 10),
        chunks_released(&run, 2, 4),
        chunks_succeeded(&run, 4, 5, &[]),
    ];
    world.complete("w1", &endings).await;
    let before = world.state().await;

    world.reclaim_lost(3).await;

    assert_changes!(world, before, {
        "leases": null,
        "inflight:w1": null,
        "ready:default:5": ["J:0-2+1", "J:4-7+1", "J:2-4", "J:7-10", "J:10-20"],
        "chunks": { "default:5": "15" },
        // What was settled or handed back was not lost.
        "job:J:losses": [lost_run("0-2,5-7", 1, "w1")],
        "stats": { "reclaimed": "1" },
    });
    world.open("w2").await;
    let mut given = Vec::new();
    for _ in 0..10 {
        for run in world.claim("w2", 4).await.runs {
            given.extend(run.lo..run.hi);
        }
    }
    given.sort();
    assert_eq!(given, (0..20).filter(|index| *index != 4).collect::<Vec<_>>());
}

/// What remains of a run between its ends may be settled, too.
async fn settled_chunks_between_others_do_not_come_back(world: World) {
    world.enqueue_job(&job("J", 10)).await;
    world.open_doomed("w1").await;
    let run = world.claim("w1", 5).await.runs.remove(0);
    let endings = [
        chunks_released(&run, 1, 2),
        chunks_released(&run, 3, 4),
        chunks_succeeded(&run, 0, 1, &[]),
        chunk_retry(&run, 2, HOUR_MS),
    ];
    world.complete("w1", &endings).await;

    world.reclaim_lost(3).await;

    let ready = &world.state().await["ready:default:5"];
    assert_eq!(*ready, json!(["J:4-5+1", "J:3-4", "J:1-2", "J:5-10"]));
}

async fn a_retried_chunk_of_a_lost_worker_goes_back(world: World) {
    world.enqueue_job(&job("J", 1)).await;
    world.open_doomed("w1").await;
    let run = world.claim("w1", 1).await.runs.remove(0);
    world.complete("w1", &[chunk_retry(&run, 0, 0)]).await;
    world.claim("w1", 1).await;
    let before = world.state().await;

    world.reclaim_lost(3).await;

    assert_changes!(world, before, {
        "leases": null,
        "inflight:w1": null,
        "ready:default:5": ["J:0"],
        "job:J:history": { "0": format!("1 1\n{ATTEMPT}\n{}", lost(2, "w1")) },
        "stats": { "reclaimed": "1" },
    });
}

async fn what_had_ended_stays_ended(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.enqueue_job(&job("J", 4)).await;
    world.open_doomed("w1").await;
    let run = world.claim("w1", 6).await.runs.remove(0);
    world.complete("w1", &[done("a"), chunks_succeeded(&run, 0, 3, &[])]).await;
    world.reclaim_lost(3).await;
    world.open("w2").await;

    let grant = world.claim("w2", 9).await;

    assert_eq!(
        (names(&grant.tasks), runs(&grant.runs)),
        (vec!["b".to_owned()], vec!["J:3-4 #2".to_owned()])
    );
    world.complete("w2", &[run_succeeded(&grant.runs[0])]).await;
    assert_eq!(world.state().await["job:J"]["state"], json!("succeeded"));
}

async fn what_is_over_is_dropped(world: World) {
    world.enqueue(&["a"]).await;
    world.enqueue_job(&job("J", 4)).await;
    world.open_doomed("w1").await;
    let run = world.claim("w1", 5).await.runs.remove(0);
    world.complete_as("w1", Ask::want(1), &[chunk_retry(&run, 0, 0)]).await;
    world.complete("w1", &[chunk_failed(&run, 1)]).await;
    world.redis::<u64>(redis::cmd("HDEL").arg(world.key("tasks")).arg(id("a").to_string())).await;
    let before = world.state().await;
    // A cancelled task, the rest of a run and a retried chunk of a job that failed.
    let held: Vec<&String> = before["inflight:w1"].as_object().expect("a hash").keys().collect();
    assert_eq!(held, ["#", "J:0", "J:0-4", "a"]);

    world.reclaim_lost(3).await;

    assert_changes!(world, before, {
        "leases": null,
        "inflight:w1": null,
        "stats": { "reclaimed": "3" },
    });
}

async fn a_lost_lease_is_stale_from_the_first_bite(world: World) {
    world.enqueue(&["a", "b", "c", "d"]).await;
    world.open_doomed("w1").await;
    world.claim("w1", 4).await;
    world.overdue("w1").await;
    world.reclaim(2).await;
    let before = world.state().await;
    assert_eq!(before["orphans"], json!(["w1"]));
    assert!(before["orphan:w1"].as_object().is_some_and(|held| held.len() >= 2), "{before:#?}");

    let all = ["a", "b", "c", "d"].map(succeeded);
    let late = world.call("w1", 2, &Ask::want(4), Some(&all)).await;

    assert!(matches!(late, Claimed::Lost), "{late:?}");
    assert_changes!(world, before, {});
}

async fn nine_thousand_tasks_go_back_in_bites(world: World) {
    let names: Vec<String> = (0..9_000).map(|n| format!("t{n:05}")).collect();
    world.enqueue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.open_doomed("w1").await;
    assert_eq!(world.claim("w1", 9_000).await.tasks.len(), 9_000);
    world.overdue("w1").await;

    let mut bites = Vec::new();
    while bites.iter().sum::<u64>() < 9_000 {
        let bite = world.reclaim(1_000_000).await.reclaimed;
        assert!((1..=1_000).contains(&bite), "after {bites:?}: {bite}");
        bites.push(bite);
    }

    let state = world.state().await;
    let ready = state["ready:default:5"].as_array().expect("a list");
    assert_eq!(ready.len(), 9_000);
    let ready: BTreeSet<&str> = ready.iter().filter_map(Value::as_str).collect();
    assert_eq!(ready, names.iter().map(String::as_str).collect());
    assert_eq!(state["stats"], json!({ "enqueued": "9000", "reclaimed": "9000" }));
    for key in ["inflight:w1", "orphan:w1", "orphans", "leases"] {
        assert!(!state.contains_key(key), "{key} is left");
    }
}

async fn every_claim_reclaims(world: World) {
    world.enqueue(&["a"]).await;
    world.open_doomed("w1").await;
    world.claim("w1", 1).await;
    world.overdue("w1").await;
    world.open("w2").await;

    assert_eq!(names(&world.claim("w2", 1).await.tasks), ["a"]);

    let state = world.state().await;
    assert_eq!(state["inflight:w2"], json!({ "#": "1", "a": "2:now:5:default" }));
    assert!(!state.contains_key("inflight:w1"));
}

async fn a_second_loss_makes_a_suspect(world: World) {
    world.enqueue_all(&[entry("a"), entry_in("b", QUEUE, 7)]).await;
    lose_workers(&world, &["w1"]).await;
    world.open_doomed("w2").await;
    world.claim("w2", 2).await;
    world.hush().await;
    let before = world.state().await;

    world.reclaim_lost(3).await;

    assert_changes!(world, before, {
        "leases": null,
        "inflight:w2": null,
        "suspects:default": ["5:a", "7:b"],
        "bell:default": ["1"],
        "history": {
            "a": format!("0 2\n{}\n{}", lost(1, "w1"), lost(2, "w2")),
            "b": format!("0 2\n{}\n{}", lost(1, "w1"), lost(2, "w2")),
        },
        "stats": { "reclaimed": "4" },
    });
}

async fn suspects_are_given_out_one_at_a_time(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.enqueue_job(&job("J", 3)).await;
    lose_workers(&world, &["w1", "w2"]).await;
    world.enqueue(&["c", "d", "e"]).await;
    for worker in ["w3", "w4", "w5"] {
        world.open(worker).await;
    }
    assert_eq!(world.state().await["suspects:default"], json!(["5:J:0-3+2", "5:a", "5:b"]));
    world.hush().await;

    let none = world.claim_as("w3", Ask::want(1).without_suspects()).await;
    assert_eq!((names(&none.tasks), none.suspect), (vec!["c".to_owned()], false));

    // Before all others and with nothing beside it, and of a run one chunk; the next one rings.
    world.hush().await;
    let first = world.claim("w3", 9).await;
    assert_eq!((runs(&first.runs), first.tasks.len()), (vec!["J:0-1 #3".to_owned()], 0));
    assert!(first.suspect);
    let state = world.state().await;
    assert_eq!(state["suspects:default"], json!(["5:J:1-3+2", "5:a", "5:b"]));
    assert_eq!(state["bell:default"], json!(["1"]));

    let second = world.claim("w4", 1).await;
    assert_eq!((runs(&second.runs), second.suspect), (vec!["J:1-2 #3".to_owned()], true));
    world.claim("w5", 1).await;
    let task = world.claim("w4", 1).await;
    assert_eq!((names(&task.tasks), task.suspect), (vec!["a".to_owned()], true));
    assert_eq!(world.state().await["inflight:w4"]["a"], json!("3:now:5:default"));
    assert_eq!(world.state().await["chunks"], json!({ "default:5": "0" }));
}

async fn the_next_suspect_rings(world: World) {
    world.enqueue(&["a", "b"]).await;
    lose_workers(&world, &["w1", "w2"]).await;
    world.open("w3").await;
    world.hush().await;
    let before = world.state().await;

    world.claim("w3", 9).await;

    // Nothing else is ready, and w3 has its one.
    assert_changes!(world, before, {
        "suspects:default": ["5:b"],
        "inflight:w3": { "#": "1", "a": "3:now:5:default" },
        "bell:default": ["1"],
    });
    // If w3 hears it itself, it passes it on.
    world.hush().await;
    world.claim_as("w3", Ask::want(9).without_suspects()).await;
    assert_eq!(world.state().await["bell:default"], json!(["1"]));
}

async fn a_suspect_that_is_handed_back_stays_one(world: World) {
    world.enqueue(&["a"]).await;
    world.enqueue_job(&job("J", 2)).await;
    world.open("w0").await;
    // Chunk 1 goes its own way.
    let run = world.claim("w0", 3).await.runs.remove(0);
    let apart = [released("a"), chunks_released(&run, 0, 1), chunk_retry(&run, 1, 0)];
    world.complete("w0", &apart).await;
    lose_workers(&world, &["w1", "w2"]).await;
    let before = world.state().await;
    assert_eq!(before["suspects:default"], json!(["5:J:0-1+2", "5:J:1", "5:a"]));
    let chunk = world.claim("w0", 9).await.runs.remove(0);
    let alone = world.claim("w0", 9).await.runs.remove(0);
    assert_eq!(names(&world.claim("w0", 9).await.tasks), ["a"]);

    let back = [released("a"), chunks_released(&alone, 1, 2), chunks_released(&chunk, 0, 1)];
    world.complete("w0", &back).await;

    assert_changes!(world, before, {
        "inflight:w0": { "#": "6" },
    });
}

async fn a_suspect_that_is_gone_hides_no_other(world: World) {
    world.enqueue(&["a", "b", "c"]).await;
    lose_workers(&world, &["w1", "w2"]).await;
    let gone = ["a", "b"].map(|name| id(name).to_string());
    world.redis::<u64>(redis::cmd("HDEL").arg(world.key("tasks")).arg(&gone)).await;
    world.open("w3").await;

    let grant = world.claim("w3", 9).await;

    assert_eq!((names(&grant.tasks), grant.suspect), (vec!["c".to_owned()], true));
}

async fn the_history_tells_every_loss(world: World) {
    world.enqueue(&["a"]).await;
    lose_workers(&world, &["w1", "w2"]).await;
    world.open("w3").await;

    let history = world.claim("w3", 1).await.tasks.remove(0).history;

    assert_eq!(counts_of(&history), (0, 2));
    let attempts = attempts_of(&history);
    let told: Vec<_> = attempts.iter().map(|a| (a.attempt, &*a.outcome, &*a.worker)).collect();
    assert_eq!(told, [(1, "lost", "w1"), (2, "lost", "w2")]);
    assert!(attempts.iter().all(|attempt| attempt.claimed.is_some()));
}

/// A stored text that must be an outcome: crashed, after three losses.
async fn crashed(world: &World, stored: &str) -> Outcome {
    let outcome: Outcome = serde_json::from_str(stored).expect("an outcome");
    assert_eq!(outcome.state, TaskState::Failed);
    assert_eq!(outcome.error.as_ref().map(|error| error.kind), Some(ErrorKind::Crashed));
    assert!(outcome.ended <= world.now().await);
    outcome
}

async fn hash_field(world: &World, key: &str, field: &str) -> String {
    world.redis(redis::cmd("HGET").arg(world.key(key)).arg(field)).await
}

async fn a_third_loss_is_the_end_of_a_task(world: World) {
    world.enqueue(&["a"]).await;
    lose_workers(&world, &["w1", "w2"]).await;
    world.open_doomed("w3").await;
    world.claim("w3", 1).await;
    let before = world.state().await;

    world.reclaim_lost(3).await;

    let key = world.key(&format!("result:{}", id("a")));
    let stored: String = world.redis(redis::cmd("GET").arg(&key)).await;
    let outcome = crashed(&world, &stored).await;
    assert_eq!((outcome.attempt, outcome.worker.as_deref()), (Some(3), Some("w3")));
    assert_eq!((outcome.task.as_deref(), outcome.queue()), (Some("t"), Some("default")));
    let workers: Vec<&str> = outcome.attempts.iter().map(|attempt| &*attempt.worker).collect();
    assert_eq!(workers, ["w1", "w2", "w3"]);
    let dead: Value =
        serde_json::from_str(&hash_field(&world, "dead:tasks", &id("a").to_string()).await)
            .expect("JSON");
    assert_eq!(dead["record"], serde_json::from_str::<Value>(&record("a")).expect("JSON"));
    assert_eq!(dead["outcome"], serde_json::from_str::<Value>(&stored).expect("JSON"));
    let readable = world.readable(&stored);
    assert_changes!(world, before, {
        "leases": null,
        "inflight:w3": null,
        "tasks": null,
        "history": null,
        "result:a": readable,
        "expires": { "result:a": true },
        "dead": { "a": "now" },
        "dead:tasks": { "a": format!(r#"{{"record":{},"outcome":{readable}}}"#, record("a")) },
        "stats": { "reclaimed": "3", "failed": "1" },
    });
}

async fn the_lost_are_kept_as_their_records_say(world: World) {
    let record = |keep: &str| format!(r#"{{"v":1,"task":"t","args":[],"queue":"q"{keep}}}"#);
    let entry = |name, keep| Entry { record: record(keep), ..entry_in(name, "q", 5) };
    let entries = [entry("a", r#","keep_ms":0"#), entry("b", r#","keep_failed_ms":3600000"#)];
    world.enqueue_all(&entries).await;
    world.open_doomed("w1").await;
    world.claim_as("w1", Ask::want(2).from(&["q"])).await;

    world.reclaim_lost(1).await;

    let state = world.state().await;
    assert_eq!(state["dead"], json!({ "a": "now", "b": "now" }));
    assert!(!state.contains_key("result:a"), "{state:#?}");
    let key = world.key(&format!("result:{}", id("b")));
    let stored: String = world.redis(redis::cmd("GET").arg(&key)).await;
    let outcome = crashed(&world, &stored).await;
    assert_eq!((outcome.task.as_deref(), outcome.queue()), (Some("t"), Some("q")));
    let left: u64 = world.redis(redis::cmd("PTTL").arg(key)).await;
    assert!(left <= HOUR_MS && left > HOUR_MS - 60_000, "{left}");
}

async fn a_third_loss_of_a_reducer_ends_its_job(world: World) {
    world.enqueue_job(&job_to_reduce("J", 1)).await;
    world.open("w0").await;
    let run = world.claim("w0", 1).await.runs.remove(0);
    world.complete("w0", &[run_succeeded(&run)]).await;

    lose_workers(&world, &["w1", "w2", "w3"]).await;

    let key = world.key(&format!("result:{}", id("J")));
    let outcome = crashed(&world, &world.redis::<String>(redis::cmd("GET").arg(&key)).await).await;
    assert_eq!(outcome.failed_task, Some(id("J").to_string()));
    let state = world.state().await;
    assert_eq!(state["job:J"]["state"], json!("failed"));
    for key in ["tasks", "inputs", "waiting", "jobs:open", "history"] {
        assert!(!state.contains_key(key), "{key} is left");
    }
}

async fn a_run_is_narrowed_down_to_the_guilty_chunk(world: World) {
    world.enqueue_job(&job("J", 3)).await;
    lose_workers(&world, &["w1", "w2"]).await;
    // Chunk 0 is innocent, 1 is guilty.
    world.open("w0").await;
    let innocent = world.claim("w0", 9).await.runs.remove(0);
    assert_eq!(field(&innocent.field), "J:0-1");
    world.complete("w0", &[run_succeeded(&innocent)]).await;
    world.open_doomed("w3").await;
    assert_eq!(runs(&world.claim("w3", 9).await.runs), ["J:1-2 #3"]);
    let before = world.state().await;

    world.reclaim_lost(3).await;

    let guilty = format!("{}:1", job_id("J"));
    let failure = hash_field(&world, &format!("job:{}", job_id("J")), "failure").await;
    let dead: Value =
        serde_json::from_str(&hash_field(&world, "dead:tasks", &guilty).await).expect("JSON");
    assert_eq!(dead["record"], serde_json::from_str::<Value>(&spec(3)).expect("JSON"));
    let outcome = crashed(&world, &dead["outcome"].to_string()).await;
    let told: Vec<_> =
        outcome.attempts.iter().map(|a| (a.attempt, &*a.outcome, &*a.worker)).collect();
    assert_eq!(told, [(1, "lost", "w1"), (2, "lost", "w2"), (3, "lost", "w3")]);
    assert!(failure.contains("was lost 3 times: w1, w2, w3"), "{failure}");
    let result = format!(
        r#"{{"v":1,"state":"failed","failed_task":"J:1","error":{failure},"attempt":3,"ended":now}}"#
    );
    assert_changes!(world, before, {
        "leases": { "w3": null },
        "inflight:w3": null,
        "job:J": {
            "failed": "1", "state": "failed", "ended": "now", "failed_task": "J:1", "failure": failure,
        },
        "job:J:done": "11000000",
        "job:J:history": { "1": format!("0 3\n{}\n{}\n{}", lost(1, "w1"), lost(2, "w2"), lost(3, "w3")) },
        "job:J:losses": [lost_run("0-3", 1, "w1"), lost_run("0-3", 2, "w2"), lost_run("1-2", 3, "w3")],
        "jobs:open": null,
        "jobs:ended": { "J": "now+60min" },
        "result:J": result,
        "expires": {
            "job:J": true, "job:J:done": true, "job:J:history": true, "job:J:losses": true, "result:J": true,
        },
        "dead": { "J:1": "now" },
        "dead:tasks": { "J:1": world.readable(&hash_field(&world, "dead:tasks", &guilty).await) },
        "stats": { "reclaimed": "3", "failed": "1" },
    });
}

async fn a_third_loss_of_a_retried_chunk_ends_its_job(world: World) {
    world.enqueue_job(&job_to_reduce("J", 2)).await;
    world.open("w0").await;
    let run = world.claim("w0", 2).await.runs.remove(0);
    world.complete("w0", &[chunks_succeeded(&run, 1, 2, &[]), chunk_retry(&run, 0, 0)]).await;

    lose_workers(&world, &["w1", "w2", "w3"]).await;

    let state = world.state().await;
    assert_eq!(state["job:J"]["failed_task"], json!("J:0"));
    assert_eq!(state["job:J:done"], json!("11000000"));
    let attempts = [ATTEMPT.to_owned(), lost(2, "w1"), lost(3, "w2"), lost(4, "w3")].join("\n");
    assert_eq!(state["job:J:history"], json!({ "0": format!("1 3\n{attempts}") }));
    let dead = hash_field(&world, "dead:tasks", &format!("{}:0", job_id("J"))).await;
    let dead: Value = serde_json::from_str(&dead).expect("JSON");
    assert_eq!(crashed(&world, &dead["outcome"].to_string()).await.attempts.len(), 4);
    assert!(
        !state.contains_key("waiting") && !state.contains_key("tasks"),
        "the reducer never runs"
    );
}

async fn a_limit_of_one_ends_at_the_first_loss(world: World) {
    world.enqueue(&["a"]).await;
    world.enqueue_job(&job("J", 1)).await;
    world.open_doomed("w1").await;
    world.claim("w1", 2).await;

    world.reclaim_lost(1).await;

    let state = world.state().await;
    assert_eq!(state["dead"], json!({ "a": "now", "J:0": "now" }));
    assert_eq!(state["job:J"]["state"], json!("failed"));
}

/// Nobody knows which chunk of a run is guilty: they are given out one by one until one is.
async fn a_limit_of_one_spares_the_neighbours(world: World) {
    world.enqueue_job(&job("J", 3)).await;
    for n in 0..9 {
        let worker = format!("w{n}");
        world.open_doomed(&worker).await;
        let ask = Ask { crash_limit: 1, ..Ask::want(9) };
        let grant = world.claim_as(&worker, ask).await;
        world.reclaim_lost(1).await;
        if world.state().await["job:J"]["state"] == json!("failed") {
            assert_eq!(runs(&grant.runs), ["J:0-1 #1"]);
            return;
        }
    }
    panic!("a poisonous run lives for ever: {:#?}", world.state().await);
}

async fn upkeep_promotes_and_expires(world: World) {
    let start = Start { expires_after_ms: Some(0), ..Start::default() };
    world.enqueue_all(&[delayed("a", HOUR_MS), Entry { start, ..entry("b") }]).await;
    world.delays_pass().await;
    world.hush().await;
    let before = world.state().await;

    let done = world.reclaim(10).await;

    assert_eq!((done.reclaimed, done.promoted), (0, 1));
    assert_changes!(world, before, {
        "delayed": null,
        "ready:default:5": ["b", "a"],
        "tasks": { "b": null },
        "expiry": null,
        "result:b": r#"{"v":1,"state":"expired","task":"t","ended":now}"#,
        "expires": { "result:b": true },
        "stats": { "expired": "1" },
        "bell:default": ["1"],
    });
}
