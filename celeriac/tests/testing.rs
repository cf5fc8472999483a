//! The test kit: what it records, and how a queue that does not end is told.

use std::time::Duration;

use celeriac::testing::{self, Harness, HarnessError};
use celeriac::{
    BoxError, ErrorKind, InvalidInput, NewJob, NewTask, Registry, ResultError, TaskError,
};
use serde_json::json;

#[celeriac::task(name = "send", queue = "mail", retries = 0)]
async fn send(to: String) -> Result<String, TaskError> {
    match to.as_str() {
        "nobody" => Err(TaskError::new("there is nobody")),
        "forever" => std::future::pending().await,
        to => Ok(format!("sent to {to}")),
    }
}

#[celeriac::task(name = "count")]
async fn count(n: u64) -> Result<serde_json::Value, TaskError> {
    Ok(json!({ "n": n }))
}

#[tokio::test]
async fn a_recorder_has_all_of_a_task_as_the_layers_left_it() {
    let (producer, recorder) = testing::recording();
    let producer = producer.layer(|task: &mut NewTask| -> Result<(), BoxError> {
        task.meta.headers.set("tenant", "acme");
        Ok(())
    });
    let sent = producer
        .enqueue(&send("ada".to_owned()))
        .priority(9)
        .delay(Duration::from_secs(60))
        .key("once")
        .tag("vip")
        .await
        .expect("enqueued");
    let again = producer.enqueue(&send("bob".to_owned())).key("once").await.expect("enqueued");
    assert!(again.is_duplicate() && again.id() == sent.id());

    let tasks = recorder.tasks();
    let [task] = tasks.as_slice() else { panic!("one task: {tasks:?}") };
    assert_eq!(
        (task.id, task.name.as_str(), task.args.get()),
        (sent.id(), "send", r#"{"to":"ada"}"#)
    );
    assert_eq!((task.options.queue.as_str(), task.options.priority.get()), ("mail", 9));
    assert_eq!((task.start.delay_ms, task.key.is_some()), (Some(60_000), true));
    assert_eq!((task.meta.tags.len(), task.meta.headers.get("tenant")), (1, Some("acme")));
    assert!(task.typed::<count>().is_none());

    recorder.clear();
    let many = (0..3).map(|n| NewTask::of(&count(n)).expect("JSON"));
    assert_eq!(producer.enqueue_many(many).await.expect("enqueued").count, 3);
    let counts: Vec<u64> = recorder.of::<count>().into_iter().map(|task| task.n).collect();
    assert_eq!(counts, [0, 1, 2]);
}

#[tokio::test]
async fn a_recorder_has_jobs_and_refuses_what_redis_would() {
    let (producer, recorder) = testing::recording();
    let chunk = NewTask::of(&count(0)).expect("JSON");
    let reducer = NewTask::new("done", &json!({})).expect("a task").header("h", "v");
    let job = NewJob::new(chunk.clone(), 10).split("n", 7).sum("n").reduce(reducer).label("ten");
    let handle = producer.enqueue_job(job).await.expect("enqueued");
    let jobs = recorder.jobs();
    let [job] = jobs.as_slice() else { panic!("one job: {jobs:?}") };
    assert_eq!((job.id, job.chunks, job.label.as_deref()), (handle.id().job(), 10, Some("ten")));
    assert_eq!(job.split.as_ref().map(|split| (split.field.as_str(), split.total)), Some(("n", 7)));
    let reduce = job.reduce.as_ref().expect("a reducer");
    assert_eq!((reduce.name.as_str(), reduce.meta.headers.get("h")), ("done", Some("v")));
    assert_eq!(recorder.names(), ["count"]);

    let refused = producer.enqueue_job(NewJob::new(chunk, 0)).await.expect_err("no chunks");
    assert!(
        matches!(refused, celeriac::EnqueueError::Invalid(InvalidInput::Chunks(0))),
        "{refused:?}"
    );
    assert_eq!(recorder.jobs().len(), 1);
    // Nobody runs it, and nobody waits for ever.
    assert!(matches!(handle.outcome().await, Err(ResultError::Unknown(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_runs_to_its_end() {
    let harness = Harness::start().await.expect("a Redis");
    let producer = harness.producer();
    assert!(matches!(harness.run_to_the_end().await, Err(HarnessError::NoWorker)));

    // What is enqueued before anybody works stays until then.
    let fine = producer.enqueue(&send("ada".to_owned())).await.expect("enqueued");
    let failing = producer.enqueue(&send("nobody".to_owned())).await.expect("enqueued");
    let unknown = NewTask::new("unknown", &json!({})).expect("a task").retries(0);
    let unknown = producer.enqueue_task(unknown).await.expect("enqueued");
    let chunk = NewTask::of(&count(0)).expect("JSON");
    let job = producer.enqueue_job(NewJob::new(chunk, 20).split("n", 100).sum("n")).await;
    harness.work(Registry::new(()).add::<send>().add::<count>().build());
    let ran = harness.run_to_the_end().await.expect("an end");

    assert_eq!(fine.result().await.expect("succeeds"), "sent to ada");
    let sum: serde_json::Value = job.expect("enqueued").typed().result().await.expect("succeeds");
    assert_eq!(sum, json!({ "n": 100 }));
    assert_eq!((ran.succeeded, ran.failed, ran.retried), (21, 2, 0));
    let mut failures: Vec<_> =
        ran.failures.iter().map(|failed| (failed.id, failed.failure.kind)).collect();
    failures.sort_by_key(|(id, _)| *id);
    // Ids of the same millisecond have no order of their own.
    let mut expected = [(failing.id(), ErrorKind::Error), (unknown.id(), ErrorKind::UnknownTask)];
    expected.sort_by_key(|(id, _)| *id);
    assert_eq!(failures, expected);
    let said = std::panic::catch_unwind(|| ran.assert_all_succeeded()).expect_err("two failed");
    let said = said.downcast_ref::<String>().expect("a text");
    assert!(said.contains("there is nobody") && said.contains("2 failed"), "{said}");
    assert_eq!(harness.enqueued().names(), ["send", "send", "unknown", "count"]);
    harness.stop().await.expect("leaves in good order");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stuck_is_told() {
    let harness = Harness::start().await.expect("a Redis").patience(Duration::from_millis(300));
    harness.work(Registry::new(()).add::<send>().build());
    let producer = harness.producer();
    producer.enqueue(&send("forever".to_owned())).await.expect("enqueued");
    let later = producer.enqueue(&send("ada".to_owned())).delay(Duration::from_secs(3600)).await;
    later.expect("enqueued");
    let stuck = harness.run_to_the_end().await.expect_err("it does not end").to_string();
    assert!(stuck.starts_with("the queue did not come to its end within 300ms: "), "{stuck}");
    assert!(stuck.contains("2 tasks (1 delayed, 0 waiting for others), 0 jobs"), "{stuck}");
}
