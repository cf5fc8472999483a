//! complete: the ends of attempts of plain tasks take effect once, all together, or not at all.
//!
//! The chunks of jobs are in `chunks`, below.

mod chunks;
mod members;
mod snoozes;
mod sums;

use celeriac_broker_schema::script::{Claim, Claimed, Ending, Entry, Start};
use celeriac_broker_schema::{BrokerError, Outcome, Setting};
use serde_json::{Value, json};

use crate::support::*;

on_both_servers![
    a_success_leaves_its_outcome,
    a_success_that_is_not_kept_leaves_nothing,
    thousands_of_successes_in_one_call,
    an_outcome_may_be_kept_for_ever,
    a_retry_waits_for_its_time,
    a_retry_at_once_goes_to_the_end,
    attempts_are_counted_and_kept_side_by_side,
    the_history_of_a_task_is_bounded,
    a_final_failure_is_kept_for_people,
    the_dead_leave_when_they_are_too_many,
    released_tasks_come_back_to_the_front,
    what_was_released_before_it_began_may_still_expire,
    what_was_lost_in_flight_does_not_expire,
    what_waits_again_rings,
    endings_and_a_claim_in_one_call,
    endings_of_what_is_not_held_are_stale,
    a_task_that_ends_twice_in_a_call_counts_once,
    a_lost_lease_completes_nothing,
    a_repeated_completion_counts_once,
    a_completion_that_comes_late_changes_nothing,
    a_lost_reply_is_made_good,
];

async fn given_in_flight(world: &World, names: &[&str]) {
    world.enqueue(names).await;
    world.open("w1").await;
    assert_eq!(world.claim("w1", names.len()).await.tasks.len(), names.len());
}

async fn a_success_leaves_its_outcome(world: World) {
    given_in_flight(&world, &["a", "b"]).await;
    let before = world.state().await;

    let grant = world.complete("w1", &[succeeded("a")]).await;

    assert!(grant.stale.is_empty() && grant.refused.is_empty(), "{grant:?}");
    assert_changes!(world, before, {
        "tasks": { "a": null },
        "inflight:w1": { "#": "2", "a": null },
        "result:a": outcome("a"),
        "expires": { "result:a": true },
        "stats": { "succeeded": "1" },
    });
}

async fn a_success_that_is_not_kept_leaves_nothing(world: World) {
    given_in_flight(&world, &["a"]).await;
    let before = world.state().await;

    world.complete("w1", &[done("a")]).await;

    assert_changes!(world, before, {
        "tasks": null,
        "inflight:w1": { "#": "2", "a": null },
        "stats": { "succeeded": "1" },
    });
}

async fn thousands_of_successes_in_one_call(world: World) {
    let names: Vec<String> = (0..9_000).map(|n| format!("t{n:05}")).collect();
    given_in_flight(&world, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let ending = |(n, name): (usize, &String)| match n % 10 {
        0 => succeeded(name),
        _ => done(name),
    };
    let endings: Vec<Ending> = names.iter().enumerate().map(ending).collect();

    let grant = world.complete("w1", &endings).await;

    assert!(grant.stale.is_empty(), "{:?}", named(&grant.stale));
    let state = world.state().await;
    assert_eq!(state["inflight:w1"], json!({ "#": "2" }));
    assert_eq!(state["stats"], json!({ "enqueued": "9000", "succeeded": "9000" }));
    assert_eq!(state.keys().filter(|key| key.starts_with("result:")).count(), 900);
    assert!(!state.contains_key("tasks"));
}

async fn an_outcome_may_be_kept_for_ever(world: World) {
    given_in_flight(&world, &["a", "b", "c"]).await;
    let for_ever = |ending| match ending {
        Ending::Succeeded { id, outcome, .. } => {
            Ending::Succeeded { id, outcome, keep_ms: u64::MAX }
        }
        Ending::Failed { id, outcome, failure, .. } => {
            Ending::Failed { id, outcome, failure, keep_ms: u64::MAX }
        }
        other => other,
    };
    let endings = [succeeded("a"), failed("b"), retry("c", u64::MAX)].map(for_ever);

    world.complete("w1", &endings).await;

    let state = world.state().await;
    assert_eq!(state["inflight:w1"], json!({ "#": "2" }));
    assert_eq!(state["result:a"], json!(outcome("a")));
    assert_eq!(state["result:b"], json!(FAILED));
    let next = world.claim("w1", 1).await.next_event;
    assert!(next > Some(world.now().await.plus_ms(HOUR_MS)), "{next:?}");
}

async fn a_retry_waits_for_its_time(world: World) {
    given_in_flight(&world, &["a", "b"]).await;
    let before = world.state().await;

    world.complete("w1", &[retry("a", HOUR_MS)]).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "2", "a": null },
        "history": { "a": format!("1 0\n{ATTEMPT}") },
        "delayed": { "5:default:a": "now+60min" },
        "stats": { "retried": "1" },
    });
}

