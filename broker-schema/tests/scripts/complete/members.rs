//! Members of workflows: what follows them is released once, what they spawn joins their job, and their
//! failures go where they are caught.

use celeriac_broker_schema::script::{Ending, Run, Spawned, WorkflowJob, WorkflowPart};
use celeriac_broker_schema::workflow::{Barrier, Edit, Span};
use serde_json::{Value, json};

use crate::support::*;

on_both_servers![
    the_last_member_opens_the_barrier,
    a_repeated_completion_of_members_counts_once,
    members_that_are_not_held_are_stale,
    what_takes_the_place_of_a_member_is_waited_for,
    what_stands_for_nothing_is_settled_at_once,
    what_joins_the_group_of_a_member_is_waited_for,
    more_than_a_job_may_have_is_refused_and_nothing_written,
    a_caught_failure_is_a_result,
    one_failure_too_many_is_not_tolerated,
    a_failure_that_nobody_catches_ends_the_job,
    a_member_that_is_lost_too_often_fails_where_that_is_caught,
    members_are_retried_released_and_snoozed,
    nothing_is_left_of_a_workflow_after_its_retention,
    nothing_is_left_of_a_cancelled_workflow_after_its_retention,
];

/// What w1 is given of a workflow: its first two members.
async fn given(world: &World, part: &WorkflowPart) -> Run {
    world.enqueue_part(1, part).await;
    world.open("w1").await;
    let run = world.claim("w1", 2).await.runs.remove(0);
    assert_eq!((run.lo, run.hi), (0, 2));
    run
}

fn succeed(run: &Run, lo: u64, hi: u64) -> Ending {
    let results = (lo..hi).map(|index| (index, format!("{}", 10 * index))).collect();
    Ending::MembersSucceeded { run: run.field.clone(), lo, hi, results, deltas: Vec::new() }
}

/// The first two members catch their own failures.
fn catching(tolerates: Option<u64>) -> WorkflowPart {
    let mut part = chord("J");
    part.edits[1] =
        Edit::Span(Span { lo: 0, hi: 2, feeds: "2".to_owned(), catch: "+0".to_owned() });
    if let (Some(_), Edit::Barrier(barrier)) = (tolerates, &mut part.edits[3]) {
        // A member that stands for the group; nothing follows it.
        *barrier = Barrier { opens: Vec::new(), stand_ins: vec![2], tolerates, ..barrier.clone() };
        part.edits[4] = Edit::Records { first: 0, records: vec![record("a"), record("b")] };
        part.edits.insert(4, Edit::StandIn { number: 2, shape: r#""-2..0""#.to_owned() });
    }
    part
}

async fn the_last_member_opens_the_barrier(world: World) {
    let run = given(&world, &chord("J")).await;
    let before = world.state().await;

    world.complete("w1", &[succeed(&run, 1, 2)]).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "2", "J:0-2": "1:now:5:default:1" },
        "job:J": { "done": "1" },
        "job:J:done": "01000000",
        "job:J:members": { "1": null },
        "job:J:results": { "1": "=10" },
        "job:J:graph": { "m:2": "1" },
        "stats": { "succeeded": "1" },
    });
    let before = world.state().await;

    world.complete("w1", &[succeed(&run, 0, 1)]).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "3", "J:0-2": null },
        "job:J": { "done": "2" },
        "job:J:done": "11000000",
        "job:J:begun": "11100000",
        "job:J:members": { "0": null },
        "job:J:results": { "0": "=0" },
        "job:J:graph": { "m:2": null, "o:2": null },
        "ready:default:5": ["J:2-3"],
        "stats": { "succeeded": "2" },
    });
}

async fn a_repeated_completion_of_members_counts_once(world: World) {
    let run = given(&world, &chord("J")).await;
    let number = world.next_call("w1");
    let endings = [succeed(&run, 0, 2)];
    world.call("w1", number, &Ask::want(0), Some(&endings)).await;
    let before = world.state().await;

    world.call("w1", number, &Ask::want(0), Some(&endings)).await;

    assert_changes!(world, before, {});
}

