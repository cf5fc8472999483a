//! explain: what stands around a task is found, within bounds, and nothing changes.

use std::time::Duration;

use celeriac_broker_schema::script::{Control, Entry, Found, RangeJob, Start};
use celeriac_broker_schema::{
    Explanation, Limit, Rate, Reason, Requester, State, TaskId, Timestamp, Unique, UniqueKey,
    UniqueMode, WorkerInfo,
};

use crate::limit::at_once;
use crate::support::*;

on_both_servers![
    nobody_knows_of_it,
    the_turn_of_a_task,
    the_turn_of_chunks,
    more_than_is_counted,
    a_task_that_is_held,
    a_task_with_a_time,
    a_suspect,
    a_task_that_comes_back,
    a_job_from_its_beginning_to_its_end,
    what_has_ended,
    a_paused_queue,
    what_a_limit_has_parked,
    what_the_limit_of_its_queue_keeps_back,
    a_rate_tells_when,
    behind_the_turn_of_its_tenant,
    a_task_that_is_told_to_stop,
    a_task_that_follows_another,
    a_task_that_was_moved,
    a_job_that_was_moved,
    who_cancelled_it_when_and_why,
];

async fn explain(world: &World, id: TaskId) -> Explanation {
    let before = world.state().await;
    let explanation = world.broker.explain(id).await.expect("an answer");
    assert_changes!(world, before, {});
    explanation
}

async fn reasons(world: &World, id: TaskId) -> Vec<Reason> {
    explain(world, id).await.reasons
}

/// A worker of this name tells of itself: it serves the queue, and knows the tasks of these tests.
async fn tells(world: &World, name: &str, change: impl FnOnce(&mut WorkerInfo)) {
    let mut info = WorkerInfo {
        host: "lynx".to_owned(),
        pid: 7,
        version: "0.1.0".to_owned(),
        queues: vec![QUEUE.to_owned()],
        tasks: vec!["a", "b", "c", "t", "chunk", "reduce"].into_iter().map(str::to_owned).collect(),
        slots: 4,
        busy: 0,
        open: std::collections::BTreeMap::new(),
        buffered: 0,
        paused: None,
        order: 0,
        draining: false,
        leaving: None,
        wedged: 0,
        started: Timestamp(1),
        succeeded: 0,
        failed: 0,
        visibility_ms: 30_000,
        rss_bytes: None,
        running: Vec::new(),
    };
    change(&mut info);
    let told = serde_json::to_string(&info).expect("JSON");
    let beat = world.broker.beat(&lease(name), Duration::from_secs(3_600), Some(&told)).await;
    beat.expect("it is told");
}

/// Without what the workers do, which is tested without Redis.
fn turn(reasons: Vec<Reason>) -> Vec<Reason> {
    let of_workers = |reason: &Reason| {
        matches!(reason, Reason::NoWorkerForQueue { .. } | Reason::NotKnownToWorkers { .. })
    };
    reasons.into_iter().filter(|reason| !of_workers(reason)).collect()
}

fn behind(priority: u8, ahead: u64, higher: u64) -> Reason {
    Reason::Behind {
        queue: queue(QUEUE),
        priority: celeriac_broker_schema::Priority::new(priority).expect("a priority"),
        ahead,
        more: false,
        higher,
    }
}

async fn nobody_knows_of_it(world: World) {
    world.enqueue(&["a"]).await;
    for unknown in [id("x"), TaskId::of_chunk(job_id("a"), 0)] {
        let explanation = explain(&world, unknown).await;
        assert_eq!((explanation.state, explanation.reasons), (None, vec![Reason::Unknown]));
    }
}

