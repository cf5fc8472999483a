//! Keys that stand for a task while it is queued or until it is done: taken by `enqueue`, released by
//! whichever script gives the task away or ends it, however it ends. None may leak.

use celeriac_broker_schema::script::{Duplicate, Entry, Start};
use celeriac_broker_schema::{Unique, UniqueKey, UniqueMode};
use serde_json::{Value, json};

use crate::support::*;

on_both_servers![
    a_key_until_done_stands_for_its_task,
    a_key_until_done_outlives_retries_snoozes_and_lost_workers,
    every_end_releases_the_key,
    a_key_while_queued_goes_with_the_claim,
    a_key_while_queued_is_released_by_expiry,
    a_repeated_batch_is_answered_as_the_first_time,
    a_key_of_a_task_that_is_gone_stands_for_nothing,
    a_key_that_another_task_took_over_is_left_alone,
    keys_hold_whatever_their_modes,
    a_debounced_task_waits_anew_with_the_newest_arguments,
    a_debounced_task_waits_no_longer_than_it_may,
    a_debounced_task_that_is_due_is_not_doubled,
    a_debounced_task_moves_to_the_newest_place,
    a_debounced_task_that_began_is_over,
    the_last_one_takes_the_place_of_a_queued_one,
    exactly_one_follows_a_running_one,
    a_follower_takes_over_however_it_ends,
    a_retry_keeps_its_follower_waiting,
    a_follower_that_expires_leaves_nothing,
    a_dead_task_takes_its_key_again,
    a_dead_task_whose_key_is_taken_stays_dead,
    a_thousand_keys_in_one_call,
];

fn unique(name: &str, mode: UniqueMode) -> Entry {
    unique_as(name, "k:1 *", mode)
}

fn unique_as(name: &str, key: &str, mode: UniqueMode) -> Entry {
    let key = UniqueKey::new(key).expect("a key");
    Entry { unique: Some(Unique { key, mode }), ..entry(name) }
}

const DEBOUNCE: UniqueMode = UniqueMode::Debounce { wait_ms: HOUR_MS, longest_ms: None };

fn duplicate(name: &str, first: &str) -> Duplicate {
    Duplicate { id: id(name), first: id(first) }
}

/// Asserts that no lock is left.
async fn assert_free(world: &World) {
    let state = world.state().await;
    let left: Vec<&String> =
        state.keys().filter(|key| key.starts_with("unique:") || *key == "locks").collect();
    assert!(left.is_empty(), "{left:?}: {:?}", state.get("locks"));
}

/// The argument of the record of a task.
async fn args_of(world: &World, name: &str) -> Value {
    let record = world.state().await["tasks"][name].as_str().expect("a record").to_owned();
    serde_json::from_str::<Value>(&record).expect("JSON")["args"].clone()
}

async fn a_key_until_done_stands_for_its_task(world: World) {
    let before = world.state().await;

    assert_eq!(world.enqueue_all(&[unique("a", UniqueMode::UntilDone)]).await, []);

    assert_changes!(world, before, {
        "tasks": { "a": record("a") },
        "ready:default:5": ["a"],
        "unique:k:1 *": "a",
        "locks": { "a": "d::5:default:k:1 *" },
        "bell:default": ["1"],
        "queues": ["default"],
        "stats": { "enqueued": "1" },
        "producer:c1": "1",
        "expires": { "producer:c1": true },
    });
    world.open("w1").await;
    world.claim("w1", 1).await;
    let before = world.state().await;
    assert_eq!(
        world.enqueue_all(&[unique("b", UniqueMode::UntilDone)]).await,
        [duplicate("b", "a")]
    );
    assert_changes!(world, before, { "producer:c1": "2 b a" });
    world.complete("w1", &[done("a")]).await;
    assert_free(&world).await;
    assert_eq!(world.enqueue_all(&[unique("c", UniqueMode::UntilDone)]).await, []);
}

async fn a_key_until_done_outlives_retries_snoozes_and_lost_workers(world: World) {
    world.enqueue_all(&[unique("a", UniqueMode::UntilDone)]).await;
    world.lose_worker("w1", 1).await;
    world.open("w2").await;
    for ending in [retry("a", 0), released("a"), snoozed("a", 0), retry("a", HOUR_MS)] {
        world.claim("w2", 1).await;
        world.complete("w2", &[ending]).await;
        let duplicates = world.enqueue_all(&[unique("b", UniqueMode::UntilDone)]).await;
        assert_eq!(duplicates, [duplicate("b", "a")]);
    }
}

