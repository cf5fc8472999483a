//! A task that asks to be run later: no failure, no attempt, as often as it likes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use celeriac_broker_schema::State;
use celeriac_producer::task::Task;
use celeriac_producer::{NewJob, NewTask};
use celeriac_worker::task::{Attempt, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::common::{LONG, Running, assert_finished, broker, one_slot, producer, stat, task};
use crate::stage::Stage;

#[derive(Serialize, Deserialize)]
struct Patient {}

impl Task for Patient {
    const NAME: &'static str = "patient";
    type Output = u32;
}

/// Asks for a moment so many times before it gives the number of its attempt.
fn patient(times: u32) -> impl Fn(Attempt, Patient) -> Result<u32, TaskError> {
    let asked = AtomicU32::new(0);
    move |Attempt(attempt), Patient {}| match asked.fetch_add(1, Ordering::Relaxed) < times {
        true => Err(TaskError::snooze(Duration::ZERO)),
        false => Ok(attempt),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snooze_is_neither_a_failure_nor_an_attempt() {
    let broker = broker().await;
    let tasks = Stage::new().registry().cpu_task(patient(3));
    let worker = Running::start(&broker, tasks.build(), one_slot());

    let handle = producer(&broker).enqueue_task(task("patient", &json!({}))).await.unwrap();
    let outcome = handle.outcome_within(LONG).await.unwrap();

    assert_eq!((outcome.state, outcome.attempt), (State::Succeeded, Some(1)));
    assert_eq!((outcome.result.unwrap().get(), outcome.attempts.len()), ("1", 0));
    assert_eq!(worker.drain().await.failed, 0);
    assert_eq!(stat(&broker, "snoozed").await, 3);
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_may_snooze() {
    let broker = broker().await;
    let tasks = Stage::new().registry().cpu_task(patient(5));
    let worker = Running::start(&broker, tasks.build(), one_slot());

    let chunk = NewTask::new("patient", &json!({})).unwrap().retries(0);
    let job = producer(&broker).enqueue_job(NewJob::new(chunk, 4)).await.unwrap();

    assert_eq!(job.outcome_within(LONG).await.unwrap().state, State::Succeeded);
    assert_eq!(worker.drain().await.failed, 0);
    assert_eq!(stat(&broker, "snoozed").await, 5);
    assert_finished(&broker).await;
}