async fn the_turn_of_a_task(world: World) {
    world.enqueue(&["a", "b"]).await;
    let none = Reason::NoWorkerForQueue { queue: queue(QUEUE) };
    let next = Reason::Next { queue: queue(QUEUE) };
    assert_eq!(reasons(&world, id("a")).await, [none, next]);
    tells(&world, "w1", |_| {}).await;

    world.enqueue_all(&[entry_in("c", QUEUE, 9), entry_in("d", QUEUE, 4)]).await;
    world.enqueue_job(&job("J", 100)).await;

    assert_eq!(turn(reasons(&world, id("b")).await), [behind(5, 1, 1)]);
    // Below it: two tasks and a hundred chunks, and the one on top.
    assert_eq!(turn(reasons(&world, id("d")).await), [behind(4, 0, 103)]);
    let explanation = explain(&world, id("c")).await;
    assert_eq!((explanation.kind, explanation.state), ("task", Some(State::Ready)));
    assert_eq!(turn(explanation.reasons), [Reason::Next { queue: queue(QUEUE) }]);
}

async fn the_turn_of_chunks(world: World) {
    world.enqueue(&["a"]).await;
    world.enqueue_job(&job("J", 12)).await;
    world.enqueue_job(&job("K", 5)).await;
    world.open("w1").await;
    let run = world.claim("w1", 5).await.runs.remove(0);
    world.complete("w1", &[chunk_retry(&run, 1, 0)]).await;

    let of = |name: &str, index| TaskId::of_chunk(job_id(name), index);
    let lo = run.hi;
    assert_eq!(turn(reasons(&world, of("J", lo)).await), [Reason::Next { queue: queue(QUEUE) }]);
    assert_eq!(turn(reasons(&world, of("J", 11)).await), [behind(5, 11 - lo, 0)]);
    assert_eq!(turn(reasons(&world, of("K", 2)).await), [behind(5, 12 - lo + 2, 0)]);
    // The retried one is an element of its own at the end.
    let last = explain(&world, of("J", 1)).await;
    assert_eq!((last.kind, last.attempts.len()), ("chunk", 1));
    assert_eq!(turn(last.reasons), [behind(5, 12 - lo + 5, 0)]);
}

