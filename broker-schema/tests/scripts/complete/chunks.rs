//! Chunks: each is settled once, the barrier opens once, the first final failure ends the job.

use celeriac_broker_schema::script::{Claimed, RangeJob, Run};
use celeriac_broker_schema::{Outcome, State as TaskState};
use serde_json::{Value, json};

use crate::support::*;

on_both_servers![
    chunks_of_a_run_are_settled_one_by_one,
    bits_are_set_at_any_boundary,
    the_last_chunk_ends_a_job_without_reducer,
    the_last_chunk_makes_the_reducer_ready,
    a_barrier_opens_once,
    a_reducer_ends_its_job,
    a_reducer_that_is_retried_gets_its_input_again,
    a_reducer_that_fails_fails_its_job,
    a_retried_chunk_leaves_its_range,
    a_retried_chunk_comes_back_alone,
    a_chunk_that_goes_its_own_way_may_be_the_last,
    a_failed_chunk_ends_its_job,
    a_failed_chunk_ends_the_reducer,
    a_job_that_is_not_kept_leaves_nothing,
    released_chunks_come_back_to_the_front,
    released_neighbours_are_noted_as_one,
    a_released_chunk_that_goes_its_own_way_stays_alone,
    chunk_endings_of_what_is_not_held_are_stale,
    chunk_endings_out_of_bounds_are_stale,
    more_chunks_than_are_left_are_stale,
    what_waits_again_rings,
    a_chunk_that_succeeds_twice_counts_once,
    chunk_endings_of_an_ended_job_only_drop_the_run,
    a_repeated_completion_of_chunks_counts_once,
    ended_jobs_are_forgotten_in_bites,
];

/// A job of which w1 holds the first `held` chunks in one run.
async fn given_run(world: &World, job: RangeJob, held: usize) -> Run {
    world.enqueue_job(&job).await;
    world.open("w1").await;
    let run = world.claim("w1", held).await.runs.remove(0);
    assert_eq!((run.hi - run.lo) as usize, held.min(job.chunks as usize));
    run
}

async fn chunks_of_a_run_are_settled_one_by_one(world: World) {
    let run = given_run(&world, job("J", 20), 10).await;
    let before = world.state().await;

    let endings = [chunks_succeeded(&run, 7, 8, &[]), chunks_succeeded(&run, 1, 4, &[])];
    world.complete("w1", &endings).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "2", "J:0-10": "1:now:5:default:6" },
        "job:J": { "done": "4" },
        "job:J:done": "011100010000000000000000",
        "stats": { "succeeded": "4" },
    });
    let before = world.state().await;

    let rest = [(0, 1), (4, 7), (8, 10)].map(|(lo, hi)| chunks_succeeded(&run, lo, hi, &[]));
    world.complete("w1", &rest).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "3", "J:0-10": null },
        "job:J": { "done": "10" },
        "job:J:done": "111111111100000000000000",
        "stats": { "succeeded": "10" },
    });
}

async fn bits_are_set_at_any_boundary(world: World) {
    world.open("w1").await;
    let edges = [0, 1, 7, 8, 9, 15, 16, 17, 24, 39, 40];
    let spans = edges.iter().flat_map(|lo| edges.iter().map(move |hi| (*lo, *hi)));
    for (n, (lo, hi)) in spans.filter(|(lo, hi)| lo < hi).enumerate() {
        let name = format!("J{n}");
        world.enqueue_job(&RangeJob { queue: queue(&name), ..job(&name, 90) }).await;
        let run = world.claim_as("w1", Ask::want(41).from(&[&name])).await.runs.remove(0);

        world.complete("w1", &[chunks_succeeded(&run, lo, hi, &[])]).await;

        let bits = world.bits(&world.key(&format!("job:{}:done", job_id(&name)))).await;
        let expected: String =
            (0..96).map(|bit| if (lo..hi).contains(&bit) { '1' } else { '0' }).collect();
        assert_eq!(bits, expected, "{lo}..{hi}");
    }
}

