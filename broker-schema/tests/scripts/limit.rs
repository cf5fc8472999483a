//! limit: what it lets go, what waits beside it, and who comes next. How claims, endings and lost
//! workers keep to limits is tested here, too.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use celeriac_broker_schema::script::{Ending, Entry, Grant, LimitChanged, RangeJob, Run, Start};
use celeriac_broker_schema::{Limit, Rate};
use serde_json::{Value, json};

use crate::support::*;

on_both_servers![
    a_limit_is_set_changed_and_removed,
    a_queue_lets_a_burst_go_and_keeps_the_rest,
    a_full_queue_rings_for_nobody,
    a_name_over_its_rate_is_parked_and_others_pass,
    a_rate_is_exact,
    a_changed_rate_lets_no_burst_through,
    a_place_is_free_again_however_a_task_ends,
    a_place_is_free_again_when_a_worker_is_lost,
    a_repeated_ending_frees_one_place,
    what_waits_for_a_place_keeps_its_order,
    each_tenant_has_the_default_limit_for_itself,
    the_limits_of_queue_name_and_tenant_hold_together,
    a_run_takes_as_many_places_as_it_has_chunks,
    a_failed_job_frees_its_places,
    a_retried_chunk_waits_for_a_place,
    a_parked_range_keeps_its_chunks,
    a_suspect_waits_for_a_place_and_stays_one,
    a_parked_task_may_expire,
    a_cancelled_task_leaves_its_turn_to_the_next,
    removing_a_limit_lets_all_go,
    a_wider_default_lets_more_go,
    thousands_that_wait_do_not_stand_in_the_way,
    who_parks_and_is_busy_wakes_somebody,
    without_limits_nothing_is_written,
    whatever_happens_the_counts_are_right_and_nothing_is_left,
];

pub(crate) fn rate(tasks: u64, per_ms: u64, burst: u64) -> Limit {
    Limit::new(Some(Rate { tasks, per_ms, burst }), None).expect("a limit")
}

pub(crate) fn at_once(most: u64) -> Limit {
    Limit::new(None, Some(most)).expect("a limit")
}

impl World {
    pub(crate) async fn limit(&self, subject: &str, limit: Option<Limit>) -> LimitChanged {
        let subject = subject.parse().expect("a subject");
        self.broker.limit(&subject, limit.as_ref(), &ada()).await.expect("the limit is set")
    }

    /// What is counted is what is held, and what is held is in flight.
    pub(crate) async fn assert_places(&self) {
        let state = self.state().await;
        let none = json!({});
        let mut counted: BTreeMap<String, i64> = BTreeMap::new();
        let in_flight = |field: &String| {
            let mut leases = state.iter().filter(|(key, _)| key.starts_with("inflight:"));
            leases.any(|(_, held)| held.get(field).is_some())
        };
        for (field, text) in state.get("holding").unwrap_or(&none).as_object().expect("a hash") {
            assert!(in_flight(field), "{field} holds a place and is not in flight");
            let mut words = text.as_str().expect("text").split(' ');
            let n: i64 = words.next().expect("a number").parse().expect("a number");
            words.for_each(|subject| *counted.entry(subject.to_owned()).or_default() += n);
        }
        let held = state.get("held").unwrap_or(&none).as_object().expect("a hash");
        let held: BTreeMap<String, i64> = held
            .iter()
            .map(|(subject, n)| {
                (subject.clone(), n.as_str().expect("text").parse().expect("a number"))
            })
            .collect();
        assert_eq!(counted, held);
    }

    /// The names that a claim of ten gives.
    pub(crate) async fn given(&self, lease: &str) -> Vec<String> {
        let given = names(&self.claim(lease, 10).await.tasks);
        self.assert_places().await;
        given
    }

    async fn ready(&self) -> u64 {
        self.broker.snapshot(10, 1).await.expect("a snapshot").queues[0].ready
    }
}

