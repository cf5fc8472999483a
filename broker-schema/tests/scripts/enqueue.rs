//! enqueue: tasks come to be, once, where they belong.

mod locks;

use std::collections::BTreeSet;

use celeriac_broker_schema::script::{Duplicate, Entry, Start};
use celeriac_broker_schema::{Timestamp, Unique, UniqueKey, UniqueMode};
use serde_json::{Value, json};

use crate::support::*;

on_both_servers![
    tasks_wait_in_their_order,
    queues_and_priorities_have_lists_of_their_own,
    a_delayed_task_waits_for_its_time,
    a_time_that_has_come_delays_nothing,
    an_expiry_is_noted,
    a_time_beyond_all_bounds_is_one_very_far_away,
    one_token_rings_for_many_batches,
    a_repeated_batch_changes_nothing,
    every_producer_counts_for_itself,
    a_key_stands_for_its_first_task,
    a_key_outlives_its_task,
    a_key_is_forgotten_when_its_time_is_over,
    a_key_may_be_remembered_for_ever_or_hardly_at_all,
    a_repeated_batch_tells_of_its_duplicates_again,
    a_refusal_takes_no_key,
    a_large_batch_of_plain_tasks,
    a_large_batch_of_tasks_with_options,
];

async fn tasks_wait_in_their_order(world: World) {
    let before = world.state().await;

    world.enqueue(&["b", "a", "c"]).await;

    assert_changes!(world, before, {
        "tasks": { "a": record("a"), "b": record("b"), "c": record("c") },
        "ready:default:5": ["b", "a", "c"],
        "bell:default": ["1"],
        "queues": ["default"],
        "stats": { "enqueued": "3" },
        "producer:c1": "1",
        "expires": { "producer:c1": true },
    });
}

async fn queues_and_priorities_have_lists_of_their_own(world: World) {
    world.enqueue(&["a"]).await;
    let before = world.state().await;
    let entries = [
        entry_in("b", "mail", 9),
        entry_in("c", "mail", 9),
        entry_in("d", "mail", 0),
        entry("e"),
        entry_in("f", "mail", 9),
    ];

    world.enqueue_all(&entries).await;

    let [b, c, d, e, f] = entries.map(|entry| entry.record);
    assert_changes!(world, before, {
        "tasks": { "b": b, "c": c, "d": d, "e": e, "f": f },
        "ready:mail:9": ["b", "c", "f"],
        "ready:mail:0": ["d"],
        "ready:default:5": ["a", "e"],
        "bell:mail": ["1"],
        "queues": ["default", "mail"],
        "stats": { "enqueued": "6" },
        "producer:c1": "2",
    });
}

async fn a_delayed_task_waits_for_its_time(world: World) {
    world.enqueue(&["a"]).await;
    let before = world.state().await;
    let at = Start { at: Some(world.now().await.plus_ms(2 * HOUR_MS)), ..Start::default() };

    world.enqueue_all(&[delayed("b", HOUR_MS), Entry { start: at, ..entry_in("c", "x", 3) }]).await;

    assert_changes!(world, before, {
        "tasks": { "b": record("b"), "c": entry_in("c", "x", 3).record },
        "delayed": { "5:default:b": "now+60min", "3:x:c": "now+120min" },
        // Somebody must know when to look.
        "bell:x": ["1"],
        "queues": ["default", "x"],
        "stats": { "enqueued": "3" },
        "producer:c1": "2",
    });
}

async fn a_time_that_has_come_delays_nothing(world: World) {
    world.enqueue(&["a"]).await;
    let before = world.state().await;
    let past = Start { at: Some(Timestamp(1_700_000_000_000)), ..Start::default() };

    world.enqueue_all(&[Entry { start: past, ..entry("b") }, delayed("c", 0)]).await;

    assert_changes!(world, before, {
        "tasks": { "b": record("b"), "c": record("c") },
        "ready:default:5": ["a", "b", "c"],
        "stats": { "enqueued": "3" },
        "producer:c1": "2",
    });
}

