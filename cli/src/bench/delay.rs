//! Exactness: how long after the time that they are due tasks begin, in an idle worker, when they
//! were delayed and when a schedule enqueues them; and what happens when very many are due at once.
//!
//! Server, worker and measurement are on one machine, so that due times (by the clock of Redis) and
//! beginnings are told by one clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use celeriac_broker_schema::{Broker, QueueName, Timestamp};
use celeriac_producer::{NewTask, Producer, Replace, Schedule, Task};
use celeriac_worker::task::{Registry, TaskError};
use celeriac_worker::{Shutdown, Worker, WorkerConfig};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::bench::place::Place;
use crate::bench::report::{AtOnce, Latency, Report, percentile};
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

/// Notes when it begins.
#[derive(Serialize, Deserialize)]
struct Mark {
    number: u64,
}

impl Task for Mark {
    const NAME: &'static str = "bench.mark";
    type Output = ();
}

/// A beginning: the number of the task and milliseconds since the epoch.
type Begun = (u64, f64);

/// A worker of this process, on a thread of its own.
struct Marking {
    shutdown: Shutdown,
    thread: std::thread::JoinHandle<()>,
    begins: mpsc::UnboundedReceiver<Begun>,
}

impl Marking {
    fn start(broker: &Broker, queue: QueueName) -> Result<Self, CliError> {
        let (begun, begins) = mpsc::unbounded_channel();
        let mark = move |mark: Mark| {
            // Nobody listens any more when the measurement is over.
            let _ = begun.send((mark.number, clock_ms()));
            async { Ok::<_, TaskError>(()) }
        };
        let tasks = Registry::new(()).task(mark).build();
        let config =
            WorkerConfig { concurrency: 2, queues: vec![queue], ..WorkerConfig::default() };
        let worker = Worker::new(broker.separate()?, tasks, config)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(CliError::System)?;
        let shutdown = Shutdown::new();
        let told = shutdown.clone();
        let thread = std::thread::spawn(move || {
            if let Err(error) = runtime.block_on(worker.run(told)) {
                tracing::error!(%error, "the measured worker ended");
            }
        });
        Ok(Self { shutdown, thread, begins })
    }

    async fn begun(&mut self) -> Result<Begun, CliError> {
        self.begins.recv().await.ok_or(CliError::NoWorkerLeft)
    }

    fn stop(self) {
        self.shutdown.drain();
        let _ = self.thread.join();
    }
}

/// The part `delay`.
pub(super) async fn measure(place: &Place, report: &mut Report) -> Result<(), CliError> {
    let broker = place.fresh()?;
    let mut marking = Marking::start(&broker, QueueName::default())?;
    let producer = Producer::new(broker.clone());
    report.delay_ms = Some(Latency::of(&delayed(&producer, &mut marking).await?));
    report.schedule_ms = Some(Latency::of(&scheduled(&producer, &mut marking).await?));
    marking.stop();
    Ok(())
}

async fn delayed(producer: &Producer, marking: &mut Marking) -> Result<Vec<f64>, CliError> {
    let mut late = Vec::new();
    for number in 0..SAMPLES {
        let due = Timestamp(clock_ms() as u64 + DELAY_MS);
        producer.enqueue_task(NewTask::of(&Mark { number })?.at(due)).await?;
        late.push(marking.begun().await?.1 - due.0 as f64);
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
        let (number, at) = marking.begun().await?;
        late.push((at - due[number as usize]).rem_euclid(1_000.0));
    }
    Ok(late)
}

/// The part `due`: what another queue feels while very many tasks become due in one millisecond.
pub(super) async fn at_once(
    place: &Place,
    tasks: u64,
    report: &mut Report,
) -> Result<(), CliError> {
    let broker = place.fresh()?;
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
        late.push(marking.begun().await?.1 - enqueued);
        if late.len() % 100 == 0 && broker.snapshot(10, 0).await?.delayed == 0 {
            break;
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let latency = Latency::of(&late);
    let longest_ms = percentile(&late, 1.0);
    report.at_once = Some(AtOnce { tasks, seconds, latency, longest_ms });
    marking.stop();
    Ok(())
}

impl Latency {
    fn of(millis: &[f64]) -> Self {
        let at = |share| percentile(millis, share);
        Self { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
    }
}

/// Milliseconds since the epoch.
fn clock_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e3)
}
