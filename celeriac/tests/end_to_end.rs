//! Tasks made by the attribute, through a real Redis and a real worker.

use std::time::Duration;

use celeriac::{
    Attempt, Broker, Data, ErrorKind, Producer, RedisConfig, Registry, ResultError, Shutdown,
    TaskError, Worker, WorkerConfig,
};
use celeriac_testkit::TestRedis;
use celeriac_testkit::redis::fresh_namespace;

const SOON: Duration = Duration::from_secs(30);

#[celeriac::task(name = "succeeds_at_last", backoff = "1ms..1ms")]
async fn succeeds_at_last(word: String, attempt: Attempt) -> Result<String, TaskError> {
    match attempt {
        Attempt(3) => Ok(word),
        Attempt(n) => Err(TaskError::new(format!("attempt {n}"))),
    }
}

#[celeriac::task(cpu, name = "sum", queue = "math")]
fn sum_with_state(numbers: Vec<u64>, more: Data<u64>) -> Result<u64, TaskError> {
    numbers.iter().sum::<u64>().checked_add(*more).ok_or_else(|| TaskError::fatal("overflow"))
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_tasks_come_back_as_typed_results() {
    let redis = TestRedis::shared().await;
    let namespace = fresh_namespace().parse().expect("a namespace");
    let config = RedisConfig::new(redis.url()).namespace(namespace);

    let tasks = Registry::new(7_u64).add::<succeeds_at_last>().add::<sum_with_state>().build();
    let queues = ["default", "math"].map(|name| name.parse().expect("a queue")).to_vec();
    let settings = WorkerConfig { queues, ..WorkerConfig::default() };
    let broker = Broker::new(config.clone()).expect("a URL");
    let worker = Worker::new(broker, tasks, settings).expect("settings");
    let shutdown = Shutdown::new();
    let running = tokio::spawn(worker.run(shutdown.clone()));

    let producer = Producer::connect(config).await.expect("connects");
    let word = producer.enqueue(&succeeds_at_last("late".to_owned())).await.expect("enqueued");
    let sum = producer.enqueue(&sum_with_state(vec![1, 2])).await.expect("enqueued");
    let overflow = producer.enqueue(&sum_with_state(vec![u64::MAX])).await.expect("enqueued");

    assert_eq!(word.result_within(SOON).await.expect("succeeds"), "late");
    assert_eq!(word.outcome().await.expect("is kept").attempt, Some(3));
    assert_eq!(sum.result_within(SOON).await.expect("succeeds"), 10);
    match overflow.result_within(SOON).await {
        Err(ResultError::Failed { failure, .. }) => {
            assert_eq!((failure.kind, failure.message.as_str()), (ErrorKind::Error, "overflow"));
        }
        other => panic!("it should have failed: {other:?}"),
    }
    assert_eq!(overflow.outcome().await.expect("is kept").attempt, Some(1));

    shutdown.drain();
    let summary = running.await.expect("no panic").expect("leaves in good order");
    assert_eq!((summary.succeeded, summary.left_behind), (2, 0));
}
