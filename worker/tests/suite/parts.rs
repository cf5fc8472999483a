//! Partial results: in order, before the end, of whatever attempt.

use celeriac_producer::task::Task;
use celeriac_producer::{Handle, NewJob, NewTask, ResultError};
use celeriac_testkit::TestRedis;
use celeriac_worker::task::{Context, Data, TaskError, Tasks};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::common::{
    LONG, Running, broker, broker_on, config, one_slot, producer, state, task, with_retries,
};
use crate::stage::Stage;

/// Sends numbers up to this one, waits at the gate `on`, and sends one more.
#[derive(Serialize, Deserialize)]
struct Tell {
    upto: u32,
    fail_once: bool,
}

impl Task for Tell {
    const NAME: &'static str = "tell";
    type Output = u32;
}

async fn tell(stage: Data<Stage>, ctx: Context, task: Tell) -> Result<u32, TaskError> {
    for n in 1..=task.upto {
        ctx.emit(&n).await?;
    }
    stage.say("told");
    stage.passed("on").await;
    ctx.emit(&"last").await?;
    if task.fail_once && ctx.attempt() == 1 { Err("once".into()) } else { Ok(task.upto) }
}

/// The same on a thread, without a gate.
#[derive(Serialize, Deserialize)]
struct Compute {
    upto: u32,
}

impl Task for Compute {
    const NAME: &'static str = "compute";
    type Output = u32;
}

fn compute(ctx: Context, task: Compute) -> Result<u32, TaskError> {
    for n in 1..=task.upto {
        ctx.emit_blocking(&n)?;
    }
    Ok(task.upto)
}

fn tasks(stage: &Stage) -> Tasks {
    stage.registry().task(tell).cpu_task(compute).build()
}

fn tell_task(upto: u32, fail_once: bool) -> NewTask {
    task(Tell::NAME, &Tell { upto, fail_once })
}

/// All attempts and values to the end.
async fn all(handle: &Handle) -> Vec<(u32, Value)> {
    let mut parts = handle.stream::<Value>();
    let mut all = Vec::new();
    let read = async {
        while let Some(part) = parts.next().await {
            all.push((parts.attempt(), part.expect("a value")));
        }
    };
    tokio::time::timeout(LONG, read).await.expect("the stream ends");
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_while_the_task_runs_and_all_before_its_end() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, tasks(&stage), one_slot());
    let handle = producer(&broker).enqueue_task(tell_task(3, false)).await.unwrap();

    let mut parts = handle.stream::<Value>();
    for n in 1..=3 {
        assert_eq!(parts.next().await.unwrap().unwrap(), n);
    }
    stage.open("on");
    assert_eq!(parts.next().await.unwrap().unwrap(), "last");
    assert!(parts.next().await.is_none());

    assert_eq!(handle.clone().typed::<u32>().result_within(LONG).await.unwrap(), 3);
    // Who comes late gets them all.
    assert_eq!(all(&handle).await.len(), 4);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_sends_its_own() {
    let (broker, stage) = (broker().await, Stage::new());
    stage.open("on");
    let worker = Running::start(&broker, tasks(&stage), one_slot());
    let task = with_retries(tell_task(1, true), 1);
    let handle = producer(&broker).enqueue_task(task).await.unwrap();

    let expected: Vec<(u32, Value)> =
        [(1, 1.into()), (1, "last".into()), (2, 1.into()), (2, "last".into())].into();
    assert_eq!(all(&handle).await, expected);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_fits_on_the_way_waits_and_arrives() {
    let (broker, stage) = (broker().await, Stage::new());
    let handle = producer(&broker)
        .enqueue_task(task(Compute::NAME, &Compute { upto: 1_900 }))
        .await
        .unwrap();
    let reader = tokio::spawn(async move { all(&handle).await });

    let worker = Running::start(&broker, tasks(&stage), one_slot());

    let values = reader.await.unwrap();
    // A reader that is slow may have missed those that are kept no longer.
    let numbers: Vec<u64> = values.iter().filter_map(|(_, value)| value.as_u64()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b) && numbers.len() >= 1_000, "{}", numbers.len());
    assert_eq!(numbers.last(), Some(&1_900));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_have_their_own_and_strangers_have_none() {
    let (broker, stage) = (broker().await, Stage::new());
    stage.open("on");
    let worker = Running::start(&broker, tasks(&stage), config());
    let producer = producer(&broker);
    let job = producer.enqueue_job(NewJob::new(tell_task(2, false), 3)).await.unwrap();
    job.outcome_within(LONG).await.unwrap();

    let chunk = celeriac_broker_schema::TaskId::of_chunk(job.id().job(), 2);
    let values: Vec<Value> =
        all(&producer.handle(chunk)).await.into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [Value::from(1), 2.into(), "last".into()]);

    let stranger =
        producer.handle(celeriac_broker_schema::TaskId::from_parts(job.id().time(), [7; 10]));
    let told = stranger.stream::<Value>().next().await;
    assert!(matches!(told, Some(Err(ResultError::Unknown(_)))), "{told:?}");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_takes_no_values_and_the_task_ends_all_the_same() {
    let redis = TestRedis::start().await;
    let (broker, stage) = (broker_on(redis.url()), Stage::new());
    stage.open("on");
    let handle = producer(&broker).enqueue_task(tell_task(3, false)).await.unwrap();
    redis.configure("maxmemory", "1").await;

    let worker = Running::start(&broker, tasks(&stage), one_slot());

    assert_eq!(handle.typed::<u32>().result_within(LONG).await.unwrap(), 3);
    worker.drain().await;
    let streams = state(&broker).await.into_keys().filter(|key| key.starts_with("stream:")).count();
    assert_eq!(streams, 0);
}