async fn members_that_are_not_held_are_stale(world: World) {
    let run = given(&world, &chord("J")).await;
    world.complete("w1", &[succeed(&run, 0, 2)]).await;
    let before = world.state().await;

    let grant = world
        .complete("w1", &[succeed(&run, 0, 2), succeed(&run, 1, 2), spawn(&run, 0, spawned())])
        .await;

    assert_eq!(grant.stale.len(), 3);
    assert_changes!(world, before, { "inflight:w1": { "#": "3" } });
}

fn spawn(run: &Run, index: u64, spawned: Spawned) -> Ending {
    let (run, spawn) = (run.field.clone(), Box::new(spawned));
    Ending::MemberSpawned { run, index, result: None, deltas: Vec::new(), spawn }
}

fn wired(lo: u64, hi: u64, feeds: &str, catch: &str) -> Edit {
    Edit::Span(Span { lo, hi, feeds: feeds.to_owned(), catch: catch.to_owned() })
}

/// One task, and a member that stands for it and in the place of the one that spawns them.
fn spawned() -> Spawned {
    Spawned {
        depth: 1,
        ends: 0,
        joined: Vec::new(),
        instead: Some(1),
        edits: vec![
            Edit::Reserve(2),
            wired(0, 1, "1", "=1"),
            wired(1, 2, "p", "p"),
            Edit::Barrier(Barrier {
                number: 1,
                missing: 1,
                opens: Vec::new(),
                stand_ins: vec![1],
                tolerates: None,
            }),
            Edit::StandIn { number: 1, shape: "-1".to_owned() },
            Edit::Records { first: 0, records: vec![record("d")] },
            Edit::Release(release(0, 1)),
        ],
    }
}

async fn what_takes_the_place_of_a_member_is_waited_for(world: World) {
    let run = given(&world, &chord("J")).await;
    let before = world.state().await;

    world.complete("w1", &[succeed(&run, 1, 2), spawn(&run, 0, spawned())]).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "2", "J:0-2": null },
        "job:J": { "done": "2", "total": "5", "catches": "1" },
        "job:J:done": "11000000",
        "job:J:begun": "11010000",
        "job:J:members": { "0": null, "1": null, "3": record("d") },
        "job:J:results": { "0": "@4", "1": "=10", "4": "@-1" },
        "job:J:spans": { "3-4 4 =4": 3, "4-5 2 -": 4 },
        "job:J:graph": { "m:2": "1", "m:4": "1", "o:4": "v4" },
        "ready:default:5": ["J:3-4"],
        "stats": { "succeeded": "2", "enqueued": "4" },
    });
    let run = world.claim("w1", 1).await.runs.remove(0);
    world.complete("w1", &[succeed(&run, 3, 4)]).await;
    assert_eq!(world.state().await["ready:default:5"], json!(["J:2-3"]));
}

async fn what_stands_for_nothing_is_settled_at_once(world: World) {
    let run = given(&world, &chord("J")).await;
    let nothing = vec![
        Edit::Reserve(1),
        wired(0, 1, "p", "p"),
        Edit::StandIn { number: 0, shape: "[]".to_owned() },
        Edit::Settle(0),
    ];

    let spawned = Spawned { instead: Some(0), edits: nothing, ..spawned() };
    world.complete("w1", &[succeed(&run, 1, 2), spawn(&run, 0, spawned)]).await;

    let state = world.state().await;
    assert_eq!(state["job:J:results"], json!({ "0": "@3", "1": "=10", "3": "@[]" }));
    assert_eq!((&state["job:J"]["done"], &state["job:J"]["total"]), (&json!("3"), &json!("4")));
    assert_eq!(state["job:J:done"], "11010000");
    assert_eq!(state["ready:default:5"], json!(["J:2-3"]));
}

