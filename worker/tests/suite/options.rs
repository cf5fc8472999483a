//! What the options of a task mean: when it starts, in which order, until when, and how often.

use std::time::Duration;

use celeriac_broker_schema::{Priority, QueueName, State, UniqueKey};
use celeriac_producer::ResultError;
use celeriac_worker::WorkerConfig;

use crate::common::{
    LONG, Running, assert_finished, broker, config, one_slot, producer, snapshot, stat, state,
    told, until,
};
use crate::stage::{Stage, hold_task, note_task, spin_task};

#[tokio::test(flavor = "multi_thread")]
async fn delays_and_times_decide_the_order() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let now = snapshot(&broker).await.now;
    let later = [
        note_task("at the time").at(now.plus_ms(600)),
        note_task("after the delay").delay(Duration::from_millis(300)),
        note_task("at once"),
        note_task("a time that has passed").at(now),
    ];
    let mut handles = Vec::new();
    for task in later {
        handles.push(producer.enqueue_task(task).await.unwrap());
    }
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    for handle in handles {
        handle.outcome_within(LONG).await.unwrap();
    }
    let order = ["at once", "a time that has passed", "after the delay", "at the time"];
    assert_eq!(stage.log(), order);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_starts_a_delayed_task_when_it_is_due() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    // One after the other: if each waited for the next round of upkeep, which comes about every ten
    // seconds, all would take more than a minute.
    for number in 0..15 {
        let delayed = note_task(number.to_string()).delay(Duration::from_millis(20));
        let handle = producer.enqueue_task(delayed).await.unwrap();
        handle.outcome().await.unwrap();
    }
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_task_does_not_wait_behind_a_later_one() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    let hour = note_task("in an hour").delay(Duration::from_secs(3_600));
    producer.enqueue_task(hour).await.unwrap();
    let soon = note_task("soon").delay(Duration::from_millis(50));
    producer.enqueue_task(soon).await.unwrap().outcome_within(LONG).await.unwrap();
    assert_eq!(stage.log(), ["soon"]);
    worker.drain().await;
    assert_eq!(snapshot(&broker).await.delayed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_is_never_started() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let now = snapshot(&broker).await.now;
    let too_late = [
        note_task("after").expires_after(Duration::from_millis(1)),
        note_task("at").expires_at(now),
        note_task("delayed beyond").delay(LONG).expires_after(Duration::from_millis(1)),
    ];
    let mut handles = Vec::new();
    for task in too_late {
        handles.push(producer.enqueue_task(task).await.unwrap());
    }
    until(&broker, |snapshot| snapshot.now > now.plus_ms(100)).await;
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    for handle in handles {
        let id = handle.id();
        assert_eq!(handle.outcome_within(LONG).await.unwrap().state, State::Expired);
        let result = handle.typed::<String>().result().await;
        assert!(matches!(result, Err(ResultError::Expired(expired)) if expired == id));
    }
    worker.drain().await;
    assert_eq!((stage.log(), stat(&broker, "expired").await), (Vec::new(), 3));
    assert!(!state(&broker).await.contains_key("expiry"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_begun_does_not_expire() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    let task = hold_task("begun").expires_after(Duration::from_secs(2));
    let handle = producer(&broker).enqueue_task(task).await.unwrap();
    stage.heard("begun begins").await;
    let begun = snapshot(&broker).await.now;
    until(&broker, |snapshot| snapshot.now > begun.plus_ms(2_000)).await;
    stage.open("begun");
    assert_eq!(handle.outcome_within(LONG).await.unwrap().state, State::Succeeded);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn higher_priorities_go_first_and_equal_ones_in_turn() {
    let (broker, stage) = (broker().await, Stage::new());
    let tasks = [3, 9, 0, 5, 9, 0, 3].into_iter().enumerate().map(|(number, priority)| {
        note_task(format!("{priority} {number}")).priority(Priority::new(priority).unwrap())
    });
    producer(&broker).enqueue_many(tasks).await.unwrap();
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    assert_eq!(stage.log(), ["9 1", "9 4", "5 3", "3 0", "3 6", "0 2", "0 5"]);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_named_first_goes_first_and_others_are_left_alone() {
    let (broker, stage) = (broker().await, Stage::new());
    let queue = |name: &str| name.parse::<QueueName>().unwrap();
    let tasks = ["b", "c", "a", "b", "a"].map(|name| note_task(name).queue(queue(name)));
    producer(&broker).enqueue_many(tasks).await.unwrap();
    let config = WorkerConfig { queues: vec![queue("a"), queue("b")], ..one_slot() };
    let worker = Running::start(&broker, stage.tasks(), config);
    until(&broker, |snapshot| snapshot.tasks == 1).await;
    assert_eq!(stage.log(), ["a", "a", "b", "b"]);
    worker.drain().await;
    assert_eq!(snapshot(&broker).await.queues.iter().map(|queue| queue.ready).sum::<u64>(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_not_to_be_kept_is_not() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let task = note_task("ran").keep_result(Duration::ZERO);
    let handle = producer.enqueue_task(task).await.unwrap();
    // Somebody waits from the beginning, somebody asks when it is over.
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.outcome_within(LONG).await }
    });
    let worker = Running::start(&broker, stage.tasks(), config());
    until(&broker, |snapshot| snapshot.stats.get("succeeded") == Some(&1)).await;
    for outcome in [waiting.await.unwrap(), handle.outcome_within(LONG).await] {
        assert!(matches!(outcome, Err(ResultError::Unknown(id)) if id == handle.id()));
    }
    assert!(!state(&broker).await.keys().any(|key| key.starts_with("result:")));
    assert_eq!(stage.log(), ["ran"]);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g3_an_idempotency_key_leads_to_the_first_task_from_any_process() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), config());
    let once = || note_task("once").key(UniqueKey::new("order 17").unwrap());
    let first = producer(&broker).enqueue_task(once()).await.unwrap();
    assert!(!first.is_duplicate());
    first.outcome_within(LONG).await.unwrap();
    for _ in 0..3 {
        // Each of these has its own connection and its own batches, as another process has.
        let other = producer(&broker.separate().unwrap());
        let again = other.enqueue_task(once()).await.unwrap();
        assert!(again.is_duplicate());
        assert_eq!(again.id(), first.id());
        assert_eq!(again.typed::<String>().result_within(LONG).await.unwrap(), "once");
    }
    let many = producer(&broker).enqueue_many((0..10).map(|_| once())).await.unwrap();
    assert_eq!((many.count, many.duplicates.len()), (0, 10));
    assert!(many.duplicates.iter().all(|duplicate| duplicate.first == first.id()));
    assert_eq!((stage.count("once"), stat(&broker, "enqueued").await), (1, 1));
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_runs_no_more_at_once_than_it_has_slots() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    // Short tasks teach the worker to fetch ahead.
    producer.enqueue_many((0..200).map(|_| note_task("short"))).await.unwrap();
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    producer.enqueue_many([spin_task("one"), hold_task("two")]).await.unwrap();
    // Once the worker tells of the first one, the second one would have begun.
    let (_, info) = told(&broker, |_, info| info.busy > 0).await;
    assert_eq!(info.busy, 1);
    stage.open("one");
    stage.open("two");
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    let log = &stage.log()[200..];
    for pair in log.chunks(2) {
        assert_eq!(pair[0].replace("begins", "ends"), pair[1], "{log:?}");
    }
    worker.drain().await;
    assert_finished(&broker).await;
}
