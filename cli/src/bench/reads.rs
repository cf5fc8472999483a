//! What the monitor's reads take on a large namespace: many tasks queued, as many finished, and weeks of
//! figures. Each read is a method of the broker; what is told is the time of a round trip, and the longest
//! call of a script among all of them.

use std::future::Future;
use std::time::{Duration, Instant};

use celeriac_broker_schema::figures::{Event, Figures};
use celeriac_broker_schema::find::{TaskCursor, TaskFilter};
use celeriac_broker_schema::history::{By, HistoryQuery, Step};
use celeriac_broker_schema::script::Tally;
use celeriac_broker_schema::{Broker, BrokerError, State};
use celeriac_producer::Producer;

use crate::bench::place::{Place, longest_script_ms};
use crate::bench::queue::noop;
use crate::bench::report::{Latency, ReadRow, Report};
use crate::bench::workers::Workers;
use crate::error::CliError;
use crate::globals::Globals;

/// Queues among which the tasks are spread, and names of tasks of which figures are told.
const QUEUES: u64 = 20;
const NAMES: u64 = 5;
/// How often each read is done.
const TIMES: usize = 100;
/// Pages into a search before it is measured.
const DEEP: usize = 50;
/// How often it is looked whether all have finished.
const LOOK: Duration = Duration::from_millis(50);

pub(super) async fn measure(
    place: &Place,
    tasks: u64,
    report: &mut Report,
    globals: &Globals,
) -> Result<(), CliError> {
    let broker = place.fresh().await?;
    globals.talk("  finishing as many tasks as are queued afterwards");
    finish(&broker, tasks).await?;
    fill(&broker, tasks).await?;
    tell(&broker).await?;
    // Filling has longer calls. A server that was given keeps its own statistics.
    let private = place.append_only().is_some();
    if private {
        broker.reset_statistics().await?;
    }
    let mut rows = Vec::new();
    read(&broker, &mut rows).await?;
    report.reads = rows;
    report.longest_read_ms = if private { longest_script_ms(&broker).await? } else { None };
    Ok(())
}

async fn finish(broker: &Broker, tasks: u64) -> Result<(), CliError> {
    let mut many = Producer::new(broker.clone()).many();
    for _ in 0..tasks {
        many.push(noop()?).await?;
    }
    many.finish().await?;
    let workers = Workers::start(broker, 1, 8).await?;
    while broker.snapshot(0, 0).await?.tasks > 0 {
        tokio::time::sleep(LOOK).await;
    }
    workers.stop().await;
    Ok(())
}

async fn fill(broker: &Broker, tasks: u64) -> Result<(), CliError> {
    let mut many = Producer::new(broker.clone()).many();
    for n in 0..tasks {
        let task = noop()?.queue(format!("queue-{}", n % QUEUES).parse()?);
        // One in a hundred waits for a time.
        let delayed = n.is_multiple_of(100);
        many.push(if delayed { task.delay(Duration::from_secs(86_400)) } else { task }).await?;
    }
    many.finish().await?;
    Ok(())
}

/// A minute with all pairs of queue and task.
async fn tell(broker: &Broker) -> Result<(), CliError> {
    let mut tally = Tally::default();
    for pair in 0..QUEUES * NAMES {
        let mut figures = Figures::default();
        for n in 1..=40_u64 {
            figures.counts.add(Event::Succeeded, 1);
            figures.wait.add_us(n * n * 1_000);
            figures.run.add_us(n * n * 100);
        }
        let (queue, task) = (pair % QUEUES, pair / QUEUES);
        tally.pairs.push((format!("queue-{queue}"), format!("task-{task}"), figures));
    }
    broker.tally(&tally).await?;
    Ok(())
}

async fn read(broker: &Broker, rows: &mut Vec<ReadRow>) -> Result<(), CliError> {
    let queues: Vec<String> = (0..QUEUES).map(|n| format!("queue-{n}")).collect();
    let history = |back_ms, step, by| HistoryQuery { step, by, ..HistoryQuery::back(back_ms) };
    let hour = history(3_600_000, Step::Minute, By::Queue);
    let days = history(Step::TenMinutes.kept_ms(), Step::TenMinutes, By::Task);
    let weeks = history(Step::Hour.kept_ms(), Step::Hour, By::All);
    rows.push(timed("snapshot of 100 queues", || broker.snapshot(100, 20)).await?);
    rows.push(timed("200 workers", || broker.workers(0, 200)).await?);
    rows.push(timed("oldest task of 20 queues", || broker.oldest(&queues)).await?);
    rows.push(timed("history of an hour by queue", || broker.history(&hour)).await?);
    rows.push(timed("history of two days by task", || broker.history(&days)).await?);
    rows.push(timed("history of two weeks", || broker.history(&weeks)).await?);
    rows.push(timed("figures in all", || broker.figures_in_all()).await?);
    let rare = TaskFilter { task: Some("rare".to_owned()), ..TaskFilter::default() };
    for (name, filter) in [
        ("all tasks", TaskFilter::default()),
        ("ready tasks", TaskFilter::of(State::Ready)),
        ("delayed tasks", TaskFilter::of(State::Delayed)),
        ("tasks that succeeded", TaskFilter::of(State::Succeeded)),
        ("tasks of a name that none has", rare),
    ] {
        let deep = deep(broker, &filter).await?;
        rows.push(
            timed(&format!("{name}, first page"), || broker.find_tasks(&filter, None, 50)).await?,
        );
        if deep.is_some() {
            let page = || broker.find_tasks(&filter, deep.as_ref(), 50);
            rows.push(timed(&format!("{name}, page {DEEP}"), page).await?);
        }
    }
    Ok(())
}

/// Where a page far behind begins.
async fn deep(broker: &Broker, filter: &TaskFilter) -> Result<Option<TaskCursor>, CliError> {
    let mut next = broker.find_tasks(filter, None, 50).await?.next;
    for _ in 2..DEEP {
        let Some(at) = next else { return Ok(None) };
        next = broker.find_tasks(filter, Some(&at), 50).await?.next;
    }
    Ok(next)
}

async fn timed<T, F>(name: &str, call: impl Fn() -> F) -> Result<ReadRow, CliError>
where
    F: Future<Output = Result<T, BrokerError>>,
{
    let mut millis = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let begin = Instant::now();
        call().await?;
        millis.push(begin.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(ReadRow::new(name, Latency::of(&millis)))
}