async fn the_last_chunk_ends_a_job_without_reducer(world: World) {
    let run = given_run(&world, job("J", 3), 3).await;
    let before = world.state().await;

    world.complete("w1", &[chunks_succeeded(&run, 0, 3, &[delta("sum", "n", "6")])]).await;

    let outcome = r#"{"v":1,"state":"succeeded","result":{"n":6},"ended":now}"#;
    assert_changes!(world, before, {
        "inflight:w1": { "#": "2", "J:0-3": null },
        "job:J": { "done": "3", "acc:n": "6", "state": "succeeded", "ended": "now" },
        "job:J:done": "11100000",
        "jobs:open": null,
        "jobs:ended": { "J": "now+60min" },
        "result:J": outcome,
        "expires": { "job:J": true, "job:J:done": true, "result:J": true },
        "stats": { "succeeded": "3" },
    });
}

async fn the_last_chunk_makes_the_reducer_ready(world: World) {
    let run = given_run(&world, job_to_reduce("J", 3), 3).await;
    let before = world.state().await;

    world.complete("w1", &[chunks_succeeded(&run, 0, 3, &[delta("max", "n", "6")])]).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "2", "J:0-3": null },
        "job:J": { "done": "3", "acc:n": "6", "state": "reducing" },
        "job:J:done": "11100000",
        "waiting": null,
        "inputs": { "J": r#"{"n":6}"# },
        "ready:default:7": ["J"],
        "stats": { "succeeded": "3" },
    });
    let grant = world.claim("w1", 1).await;
    assert_eq!(names(&grant.tasks), ["J"]);
    assert_eq!(grant.tasks[0].input.as_deref(), Some(r#"{"n":6}"#));
    assert_eq!(grant.tasks[0].record, record("J").into_bytes());
}

async fn a_barrier_opens_once(world: World) {
    let run = given_run(&world, job_to_reduce("J", 3), 3).await;
    let rest = [chunks_succeeded(&run, 1, 3, &[])];
    world.complete("w1", &[chunks_succeeded(&run, 0, 1, &[])]).await;
    world.complete("w1", &rest).await;
    assert_eq!(world.state().await["ready:default:7"], json!(["J"]));
    let before = world.state().await;

    // Again under the same number, under another one, and from a worker that holds nothing.
    let again = world.call("w1", 3, &Ask::want(0), Some(&rest)).await;
    assert!(matches!(again, Claimed::Repeated { .. }), "{again:?}");
    assert_eq!(named(&world.complete("w1", &rest).await.stale), ["J:0-3"]);

    assert_changes!(world, before, { "inflight:w1": { "#": "4" } });
}

/// The reducer of a job is in flight.
async fn given_reducer(world: &World) {
    let run = given_run(world, job_to_reduce("J", 2), 2).await;
    world.complete("w1", &[chunks_succeeded(&run, 0, 2, &[delta("sum", "n", "1")])]).await;
    assert_eq!(names(&world.claim("w1", 1).await.tasks), ["J"]);
}

async fn a_reducer_ends_its_job(world: World) {
    given_reducer(&world).await;
    let before = world.state().await;

    world.complete("w1", &[succeeded("J")]).await;

    assert_changes!(world, before, {
        "tasks": null,
        "inputs": null,
        "inflight:w1": { "#": "4", "J": null },
        "job:J": { "state": "succeeded", "ended": "now" },
        "jobs:open": null,
        "jobs:ended": { "J": "now+60min" },
        "result:J": outcome("J"),
        "expires": { "job:J": true, "job:J:done": true, "result:J": true },
        "stats": { "succeeded": "3" },
    });
}

async fn a_reducer_that_is_retried_gets_its_input_again(world: World) {
    given_reducer(&world).await;

    world.complete("w1", &[retry("J", 0)]).await;

    let grant = world.claim("w1", 1).await;
    assert_eq!(names(&grant.tasks), ["J"]);
    assert_eq!(grant.tasks[0].input.as_deref(), Some(r#"{"n":1}"#));
    assert_eq!(grant.tasks[0].history, format!("1 0\n{ATTEMPT}"));
}

async fn a_reducer_that_fails_fails_its_job(world: World) {
    given_reducer(&world).await;
    let before = world.state().await;

    world.complete("w1", &[failed("J")]).await;

    let outcome =
        format!(r#"{{"v":1,"state":"failed","failed_task":"J","error":{FAILURE},"ended":now}}"#);
    assert_changes!(world, before, {
        "tasks": null,
        "inputs": null,
        "inflight:w1": { "#": "4", "J": null },
        "job:J": { "state": "failed", "ended": "now", "failed_task": "J", "failure": FAILURE },
        "jobs:open": null,
        "jobs:ended": { "J": "now+60min" },
        "result:J": outcome,
        "expires": { "job:J": true, "job:J:done": true, "result:J": true },
        "dead": { "J": "now" },
        "dead:tasks": { "J": format!(r#"{{"record":{},"job":true,"outcome":{FAILED}}}"#, record("J")) },
        "stats": { "failed": "1" },
    });
}

async fn a_retried_chunk_leaves_its_range(world: World) {
    let run = given_run(&world, job("J", 9), 4).await;
    let before = world.state().await;

    world.complete("w1", &[chunk_retry(&run, 2, 0), chunk_retry(&run, 3, HOUR_MS)]).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "2", "J:0-4": "1:now:5:default:2" },
        "job:J": { "retried": "2" },
        "job:J:out": "0011000000000000",
        "job:J:history": { "2": format!("1 0\n{ATTEMPT}"), "3": format!("1 0\n{ATTEMPT}") },
        "ready:default:5": ["J:4-9", "J:2"],
        "delayed": { "5:default:J:3": "now+60min" },
        "stats": { "retried": "2" },
    });
}

async fn a_retried_chunk_comes_back_alone(world: World) {
    let run = given_run(&world, job("J", 2), 2).await;
    world.complete("w1", &[chunk_retry(&run, 1, HOUR_MS)]).await;
    world.delays_pass().await;

    let grant = world.claim("w1", 9).await;

    assert_eq!(runs(&grant.runs), ["J:1 #2"]);
    let alone = &grant.runs[0];
    assert_eq!((alone.lo, alone.hi, &*alone.history), (1, 2, &*format!("1 0\n{ATTEMPT}")));
    let before = world.state().await;
    world.complete("w1", &[chunk_retry(alone, 1, HOUR_MS)]).await;
    assert_changes!(world, before, {
        "inflight:w1": { "#": "4", "J:1": null },
        "job:J": { "retried": "2" },
        "job:J:history": { "1": format!("2 0\n{ATTEMPT}\n{ATTEMPT}") },
        "delayed": { "5:default:J:1": "now+60min" },
        "stats": { "retried": "2" },
    });
}

async fn a_chunk_that_goes_its_own_way_may_be_the_last(world: World) {
    let run = given_run(&world, job("J", 2), 2).await;
    world.complete("w1", &[chunk_retry(&run, 0, 0), chunks_succeeded(&run, 1, 2, &[])]).await;
    let alone = world.claim("w1", 1).await.runs.remove(0);

    world.complete("w1", &[run_succeeded(&alone)]).await;

    let state = world.state().await;
    assert_eq!(state["inflight:w1"], json!({ "#": "4" }));
    assert_eq!(state["job:J"]["state"], json!("succeeded"));
    assert_eq!(state["job:J"]["done"], json!("2"));
    assert_eq!(state["job:J:done"], json!("11000000"));
    for key in ["job:J", "job:J:done", "job:J:out", "job:J:history"] {
        assert_eq!(state["expires"][key], json!(true), "{key}");
    }
}

async fn a_failed_chunk_ends_its_job(world: World) {
    let run = given_run(&world, job("J", 9), 4).await;
    world.complete("w1", &[chunks_succeeded(&run, 0, 1, &[])]).await;
    let before = world.state().await;

    world.complete("w1", &[chunk_failed(&run, 2)]).await;

    let outcome =
        format!(r#"{{"v":1,"state":"failed","failed_task":"J:2","error":{FAILURE},"ended":now}}"#);
    let dead = format!(r#"{{"record":{},"outcome":{FAILED}}}"#, spec(9));
    serde_json::from_str::<Value>(&dead).expect("JSON");
    assert_changes!(world, before, {
        "inflight:w1": { "#": "3", "J:0-4": "1:now:5:default:2" },
        "job:J": {
            "failed": "1", "state": "failed", "ended": "now", "failed_task": "J:2", "failure": FAILURE,
        },
        "job:J:done": "1010000000000000",
        "job:J:history": { "2": format!("1 0\n{ATTEMPT}") },
        "jobs:open": null,
        "jobs:ended": { "J": "now+60min" },
        "result:J": outcome,
        "expires": { "job:J": true, "job:J:done": true, "job:J:history": true, "result:J": true },
        "dead": { "J:2": "now" },
        "dead:tasks": { "J:2": dead },
        "stats": { "failed": "1" },
    });
    let key = world.key(&format!("result:{}", job_id("J")));
    let stored: String = world.redis(redis::cmd("GET").arg(key)).await;
    let outcome: Outcome = serde_json::from_str(&stored).expect("an outcome");
    assert_eq!(outcome.state, TaskState::Failed);
    assert_eq!(outcome.failed_task, Some(format!("{}:2", job_id("J"))));
}

async fn a_failed_chunk_ends_the_reducer(world: World) {
    let run = given_run(&world, job_to_reduce("J", 1), 1).await;
    let before = world.state().await;

    world.complete("w1", &[chunk_failed(&run, 0)]).await;

    let changes = world.changes(&before).await;
    assert_eq!((&changes["tasks"], &changes["waiting"]), (&Value::Null, &Value::Null));
    let state = world.state().await;
    assert!(!state.contains_key("tasks") && !state.contains_key("waiting"), "{state:#?}");
    assert!(!state.contains_key("ready:default:7"), "the reducer never runs");
}

async fn a_job_that_is_not_kept_leaves_nothing(world: World) {
    let not_kept = |name: &str| RangeJob { keep_ms: 0, ..job(name, 1) };
    let run = given_run(&world, not_kept("J"), 1).await;
    world.enqueue_job(&not_kept("K")).await;
    let other = world.claim("w1", 1).await.runs.remove(0);

    world.complete("w1", &[run_succeeded(&run), chunk_failed(&other, 0)]).await;

    for name in ["J", "K"] {
        world.forgotten(&format!("job:{}", job_id(name))).await;
        world.forgotten(&format!("job:{}:done", job_id(name))).await;
    }
    world.forgotten(&format!("job:{}:history", job_id("K"))).await;
    let state = world.state().await;
    let left: Vec<&String> =
        state.keys().filter(|key| key.contains(":J") || key.contains(":K")).collect();
    assert!(left.is_empty(), "{left:?}");
}

async fn released_chunks_come_back_to_the_front(world: World) {
    let run = given_run(&world, job("J", 20), 10).await;
    let before = world.state().await;

    world.complete("w1", &[chunks_released(&run, 8, 10), chunks_released(&run, 1, 7)]).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "2", "J:0-10": "1:now:5:default:2:8-10:1-7" },
        "ready:default:5": ["J:1-7", "J:8-10", "J:10-20"],
        "chunks": { "default:5": "15" },
    });
    // No attempt was counted.
    assert_eq!(runs(&world.claim("w1", 2).await.runs), ["J:1-3 #1"]);
}

async fn released_neighbours_are_noted_as_one(world: World) {
    let run = given_run(&world, job("J", 20), 10).await;
    let before = world.state().await;

    let one_by_one = [9, 8, 7, 3, 2].map(|index| chunks_released(&run, index, index + 1));
    world.complete("w1", &one_by_one).await;
    world.complete("w1", &[chunks_succeeded(&run, 4, 5, &[])]).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "3", "J:0-10": "1:now:5:default:4:7-10:2-4" },
        "ready:default:5": ["J:2-3", "J:3-4", "J:7-8", "J:8-9", "J:9-10", "J:10-20"],
        "job:J": { "done": "1" },
        "job:J:done": "000010000000000000000000",
        "stats": { "succeeded": "1" },
    });
}

