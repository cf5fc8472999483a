//! enqueue_workflow: members with records of their own, what follows them, and parts that are safe to repeat.

use celeriac_broker_schema::UniqueKey;
use celeriac_broker_schema::script::{Duplicate, PartTaken, WorkflowJob, WorkflowPart};
use celeriac_broker_schema::workflow::Edit;
use serde_json::json;

use crate::support::*;

on_both_servers![
    a_chord_is_a_range_and_a_barrier,
    a_repeated_part_changes_nothing,
    parts_come_one_after_the_other,
    a_key_stands_for_its_first_workflow,
];

async fn a_chord_is_a_range_and_a_barrier(world: World) {
    let before = world.state().await;

    world.enqueue_part(1, &chord("J")).await;

    assert_changes!(world, before, {
        "job:J": {
            "spec": spec(3), "total": "3", "state": "running", "keep": "3600000", "created": "now",
            "done": "0", "failed": "0", "exit": "2", "most": "1000", "deepest": "10", "graph": "1",
            "parts": "1",
        },
        "job:J:done": "00000000",
        "job:J:begun": "11000000",
        "job:J:members": { "0": record("a"), "1": record("b"), "2": record("c") },
        "job:J:spans": { "0-2 2 -": 0, "2-3 e -": 2 },
        "job:J:graph": { "m:e": "1", "m:2": "2", "o:2": "2-3:5:default:0" },
        "jobs:open": { "J": "now" },
        "ready:default:5": ["J:0-2"],
        "chunks": { "default:5": "1" },
        "bell:default": ["1"],
        "queues": ["default"],
        "stats": { "enqueued": "3" },
        "producer:c1": "1",
        "expires": { "producer:c1": true },
    });
}

async fn a_repeated_part_changes_nothing(world: World) {
    world.enqueue_part(1, &chord("J")).await;
    world.open("w1").await;
    world.claim("w1", 3).await;
    let before = world.state().await;

    world.enqueue_part(1, &chord("J")).await;

    assert_changes!(world, before, {});
}

async fn parts_come_one_after_the_other(world: World) {
    let first = WorkflowPart { last: false, ..chord("J") };
    let more = |part, last| WorkflowPart {
        part,
        job: None,
        base: None,
        edits: vec![
            Edit::Reserve(1),
            span(0, 1, "e"),
            Edit::Records { first: 0, records: vec![record("d")] },
            Edit::Release(release(0, 1)),
        ],
        last,
        ..chord("J")
    };
    assert!(matches!(world.enqueue_part(1, &more(1, false)).await, PartTaken::Over));
    world.enqueue_part(2, &first).await;
    let before = world.state().await;

    assert!(matches!(world.enqueue_part(3, &more(2, true)).await, PartTaken::Expected(1)));
    assert_changes!(world, before, {});
    world.enqueue_part(4, &more(1, false)).await;
    world.enqueue_part(5, &more(2, true)).await;
    // Somebody else carries on with a part that was there.
    world.enqueue_part(6, &more(1, false)).await;

    let state = world.state().await;
    assert_eq!(state["ready:default:5"], json!(["J:0-2", "J:3-4", "J:4-5"]));
    assert_eq!(state["job:J"]["total"], "5");
    assert_eq!(state["job:J"]["growing"], json!(null));
    assert_eq!(state["job:J:graph"]["m:e"], "3");
}

async fn a_key_stands_for_its_first_workflow(world: World) {
    let keyed = |name| {
        let unique = Some((UniqueKey::new("k").expect("a key"), HOUR_MS));
        WorkflowPart { job: Some(WorkflowJob { unique, ..described(3) }), ..chord(name) }
    };
    world.enqueue_part(1, &keyed("J")).await;
    let before = world.state().await;

    let PartTaken::Taken(answered) = world.enqueue_part(2, &keyed("K")).await else {
        panic!("it was looked at")
    };

    assert_eq!(answered.duplicates, [Duplicate { id: id("K"), first: id("J") }]);
    assert_changes!(world, before, {});
}