async fn a_retry_at_once_goes_to_the_end(world: World) {
    given_in_flight(&world, &["a"]).await;
    world.enqueue(&["b"]).await;
    let before = world.state().await;

    world.complete("w1", &[retry("a", 0)]).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "2", "a": null },
        "history": { "a": format!("1 0\n{ATTEMPT}") },
        "ready:default:5": ["b", "a"],
        "stats": { "retried": "1" },
    });
}

async fn attempts_are_counted_and_kept_side_by_side(world: World) {
    given_in_flight(&world, &["a"]).await;
    world.complete("w1", &[retry("a", 0)]).await;
    let grant = world.claim("w1", 1).await;
    assert_eq!(grant.tasks[0].history, format!("1 0\n{ATTEMPT}"));
    let before = world.state().await;

    world.complete("w1", &[retry("a", 0)]).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "4", "a": null },
        "history": { "a": format!("2 0\n{ATTEMPT}\n{ATTEMPT}") },
        "ready:default:5": ["a"],
        "stats": { "retried": "2" },
    });
    world.claim("w1", 1).await;
    assert_eq!(world.state().await["inflight:w1"]["a"], json!("3:now:5:default"));
    world.complete("w1", &[succeeded("a")]).await;
    assert!(!world.state().await.contains_key("history"));
}

async fn the_history_of_a_task_is_bounded(world: World) {
    given_in_flight(&world, &["a"]).await;
    let long = |n: u32| format!(r#"{{"attempt":{n},"text":"{}"}}"#, "x".repeat(10_000));

    for n in 1..=10 {
        let again = Ending::Retry { id: id("a"), delay_ms: 0, attempt: long(n) };
        world.complete("w1", &[again]).await;
        world.claim("w1", 1).await;
    }

    let history = world.state().await["history"]["a"].as_str().expect("text").to_owned();
    let lines: Vec<&str> = history.lines().collect();
    assert_eq!(lines[0], "10 0", "all attempts are counted");
    assert_eq!(lines[1..], [7, 8, 9, 10].map(long), "the newest are kept");
}

async fn a_final_failure_is_kept_for_people(world: World) {
    given_in_flight(&world, &["a", "b"]).await;
    world.complete("w1", &[retry("a", 0)]).await;
    world.claim("w1", 1).await;
    let before = world.state().await;

    world.complete("w1", &[failed("a")]).await;

    let dead = format!(r#"{{"record":{},"outcome":{FAILED}}}"#, record("a"));
    serde_json::from_str::<Value>(&dead).expect("JSON");
    assert_changes!(world, before, {
        "tasks": { "a": null },
        "history": null,
        "inflight:w1": { "#": "4", "a": null },
        "result:a": FAILED,
        "expires": { "result:a": true },
        "dead": { "a": "now" },
        "dead:tasks": { "a": dead },
        "stats": { "failed": "1" },
    });
    serde_json::from_str::<Outcome>(FAILED).expect("an outcome");
}

async fn the_dead_leave_when_they_are_too_many(world: World) {
    given_in_flight(&world, &["a", "b", "c", "d"]).await;
    // Of the 10,000 dead, 3 died more than 30 days ago.
    let fill = "for i = 1, 10000 do
        redis.call('ZADD', KEYS[1], i <= 3 and i or ARGV[1] - 100000 + i, 'd' .. i)
        redis.call('HSET', KEYS[2], 'd' .. i, '{}') end";
    let mut eval = redis::cmd("EVAL");
    eval.arg(fill).arg(2).arg(world.key("dead")).arg(world.key("dead:tasks"));
    world.redis::<()>(eval.arg(world.now().await.0)).await;
    let sizes = async || {
        let dead: u64 = world.redis(redis::cmd("ZCARD").arg(world.key("dead"))).await;
        let records: u64 = world.redis(redis::cmd("HLEN").arg(world.key("dead:tasks"))).await;
        (dead, records)
    };

    world.complete("w1", &[failed("a")]).await;
    assert_eq!(sizes().await, (9_998, 9_998), "the old ones leave first");
    world.complete("w1", &[failed("b")]).await;
    assert_eq!(sizes().await, (9_999, 9_999));

    world
        .redis::<()>(redis::cmd("ZADD").arg(world.key("dead")).arg(9_000_000_000_000_u64).arg("x"))
        .await;
    world.redis::<()>(redis::cmd("HSET").arg(world.key("dead:tasks")).arg("x").arg("{}")).await;
    world.complete("w1", &[failed("c")]).await;
    assert_eq!(sizes().await, (10_000, 10_000), "one too many, one leaves");

    world.broker.settings(&[(Setting::DeadMax, Some(7))]).await.expect("set");
    let at_once = sizes().await.0;
    world.complete("w1", &[failed("d")]).await;
    assert_eq!(sizes().await, (at_once - 9, at_once - 9), "the oldest leave in small bites");
}

async fn released_tasks_come_back_to_the_front(world: World) {
    given_in_flight(&world, &["a", "b", "c", "d"]).await;
    world.enqueue(&["e"]).await;
    let before = world.state().await;

    // The last one goes back first.
    world.complete("w1", &[released("c"), released("b"), released("a")]).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "2", "a": null, "b": null, "c": null },
        "ready:default:5": ["a", "b", "c", "e"],
    });
    // No attempt was counted.
    world.claim("w1", 1).await;
    assert_eq!(world.state().await["inflight:w1"]["a"], json!("1:now:5:default"));
}