async fn a_released_chunk_that_goes_its_own_way_stays_alone(world: World) {
    let run = given_run(&world, job("J", 2), 1).await;
    world.complete("w1", &[chunk_retry(&run, 0, 0)]).await;
    let grant = world.claim("w1", 2).await;
    assert_eq!(runs(&grant.runs), ["J:1-2 #1", "J:0 #2"]);

    let back = [chunks_released(&grant.runs[1], 0, 1), chunks_released(&grant.runs[0], 1, 2)];
    world.complete("w1", &back).await;

    let state = world.state().await;
    assert_eq!(state["ready:default:5"], json!(["J:1-2", "J:0"]));
    assert_eq!(state["chunks"], json!({ "default:5": "0" }));
    assert_eq!(runs(&world.claim("w1", 2).await.runs), ["J:1-2 #1", "J:0 #2"]);
}

async fn chunk_endings_of_what_is_not_held_are_stale(world: World) {
    let run = given_run(&world, job("J", 9), 4).await;
    world.open("w2").await;
    let before = world.state().await;

    let endings = [
        run_succeeded(&run),
        chunk_retry(&run, 1, 0),
        chunk_failed(&run, 1),
        chunks_released(&run, 0, 4),
    ];
    let grant = world.complete("w2", &endings).await;

    assert_eq!(named(&grant.stale), ["J:0-4"; 4]);
    assert_changes!(world, before, { "inflight:w2": { "#": "1" } });
}