async fn a_limit_is_set_changed_and_removed(world: World) {
    let before = world.state().await;
    let changed = |before| LimitChanged::Changed { before };
    let first = rate(100, 1000, 10);
    assert_eq!(world.limit("task:t", Some(first)).await, changed(None));
    let noted = world.state().await;
    assert_eq!(world.limit("task:t", Some(first)).await, LimitChanged::Unchanged);
    assert_changes!(world, noted, {});
    assert_eq!(world.limit("tenant:*", Some(at_once(5))).await, changed(None));
    let note = r#"{"at":now,"by":"ada","why":"t"}"#;
    assert_changes!(world, before, {
        "limits:task": { "t": "100 1000 10 0" },
        "limits:tenant": { "*": "0 0 0 5" },
        "limited:why": { "task:t": note, "tenant:*": note },
    });
    assert_eq!(world.limit("tenant:*", Some(at_once(6))).await, changed(Some(at_once(5))));
    assert_eq!(world.limit("task:t", None).await, changed(Some(first)));
    assert_eq!(world.limit("task:t", None).await, LimitChanged::Unchanged);
    world.limit("tenant:*", None).await;
    assert_changes!(world, before, {});
}

async fn a_queue_lets_a_burst_go_and_keeps_the_rest(world: World) {
    world.limit("queue:default", Some(rate(1, HOUR_MS, 2))).await;
    world.enqueue(&["a", "b", "c"]).await;
    world.open("w1").await;
    let before = world.state().await;

    let grant = world.claim("w1", 10).await;

    assert_eq!(names(&grant.tasks), ["a", "b"]);
    let wait = grant.next_event.expect("an event").since(grant.now);
    // The time of the claim may be a millisecond before the one that it is counted from.
    assert!(wait.abs_diff(HOUR_MS) <= 5 && grant.watching, "{wait}");
    assert_changes!(world, before, {
        "ready:default:5": ["c"],
        "inflight:w1": { "#": "1", "a": "1:now:5:default", "b": "1:now:5:default" },
        "rate:queue:default": "7200000 now 3600000",
        "expires": { "rate:queue:default": true, "watch": true },
        "parked": { "queue:default": "now+60min" },
        "watch": "now+60min:w1",
    });
    assert_eq!(world.given("w1").await, [""; 0]);
}

async fn a_full_queue_rings_for_nobody(world: World) {
    world.limit("queue:default", Some(at_once(1))).await;
    world.enqueue(&["a", "b"]).await;
    world.open("w1").await;
    world.hush().await;
    assert_eq!(names(&world.claim("w1", 1).await.tasks), ["a"]);
    assert_eq!(world.state().await.get("bell:default"), None);

    world.complete("w1", &[done("a")]).await;
    assert_eq!(world.state().await.get("bell:default"), Some(&json!(["1"])));
    assert_eq!(world.given("w1").await, ["b"]);
}

async fn a_name_over_its_rate_is_parked_and_others_pass(world: World) {
    world.limit("task:mail", Some(rate(1, HOUR_MS, 1))).await;
    let entries = ["a", "b", "c"].map(|name| entry_of(name, "mail", None));
    world.enqueue_all(&entries).await;
    world.enqueue(&["d"]).await;
    world.open("w1").await;
    let before = world.state().await;

    let grant = world.claim("w1", 10).await;

    assert_eq!(names(&grant.tasks), ["a", "d"]);
    assert_eq!(grant.next_event.expect("an event").since(grant.now), HOUR_MS);
    assert_changes!(world, before, {
        "ready:default:5": null,
        "inflight:w1": { "#": "1", "a": "1:now:5:default", "d": "1:now:5:default" },
        "rate:task:mail": "3600000 now 3600000",
        "expires": { "rate:task:mail": true, "watch": true },
        "parked": { "task:mail": "now+60min" },
        "parked:task:mail": { "b 5 default": 4, "c 5 default": 4 },
        "chunks": { "default:5": "2" },
        "watch": "now+60min:w1",
    });
    assert_eq!(world.ready().await, 2);
}

async fn a_rate_is_exact(world: World) {
    world.limit("task:t", Some(rate(1, 40, 2))).await;
    world.enqueue(&["a", "b", "c", "d", "e", "f"]).await;
    world.open("w1").await;
    let mut given = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    while given.len() < 6 {
        assert!(Instant::now() < deadline, "only {given:?} were given");
        let grant = world.claim("w1", 10).await;
        given.extend(names(&grant.tasks).into_iter().map(|name| (name, grant.now.0)));
        let next = grant.next_event.map_or(0, |at| at.0);
        while given.len() < 6 && world.now().await.0 < next {}
        if given.len() < 6 {
            // Times are whole milliseconds: it may open within this one, or one later than it was counted.
            let good = grant.now.0..=grant.now.0 + 41;
            assert!(good.contains(&next), "{next} is no good time: {good:?}");
        }
    }
    let order: Vec<&str> = given.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(order, ["a", "b", "c", "d", "e", "f"]);
    // The burst, and then one in each period after the first of it.
    let first = given[0].1;
    for (i, (name, at)) in given.iter().enumerate().skip(1) {
        assert!(at - first >= 40 * (i as u64 - 1), "{name} went after {} ms", at - first);
    }
}

