//! Checkpoints: the next attempt goes on where the one before left the task, however that ended.

use celeriac_broker_schema::State;
use celeriac_producer::task::Task;
use celeriac_producer::{NewJob, NewTask};
use celeriac_testkit::TestRedis;
use celeriac_worker::WorkerConfig;
use celeriac_worker::task::{Chunk, Context, Data, TaskError, Tasks};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

use crate::common::{
    LONG, Running, assert_finished, broker, broker_on, config, leases, lose, one_slot, producer,
    state, task, with_retries,
};
use crate::stage::Stage;

/// Goes up by one step in each attempt, leaves the step, and ends as told.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq)]
enum Climb {
    /// Fails below this step.
    FailBelow(u32),
    /// Waits for the gate `top` once the step is left.
    Hold,
    /// The same, once Redis has the step.
    HoldWhenSaved,
}

impl Task for Climb {
    const NAME: &'static str = "climb";
    /// The step on which it began, and the attempt.
    type Output = (u32, u32);
}

async fn climb(
    stage: Data<Stage>,
    ctx: Context,
    chunk: Option<Chunk>,
    task: Climb,
) -> Result<(u32, u32), TaskError> {
    let step: u32 = ctx.restored()?.unwrap_or_default();
    let next = step + 1;
    if task == Climb::HoldWhenSaved && step == 0 {
        ctx.checkpoint_now(&next).await?;
    } else {
        ctx.checkpoint(&next)?;
    }
    let index = chunk.map_or(String::new(), |chunk| format!(" {}", chunk.index));
    stage.say(format!("climb{index} from {step}"));
    match task {
        Climb::FailBelow(top) if step < top => Err("not there yet".into()),
        Climb::FailBelow(_) => Ok((step, ctx.attempt())),
        Climb::Hold | Climb::HoldWhenSaved => tokio::select! {
            () = stage.passed("top") => Ok((step, ctx.attempt())),
            _ = ctx.cancelled() => Err(TaskError::cancelled()),
        },
    }
}

/// Computes until the gate `top` opens and never stops when it has to.
#[derive(Serialize, Deserialize)]
struct Plod {}

impl Task for Plod {
    const NAME: &'static str = "plod";
    type Output = u32;
}

fn plod(stage: Data<Stage>, ctx: Context, _: Plod) -> Result<u32, TaskError> {
    let step: u32 = ctx.restored()?.unwrap_or_default();
    if step == 0 {
        ctx.checkpoint_now_blocking(&1)?;
        ctx.checkpoint(&2)?;
        stage.say("plods");
        while !stage.log().contains(&"top".to_owned()) {
            std::thread::yield_now();
        }
    }
    Ok(step)
}

fn tasks(stage: &Stage) -> Tasks {
    stage.registry().task(climb).cpu_task(plod).build()
}

fn climb_task(climb: Climb) -> NewTask {
    task(Climb::NAME, &climb)
}

fn hasty() -> WorkerConfig {
    WorkerConfig { drain_timeout: Duration::ZERO, ..one_slot() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_leaves_its_last_state_to_the_next() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, tasks(&stage), one_slot());

    let task = with_retries(climb_task(Climb::FailBelow(3)), 5);
    let handle = producer(&broker).enqueue_task(task).await.unwrap();

    let climbed: (u32, u32) = handle.typed().result_within(LONG).await.unwrap();
    assert_eq!(climbed, (3, 4));
    assert_eq!(stage.log(), [0, 1, 2, 3].map(|step| format!("climb from {step}")));
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_go_on_each_from_its_own_state() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, tasks(&stage), config());

    let job = NewJob::new(with_retries(climb_task(Climb::FailBelow(2)), 5), 3);
    let handle = producer(&broker).enqueue_job(job).await.unwrap();

    assert_eq!(handle.outcome_within(LONG).await.unwrap().state, State::Succeeded);
    let chunks = (0..3).flat_map(|chunk| (0..3).map(move |step| (chunk, step)));
    stage.assert_once(chunks.map(|(chunk, step)| format!("climb {chunk} from {step}")).collect());
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_handed_back_goes_on_and_is_not_counted() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, tasks(&stage), hasty());
    let handle = producer(&broker).enqueue_task(climb_task(Climb::Hold)).await.unwrap();
    stage.heard("climb from 0").await;

    worker.drain().await;

    let next = Running::start(&broker, tasks(&stage), one_slot());
    stage.heard("climb from 1").await;
    stage.open("top");
    let climbed: (u32, u32) = handle.typed().result_within(LONG).await.unwrap();
    assert_eq!(climbed, (1, 1));
    next.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_computes_and_does_not_stop_goes_on_from_its_last_state() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, tasks(&stage), hasty());
    let handle = producer(&broker).enqueue_task(task(Plod::NAME, &Plod {})).await.unwrap();
    stage.heard("plods").await;

    worker.drain().await;

    let next = Running::start(&broker, tasks(&stage), one_slot());
    assert_eq!(handle.typed::<u32>().result_within(LONG).await.unwrap(), 2);
    stage.say("top");
    next.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_saved_survives_a_crash() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, tasks(&stage), one_slot());
    let handle = producer(&broker).enqueue_task(climb_task(Climb::HoldWhenSaved)).await.unwrap();
    stage.heard("climb from 0").await;
    let lease = leases(&broker).await.remove(0);
    worker.abandon();
    lose(&broker, &lease).await;

    let next = Running::start(&broker, tasks(&stage), one_slot());
    stage.heard("climb from 1").await;
    stage.open("top");

    let climbed: (u32, u32) = handle.typed().result_within(LONG).await.unwrap();
    assert_eq!(climbed, (1, 2));
    next.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_a_state_and_keeps_the_task() {
    let redis = TestRedis::start().await;
    let (broker, stage) = (broker_on(redis.url()), Stage::new());
    let producer = producer(&broker);
    let handle = producer.enqueue_task(climb_task(Climb::HoldWhenSaved)).await.unwrap();
    redis.configure("maxmemory", "1").await;
    let refused = producer.enqueue_task(climb_task(Climb::Hold)).await.unwrap_err();
    assert!(refused.to_string().contains("out of memory"), "{refused}");

    let worker = Running::start(&broker, tasks(&stage), one_slot());

    let outcome = handle.outcome_within(LONG).await.unwrap();
    let failure = outcome.error.unwrap().message;
    assert!(failure.starts_with("the checkpoint was not saved: "), "{failure}");
    assert!(failure.contains("out of memory"), "{failure}");
    assert_eq!(stage.log(), [""; 0]);
    worker.drain().await;
    assert!(!state(&broker).await.contains_key("tasks"));
    assert_eq!(json!(state(&broker).await.get("checkpoints")), json!(null));
}