async fn chunk_endings_out_of_bounds_are_stale(world: World) {
    let run = given_run(&world, job("I", 2), 2).await;
    world.enqueue_job(&job("J", 20)).await;
    world.claim("w1", 10).await;
    let before = world.state().await;

    let endings = [
        chunks_succeeded(&run, 0, 3, &[]),
        chunks_succeeded(&run, 1, 1, &[]),
        chunks_succeeded(&run, 2, 1, &[]),
        chunks_released(&run, 2, 3),
        chunk_retry(&run, 2, 0),
        chunk_failed(&run, 7),
    ];
    let grant = world.complete("w1", &endings).await;

    assert_eq!(named(&grant.stale), ["I:0-2"; 6]);
    assert_changes!(world, before, { "inflight:w1": { "#": "3" } });
}

async fn more_chunks_than_are_left_are_stale(world: World) {
    let run = given_run(&world, job("J", 4), 4).await;
    world.complete("w1", &[chunks_released(&run, 1, 4)]).await;
    let before = world.state().await;

    let endings = [chunks_released(&run, 0, 2), chunks_succeeded(&run, 0, 4, &[])];
    let grant = world.complete("w1", &endings).await;

    assert_eq!(named(&grant.stale), ["J:0-4"; 2]);
    assert_changes!(world, before, { "inflight:w1": { "#": "3" } });
}