async fn a_changed_rate_lets_no_burst_through(world: World) {
    world.limit("task:t", Some(rate(1, HOUR_MS, 3))).await;
    world.enqueue(&["a", "b", "c", "d", "e"]).await;
    world.open("w1").await;
    assert_eq!(world.given("w1").await, ["a", "b", "c"]);
    // Three of three are used, whatever the period.
    world.limit("task:t", Some(rate(1, 2 * HOUR_MS, 3))).await;
    assert_eq!(world.given("w1").await, [""; 0]);
    // One more at once is one more.
    world.limit("task:t", Some(rate(1, HOUR_MS, 4))).await;
    assert_eq!(world.given("w1").await, ["d"]);
    assert_eq!(world.given("w1").await, [""; 0]);
}

async fn a_place_is_free_again_however_a_task_ends(world: World) {
    world.limit("task:t", Some(at_once(1))).await;
    world.open("w1").await;
    for (ending, again) in [
        (succeeded("a"), vec![]),
        (done("a"), vec![]),
        (failed("a"), vec![]),
        (retry("a", 0), vec!["a"]),
        (released("a"), vec!["a"]),
    ] {
        world.enqueue(&["a", "b"]).await;
        assert_eq!(world.given("w1").await, ["a"]);
        assert_eq!(world.given("w1").await, [""; 0]);
        assert_eq!(world.state().await["held"], json!({ "task:t": "1" }));

        world.complete("w1", &[ending]).await;

        world.assert_places().await;
        let mut order = Vec::new();
        loop {
            let given = world.given("w1").await;
            let [one] = &given[..] else { break };
            world.complete("w1", &[done(one)]).await;
            order.push(one.clone());
        }
        order.sort();
        assert_eq!(order, [again, vec!["b"]].concat());
        let state = world.state().await;
        for key in ["held", "holding", "parked", "parked:task:t", "ready:default:5"] {
            assert_eq!(state.get(key), None, "{key}");
        }
        assert_eq!(world.ready().await, 0);
    }
}

async fn a_place_is_free_again_when_a_worker_is_lost(world: World) {
    world.limit("tenant:*", Some(at_once(2))).await;
    world.enqueue_all(&["a", "b", "c"].map(|name| entry_of(name, "t", Some("x")))).await;
    assert_eq!(names(&world.lose_worker("w1", 10).await.tasks), ["a", "b"]);
    world.assert_places().await;
    world.open("w2").await;
    let mut given = world.given("w2").await;
    given.sort();
    assert_eq!(given.len(), 2, "{given:?}");
    assert_eq!(world.ready().await, 1);
}

async fn a_repeated_ending_frees_one_place(world: World) {
    world.limit("task:t", Some(at_once(2))).await;
    world.enqueue(&["a", "b", "c", "d"]).await;
    world.open("w1").await;
    assert_eq!(world.given("w1").await, ["a", "b"]);
    let grant = world.complete("w1", &[done("a"), done("a"), retry("a", 0), released("a")]).await;
    assert_eq!(named(&grant.stale).len(), 2);
    world.complete("w1", &[done("a")]).await;
    assert_eq!(world.given("w1").await, ["c"]);
    assert_eq!(world.given("w1").await, [""; 0]);
}

async fn what_waits_for_a_place_keeps_its_order(world: World) {
    world.limit("task:t", Some(at_once(1))).await;
    let urgent = Entry { priority: priority(9), ..entry("e") };
    world.enqueue_all(&[entry("a"), entry("b"), entry("c"), entry("d")]).await;
    world.open("w1").await;
    assert_eq!(world.given("w1").await, ["a"]);
    world.enqueue_all(&[urgent, entry("f")]).await;
    for (end, next) in [("a", "b"), ("b", "e"), ("e", "c"), ("c", "d"), ("d", "f")] {
        // Of two that compete the one with the higher priority is first.
        world.complete("w1", &[done(end)]).await;
        let given = world.given("w1").await;
        let next = if end == "a" {
            "e"
        } else if end == "b" {
            continue;
        } else {
            next
        };
        let expected = if end == "e" { "b" } else { next };
        assert_eq!(given, [expected], "after {end}");
        if end == "e" {
            world.complete("w1", &[done("b")]).await;
            assert_eq!(world.given("w1").await, ["c"]);
        }
    }
}