async fn every_end_releases_the_key(world: World) {
    world.open("w1").await;
    for ending in [succeeded("a"), done("a"), failed("a")] {
        world.enqueue_all(&[unique("a", UniqueMode::UntilDone)]).await;
        world.claim("w1", 1).await;
        world.complete("w1", &[ending]).await;
        assert_free(&world).await;
    }
    // Expired while ready, and while delayed.
    for delay_ms in [None, Some(HOUR_MS)] {
        let start = Start { expires_after_ms: Some(0), delay_ms, ..Start::default() };
        world.enqueue_all(&[Entry { start, ..unique("b", UniqueMode::UntilDone) }]).await;
        world.claim("w1", 1).await;
        assert_free(&world).await;
    }
    world.enqueue_all(&[unique("c", UniqueMode::UntilDone)]).await;
    for worker in ["w2", "w3", "w4"] {
        world.lose_worker(worker, 1).await;
    }
    assert_free(&world).await;
}

async fn a_key_while_queued_goes_with_the_claim(world: World) {
    world.enqueue_all(&[unique("a", UniqueMode::Queued)]).await;
    assert_eq!(world.enqueue_all(&[unique("b", UniqueMode::Queued)]).await, [duplicate("b", "a")]);
    world.open("w1").await;
    world.claim("w1", 1).await;
    assert_free(&world).await;
    // The next one may wait while the first one runs, and its end is not that of the key.
    assert_eq!(world.enqueue_all(&[unique("c", UniqueMode::Queued)]).await, []);
    world.complete("w1", &[done("a")]).await;
    assert_eq!(world.enqueue_all(&[unique("d", UniqueMode::Queued)]).await, [duplicate("d", "c")]);
}

async fn a_key_while_queued_is_released_by_expiry(world: World) {
    world.open("w1").await;
    let start = Start { expires_after_ms: Some(0), ..Start::default() };
    world.enqueue_all(&[Entry { start, ..unique("a", UniqueMode::Queued) }]).await;
    world.claim("w1", 1).await;
    assert_free(&world).await;
}

async fn a_repeated_batch_is_answered_as_the_first_time(world: World) {
    world.enqueue_all(&[unique("a", UniqueMode::UntilDone)]).await;
    let batch = [unique("b", UniqueMode::UntilDone), entry("c")];
    assert_eq!(world.enqueue_numbered(2, &batch).await, [duplicate("b", "a")]);
    // The reply is lost, and the first one ends meanwhile: its key is free.
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[done("a")]).await;
    let before = world.state().await;

    assert_eq!(world.enqueue_numbered(2, &batch).await, [duplicate("b", "a")]);
    assert_changes!(world, before, {});
}

async fn a_key_of_a_task_that_is_gone_stands_for_nothing(world: World) {
    world.enqueue_all(&[unique("a", UniqueMode::UntilDone)]).await;
    // A worker that knows of no locks ends it.
    let mut remove = redis::cmd("HDEL");
    world.redis::<()>(remove.arg(world.key("tasks")).arg(id("a").to_string())).await;

    assert_eq!(world.enqueue_all(&[unique("b", UniqueMode::UntilDone)]).await, []);
    assert_eq!(world.state().await["locks"], json!({ "b": "d::5:default:k:1 *" }));
}

async fn a_key_that_another_task_took_over_is_left_alone(world: World) {
    world.enqueue_all(&[unique("a", UniqueMode::UntilDone)]).await;
    let mut set = redis::cmd("SET");
    world.redis::<()>(set.arg(world.key("unique:k:1 *")).arg(id("z").to_string())).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[done("a")]).await;

    let state = world.state().await;
    assert_eq!(state["unique:k:1 *"], json!("z"));
    assert!(!state.contains_key("locks"));
}

async fn keys_hold_whatever_their_modes(world: World) {
    let modes = [
        UniqueMode::UntilDone,
        UniqueMode::Queued,
        DEBOUNCE,
        UniqueMode::KeepLast,
        UniqueMode::For { ms: HOUR_MS },
    ];
    for (at, first) in modes.into_iter().enumerate() {
        let key = format!("key {at}");
        let name = format!("f{at}");
        assert_eq!(world.enqueue_all(&[unique_as(&name, &key, first)]).await, []);
        for mode in modes {
            let duplicates = world.enqueue_all(&[unique_as("x", &key, mode)]).await;
            assert_eq!(duplicates, [duplicate("x", &name)], "{first:?} then {mode:?}");
        }
    }
    let expires = world.state().await["expires"].clone();
    assert_eq!(expires, json!({ "producer:c1": true, "unique:key 4": true }));
}

async fn a_debounced_task_waits_anew_with_the_newest_arguments(world: World) {
    assert_eq!(world.enqueue_all(&[unique("a", DEBOUNCE)]).await, []);
    assert_eq!(world.state().await["delayed"], json!({ "5:default:a": "now+60min" }));
    let later = UniqueMode::Debounce { wait_ms: 2 * HOUR_MS, longest_ms: None };
    let before = world.state().await;

    assert_eq!(world.enqueue_all(&[unique("b", later)]).await, [duplicate("b", "a")]);

    assert_changes!(world, before, {
        "delayed": { "5:default:a": "now+120min" },
        "tasks": { "a": record("b") },
        "producer:c1": "2 b a",
    });
}