/// The worker that reports it may not serve that queue any more, or have enough to do.
async fn what_waits_again_rings(world: World) {
    let job = RangeJob { reducer: Some((record("J"), queue("y"), priority(5))), ..job("J", 4) };
    let run = given_run(&world, job, 4).await;
    let back = chunks_released(&run, 0, 1);

    for ending in [chunk_retry(&run, 1, 0), chunk_retry(&run, 2, HOUR_MS), back] {
        world.hush().await;
        world.complete_as("w1", Ask::want(0).from(&["x"]), std::slice::from_ref(&ending)).await;
        assert_eq!(world.state().await["bell:default"], json!(["1"]), "{ending:?}");
    }
    // The reducer waits in a queue of its own.
    world.delays_pass().await;
    let mut rest: Vec<_> = world.claim("w1", 9).await.runs.iter().map(run_succeeded).collect();
    rest.push(chunks_succeeded(&run, 3, 4, &[]));
    world.complete("w1", &rest).await;
    assert_eq!(world.state().await["bell:y"], json!(["1"]));
}

async fn a_chunk_that_succeeds_twice_counts_once(world: World) {
    let run = given_run(&world, job("J", 9), 4).await;
    let ending = chunks_succeeded(&run, 0, 2, &[delta("sum", "n", "1")]);
    world.complete("w1", std::slice::from_ref(&ending)).await;
    let before = world.state().await;

    let overlapping = chunks_succeeded(&run, 1, 3, &[delta("sum", "n", "1")]);
    let grant = world.complete("w1", &[ending, overlapping]).await;

    assert_eq!(named(&grant.stale), ["J:0-4", "J:0-4"]);
    assert_changes!(world, before, { "inflight:w1": { "#": "3" } });
}