async fn each_tenant_has_the_default_limit_for_itself(world: World) {
    world.limit("tenant:*", Some(at_once(1))).await;
    world.limit("tenant:big", Some(at_once(2))).await;
    let mut entries = Vec::new();
    for (i, tenant) in ["x", "y", "big"].iter().enumerate() {
        entries.extend((0..3).map(|n| entry_of(&format!("{i}{n}"), "t", Some(tenant))));
    }
    entries.push(entry_of("z", "t", None));
    world.enqueue_all(&entries).await;
    world.open("w1").await;
    assert_eq!(world.given("w1").await, ["00", "10", "20", "21", "z"]);
    let held = &world.state().await["held"];
    assert_eq!(held, &json!({ "tenant:x": "1", "tenant:y": "1", "tenant:big": "2" }));
    world.complete("w1", &[done("10")]).await;
    assert_eq!(world.given("w1").await, ["11"]);
}

async fn the_limits_of_queue_name_and_tenant_hold_together(world: World) {
    world.limit("queue:default", Some(at_once(4))).await;
    world.limit("task:mail", Some(at_once(3))).await;
    world.limit("tenant:x", Some(at_once(2))).await;
    let mut entries: Vec<Entry> =
        (0..4).map(|n| entry_of(&format!("x{n}"), "mail", Some("x"))).collect();
    entries.extend((0..4).map(|n| entry_of(&format!("y{n}"), "mail", Some("y"))));
    entries.extend((0..4).map(|n| entry_of(&format!("z{n}"), "t", None)));
    world.enqueue_all(&entries).await;
    world.open("w1").await;
    let given = [world.given("w1").await, world.given("w1").await].concat();
    assert_eq!(given, ["x0", "x1", "y0", "z0"]);
    let mut running = given;
    let mut ended = 0;
    while let Some(one) = running.pop() {
        world.complete("w1", &[done(&one)]).await;
        ended += 1;
        running.extend(world.given("w1").await);
        let count = |letter: char| running.iter().filter(|name| name.starts_with(letter)).count();
        assert!(running.len() <= 4 && count('x') + count('y') <= 3 && count('x') <= 2);
    }
    assert_eq!(ended, 12);
    assert_eq!(world.state().await.get("held"), None);
}

async fn a_run_takes_as_many_places_as_it_has_chunks(world: World) {
    world.limit("task:t", Some(at_once(3))).await;
    world.enqueue_job(&job("J", 8)).await;
    world.enqueue(&["a"]).await;
    world.open("w1").await;

    let grant = world.claim("w1", 10).await;
    assert_eq!((runs(&grant.runs), names(&grant.tasks).len()), (vec!["J:0-3 #1".to_owned()], 0));
    world.assert_places().await;
    assert_eq!(world.state().await["holding"], json!({ "J:0-3": "3 task:t" }));
    assert_eq!(world.ready().await, 6);

    let run = &grant.runs[0];
    world.complete("w1", &[chunks_succeeded(run, 0, 2, &[])]).await;
    world.assert_places().await;
    let more = world.claim("w1", 10).await;
    assert_eq!(runs(&more.runs).len() + more.tasks.len(), 1);
    world.assert_places().await;
    assert_eq!(world.state().await["held"], json!({ "task:t": "3" }));
    assert_eq!(world.ready().await, 4);
}

async fn a_failed_job_frees_its_places(world: World) {
    world.limit("queue:default", Some(at_once(4))).await;
    world.enqueue_job(&job("J", 4)).await;
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    let grant = world.claim("w1", 10).await;
    assert_eq!(runs(&grant.runs), ["J:0-4 #1"]);
    let run = &grant.runs[0];
    world.complete("w1", &[chunk_failed(run, 1), chunks_succeeded(run, 2, 4, &[])]).await;
    world.assert_places().await;
    assert_eq!(world.given("w1").await, ["a"]);
    assert_eq!(world.state().await["held"], json!({ "queue:default": "1" }));
}