async fn an_expiry_is_noted(world: World) {
    world.enqueue(&["a"]).await;
    let before = world.state().await;
    let after = Start { expires_after_ms: Some(HOUR_MS), ..Start::default() };
    let at = Start {
        delay_ms: Some(HOUR_MS),
        expires_at: Some(world.now().await.plus_ms(2 * HOUR_MS)),
        ..Start::default()
    };

    world
        .enqueue_all(&[Entry { start: after, ..entry("b") }, Entry { start: at, ..entry("c") }])
        .await;

    assert_changes!(world, before, {
        "tasks": { "b": record("b"), "c": record("c") },
        "ready:default:5": ["a", "b"],
        "delayed": { "5:default:c": "now+60min" },
        "expiry": { "b": "now+60min", "c": "now+120min" },
        "stats": { "enqueued": "3" },
        "producer:c1": "2",
    });
}

/// What a caller means by a very long time must not break those who compute with it later.
async fn a_time_beyond_all_bounds_is_one_very_far_away(world: World) {
    let never = |start: Start, name| Entry { start, ..entry(name) };
    let entries = [
        never(Start { delay_ms: Some(u64::MAX), ..Start::default() }, "a"),
        never(Start { at: Some(Timestamp(u64::MAX)), ..Start::default() }, "b"),
        never(Start { expires_after_ms: Some(u64::MAX), ..Start::default() }, "c"),
        never(Start { expires_at: Some(Timestamp(u64::MAX)), ..Start::default() }, "d"),
    ];

    world.enqueue_all(&entries).await;

    world.open("w1").await;
    let grant = world.claim("w1", 9).await;
    assert_eq!(names(&grant.tasks), ["c", "d"]);
    assert!(grant.next_event > Some(world.now().await.plus_ms(HOUR_MS)), "{grant:?}");
}

async fn one_token_rings_for_many_batches(world: World) {
    for name in ["a", "b", "c"] {
        world.enqueue(&[name]).await;
    }

    assert_eq!(world.state().await["bell:default"], json!(["1"]));
}

async fn a_repeated_batch_changes_nothing(world: World) {
    world.enqueue_numbered(1, &[entry("a")]).await;
    world.enqueue_numbered(2, &[entry("b"), delayed("c", HOUR_MS)]).await;
    // The first task has run and its result was not kept: nothing of it is left.
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[done("a")]).await;
    let before = world.state().await;

    for (number, names) in [(2, ["b", "c"]), (1, ["a", "x"])] {
        let duplicates = world.enqueue_numbered(number, &names.map(entry)).await;
        assert_eq!(duplicates, []);
    }
    world.enqueue_job_numbered(2, &job("J", 10)).await;

    assert_changes!(world, before, {});
}

async fn every_producer_counts_for_itself(world: World) {
    world.enqueue_numbered(7, &[entry("a")]).await;
    let before = world.state().await;

    world.broker.enqueue(&client("c2"), 1, &[entry("b")]).await.expect("enqueued");

    assert_changes!(world, before, {
        "tasks": { "b": record("b") },
        "ready:default:5": ["a", "b"],
        "stats": { "enqueued": "2" },
        "producer:c2": "1",
        "expires": { "producer:c2": true },
    });
}

fn keyed(name: &str, key: &str, remembered_ms: u64) -> Entry {
    let mode = UniqueMode::For { ms: remembered_ms };
    Entry { unique: Some(Unique { key: UniqueKey::new(key).expect("a key"), mode }), ..entry(name) }
}

fn duplicate(name: &str, first: &str) -> Duplicate {
    Duplicate { id: id(name), first: id(first) }
}

async fn a_key_stands_for_its_first_task(world: World) {
    let before = world.state().await;

    // Also within one batch, and for any text as a key.
    let batch =
        [keyed("a", "k: *", HOUR_MS), keyed("b", "k: *", HOUR_MS), keyed("c", "k", HOUR_MS)];
    assert_eq!(world.enqueue_all(&batch).await, [duplicate("b", "a")]);

    assert_changes!(world, before, {
        "tasks": { "a": record("a"), "c": record("c") },
        "ready:default:5": ["a", "c"],
        "unique:k: *": "a",
        "unique:k": "c",
        "bell:default": ["1"],
        "queues": ["default"],
        "stats": { "enqueued": "2" },
        "producer:c1": "1 b a",
        "expires": { "producer:c1": true, "unique:k: *": true, "unique:k": true },
    });
    let before = world.state().await;

    assert_eq!(world.enqueue_all(&[keyed("d", "k", HOUR_MS)]).await, [duplicate("d", "c")]);

    assert_changes!(world, before, { "producer:c1": "2 d c" });
}