async fn a_debounced_task_waits_no_longer_than_it_may(world: World) {
    let mode = UniqueMode::Debounce { wait_ms: HOUR_MS, longest_ms: Some(HOUR_MS + 1_800_000) };
    world.enqueue_all(&[unique("a", mode)]).await;
    for _ in 0..3 {
        let later = UniqueMode::Debounce { wait_ms: 9 * HOUR_MS, longest_ms: Some(99 * HOUR_MS) };
        world.enqueue_all(&[unique("b", later)]).await;
        assert_eq!(world.state().await["delayed"], json!({ "5:default:a": "now+90min" }));
    }
}

async fn a_debounced_task_that_is_due_is_not_doubled(world: World) {
    world.enqueue_all(&[unique("a", DEBOUNCE)]).await;
    world.delays_pass().await;
    world.reclaim(10).await;
    assert_eq!(world.state().await["ready:default:5"], json!(["a"]));

    assert_eq!(world.enqueue_all(&[unique("b", DEBOUNCE)]).await, [duplicate("b", "a")]);

    let state = world.state().await;
    assert_eq!((&state["ready:default:5"], state.get("delayed")), (&json!(["a"]), None));
    assert_eq!(args_of(&world, "a").await, json!("b"));
}

async fn a_debounced_task_moves_to_the_newest_place(world: World) {
    world.enqueue_all(&[unique("a", DEBOUNCE)]).await;
    let there = Entry { unique: unique("b", DEBOUNCE).unique, ..entry_in("b", "x", 8) };
    world.enqueue_all(&[there]).await;
    let state = world.state().await;
    assert_eq!(state["delayed"], json!({ "8:x:a": "now+60min" }));
    // It can be put off from there, too.
    world.enqueue_all(&[unique("c", DEBOUNCE)]).await;
    assert_eq!(world.state().await["delayed"], json!({ "5:default:a": "now+60min" }));
}

async fn a_debounced_task_that_began_is_over(world: World) {
    world.enqueue_all(&[unique("a", DEBOUNCE)]).await;
    world.delays_pass().await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    assert_free(&world).await;
    world.complete("w1", &[retry("a", HOUR_MS)]).await;

    assert_eq!(world.enqueue_all(&[unique("b", DEBOUNCE)]).await, []);
    assert_eq!(args_of(&world, "a").await, json!("a"));
}

async fn the_last_one_takes_the_place_of_a_queued_one(world: World) {
    world.enqueue_all(&[unique("a", UniqueMode::KeepLast)]).await;
    let start = Start { expires_after_ms: Some(HOUR_MS), ..Start::default() };
    let before = world.state().await;

    let newer = Entry { start, ..unique("b", UniqueMode::KeepLast) };
    assert_eq!(world.enqueue_all(&[newer]).await, [duplicate("b", "a")]);

    assert_changes!(world, before, {
        "tasks": { "a": record("b") },
        "expiry": { "a": "now+60min" },
        "producer:c1": "2 b a",
    });
    world.enqueue_all(&[unique("c", UniqueMode::KeepLast)]).await;
    assert!(!world.state().await.contains_key("expiry"), "that of the newest counts");
    world.open("w1").await;
    let grant = world.claim("w1", 9).await;
    assert_eq!(names(&grant.tasks), ["a"]);
    assert_eq!(grant.tasks[0].record, record("c").into_bytes());
}

/// `a` runs, and nothing follows it yet.
async fn given_running(world: &World) {
    world.enqueue_all(&[unique("a", UniqueMode::KeepLast)]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.hush().await;
}

async fn exactly_one_follows_a_running_one(world: World) {
    given_running(&world).await;
    let before = world.state().await;

    assert_eq!(world.enqueue_all(&[unique("b", UniqueMode::KeepLast)]).await, []);

    assert_changes!(world, before, {
        "tasks": { "b": record("b") },
        "waiting": { "b": "5:default" },
        "locks": { "a": "r:b:5:default:k:1 *", "b": "w:a:5:default:k:1 *" },
        "stats": { "enqueued": "2" },
        "producer:c1": "2",
    });
    let before = world.state().await;
    assert_eq!(
        world.enqueue_all(&[unique("c", UniqueMode::KeepLast)]).await,
        [duplicate("c", "b")]
    );
    assert_changes!(world, before, { "tasks": { "b": record("c") }, "producer:c1": "3 c b" });
    // Nothing of it is ready before its turn.
    assert_eq!(world.claim("w1", 9).await.tasks.len(), 0);
    let before = world.state().await;

    world.complete("w1", &[done("a")]).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "3", "a": null },
        "tasks": { "a": null },
        "waiting": null,
        "locks": { "a": null, "b": "k::5:default:k:1 *" },
        "unique:k:1 *": "b",
        "ready:default:5": ["b"],
        "bell:default": ["1"],
        "stats": { "succeeded": "1" },
    });
}