async fn what_was_released_before_it_began_may_still_expire(world: World) {
    let start = Start { expires_after_ms: Some(HOUR_MS), ..Start::default() };
    let entries = ["a", "b", "c"].map(|name| Entry { start, ..entry(name) });
    world.enqueue_all(&entries).await;
    world.open("w1").await;
    world.claim("w1", 3).await;
    let before = world.state().await;
    assert!(!before.contains_key("expiry"));

    let begun = Ending::Released { id: id("b"), begun: true };
    world.complete("w1", &[retry("c", 0), begun, released("a")]).await;

    assert_changes!(world, before, {
        "expiry": { "a": "now+60min" },
        "history": { "c": format!("1 0\n{ATTEMPT}") },
        "inflight:w1": { "#": "2", "a": null, "b": null, "c": null },
        "ready:default:5": ["a", "b", "c"],
        "stats": { "retried": "1" },
    });
    // And so again and again.
    world.claim("w1", 1).await;
    assert!(!world.state().await.contains_key("expiry"));
    world.complete("w1", &[released("a")]).await;
    assert_eq!(world.state().await["expiry"], json!({ "a": "now+60min" }));
}

async fn what_was_lost_in_flight_does_not_expire(world: World) {
    let start = Start { expires_after_ms: Some(HOUR_MS), ..Start::default() };
    world.enqueue_all(&[Entry { start, ..entry("a") }]).await;

    world.lose_worker("w1", 1).await;

    let state = world.state().await;
    assert_eq!(state["ready:default:5"], json!(["a"]));
    assert!(!state.contains_key("expiry"), "it may have begun");
}

/// The worker that reports it may not serve that queue any more, or have enough to do.
async fn what_waits_again_rings(world: World) {
    given_in_flight(&world, &["a", "b", "c"]).await;

    for ending in [retry("a", 0), retry("b", HOUR_MS), released("c")] {
        world.hush().await;
        world.complete_as("w1", Ask::want(0).from(&["x"]), std::slice::from_ref(&ending)).await;
        assert_eq!(world.state().await["bell:default"], json!(["1"]), "{ending:?}");
    }
}