async fn more_than_is_counted(world: World) {
    let names: Vec<String> = (0..1_002).map(|number| format!("n{number}")).collect();
    for names in names.chunks(501) {
        world.enqueue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    assert_eq!(turn(reasons(&world, id("n999")).await), [behind(5, 999, 0)]);
    let beyond = turn(reasons(&world, id("n1001")).await);
    assert!(matches!(beyond[..], [Reason::Behind { ahead: 1_000, more: true, .. }]), "{beyond:?}");
}

async fn a_task_that_is_held(world: World) {
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    tells(&world, "w1", |info| info.busy = 1).await;
    world.claim("w1", 1).await;

    let explanation = explain(&world, id("a")).await;

    assert_eq!(explanation.state, Some(State::Running));
    let [Reason::Runs { attempt, lease, pid, .. }, Reason::LeaseUntil { at, .. }] =
        &explanation.reasons[..]
    else {
        panic!("{:?}", explanation.reasons)
    };
    assert_eq!((*attempt, lease.as_str(), *pid), (1, "w1", Some(7)));
    assert_eq!(at.0, world.deadline("w1").await);
}

async fn a_task_with_a_time(world: World) {
    let start =
        Start { delay_ms: Some(HOUR_MS), expires_after_ms: Some(2 * HOUR_MS), ..Start::default() };
    world.enqueue_all(&[Entry { start, ..entry("a") }]).await;
    tells(&world, "w1", |_| {}).await;

    let due = turn(reasons(&world, id("a")).await);
    let [Reason::Due { in_ms, retry: false, .. }, Reason::Expires { in_ms: end, .. }] = due[..]
    else {
        panic!("{due:?}")
    };
    assert!((HOUR_MS - 60_000..=HOUR_MS).contains(&in_ms), "{in_ms}");
    assert!((2 * HOUR_MS - 60_000..=2 * HOUR_MS).contains(&end), "{end}");

    world.delays_pass().await;
    let overdue = reasons(&world, id("a")).await;
    assert!(matches!(overdue[0], Reason::Overdue { .. }), "{overdue:?}");
}

async fn a_suspect(world: World) {
    world.enqueue(&["a", "b"]).await;
    for name in ["w1", "w2"] {
        world.lose_worker(name, 2).await;
    }
    let mut all = Vec::new();
    for name in ["a", "b"] {
        let explanation = explain(&world, id(name)).await;
        assert_eq!(explanation.attempts.len(), 2);
        all.extend(turn(explanation.reasons));
    }
    let suspect = |ahead| Reason::Suspect { crashes: 2, ahead };
    assert!(all == [suspect(0), suspect(1)] || all == [suspect(1), suspect(0)], "{all:?}");
}

async fn a_task_that_comes_back(world: World) {
    let names: Vec<String> = (0..10).map(|number| format!("n{number}")).collect();
    world.enqueue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.open_doomed("w1").await;
    world.claim("w1", 10).await;
    world.overdue("w1").await;

    let over = reasons(&world, id("n1")).await;
    assert_eq!(over[1], Reason::LeaseOver { lease: "w1".to_owned() });

    world.reclaim(5).await;
    let mut back = 0;
    for name in &names {
        let reasons = turn(reasons(&world, id(name)).await);
        back += usize::from(reasons == [Reason::ComesBack { lease: "w1".to_owned() }]);
    }
    let left: Vec<String> = world.redis(redis::cmd("HKEYS").arg(world.key("orphan:w1"))).await;
    let left = left.iter().filter(|field| *field != "#").count();
    assert!(left > 0 && back == left, "{back} of {left}");
}

async fn a_job_from_its_beginning_to_its_end(world: World) {
    world.enqueue(&["a"]).await;
    let reducer = entry_in("J", QUEUE, 7);
    let reducer = Some((reducer.record, reducer.queue, reducer.priority));
    world.enqueue_job(&RangeJob { reducer, ..job("J", 6) }).await;
    let job = job_id("J").task();
    let explanation = explain(&world, job).await;
    assert_eq!((explanation.kind, explanation.state), ("job", Some(State::Running)));
    let begins = Reason::ChunksUnderWay { done: 0, total: 6, begun: false };
    assert_eq!(turn(explanation.reasons), [begins, behind(5, 1, 0)]);

    world.open("w1").await;
    let mut left = 6;
    while left > 0 {
        for run in world.claim("w1", 9).await.runs {
            left -= run.hi - run.lo;
            if left > 0 {
                world.complete("w1", &[run_succeeded(&run)]).await;
                let under_way = Reason::ChunksUnderWay { done: 6 - left, total: 6, begun: true };
                assert_eq!(reasons(&world, job).await[0], under_way);
            } else {
                world.complete("w1", &[run_succeeded(&run)]).await;
            }
        }
    }
    let reducer = explain(&world, job).await;
    assert_eq!((reducer.kind, reducer.state), ("job", Some(State::Ready)));
    assert_eq!(turn(reducer.reasons), [Reason::Next { queue: queue(QUEUE) }]);
    let chunk = reasons(&world, TaskId::of_chunk(job_id("J"), 2)).await;
    assert_eq!(chunk, [Reason::Succeeded { attempt: None, ago_ms: None, took_ms: None }]);
}

async fn what_has_ended(world: World) {
    world.enqueue(&["a"]).await;
    world.enqueue_job(&job("J", 9)).await;
    world.open("w1").await;
    let run = world.claim("w1", 6).await.runs.remove(0);
    world.complete("w1", &[succeeded("a"), chunk_failed(&run, 2)]).await;

    let succeeded = explain(&world, id("a")).await;
    assert_eq!(succeeded.state, Some(State::Succeeded));
    assert!(
        matches!(succeeded.reasons[..], [Reason::Succeeded { .. }, Reason::Kept { for_ms }] if for_ms > 0),
        "{succeeded:?}"
    );
    let by = TaskId::of_chunk(job_id("J"), 2).to_string();
    let failed = explain(&world, job_id("J").task()).await;
    assert_eq!((failed.kind, failed.state), ("job", Some(State::Failed)));
    assert!(
        matches!(&failed.reasons[0], Reason::Failed { by: Some(chunk), .. } if *chunk == by),
        "{failed:?}"
    );
    let cancelled = reasons(&world, TaskId::of_chunk(job_id("J"), 8)).await;
    let ended = Reason::Ended {
        state: State::Cancelled,
        ago_ms: None,
        by: Some(by),
        cancelled_by: None,
        why: None,
        error: None,
    };
    assert_eq!(cancelled, [ended]);
}

/// What keeps tasks back, without what only tells their places.
async fn limits_of(world: &World, name: &str) -> Vec<Reason> {
    let reasons = turn(reasons(world, id(name)).await);
    reasons.into_iter().filter(|reason| matches!(reason, Reason::LimitReached { .. })).collect()
}

fn full(subject: &str, held: u64, ahead: Option<u64>) -> Reason {
    Reason::LimitReached {
        subject: subject.to_owned(),
        held,
        concurrency: Some(held),
        opens: None,
        in_ms: None,
        ahead,
    }
}

async fn a_paused_queue(world: World) {
    let later = Start { delay_ms: Some(HOUR_MS), ..Start::default() };
    world.enqueue_all(&[entry("a"), Entry { start: later, ..entry("b") }]).await;
    world.control(QUEUE, Control::Pause).await;
    for name in ["a", "b"] {
        let reasons = turn(reasons(&world, id(name)).await);
        let paused = reasons.iter().find_map(|reason| match reason {
            Reason::QueuePaused { by, why, for_ms, .. } => Some((by, why, *for_ms < 60_000)),
            _ => None,
        });
        assert_eq!(paused, Some((&Some("ada".to_owned()), &Some("t".to_owned()), true)));
    }
    world.control(QUEUE, Control::Resume).await;
    assert_eq!(turn(reasons(&world, id("a")).await), [Reason::Next { queue: queue(QUEUE) }]);
}

async fn what_a_limit_has_parked(world: World) {
    world.limit("task:t", Some(at_once(1))).await;
    world.limit("tenant:*", Some(at_once(2))).await;
    world.enqueue_all(&["a", "b", "c"].map(|name| entry_of(name, "t", None))).await;
    assert_eq!(limits_of(&world, "b").await, []);
    world.open("w1").await;
    world.claim("w1", 9).await;
    let parked = turn(reasons(&world, id("c")).await);
    assert_eq!(parked, [full("task:t", 1, Some(1))]);
    assert_eq!(limits_of(&world, "b").await, [full("task:t", 1, Some(0))]);
    // What is not parked yet has the same before it.
    world.enqueue_all(&[entry_of("d", "t", None), entry_of("e", "u", None)]).await;
    assert_eq!(limits_of(&world, "d").await, [full("task:t", 1, None)]);
    assert_eq!(limits_of(&world, "e").await, []);
}

async fn what_the_limit_of_its_queue_keeps_back(world: World) {
    world.limit("queue:default", Some(at_once(1))).await;
    world.enqueue_all(&["a", "b"].map(|name| entry_of(name, "t", Some("x")))).await;
    world.open("w1").await;
    world.claim("w1", 9).await;
    let next = Reason::Next { queue: queue(QUEUE) };
    assert_eq!(turn(reasons(&world, id("b")).await), [full("queue:default", 1, None), next]);
}

async fn a_rate_tells_when(world: World) {
    let rate = Rate { tasks: 1, per_ms: HOUR_MS, burst: 1 };
    world.limit("task:*", Some(Limit::new(Some(rate), None).expect("a limit"))).await;
    world.enqueue_all(&["a", "b"].map(|name| entry_of(name, "t", None))).await;
    world.open("w1").await;
    world.claim("w1", 9).await;
    let reasons = limits_of(&world, "b").await;
    let [Reason::LimitReached { concurrency: None, in_ms: Some(in_ms), ahead: Some(0), .. }] =
        reasons[..]
    else {
        panic!("{reasons:?}")
    };
    assert!((HOUR_MS - 60_000..=HOUR_MS).contains(&in_ms), "{in_ms}");
}

async fn behind_the_turn_of_its_tenant(world: World) {
    world.broker.fair(&queue(QUEUE), true, &ada()).await.expect("it is set");
    let of = |name: &str, tenant| entry_of(name, "t", Some(tenant));
    world.enqueue_all(&[of("a", "x"), of("b", "y"), of("c", "y")]).await;
    let turn_of = |ahead, turns| Reason::Turn {
        queue: queue(QUEUE),
        tenant: "y".to_owned(),
        ahead,
        more: false,
        turns,
    };
    assert_eq!(turn(reasons(&world, id("c")).await), [turn_of(1, Some(1))]);

    // The tenant has no room: its turn is parked.
    world.limit("tenant:*", Some(at_once(1))).await;
    world.open("w1").await;
    world.claim("w1", 9).await;
    let kept = full("tenant:y", 1, Some(0));
    assert_eq!(turn(reasons(&world, id("c")).await), [kept, turn_of(0, None)]);
}

async fn a_task_that_is_told_to_stop(world: World) {
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    let ada = Requester::new("ada").because("a typo");
    world.broker.cancel(&[id("a")], &ada).await.expect("an answer");
    let reasons = reasons(&world, id("a")).await;
    let [Reason::Runs { .. }, Reason::LeaseUntil { .. }, Reason::ToldToStop { by, why, .. }] =
        &reasons[..]
    else {
        panic!("{reasons:?}")
    };
    assert_eq!((by, why), (&ada.by, &ada.why));
}

async fn a_task_that_follows_another(world: World) {
    let unique = Unique { key: UniqueKey::new("k").expect("a key"), mode: UniqueMode::KeepLast };
    let with_key = |name| Entry { unique: Some(unique.clone()), ..entry(name) };
    world.enqueue_all(&[with_key("a")]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.enqueue_all(&[with_key("b")]).await;
    let follows = Reason::Follows { id: id("a").to_string() };
    assert_eq!(reasons(&world, id("b")).await, [follows]);
    world.complete("w1", &[succeeded("a")]).await;
    assert_eq!(turn(reasons(&world, id("b")).await), [Reason::Next { queue: queue(QUEUE) }]);
}

async fn a_task_that_was_moved(world: World) {
    world.enqueue(&["a", "b"]).await;
    let to = queue("later");
    world.broker.move_queue(&queue(QUEUE), &to, None, false).await.expect("it is moved");
    let explanation = explain(&world, id("b")).await;
    assert_eq!(explanation.queue, Some(to.clone()));
    let priority = celeriac_broker_schema::Priority::default();
    let behind = Reason::Behind { queue: to, priority, ahead: 1, more: false, higher: 0 };
    assert_eq!(turn(explanation.reasons), [behind]);
    // `status` tells the same.
    let Found::Task { moved, .. } = world.broker.inspect(id("b")).await.expect("an answer") else {
        panic!("it is there")
    };
    assert_eq!(moved, Some(queue("later")));
}

async fn a_job_that_was_moved(world: World) {
    world.enqueue_job(&job("J", 9)).await;
    let to = queue("later");
    world.broker.move_queue(&queue(QUEUE), &to, None, false).await.expect("it is moved");
    let whole = explain(&world, job_id("J").task()).await;
    assert_eq!(whole.queue, Some(to.clone()));
    let chunk = explain(&world, TaskId::of_chunk(job_id("J"), 3)).await;
    assert_eq!(chunk.queue, Some(to));
    assert!(
        chunk.reasons.iter().any(|reason| matches!(reason, Reason::Behind { ahead: 3, .. })),
        "{:?}",
        chunk.reasons
    );
}

async fn who_cancelled_it_when_and_why(world: World) {
    world.enqueue(&["a"]).await;
    world.enqueue_job(&job("J", 9)).await;
    let ada = Requester::new("ada").because("a typo");
    let ids = [id("a"), job_id("J").task()];
    world.broker.cancel(&ids, &ada).await.expect("an answer");
    for id in [ids[0], ids[1], TaskId::of_chunk(job_id("J"), 3)] {
        let reasons = reasons(&world, id).await;
        let Reason::Ended { state: State::Cancelled, ago_ms, cancelled_by, why, .. } = &reasons[0]
        else {
            panic!("{reasons:?}")
        };
        assert_eq!((cancelled_by, why), (&ada.by, &ada.why));
        assert!(ago_ms.is_some_and(|ago| ago < 60_000), "{reasons:?}");
    }
}