async fn a_retried_chunk_waits_for_a_place(world: World) {
    world.limit("task:t", Some(at_once(1))).await;
    world.enqueue_job(&job("J", 2)).await;
    world.open("w1").await;
    let grant = world.claim("w1", 10).await;
    assert_eq!(runs(&grant.runs), ["J:0-1 #1"]);
    world.complete("w1", &[chunk_retry(&grant.runs[0], 0, 0)]).await;
    world.assert_places().await;
    for expected in ["J:1-2 #1", "J:0 #2"] {
        let grant = world.claim("w1", 10).await;
        assert_eq!(runs(&grant.runs), [expected]);
        world.assert_places().await;
        world.complete("w1", &[run_succeeded(&grant.runs[0])]).await;
    }
    assert_eq!(world.state().await.get("held"), None);
    assert_eq!(world.ready().await, 0);
}

async fn a_parked_range_keeps_its_chunks(world: World) {
    world.limit("task:t", Some(rate(1, HOUR_MS, 2))).await;
    world.enqueue_job(&job("J", 1_000)).await;
    world.enqueue_all(&[entry_of("a", "u", None)]).await;
    world.open("w1").await;
    let grant = world.claim("w1", 10).await;
    let (run, task) = (vec!["J:0-2 #1".to_owned()], vec!["a".to_owned()]);
    assert_eq!((runs(&grant.runs), names(&grant.tasks)), (run, task));
    let state = world.state().await;
    assert_eq!(state["parked:task:t"], json!({ "J:2-1000 5 default": 4 }));
    assert_eq!(world.ready().await, 998);
    world.limit("task:t", None).await;
    assert_eq!(world.state().await["ready:default:5"], json!(["J:2-1000"]));
    assert_eq!(world.ready().await, 998);
}

async fn a_suspect_waits_for_a_place_and_stays_one(world: World) {
    world.enqueue(&["a"]).await;
    world.lose_worker("w1", 1).await;
    world.lose_worker("w2", 1).await;
    world.limit("task:t", Some(at_once(1))).await;
    world.enqueue(&["b"]).await;
    world.open("w3").await;
    let first = world.claim_as("w3", Ask::want(1).without_suspects()).await;
    assert_eq!(names(&first.tasks), ["b"]);
    assert_eq!(world.given("w3").await, [""; 0]);
    assert_eq!(world.state().await["parked:task:t"], json!({ "a 5 default s": 4 }));
    assert_eq!(world.ready().await, 1);
    world.complete("w3", &[done("b")]).await;
    let grant = world.claim("w3", 10).await;
    assert_eq!((names(&grant.tasks), grant.suspect), (vec!["a".to_owned()], true));
}

async fn a_parked_task_may_expire(world: World) {
    world.limit("task:t", Some(at_once(1))).await;
    let start = Start { expires_after_ms: Some(50), ..Start::default() };
    world.enqueue_all(&[entry("a"), Entry { start, ..entry("b") }, entry("c")]).await;
    world.open("w1").await;
    let ask = Ask::want(10);
    assert_eq!(names(&world.claim_as("w1", ask).await.tasks), ["a"]);
    let due = world.now().await.0 + 50;
    while world.now().await.0 <= due {}
    world.reclaim(10).await;
    let outcome = world.state().await["result:b"].to_string();
    assert!(outcome.contains("expired"), "{outcome}");
    world.complete("w1", &[done("a")]).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut given = world.given("w1").await;
    while given.is_empty() {
        assert!(Instant::now() < deadline, "what waits behind an expired task is never given");
        given = world.given("w1").await;
    }
    assert_eq!(given, ["c"]);
}

async fn a_cancelled_task_leaves_its_turn_to_the_next(world: World) {
    world.limit("task:t", Some(at_once(1))).await;
    world.enqueue(&["a", "b", "c"]).await;
    world.open("w1").await;
    assert_eq!(world.given("w1").await, ["a"]);
    world.redis::<u64>(redis::cmd("HDEL").arg(world.key("tasks")).arg(id("b").to_string())).await;
    world.complete("w1", &[done("a")]).await;
    // Within a second somebody looks again.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let grant = world.claim("w1", 10).await;
        if !grant.tasks.is_empty() {
            assert_eq!(names(&grant.tasks), ["c"]);
            return;
        }
        let next = grant.next_event.expect("an event");
        assert!(next.since(grant.now) <= 1_000 && Instant::now() < deadline);
    }
}

