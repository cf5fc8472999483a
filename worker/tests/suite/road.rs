//! The whole road: enqueue, claim, run, result, on a real Redis.

use celeriac_producer::{NewJob, NewTask, ResultError};
use celeriac_worker::builtin::pi;
use serde_json::{Value, json};

use crate::common::{LONG, Running, broker, producer};

#[tokio::test(flavor = "multi_thread")]
async fn a_task_comes_back_with_its_result() {
    let broker = broker().await;
    let worker = Running::stock(&broker);
    let handle = producer(&broker)
        .enqueue_task(NewTask::new("echo", &json!({"a": [1, "ä"]})).unwrap())
        .await
        .unwrap();
    let echoed: Value = handle.typed().result_within(LONG).await.unwrap();
    assert_eq!(echoed, json!({"a": [1, "ä"]}));
    assert_eq!(worker.drain().await.succeeded, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_all_come_back() {
    let broker = broker().await;
    let worker = Running::stock(&broker);
    let producer = producer(&broker);
    let task = || NewTask::new("noop", &json!([1, 2, 3])).unwrap();
    let last = {
        let enqueued = producer.enqueue_many((0..5_000).map(|_| task())).await.unwrap();
        assert_eq!(enqueued.count, 5_000);
        producer.enqueue_task(task()).await.unwrap()
    };
    last.typed::<()>().result_within(LONG).await.unwrap();
    assert_eq!(worker.drain().await.succeeded, 5_001);
    let snapshot = broker.snapshot(10, 10).await.unwrap();
    assert_eq!((snapshot.tasks, snapshot.stats["succeeded"]), (0, 5_001));
}

#[tokio::test(flavor = "multi_thread")]
async fn pi_is_the_same_as_without_a_queue() {
    let broker = broker().await;
    let worker = Running::stock(&broker);
    let chunk = NewTask::new("pi", &json!({"seed": 7})).unwrap();
    let reduce = NewTask::new("pi.estimate", &json!({})).unwrap();
    let job = NewJob::new(chunk, 10)
        .split("samples", 1_000_003)
        .sum("hits")
        .sum("samples")
        .reduce(reduce);
    let handle = producer(&broker).enqueue_job(job).await.unwrap();
    let estimate: pi::Estimate = handle.typed().result_within(LONG).await.unwrap();
    let share = |chunk| 1_000_003 / 10 + u64::from(chunk < 3);
    let hits: u64 = (0..10).map(|chunk| pi::hits(7, chunk, share(chunk))).sum();
    assert_eq!(estimate, pi::Estimate::from_counts(hits, 1_000_003));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_id_is_not_called_pending() {
    let broker = broker().await;
    let id = "0193a7c2b5e07d4e8a1f3c5d7e9b1a00".parse().unwrap();
    let outcome = producer(&broker).handle(id).outcome_within(LONG).await;
    assert!(matches!(outcome, Err(ResultError::Unknown(unknown)) if unknown == id));
}
