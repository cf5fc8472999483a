//! A task that takes its worker down each time (G5). The stock tasks do not; the test does it for
//! them, with whatever process runs the task.

use celeriac_broker_schema::outcome::Attempt;
use celeriac_broker_schema::script::{Found, Whereabouts};
use celeriac_broker_schema::{ErrorKind, State, TaskId};
use celeriac_producer::{NewJob, NewTask, ResultError};
use celeriac_testkit::eventually;
use serde_json::{Value, json};

use crate::common::{Celeriac, SOON};
use crate::site::{Site, Worker};

/// A worker that is lost is noticed after a second; three of them make a task dead.
const OPTIONS: &str = "--visibility-timeout 1s";

fn sleep(ms: u64) -> NewTask {
    NewTask::new("sleep", &json!({"ms": ms})).unwrap()
}

/// The lease under which a task or chunk runs; None once it has ended.
async fn runs_under(site: &Site, id: TaskId) -> Option<String> {
    eventually(SOON, async || match site.broker.inspect(id).await {
        Ok(Found::Task { whereabouts, .. } | Found::Chunk { whereabouts, .. }) => match whereabouts
        {
            Whereabouts::Running { lease, .. } => Ok(Some(lease)),
            Whereabouts::Failed(_) => Ok(None),
            other => Err(format!("{other:?}")),
        },
        Ok(Found::Ended(_)) => Ok(None),
        other => Err(format!("{other:?}")),
    })
    .await
}

/// Kills the worker that runs it, as often as there is one, and starts another with so many slots.
/// Returns the leases.
async fn poison(site: &Site, id: TaskId, workers: &mut Vec<Worker>, slots: usize) -> Vec<String> {
    let mut killed = Vec::new();
    while let Some(lease) = runs_under(site, id).await {
        let place = workers.iter().position(|worker| worker.lease == lease).unwrap();
        workers.remove(place).kill();
        killed.push(lease.clone());
        workers.push(site.worker_with(slots, OPTIONS).await);
        site.until_lost(&lease).await;
    }
    killed
}

#[tokio::test]
async fn g5_a_poisonous_task_is_dead_and_those_beside_it_are_not() {
    let site = Site::new(Celeriac::shared().await);
    let poisonous = site.producer.enqueue_task(sleep(600_000)).await.unwrap();
    let mut innocent = Vec::new();
    for _ in 0..8 {
        innocent.push(site.producer.enqueue_task(sleep(700)).await.unwrap());
    }
    let mut workers = vec![site.worker_with(3, OPTIONS).await, site.worker_with(3, OPTIONS).await];

    let killed = poison(&site, poisonous.id(), &mut workers, 3).await;

    let outcome = poisonous.outcome_within(SOON).await.unwrap();
    assert_eq!(outcome.state, State::Failed);
    assert_eq!(outcome.error.unwrap().kind, ErrorKind::Crashed);
    let attempts: Vec<_> = outcome
        .attempts
        .iter()
        .map(|attempt| (attempt.attempt, &*attempt.outcome, attempt.worker.clone()))
        .collect();
    let expected: Vec<_> =
        (1..).zip(killed).map(|(number, lease)| (number, "lost", lease)).collect();
    assert_eq!((attempts.len(), attempts), (3, expected));
    for task in innocent {
        assert_eq!(task.outcome_within(SOON).await.unwrap().state, State::Succeeded);
    }
    let stats = site.broker.snapshot(1, 1).await.unwrap().stats;
    assert_eq!((stats["failed"], stats["succeeded"]), (1, 8));
    site.drain(workers).await;
}

#[tokio::test]
async fn g5_a_poisonous_chunk_ends_its_job_and_is_named() {
    let site = Site::new(Celeriac::shared().await);
    let job = NewJob::new(sleep(600_000), 4);
    let job = site.producer.enqueue_job(job).await.unwrap();
    let chunk = TaskId::of_chunk(job.id().job(), 2);
    // First it runs beside two others, as a part of a run.
    let mut workers = vec![site.worker_with(3, OPTIONS).await];
    let first = runs_under(&site, chunk).await;
    let beside = TaskId::of_chunk(job.id().job(), 1);
    assert_eq!(runs_under(&site, beside).await, first);
    // Then there is a worker for each of them.
    for _ in 0..3 {
        workers.push(site.worker_with(1, OPTIONS).await);
    }

    let killed = poison(&site, chunk, &mut workers, 1).await;

    assert_eq!(killed.len(), 3);

    let failed = job.typed::<Value>().result_within(SOON).await;
    let Err(ResultError::Failed { failed_task: Some(named), failure, .. }) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!((named, failure.kind), (chunk.to_string(), ErrorKind::Crashed));
    // All of them are named: that of its first run, in which it was one of three, among them.
    assert!(killed.iter().all(|lease| failure.message.contains(lease)), "{killed:?}: {failure}");
    let expected: Vec<_> =
        (1..).zip(&killed).map(|(number, lease)| (number, "lost", &**lease)).collect();
    let letter = site.broker.dead_letter(chunk).await.unwrap().unwrap();
    let status = site.status(chunk);
    assert_eq!((&status["crashes"], &status["failures"]), (&json!(3), &json!(0)));
    let told: Vec<Attempt> = serde_json::from_value(status["attempts"].clone()).unwrap();
    for attempts in [letter.attempts, told] {
        let attempts: Vec<_> =
            attempts.iter().map(|a| (a.attempt, &*a.outcome, &*a.worker)).collect();
        assert_eq!(attempts, expected);
    }
    site.drain(workers).await;
}
