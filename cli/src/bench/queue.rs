//! Independent tasks with 100 bytes of arguments and kept results: enqueue, drain, both at once.

use std::time::{Duration, Instant};

use celeriac_broker_schema::Broker;
use celeriac_producer::{NewTask, Producer};

use crate::bench::place::{Place, longest_script_ms, script_micros, used_memory};
use crate::bench::report::{Report, median, median_ratio};
use crate::bench::workers::Workers;
use crate::bench::{ROUNDS, floor};
use crate::error::CliError;

/// Single enqueues, one after the other, that are measured at most.
const SINGLES: u64 = 5_000;
/// How often the progress of a drain is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// A task that does nothing, with 100 bytes of arguments.
pub(super) fn noop() -> Result<NewTask, CliError> {
    let args = serde_json::json!({ "padding": "x".repeat(86) });
    Ok(NewTask::new("noop", &args)?)
}

async fn fill(broker: &Broker, tasks: u64) -> Result<(), CliError> {
    let task = noop()?;
    let mut many = Producer::new(broker.clone()).many();
    for _ in 0..tasks {
        many.push(task.clone()).await?;
    }
    many.finish().await?;
    Ok(())
}

pub(super) async fn enqueue(
    place: &Place,
    tasks: u64,
    report: &mut Report,
) -> Result<(), CliError> {
    let (mut singles, mut many) = (Vec::new(), Vec::new());
    let one_by_one = SINGLES.min(tasks);
    for _ in 0..ROUNDS {
        let broker = place.fresh().await?;
        let producer = Producer::new(broker.clone());
        producer.enqueue_task(noop()?).await?;
        let begin = Instant::now();
        for _ in 0..one_by_one {
            producer.enqueue_task(noop()?).await?;
        }
        singles.push(one_by_one as f64 / begin.elapsed().as_secs_f64());

        let broker = place.fresh().await?;
        let (memory, micros) = (used_memory(&broker).await?, script_micros(&broker).await?);
        let begin = Instant::now();
        fill(&broker, tasks).await?;
        many.push(tasks as f64 / begin.elapsed().as_secs_f64());
        report.redis_us_per_enqueue = Some((script_micros(&broker).await? - micros) / tasks as f64);
        report.bytes_per_queued_task = Some((used_memory(&broker).await? - memory) / tasks as f64);
    }
    report.enqueue_one_per_s = Some(median(&mut singles));
    report.enqueue_many_per_s = Some(median(&mut many));
    Ok(())
}

pub(super) async fn drain(place: &Place, tasks: u64, report: &mut Report) -> Result<(), CliError> {
    let (mut floors, mut ones, mut twos, mut micros) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let broker = place.fresh().await?;
        let before = script_micros(&broker).await?;
        fill(&broker, tasks).await?;
        floors.push(floor::drain(&broker, tasks).await?);
        micros.push((script_micros(&broker).await? - before) / tasks as f64);
        ones.push(drain_with(&*place.fresh().await?, 1, 2, tasks, None).await?);
        twos.push(drain_with(&*place.fresh().await?, 2, 1, tasks, Some(report)).await?);
    }
    let ratio = median_ratio(&ones, &floors);
    let (floor, one) = (median(&mut floors), median(&mut ones));
    report.floor_drain_per_s = Some(floor);
    report.drain_per_s = Some(one);
    report.drain_two_per_s = Some(median(&mut twos));
    report.drain_ratio = Some(ratio);
    report.redis_us_per_task = Some(median(&mut micros));
    Ok(())
}

/// Tasks per second over the last nine tenths of a full queue, as others are measured.
async fn drain_with(
    broker: &Broker,
    processes: usize,
    slots: usize,
    tasks: u64,
    report: Option<&mut Report>,
) -> Result<f64, CliError> {
    let empty = used_memory(broker).await?;
    fill(broker, tasks).await?;
    let start = Instant::now();
    let workers = Workers::start(broker, processes, slots).await?;
    let (begin, before) = match settled(broker, tasks / 10).await? {
        // So few that all had ended at the first look.
        (_, all) if all == tasks => (start, 0),
        looked => looked,
    };
    let (end, _) = settled(broker, tasks).await?;
    workers.stop().await;
    if let Some(report) = report {
        report.bytes_per_finished_task = Some((used_memory(broker).await? - empty) / tasks as f64);
        report.longest_script_ms = longest_script_ms(broker).await?;
    }
    Ok((tasks - before) as f64 / (end - begin).as_secs_f64())
}

/// Waits until so many tasks have succeeded; when that was, and how many there were then.
pub(super) async fn settled(broker: &Broker, tasks: u64) -> Result<(Instant, u64), CliError> {
    settled_looking(broker, tasks, LOOK).await
}

/// The same, looked at now and then.
pub(super) async fn settled_looking(
    broker: &Broker,
    tasks: u64,
    look: Duration,
) -> Result<(Instant, u64), CliError> {
    loop {
        let stats = broker.snapshot(1, 0).await?.stats;
        let succeeded = stats.get("succeeded").copied().unwrap_or(0);
        if succeeded >= tasks {
            return Ok((Instant::now(), succeeded));
        }
        tokio::time::sleep(look).await;
    }
}

pub(super) async fn end_to_end(
    place: &Place,
    tasks: u64,
    report: &mut Report,
) -> Result<(), CliError> {
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let broker = place.fresh().await?;
        let workers = Workers::start(&broker, 1, 2).await?;
        let begin = Instant::now();
        fill(&broker, tasks).await?;
        let (end, _) = settled(&broker, tasks).await?;
        rates.push(tasks as f64 / (end - begin).as_secs_f64());
        workers.stop().await;
    }
    report.end_to_end_per_s = Some(median(&mut rates));
    Ok(())
}