async fn a_key_outlives_its_task(world: World) {
    world.enqueue_all(&[keyed("a", "k", HOUR_MS)]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[done("a")]).await;

    let duplicates = world.enqueue_all(&[keyed("b", "k", HOUR_MS)]).await;

    assert_eq!(duplicates, [duplicate("b", "a")]);
}

async fn a_key_is_forgotten_when_its_time_is_over(world: World) {
    world.enqueue_all(&[keyed("a", "k", 1)]).await;
    world.forgotten("unique:k").await;

    let duplicates = world.enqueue_all(&[keyed("b", "k", HOUR_MS)]).await;

    assert_eq!(duplicates, []);
    assert_eq!(world.state().await["ready:default:5"], json!(["a", "b"]));
}

async fn a_key_may_be_remembered_for_ever_or_hardly_at_all(world: World) {
    let batch = [keyed("a", "k", u64::MAX), keyed("b", "l", 0), entry("c")];

    world.enqueue_all(&batch).await;

    assert_eq!(world.state().await["ready:default:5"], json!(["a", "b", "c"]));
    assert_eq!(world.enqueue_all(&[keyed("d", "k", u64::MAX)]).await, [duplicate("d", "a")]);
}

async fn a_repeated_batch_tells_of_its_duplicates_again(world: World) {
    world.enqueue_all(&[keyed("a", "k", HOUR_MS)]).await;
    let batch = [keyed("b", "k", HOUR_MS), entry("c"), keyed("d", "l", HOUR_MS)];
    world.enqueue_numbered(2, &batch).await;
    let before = world.state().await;

    let duplicates = world.enqueue_numbered(2, &batch).await;

    assert_eq!(duplicates, [duplicate("b", "a")]);
    assert_changes!(world, before, {});
}

async fn a_refusal_takes_no_key(world: World) {
    world.enqueue_numbered(1, &[entry("a")]).await;
    let before = world.state().await;

    // Refused, because this number was there before.
    world.enqueue_numbered(1, &[keyed("b", "k", HOUR_MS)]).await;

    assert_changes!(world, before, {});
    let duplicates = world.enqueue_numbered(2, &[keyed("c", "k", HOUR_MS)]).await;
    assert_eq!(duplicates, []);
    assert_eq!(world.state().await["ready:default:5"], json!(["a", "c"]));
}

async fn a_large_batch_of_plain_tasks(world: World) {
    let names: Vec<String> = (0..10_000).map(|n| format!("t{n:05}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();

    world.enqueue(&names).await;

    let state = world.state().await;
    assert_eq!(state["ready:default:5"], json!(names));
    assert_eq!(keys(&state["tasks"]), names.iter().copied().collect());
    assert_eq!(state["stats"], json!({ "enqueued": "10000" }));
}

async fn a_large_batch_of_tasks_with_options(world: World) {
    let names: Vec<String> = (0..1_000).map(|n| format!("t{n:05}")).collect();
    let entries: Vec<Entry> = names
        .iter()
        .map(|name| Entry {
            start: Start {
                delay_ms: Some(HOUR_MS),
                expires_after_ms: Some(2 * HOUR_MS),
                ..Start::default()
            },
            ..keyed(name, name, HOUR_MS)
        })
        .collect();

    assert_eq!(world.enqueue_all(&entries).await, []);

    let state = world.state().await;
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(keys(&state["tasks"]), names);
    assert_eq!(keys(&state["expiry"]), names);
    let delayed = keys(&state["delayed"]);
    assert_eq!(
        delayed.iter().map(|member| &member["5:default:".len()..]).collect::<BTreeSet<_>>(),
        names
    );
    assert_eq!(state["stats"], json!({ "enqueued": "1000" }));
}

fn keys(hash: &Value) -> BTreeSet<&str> {
    hash.as_object().expect("a hash").keys().map(String::as_str).collect()
}
