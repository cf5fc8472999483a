//! What workers and producers count reaches Redis: while they work, and when they leave.

use celeriac_broker_schema::figures::{Event, Figures};
use celeriac_broker_schema::find::TaskFilter;
use celeriac_broker_schema::history::{By, HistoryQuery};
use celeriac_broker_schema::{Broker, State};
use celeriac_producer::{NewJob, Producer};
use celeriac_testkit::eventually;
use serde_json::json;

use crate::common::*;
use crate::stage::{Stage, hold_task, note_task};

/// What was told of this queue or task so far.
async fn told_of(broker: &Broker, by: By, name: &str) -> Figures {
    let history = broker.history(&HistoryQuery::back(3_600_000).by(by)).await.unwrap();
    let mut sum = Figures::default();
    for series in history.series.iter().filter(|series| series.name.as_deref() == Some(name)) {
        series.points.iter().for_each(|point| sum.merge(&point.figures));
    }
    sum
}

async fn enqueue_notes(producer: &Producer, count: usize) {
    let notes = (0..count).map(|number| note_task(number.to_string()));
    producer.enqueue_many(notes).await.unwrap();
}

/// Waits until so much was told.
async fn until_told(broker: &Broker, by: By, name: &str, event: Event, n: u64) -> Figures {
    eventually(LONG, async || {
        let figures = told_of(broker, by, name).await;
        if figures.counts.of(event) == n { Ok(figures) } else { Err(format!("{figures:?}")) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_leaves_has_told_all_that_it_counted() {
    let broker = broker().await;
    let producer = producer(&broker);
    let worker = Running::stock(&broker);
    for number in 0..3 {
        producer
            .enqueue_task(task("fail", &number))
            .await
            .unwrap()
            .outcome_within(LONG)
            .await
            .unwrap();
    }
    let job = NewJob::new(task("echo", &json!({"n": 3})), 40).sum("n");
    producer.enqueue_job(job).await.unwrap().outcome_within(LONG).await.unwrap();
    worker.drain().await;

    let failed = told_of(&broker, By::Task, "fail").await;
    let echoed = told_of(&broker, By::Task, "echo").await;

    let of = |event| failed.counts.of(event);
    assert_eq!((of(Event::Failed), of(Event::Retried), of(Event::Succeeded)), (3, 0, 0));
    assert_eq!((failed.run.count(), failed.wait.count()), (3, 3));
    assert_eq!((echoed.counts.of(Event::Succeeded), echoed.run.count()), (40, 40));
    // Also what was enqueued is told, by its producer.
    until_told(&broker, By::Queue, "default", Event::Enqueued, 43).await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_worker_takes_only_with_it_what_it_has_not_told() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), config());
    enqueue_notes(&producer, 100).await;
    // It tells while it is busy.
    producer.enqueue_task(hold_task("held")).await.unwrap();
    stage.heard("held begins").await;

    let told = until_told(&broker, By::Task, "note", Event::Succeeded, 100).await;
    worker.abandon();

    assert_eq!(told.run.count(), 100);
    assert_eq!(told_of(&broker, By::Task, "note").await, told);
    // The totals are exact, whoever told them.
    assert_eq!(stat(&broker, "succeeded").await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_succeeded_lately_are_found() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), config());
    let handle = producer.enqueue_task(note_task("one")).await.unwrap();
    handle.outcome_within(LONG).await.unwrap();

    let filter = TaskFilter { task: Some("note".to_owned()), ..TaskFilter::of(State::Succeeded) };
    let row = eventually(LONG, async || {
        let mut found = broker.find_tasks(&filter, None, 10).await.unwrap();
        found.tasks.pop().ok_or("not told yet".to_owned())
    })
    .await;

    assert_eq!((row.id, row.state, row.attempt), (handle.id(), State::Succeeded, Some(1)));
    assert_eq!(row.worker.as_deref(), Some(leases(&broker).await[0].as_str()));
    assert!(row.started >= Some(row.enqueued) && row.ended >= row.started, "{row:?}");
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_very_many_tasks_some_are_told_by_name_and_all_are_counted() {
    let (broker, stage) = (broker().await, Stage::new());
    enqueue_notes(&producer(&broker), 3_000).await;
    let worker = Running::start(&broker, stage.tasks(), config());
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    worker.drain().await;

    let mut by_name = 0;
    let mut untold = 0;
    let mut after = None;
    loop {
        let filter = TaskFilter::of(State::Succeeded);
        let page = broker.find_tasks(&filter, after.as_ref(), 100).await.unwrap();
        by_name += page.tasks.len() as u64;
        untold += page.untold;
        after = page.next;
        if after.is_none() {
            break;
        }
    }

    assert_eq!(by_name + untold, 3_000);
    assert!(untold > 0, "{by_name}");
    assert_eq!(told_of(&broker, By::Task, "note").await.counts.of(Event::Succeeded), 3_000);
}