async fn removing_a_limit_lets_all_go(world: World) {
    world.limit("task:t", Some(at_once(1))).await;
    let all: Vec<String> = (0..300).map(|n| format!("{n:03}")).collect();
    let entries: Vec<Entry> = all.iter().map(|name| entry(name)).collect();
    world.enqueue_all(&entries).await;
    world.open("w1").await;
    assert_eq!(world.given("w1").await, ["000"]);
    assert_eq!(world.ready().await, 299);
    world.limit("task:t", None).await;
    world.complete("w1", &[done("000")]).await;
    let mut given = HashMap::new();
    while given.len() < 299 {
        for name in names(&world.claim("w1", 1_000).await.tasks) {
            *given.entry(name).or_insert(0) += 1;
        }
        world.assert_places().await;
    }
    assert!(given.values().all(|times| *times == 1));
    let state = world.state().await;
    assert!(!state.contains_key("parked") && !state.contains_key("held"));
    assert_eq!(world.ready().await, 0);
}

async fn a_wider_default_lets_more_go(world: World) {
    world.limit("tenant:*", Some(at_once(1))).await;
    world.enqueue_all(&["a", "b", "c"].map(|name| entry_of(name, "t", Some("x")))).await;
    world.open("w1").await;
    assert_eq!(world.given("w1").await, ["a"]);
    world.limit("tenant:*", Some(at_once(2))).await;
    assert_eq!(world.given("w1").await, ["b"]);
}

async fn thousands_that_wait_do_not_stand_in_the_way(world: World) {
    world.limit("task:t", Some(at_once(1))).await;
    for thousand in 0..3 {
        let names: Vec<String> = (0..1000).map(|n| format!("{thousand}{n:03}")).collect();
        world.enqueue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    world.enqueue_all(&[entry_of("z", "u", None)]).await;
    world.open("w1").await;
    let mut given = Vec::new();
    for _ in 0..4 {
        given.extend(world.given("w1").await);
    }
    assert_eq!(given, ["0000", "z"]);
    assert_eq!(world.ready().await, 2_999);
}

async fn who_parks_and_is_busy_wakes_somebody(world: World) {
    world.limit("task:mail", Some(rate(1, HOUR_MS, 1))).await;
    world
        .enqueue_all(&[
            entry_of("a", "mail", None),
            entry_of("b", "mail", None),
            entry_of("c", "u", None),
        ])
        .await;
    world.open("w1").await;
    world.hush().await;
    assert_eq!(names(&world.claim("w1", 2).await.tasks), ["a", "c"]);
    assert_eq!(world.state().await.get("bell:default"), Some(&json!(["1"])));
}

async fn without_limits_nothing_is_written(world: World) {
    world.enqueue_all(&[entry_of("a", "t", Some("x"))]).await;
    world.enqueue_job(&RangeJob { ..job("J", 4) }).await;
    world.open("w1").await;
    let grant = world.claim("w1", 10).await;
    world.complete("w1", &[done("a"), run_succeeded(&grant.runs[0])]).await;
    let keys: Vec<String> = world.state().await.into_keys().collect();
    for key in ["holding", "held", "parked", "fair"] {
        assert!(!keys.iter().any(|name| name.starts_with(key)), "{keys:?}");
    }
    let _: &Value = &world.state().await["expires"];
}

/// What a worker of the long test holds.
enum Held {
    Task(String),
    Run(Run),
}

/// A world in which anything may come next. The same seed is the same story.
struct Story {
    world: World,
    seed: u64,
    number: u32,
    held: Vec<(String, Held)>,
}

impl Story {
    fn random(&mut self, below: usize) -> usize {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 33) as usize % below
    }

    async fn enqueue(&mut self) {
        for _ in 0..=self.random(6) {
            self.number += 1;
            let name = format!("n{}", self.number);
            let (task, tenant) = (self.random(3), self.random(3));
            let entry =
                entry_of(&name, ["t", "t", "u"][task], [None, Some("x"), Some("y")][tenant]);
            self.world.enqueue_all(&[entry]).await;
        }
        if self.random(6) == 0 {
            self.number += 1;
            let chunks = 1 + self.random(12) as u64;
            self.world.enqueue_job(&job(&format!("j{}", self.number), chunks)).await;
        }
    }

    async fn claim(&mut self, lease: &str, want: usize) -> usize {
        let grant = self.world.claim(lease, want).await;
        self.keep(lease, grant)
    }

    fn keep(&mut self, lease: &str, grant: Grant) -> usize {
        let before = self.held.len();
        let tasks = names(&grant.tasks).into_iter().map(Held::Task);
        let runs = grant.runs.into_iter().map(Held::Run);
        self.held.extend(tasks.chain(runs).map(|held| (lease.to_owned(), held)));
        self.held.len() - before
    }

    async fn end_one(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let which = self.random(self.held.len());
        let (lease, held) = self.held.swap_remove(which);
        let how = self.random(7);
        let endings: Vec<Ending> = match held {
            Held::Task(name) => match how {
                0 => vec![failed(&name)],
                1 => vec![retry(&name, 0)],
                2 => vec![released(&name)],
                3 => vec![done(&name), done(&name)],
                _ => vec![done(&name)],
            },
            Held::Run(run) if run.hi - run.lo < 2 => vec![run_succeeded(&run)],
            Held::Run(run) => match how {
                0 => vec![chunk_failed(&run, run.lo), chunks_released(&run, run.lo + 1, run.hi)],
                1 => vec![
                    chunk_retry(&run, run.lo, 0),
                    chunks_succeeded(&run, run.lo + 1, run.hi, &[]),
                ],
                2 => vec![chunks_released(&run, run.lo, run.hi)],
                _ => vec![run_succeeded(&run)],
            },
        };
        let want = self.random(3);
        let grant = self.world.complete_as(&lease, Ask::want(want), &endings).await;
        self.keep(&lease, grant);
    }

    async fn lose_a_worker(&mut self) {
        self.number += 1;
        let lease = format!("lost{}", self.number);
        self.world.open_doomed(&lease).await;
        let want = 1 + self.random(4);
        if self.claim(&lease, want).await > 0 {
            self.world.reclaim_lost(3).await;
        }
        self.held.retain(|(by, _)| *by != lease);
    }

    /// No more are held than the limits say, and what is counted is held.
    async fn check(&self) {
        self.world.assert_places().await;
        let state = self.world.state().await;
        for (subject, most) in
            [("task:t", 5), ("tenant:x", 3), ("tenant:y", 3), ("queue:default", 9)]
        {
            let held = state.get("held").and_then(|held| held.get(subject));
            let held = held.map_or(0, |n| n.as_str().expect("text").parse().expect("a number"));
            assert!(held <= most, "{held} of {subject} are held");
        }
    }
}

