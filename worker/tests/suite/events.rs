//! What a worker tells of attempts: each that begins has exactly one end, whatever becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use celeriac_broker_schema::{Requester, TaskId};
use celeriac_producer::task::Task;
use celeriac_producer::{NewJob, NewTask};
use celeriac_worker::task::{Attempt, TaskError};
use celeriac_worker::{Event, Events, Shutdown, Worker, WorkerConfig};
use serde::{Deserialize, Serialize};

use crate::common::{LONG, assert_finished, broker, config, producer, task, with_retries};
use crate::stage::{Stage, hold_task, note_task, stubborn_task};

/// Ends as it is told, if it is not its second attempt.
#[derive(Serialize, Deserialize)]
struct End {
    how: String,
}

impl Task for End {
    const NAME: &'static str = "end";
    type Output = ();
}

async fn end(Attempt(attempt): Attempt, task: End) -> Result<(), TaskError> {
    match (task.how.as_str(), attempt) {
        ("retry", 1) => Err(TaskError::new("once more")),
        ("fail", _) => Err(TaskError::fatal("never")),
        ("panic", _) => panic!("as told"),
        ("hang", _) => std::future::pending().await,
        _ => Ok(()),
    }
}

fn end_task(how: &str) -> NewTask {
    task(End::NAME, &End { how: how.to_owned() })
}

/// Asks for another time, once.
#[derive(Serialize, Deserialize)]
struct Later {}

impl Task for Later {
    const NAME: &'static str = "later";
    type Output = ();
}

fn later() -> impl Fn(Later) -> Result<(), TaskError> {
    let asked = std::sync::atomic::AtomicBool::new(false);
    move |Later {}| match asked.swap(true, std::sync::atomic::Ordering::Relaxed) {
        true => Ok(()),
        false => Err(TaskError::snooze(Duration::ZERO)),
    }
}

/// Follows the events to their end: an attempt that ends has begun and not ended. Returns how many
/// ended how.
async fn ends(mut events: Events) -> BTreeMap<&'static str, u32> {
    let mut under_way: BTreeSet<(TaskId, u32)> = BTreeSet::new();
    let mut ends = BTreeMap::new();
    while let Some(event) = events.next().await {
        let (of, how) = match &event {
            Event::Started { id, attempt, .. } => {
                assert!(under_way.insert((*id, *attempt)), "begun twice: {event:?}");
                continue;
            }
            Event::Succeeded { id, attempt, .. } => ((*id, *attempt), "succeeded"),
            Event::Retried { id, attempt, .. } => ((*id, *attempt), "retried"),
            Event::Snoozed { id, attempt, .. } => ((*id, *attempt), "snoozed"),
            Event::Failed { id, attempt, .. } => ((*id, *attempt), "failed"),
            Event::Cancelled { id, attempt, requester } => {
                // Of a chunk it is only known that its job is over.
                let who = if id.chunk().is_some() { Requester::default() } else { ada() };
                assert_eq!(*requester, who, "{event:?}");
                ((*id, *attempt), "cancelled")
            }
            Event::Released { id, attempt, .. } => ((*id, *attempt), "released"),
            Event::Opened { .. } | Event::Claimed { .. } | Event::Draining | Event::Left => {
                continue;
            }
            // A chunk that was told to stop goes back to a job that is over.
            Event::Stale { .. } => continue,
            other => panic!("{other:?}"),
        };
        assert!(under_way.remove(&of), "it has not begun, or has ended: {event:?}");
        *ends.entry(how).or_default() += 1;
    }
    assert!(under_way.is_empty(), "without an end: {under_way:?}");
    ends
}

fn ada() -> Requester {
    Requester::new("ada").because("a test")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_that_begins_has_exactly_one_end() {
    let (broker, stage) = (broker().await, Stage::new());
    let tasks = stage.registry().task(end).cpu_task(later()).build();
    let settings = WorkerConfig {
        concurrency: 8,
        // What goes on after it was cancelled is settled at once, and told again by nobody.
        cancel_grace: Duration::ZERO,
        drain_timeout: Duration::from_millis(1),
        ..config()
    };
    let mut worker = Worker::new(broker.separate().unwrap(), tasks, settings).unwrap();
    let heard = tokio::spawn(ends(worker.events()));
    let shutdown = Shutdown::new();
    let ended = tokio::spawn(worker.run(shutdown.clone()));
    let producer = producer(&broker);

    let short = [
        note_task("fine"),
        with_retries(end_task("retry"), 1),
        end_task("fail"),
        end_task("panic"),
        end_task("hang").timeout(Duration::from_millis(10)),
        task(Later::NAME, &Later {}),
    ];
    for task in short {
        producer.enqueue_task(task).await.unwrap().outcome_within(LONG).await.unwrap();
    }
    for (task, begins) in
        [(hold_task("listens"), "listens begins"), (stubborn_task("goes on"), "goes on 1 begins")]
    {
        let handle = producer.enqueue_task(task).await.unwrap();
        stage.heard(begins).await;
        handle.cancel_as(&ada()).await.unwrap();
        handle.outcome_within(LONG).await.unwrap();
    }
    let job = producer.enqueue_job(NewJob::new(hold_task("chunk"), 2)).await.unwrap();
    stage.heard_times(2, "chunk begins").await;
    job.cancel_as(&ada()).await.unwrap();
    stage.heard_times(2, "chunk stops: Requested").await;
    // The one that went on returns at last.
    stage.open("goes on 1");
    stage.heard("goes on 1 ends").await;
    producer.enqueue_task(hold_task("interrupted")).await.unwrap();
    stage.heard("interrupted begins").await;
    shutdown.drain();
    ended.await.unwrap().unwrap();

    let expected = [
        ("cancelled", 4),
        ("failed", 3),
        ("released", 1),
        ("retried", 1),
        ("snoozed", 1),
        ("succeeded", 3),
    ];
    assert_eq!(heard.await.unwrap(), BTreeMap::from(expected));
    // What was handed back is there for the next worker.
    let next = crate::common::Running::start(&broker, stage.tasks(), config());
    stage.open("interrupted");
    stage.heard("interrupted ends").await;
    next.drain().await;
    assert_finished(&broker).await;
}