async fn what_joins_the_group_of_a_member_is_waited_for(world: World) {
    let run = given(&world, &chord("J")).await;
    let edits = vec![
        Edit::Reserve(1),
        wired(0, 1, "p", "p"),
        Edit::Records { first: 0, records: vec![record("d")] },
        Edit::Release(release(0, 1)),
    ];

    let spawned = Spawned { instead: None, joined: vec![(0, 1)], edits, ..spawned() };
    world.complete("w1", &[succeed(&run, 1, 2), spawn(&run, 0, spawned)]).await;

    let state = world.state().await;
    assert_eq!(state["job:J:fed"], json!(["2 3-4"]));
    assert_eq!(state["job:J:graph"]["m:2"], "1");
    assert_eq!(state["ready:default:5"], json!(["J:3-4"]));
    let run = world.claim("w1", 1).await.runs.remove(0);
    world.complete("w1", &[succeed(&run, 3, 4)]).await;
    assert_eq!(world.state().await["ready:default:5"], json!(["J:2-3"]));
}

async fn more_than_a_job_may_have_is_refused_and_nothing_written(world: World) {
    let most = |members, depth| WorkflowPart {
        job: Some(WorkflowJob { most: (members, depth), ..described(3) }),
        ..chord("J")
    };
    let run = given(&world, &most(4, 10)).await;
    let before = world.state().await;

    let grant = world.complete("w1", &[spawn(&run, 0, spawned())]).await;

    assert_eq!(grant.refused.len(), 1);
    assert_changes!(world, before, { "inflight:w1": { "#": "2" } });
    let deep = Spawned { depth: 11, edits: Vec::new(), ..spawned() };
    assert_eq!(world.complete("w1", &[spawn(&run, 0, deep)]).await.refused.len(), 1);
    assert_changes!(world, before, { "inflight:w1": { "#": "3" } });
}

