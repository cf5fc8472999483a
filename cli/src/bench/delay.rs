//! Exactness: how long after the time that they are due tasks begin, in an idle worker, when they
//! were delayed and when a schedule enqueues them; and what happens when very many are due at once.
//!
//! Server, worker and measurement are on one machine, so that due times (by the clock of Redis) and
//! beginnings are told by one clock.

use std::time::{Duration, Instant};

use celeriac_broker_schema::{QueueName, Timestamp};
use celeriac_producer::{NewTask, Producer, Replace, Schedule};

use crate::bench::marking::{Mark, Marking, clock_ms};
use crate::bench::place::Place;
use crate::bench::report::{AtOnce, Latency, Report, SOON_MS, percentile};
use crate::error::CliError;

/// Delayed tasks, one after the other.
const SAMPLES: u64 = 200;
/// How long each is delayed: the worker is idle and asleep by then.
const DELAY_MS: u64 = 50;
/// Schedules, each once a second, and how many of their runs are measured.
const SCHEDULES: u64 = 10;
const RUNS: usize = 100;
/// When all of many tasks are due at the earliest: none may be before all are enqueued.
const AHEAD_MS: u64 = 60_000;

/// The part `delay`.
pub(super) async fn measure(place: &Place, report: &mut Report) -> Result<(), CliError> {
    let broker = place.fresh().await?;
    let mut marking = Marking::start(&broker, QueueName::default())?;
    let producer = Producer::new(broker.clone());
    let late = Latency::of(&delayed(&producer, &mut marking).await?);
    report.delay_in_time = Some(late.p50 < SOON_MS);
    report.delay_ms = Some(late);
    report.schedule_ms = Some(Latency::of(&scheduled(&producer, &mut marking).await?));
    Ok(())
}

async fn delayed(producer: &Producer, marking: &mut Marking) -> Result<Vec<f64>, CliError> {
    let mut late = Vec::new();
    for number in 0..SAMPLES {
        let due = Timestamp(clock_ms() as u64 + DELAY_MS);
        producer.enqueue_task(NewTask::of(&Mark { number })?.at(due)).await?;
        late.push(marking.begun().await?.clock_ms - due.0 as f64);
    }
    Ok(late)
}

async fn scheduled(producer: &Producer, marking: &mut Marking) -> Result<Vec<f64>, CliError> {
    let schedules = producer.schedules();
    let mut due = Vec::new();
    for number in 0..SCHEDULES {
        let name = format!("s{number}").parse()?;
        let schedule = Schedule::every(Duration::from_secs(1), NewTask::of(&Mark { number })?);
        let first = schedules.put(&name, &schedule, Replace::Any).await?.unwrap_or_default();
        due.push(first.0 as f64);
        // They are not to be due all at once.
        tokio::time::sleep(Duration::from_millis(37)).await;
    }
    let mut late = Vec::new();
    while late.len() < RUNS {
        let begun = marking.begun().await?;
        late.push((begun.clock_ms - due[begun.number as usize]).rem_euclid(1_000.0));
    }
    Ok(late)
}

/// The part `due`: what another queue feels while very many tasks become due in one millisecond.
pub(super) async fn at_once(
    place: &Place,
    tasks: u64,
    report: &mut Report,
) -> Result<(), CliError> {
    let broker = place.fresh().await?;
    let other: QueueName = "other".parse()?;
    let mut marking = Marking::start(&broker, other.clone())?;
    let producer = Producer::new(broker.clone());
    let due = Timestamp(clock_ms() as u64 + AHEAD_MS.max(tasks / 8));
    let mut many = producer.many();
    for number in 0..tasks {
        many.push(NewTask::of(&Mark { number })?.at(due)).await?;
    }
    many.finish().await?;
    let spare = Duration::from_millis((due.0).saturating_sub(clock_ms() as u64));
    if spare.is_zero() {
        return Err(CliError::Check("the tasks were due before all were enqueued".to_owned()));
    }
    tokio::time::sleep(spare).await;
    let (begin, mut late) = (Instant::now(), Vec::new());
    loop {
        let enqueued = clock_ms();
        producer.enqueue_task(NewTask::of(&Mark { number: 0 })?.queue(other.clone())).await?;
        late.push(marking.begun().await?.clock_ms - enqueued);
        if late.len() % 100 == 0 && broker.snapshot(10, 0).await?.delayed == 0 {
            break;
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let latency = Latency::of(&late);
    let longest_ms = percentile(&late, 1.0);
    report.at_once = Some(AtOnce { tasks, seconds, latency, longest_ms });
    Ok(())
}