async fn endings_and_a_claim_in_one_call(world: World) {
    given_in_flight(&world, &["a", "b", "c", "d", "e"]).await;
    world.enqueue(&["f", "g"]).await;
    let before = world.state().await;
    let endings =
        [retry("c", HOUR_MS), succeeded("a"), failed("d"), done("b"), released("e"), retry("x", 0)];

    let grant = world.complete_as("w1", Ask::want(2), &endings).await;

    assert_eq!(named(&grant.stale), ["x"]);
    assert_eq!(names(&grant.tasks), ["e", "f"]);
    assert_changes!(world, before, {
        "tasks": { "a": null, "b": null, "d": null },
        "inflight:w1": {
            "#": "2", "a": null, "b": null, "c": null, "d": null, "f": "1:now:5:default",
        },
        "ready:default:5": ["g"],
        "delayed": { "5:default:c": "now+60min" },
        "history": { "c": format!("1 0\n{ATTEMPT}") },
        "result:a": outcome("a"),
        "result:d": FAILED,
        "expires": { "result:a": true, "result:d": true },
        "dead": { "d": "now" },
        "dead:tasks": { "d": format!(r#"{{"record":{},"outcome":{FAILED}}}"#, record("d")) },
        "stats": { "succeeded": "2", "failed": "1", "retried": "1" },
    });
}

async fn endings_of_what_is_not_held_are_stale(world: World) {
    given_in_flight(&world, &["a"]).await;
    world.enqueue(&["b", "c"]).await;
    world.open("w2").await;
    world.claim("w2", 1).await;
    // b is held by w2, c is ready, x was never there.
    let before = world.state().await;
    let endings: Vec<Ending> = ["b", "c", "x"]
        .iter()
        .flat_map(|name| [succeeded(name), retry(name, 0), failed(name), released(name)])
        .collect();

    let grant = world.complete("w1", &endings).await;

    let mut stale = named(&grant.stale);
    stale.sort();
    assert_eq!(stale, ["b", "b", "b", "b", "c", "c", "c", "c", "x", "x", "x", "x"]);
    // Only the call itself is noted.
    assert_changes!(world, before, { "inflight:w1": { "#": "2" } });
}

async fn a_task_that_ends_twice_in_a_call_counts_once(world: World) {
    given_in_flight(&world, &["a", "b"]).await;
    let before = world.state().await;

    let grant = world.complete("w1", &[done("a"), failed("a"), done("a")]).await;

    assert_eq!(named(&grant.stale), ["a"]);
    assert_changes!(world, before, {
        "tasks": { "a": null },
        "inflight:w1": { "#": "2", "a": null },
        "stats": { "succeeded": "1" },
    });
}

async fn a_lost_lease_completes_nothing(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.enqueue_job(&job("J", 10)).await;
    let run = world.lose_worker("w1", 5).await.runs.remove(0);
    let before = world.state().await;
    let endings = [
        succeeded("a"),
        retry("b", 0),
        failed("b"),
        released("b"),
        run_succeeded(&run),
        chunk_failed(&run, 1),
    ];

    for lease in ["w1", "nobody"] {
        let claimed = world.call(lease, 2, &Ask::want(9), Some(&endings)).await;
        assert!(matches!(claimed, Claimed::Lost), "{claimed:?}");
    }

    assert_changes!(world, before, {});
}

async fn a_repeated_completion_counts_once(world: World) {
    given_in_flight(&world, &["a", "b", "c", "d"]).await;
    world.enqueue(&["e", "f"]).await;
    let endings = [succeeded("a"), retry("b", 0), failed("c")];
    world.complete_as("w1", Ask::want(1), &endings).await;
    let before = world.state().await;

    let claimed = world.call("w1", 2, &Ask::want(1), Some(&endings)).await;

    let Claimed::Repeated { tasks, .. } = claimed else { panic!("{claimed:?}") };
    let mut held = names(&tasks);
    held.sort();
    assert_eq!(held, ["d", "e"]);
    assert_changes!(world, before, {});
}

/// The network loses the reply of a call that was carried out.
async fn a_lost_reply_is_made_good(world: World) {
    given_in_flight(&world, &["a", "b"]).await;
    world.enqueue(&["c"]).await;
    world.complete("w1", &[]).await;
    let (proxy, broker) = world.behind_a_proxy().await;
    broker.ping().await.expect("connected");
    let (lease, queues, number) = (lease("w1"), [queue(QUEUE)], world.next_call("w1"));
    let claim = Claim {
        lease: &lease,
        number,
        want: 1,
        suspect: true,
        crash_limit: 3,
        queues: &queues,
        room: None,
    };
    let endings = [succeeded("a")];
    proxy.drop_next_reply_to("EVALSHA");

    let lost = broker.complete(&claim, &endings).await;

    assert!(matches!(lost, Err(BrokerError::Unavailable { sent: true, .. })), "{lost:?}");
    let before = world.state().await;
    assert_eq!(before["result:a"], json!(outcome("a")), "it was carried out");
    let again = broker.complete(&claim, &endings).await.expect("an answer");
    let Claimed::Repeated { tasks, .. } = again else { panic!("{again:?}") };
    let mut held = names(&tasks);
    held.sort();
    assert_eq!(held, ["b", "c"]);
    assert_changes!(world, before, {});
}

async fn a_completion_that_comes_late_changes_nothing(world: World) {
    given_in_flight(&world, &["a", "b"]).await;
    world.enqueue(&["c"]).await;
    world.complete("w1", &[retry("a", 0)]).await;
    assert_eq!(names(&world.claim("w1", 2).await.tasks), ["c", "a"]);
    let before = world.state().await;

    // The attempt that it reports is over: a runs again.
    let late = world.call("w1", 2, &Ask::want(9), Some(&[retry("a", 0), done("b")])).await;

    assert!(matches!(late, Claimed::Repeated { .. }), "{late:?}");
    assert_changes!(world, before, {});
}