/// What is told of a failure: with the member that failed.
fn told(index: u64) -> String {
    format!(r#"!{{"task":"J:{index}",{}"#, &FAILURE[1..])
}

async fn a_caught_failure_is_a_result(world: World) {
    let run = given(&world, &catching(None)).await;

    world.complete("w1", &[chunk_failed(&run, 0), succeed(&run, 1, 2)]).await;

    let state = world.state().await;
    assert_eq!(state["job:J:results"], json!({ "0": told(0), "1": "=10" }));
    assert_eq!((&state["job:J"]["done"], &state["job:J"]["failed"]), (&json!("1"), &json!("1")));
    assert_eq!(state["job:J:members"], json!({ "2": record("c") }));
    assert_eq!(state["ready:default:5"], json!(["J:2-3"]));
    assert_eq!(state["job:J"]["state"], "running");
}

async fn one_failure_too_many_is_not_tolerated(world: World) {
    let run = given(&world, &catching(Some(1))).await;
    world.complete("w1", &[chunk_failed(&run, 0)]).await;
    let state = world.state().await;
    assert_eq!(
        (&state["job:J"]["state"], &state["job:J:graph"]["t:2"]),
        (&json!("running"), &json!("0"))
    );

    world.complete("w1", &[chunk_failed(&run, 1)]).await;

    let state = world.state().await;
    assert_eq!(
        (&state["job:J"]["state"], &state["job:J"]["failed_task"]),
        (&json!("failed"), &json!("J:1"))
    );
    assert_eq!(state.get("jobs:open"), None);
    assert_eq!(state["inflight:w1"], json!({ "#": "3" }));
}

async fn a_failure_that_nobody_catches_ends_the_job(world: World) {
    let run = given(&world, &chord("J")).await;

    let grant = world.complete("w1", &[chunk_failed(&run, 0), succeed(&run, 1, 2)]).await;

    assert_eq!(grant.stale.len(), 1, "the job was over");
    let state = world.state().await;
    assert_eq!(
        (&state["job:J"]["state"], &state["job:J"]["failed_task"]),
        (&json!("failed"), &json!("J:0"))
    );
    assert_eq!(state["inflight:w1"], json!({ "#": "2" }));
    assert_eq!(state.get("ready:default:5"), None);
}

async fn a_member_that_is_lost_too_often_fails_where_that_is_caught(world: World) {
    for (part, expected) in [(catching(None), "running"), (chord("J"), "failed")] {
        let world = World::beside(&world).await;
        world.enqueue_part(1, &part).await;
        world.open_doomed("w0").await;
        let run = world.claim("w0", 2).await.runs.remove(0);
        world.complete("w0", &[succeed(&run, 1, 2)]).await;
        world.reclaim_lost(2).await;
        world.open_doomed("w1").await;
        world.claim("w1", 2).await;
        world.reclaim_lost(2).await;

        let state = world.state().await;
        assert_eq!(state["job:J"]["state"], expected, "{state:#?}");
        if expected == "running" {
            assert_eq!(state["ready:default:5"], json!(["J:2-3"]));
            assert!(state["job:J:results"]["0"].as_str().expect("a failure").contains("crashed"));
        }
    }
}

async fn members_are_retried_released_and_snoozed(world: World) {
    let run = given(&world, &chord("J")).await;

    world.complete("w1", &[chunk_retry(&run, 1, 0), chunks_released(&run, 0, 1)]).await;

    let state = world.state().await;
    assert_eq!(state["ready:default:5"], json!(["J:0-1", "J:1"]));
    assert_eq!(
        state["job:J:members"],
        json!({ "0": record("a"), "1": record("b"), "2": record("c") })
    );
    let runs = world.claim("w1", 2).await.runs;
    let given: Vec<_> = runs.iter().map(|run| (run.lo, run.attempt, run.records.clone())).collect();
    assert_eq!(
        given,
        [(0, 1, vec![record("a").into_bytes()]), (1, 2, vec![record("b").into_bytes()])]
    );
    world.complete("w1", &[chunk_snoozed(&runs[0], 0, 0), succeed(&runs[1], 1, 2)]).await;
    let runs = world.claim("w1", 2).await.runs;
    world.complete("w1", &[succeed(&runs[0], 0, 1)]).await;
    assert_eq!(world.state().await["ready:default:5"], json!(["J:2-3"]));
}

/// The keys of the job that are left when its retention is over.
async fn left(world: &World) -> Vec<String> {
    // Those that end in one script end up to a millisecond apart.
    for part in ["", ":members", ":graph", ":spans", ":results", ":begun", ":fed", ":history"] {
        world.forgotten(&format!("job:{}{part}", job_id("J"))).await;
    }
    let state = world.state().await;
    let Value::Object(all) = json!(state) else { panic!("{state:?}") };
    all.keys().filter(|key| key.contains(":J") || key.contains("J:")).cloned().collect()
}

fn shortly_kept(part: WorkflowPart) -> WorkflowPart {
    WorkflowPart { job: Some(WorkflowJob { keep_ms: 1, ..described(3) }), ..part }
}

async fn nothing_is_left_of_a_workflow_after_its_retention(world: World) {
    for fails in [false, true] {
        let world = World::beside(&world).await;
        let run = given(&world, &shortly_kept(catching(None))).await;
        world.complete("w1", &[chunk_retry(&run, 1, 0), chunk_failed(&run, 0)]).await;
        let run = world.claim("w1", 1).await.runs.remove(0);
        world.complete("w1", &[spawn(&run, 1, spawned())]).await;
        let run = world.claim("w1", 1).await.runs.remove(0);
        world.complete("w1", &[succeed(&run, 3, 4)]).await;
        let run = world.claim("w1", 1).await.runs.remove(0);
        assert_eq!(run.lo, 2);
        let ending = if fails { chunk_failed(&run, 2) } else { succeed(&run, 2, 3) };
        world.complete("w1", &[ending]).await;

        assert_eq!(left(&world).await, Vec::<String>::new());
    }
}

async fn nothing_is_left_of_a_cancelled_workflow_after_its_retention(world: World) {
    let run = given(&world, &shortly_kept(chord("J"))).await;

    world.broker.cancel(&[id("J")], &ada()).await.expect("Redis is there");

    world.forgotten(&format!("job:{}", job_id("J"))).await;
    assert_eq!(world.complete("w1", &[succeed(&run, 0, 2)]).await.stale.len(), 1);
    assert_eq!(left(&world).await, Vec::<String>::new());
    assert_eq!(world.state().await["inflight:w1"], json!({ "#": "2" }));
}