async fn a_follower_takes_over_however_it_ends(world: World) {
    world.open("w1").await;
    for end in 0..3 {
        world.enqueue_all(&[unique("a", UniqueMode::KeepLast)]).await;
        match end {
            0 | 1 => {
                world.claim("w1", 1).await;
                world.enqueue_all(&[unique("b", UniqueMode::KeepLast)]).await;
                world.complete("w1", &[if end == 0 { succeeded("a") } else { failed("a") }]).await;
            }
            _ => {
                for worker in ["w2", "w3"] {
                    world.lose_worker(worker, 1).await;
                }
                world.enqueue_all(&[unique("b", UniqueMode::KeepLast)]).await;
                world.lose_worker("w4", 1).await;
            }
        }
        assert_eq!(names(&world.claim("w1", 9).await.tasks), ["b"], "{end}");
        world.complete("w1", &[done("b")]).await;
        assert_free(&world).await;
    }
}

async fn a_retry_keeps_its_follower_waiting(world: World) {
    given_running(&world).await;
    world.complete("w1", &[retry("a", HOUR_MS)]).await;
    assert_eq!(world.enqueue_all(&[unique("b", UniqueMode::KeepLast)]).await, []);
    assert_eq!(world.state().await["waiting"], json!({ "b": "5:default" }));
    assert_eq!(args_of(&world, "a").await, json!("a"), "what began keeps its arguments");
    world.delays_pass().await;
    assert_eq!(names(&world.claim("w1", 9).await.tasks), ["a"]);
    world.complete("w1", &[done("a")]).await;
    assert_eq!(names(&world.claim("w1", 9).await.tasks), ["b"]);
}

async fn a_follower_that_expires_leaves_nothing(world: World) {
    given_running(&world).await;
    let start = Start { expires_after_ms: Some(0), ..Start::default() };
    world.enqueue_all(&[Entry { start, ..unique("b", UniqueMode::KeepLast) }]).await;
    world.claim("w1", 1).await;
    let state = world.state().await;
    assert!(!state.contains_key("waiting"));
    assert_eq!(state["locks"], json!({ "a": "r::5:default:k:1 *" }));
    // Another one may follow.
    assert_eq!(world.enqueue_all(&[unique("c", UniqueMode::KeepLast)]).await, []);
    world.complete("w1", &[done("a")]).await;
    assert_eq!(names(&world.claim("w1", 9).await.tasks), ["c"]);
}

async fn given_dead(world: &World, mode: UniqueMode) {
    world.enqueue_all(&[unique("a", mode)]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[failed("a")]).await;
    assert_free(world).await;
}

async fn a_dead_task_takes_its_key_again(world: World) {
    for mode in [UniqueMode::UntilDone, UniqueMode::KeepLast] {
        given_dead(&world, mode).await;
        let revived = world.broker.revive(&[id("a")], &ada()).await.expect("an answer");
        assert_eq!(revived[0].1.as_str(), "revived");
        assert_eq!(world.enqueue_all(&[unique("b", mode)]).await, [duplicate("b", "a")]);
        world.claim("w1", 1).await;
        world.complete("w1", &[done("a")]).await;
        assert_free(&world).await;
        world.broker.close(&lease("w1")).await.expect("closed");
    }
}

async fn a_dead_task_whose_key_is_taken_stays_dead(world: World) {
    given_dead(&world, UniqueMode::UntilDone).await;
    world.enqueue_all(&[unique("b", UniqueMode::UntilDone)]).await;
    let before = world.state().await;
    let revived = world.broker.revive(&[id("a")], &ada()).await.expect("an answer");
    assert_eq!(revived[0].1.as_str(), "locked");
    assert_changes!(world, before, {});
}

async fn a_thousand_keys_in_one_call(world: World) {
    let names: Vec<String> = (0..1_000).map(|n| format!("t{n:05}")).collect();
    let modes = [UniqueMode::UntilDone, UniqueMode::Queued, UniqueMode::KeepLast];
    let entry = |(n, name): (usize, &String)| unique_as(name, name, modes[n % 3]);
    let entries: Vec<Entry> = names.iter().enumerate().map(entry).collect();
    assert_eq!(world.enqueue_all(&entries).await, []);
    world.open("w1").await;
    let mut held = Vec::new();
    while held.len() < 1_000 {
        held.extend(world.claim("w1", 1_000).await.tasks);
    }
    let endings: Vec<_> = names.iter().map(|name| done(name)).collect();
    world.complete("w1", &endings).await;
    assert_free(&world).await;
}