async fn whatever_happens_the_counts_are_right_and_nothing_is_left(world: World) {
    for (subject, most) in [("task:t", 5), ("tenant:*", 3), ("queue:default", 9)] {
        world.limit(subject, Some(at_once(most))).await;
    }
    world.limit("task:u", Some(rate(1, 2, 2))).await;
    let mut story = Story { world, seed: 20_301, number: 0, held: Vec::new() };
    for lease in ["w1", "w2"] {
        story.world.open(lease).await;
    }
    for step in 0..400 {
        match story.random(10) {
            0 | 1 => story.enqueue().await,
            2..=5 => {
                let (lease, want) = (["w1", "w2"][story.random(2)], 1 + story.random(5));
                story.claim(lease, want).await;
            }
            6 if step % 5 == 0 => story.lose_a_worker().await,
            7 if step % 9 == 0 => {
                let on = step % 2 == 0;
                story.world.broker.fair(&queue(QUEUE), on, &ada()).await.expect("it is set");
            }
            _ => story.end_one().await,
        }
        story.check().await;
    }
    // All of it comes to an end under its limits.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        while !story.held.is_empty() {
            story.end_one().await;
        }
        story.check().await;
        let snapshot = story.world.broker.snapshot(10, 100).await.expect("a snapshot");
        if snapshot.tasks == 0 && snapshot.queues[0].ready == 0 && snapshot.open_jobs == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "something is left: {:?}", story.world.state().await);
        story.claim("w1", 10).await;
    }
    let state = story.world.state().await;
    let left = |key: &&String| {
        ["held", "holding", "parked", "turn", "ready", "suspects", "tasks"]
            .iter()
            .any(|name| key.starts_with(name))
    };
    assert_eq!(state.keys().filter(left).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(state["chunks"], json!({ "default:5": "0" }));
}
