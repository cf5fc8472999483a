//! Keys and dead letters with real workers: no key outlives its task, whatever ends it, and what is
//! revived can be waited for again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use celeriac_broker_schema::script::Revived;
use celeriac_broker_schema::{Requester, State, UniqueKey, UniqueMode};
use celeriac_producer::NewTask;
use celeriac_producer::task::Task;
use celeriac_worker::task::{Attempt, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::common::{
    LONG, Running, assert_finished, broker, config, leases, lose, one_slot, producer, task,
    with_retries,
};
use crate::stage::{Stage, hold_task};

fn unique(task: NewTask, key: &str, mode: UniqueMode) -> NewTask {
    task.unique(UniqueKey::new(key).unwrap(), mode)
}

/// Ends in one of all ways.
#[derive(Serialize, Deserialize)]
struct Fate {
    number: u64,
}

impl Task for Fate {
    const NAME: &'static str = "fate";
    type Output = u64;
}

fn fate(Attempt(attempt): Attempt, fate: Fate) -> Result<u64, TaskError> {
    match (fate.number % 6, attempt) {
        (0, _) => Err(TaskError::fatal("told to fail")),
        (1, 1) => Err(TaskError::new("once")),
        (2, 1) => panic!("once"),
        (3, 1) => Err(TaskError::retry_after(Duration::from_millis(5), "later")),
        (4, _) => Err(TaskError::new("always")),
        _ => Ok(fate.number),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_outlives_its_task() {
    let broker = broker().await;
    let tasks = Stage::new().registry().cpu_task(fate).build();
    let workers = [(); 2].map(|()| Running::start(&broker, tasks.clone(), config()));
    let mut handles = Vec::new();
    let producers = [producer(&broker), producer(&broker)];
    for number in 0..400 {
        let mode = match number % 4 {
            0 => UniqueMode::UntilDone,
            1 => UniqueMode::Queued,
            2 => UniqueMode::KeepLast,
            _ => UniqueMode::debounce(Duration::from_millis(10)).at_most(Duration::from_millis(30)),
        };
        let new = with_retries(task("fate", &json!({ "number": number })), 1);
        let new = unique(new, &format!("k{}", number % 12), mode);
        handles.push(producers[number % 2].enqueue_task(new).await.unwrap());
    }
    for handle in handles {
        handle.outcome_within(LONG).await.unwrap();
    }
    for worker in workers {
        worker.drain().await;
    }
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_until_done_survives_a_lost_worker() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let held = || unique(hold_task("a"), "k", UniqueMode::UntilDone);
    let first = producer.enqueue_task(held()).await.unwrap();
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    stage.heard("a begins").await;
    lose(&broker, &leases(&broker).await[0]).await;
    stage.heard_times(2, "a begins").await;

    assert_eq!(producer.enqueue_task(held()).await.unwrap().id(), first.id());

    stage.open("a");
    assert_eq!(first.outcome_within(LONG).await.unwrap().state, State::Succeeded);
    let next = producer.enqueue_task(held()).await.unwrap();
    assert_ne!(next.id(), first.id());
    assert_eq!(next.outcome_within(LONG).await.unwrap().state, State::Succeeded);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[derive(Serialize, Deserialize)]
struct Mend {}

impl Task for Mend {
    const NAME: &'static str = "mend";
    type Output = u32;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revived_can_be_waited_for() {
    let broker = broker().await;
    let whole = Arc::new(AtomicBool::new(false));
    let mended = Arc::clone(&whole);
    let mend = move |Attempt(attempt): Attempt, Mend {}| match mended.load(Ordering::Relaxed) {
        true => Ok(attempt),
        false => Err(TaskError::fatal("broken")),
    };
    let tasks = Stage::new().registry().cpu_task(mend).build();
    let worker = Running::start(&broker, tasks, config());
    let handle = producer(&broker).enqueue_task(task("mend", &json!({}))).await.unwrap();
    assert_eq!(handle.outcome_within(LONG).await.unwrap().state, State::Failed);
    whole.store(true, Ordering::Relaxed);

    let revived = broker.revive(&[handle.id()], &Requester::default()).await.unwrap();

    assert_eq!(revived, [(handle.id(), Revived::Revived)]);
    let outcome = handle.outcome_within(LONG).await.unwrap();
    assert_eq!((outcome.state, outcome.attempt), (State::Succeeded, Some(1)));
    let attempts: Vec<&str> = outcome.attempts.iter().map(|attempt| &*attempt.outcome).collect();
    assert_eq!(attempts, ["failed", "revived"]);
    worker.drain().await;
    assert_finished(&broker).await;
}