async fn chunk_endings_of_an_ended_job_only_drop_the_run(world: World) {
    world.open("w1").await;
    world.open("w2").await;
    world.enqueue_job(&job("J", 100)).await;
    let failing = world.claim("w1", 1).await.runs.remove(0);
    let mut late = Vec::new();
    for _ in 0..4 {
        late.push(world.claim("w2", 10).await.runs.remove(0));
    }
    world.complete("w1", &[chunk_failed(&failing, 0)]).await;
    let before = world.state().await;

    let endings = [
        chunks_succeeded(&late[0], 1, 2, &[delta("sum", "n", "1")]),
        chunk_retry(&late[1], 11, 0),
        chunk_failed(&late[2], 21),
        chunks_released(&late[3], 31, 41),
        // The run is dropped already.
        chunks_succeeded(&late[0], 2, 3, &[]),
    ];
    let grant = world.complete("w2", &endings).await;

    assert_eq!(named(&grant.stale), ["J:1-11", "J:11-21", "J:21-31", "J:31-41", "J:1-11"]);
    assert_changes!(world, before, {
        "inflight:w2": { "#": "5", "J:1-11": null, "J:11-21": null, "J:21-31": null, "J:31-41": null },
    });
}

async fn a_repeated_completion_of_chunks_counts_once(world: World) {
    let run = given_run(&world, job("J", 20), 10).await;
    let endings = [
        chunks_succeeded(&run, 0, 3, &[delta("sum", "n", "5")]),
        chunk_retry(&run, 3, 0),
        chunks_released(&run, 8, 10),
    ];
    world.complete_as("w1", Ask::want(2), &endings).await;
    let before = world.state().await;

    let claimed = world.call("w1", 2, &Ask::want(2), Some(&endings)).await;

    let Claimed::Repeated { runs: held, .. } = claimed else { panic!("{claimed:?}") };
    let mut held = runs(&held);
    held.sort();
    assert_eq!(held, ["J:0-10 #1", "J:8-10 #1"]);
    assert_changes!(world, before, {});
}

/// Nothing else takes ended jobs off the list, so a day's worth may wait for one call.
async fn ended_jobs_are_forgotten_in_bites(world: World) {
    let run = given_run(&world, job("J", 1), 1).await;
    let fill = "for i = 1, 1000 do redis.call('ZADD', KEYS[1], i, 'j' .. i) end";
    let mut eval = redis::cmd("EVAL");
    world.redis::<()>(eval.arg(fill).arg(1).arg(world.key("jobs:ended"))).await;

    world.complete("w1", &[run_succeeded(&run)]).await;

    let left: u64 = world.redis(redis::cmd("ZCARD").arg(world.key("jobs:ended"))).await;
    assert!((500..1_000).contains(&left), "{left}");
}
