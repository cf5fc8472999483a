//! Latency: from the call that enqueues a task to its first line, in an idle worker. The worker
//! has a runtime of its own in this process, so that both times come from one clock.

use std::time::{Duration, Instant};

use celeriac_broker_schema::Broker;
use celeriac_producer::{NewTask, Producer, Task};
use celeriac_worker::task::{Registry, TaskError};
use celeriac_worker::{Shutdown, Worker, WorkerConfig};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::bench::place::{Place, script_micros};
use crate::bench::report::{Latency, Report, median, percentile};
use crate::error::CliError;

const SAMPLES: usize = 1_000;
/// Time between two tasks: the worker is idle again by then.
const PAUSE: Duration = Duration::from_millis(5);

/// Notes when it begins.
#[derive(Serialize, Deserialize)]
pub(super) struct Mark {}

impl Task for Mark {
    const NAME: &'static str = "bench.mark";
    type Output = ();
}

/// Does nothing, beside those that are measured.
#[derive(Serialize, Deserialize)]
pub(super) struct Fill {}

impl Task for Fill {
    const NAME: &'static str = "bench.fill";
    type Output = ();
}

pub(super) async fn measure(place: &Place, report: &mut Report) -> Result<(), CliError> {
    let broker = place.fresh()?;
    report.round_trip_ms = Some(round_trip(&broker).await?);
    let (begun, begins) = mpsc::unbounded_channel();
    let shutdown = Shutdown::new();
    let worker = start_worker(&broker, begun, shutdown.clone())?;
    // As in a service: the producer is called from a task of the runtime.
    let before = script_micros(&broker).await?;
    let samples = tokio::spawn(sample(Producer::new(broker.clone()), begins)).await;
    let micros = script_micros(&broker).await? - before;
    report.redis_us_per_single_task = Some(micros / SAMPLES as f64);
    shutdown.drain();
    let _ = worker.join();
    let millis = samples.map_err(|error| CliError::Bug(error.to_string()))??;
    let at = |share| percentile(&millis, share);
    report.latency_ms = Some(Latency { p50: at(0.5), p95: at(0.95), p99: at(0.99) });
    Ok(())
}

async fn sample(
    producer: Producer,
    mut begins: mpsc::UnboundedReceiver<Instant>,
) -> Result<Vec<f64>, CliError> {
    let mut millis = Vec::with_capacity(SAMPLES);
    // The first one finds scripts not yet loaded and connections not yet made.
    for sample in 0..=SAMPLES {
        let task = NewTask::of(&Mark {})?;
        let enqueued = Instant::now();
        producer.enqueue_task(task).await?;
        let begun = begins.recv().await.ok_or(CliError::NoWorkerLeft)?;
        if sample > 0 {
            millis.push(begun.saturating_duration_since(enqueued).as_secs_f64() * 1e3);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(millis)
}

/// A worker with a runtime of its own that tells when each [`Mark`] begins.
pub(super) fn start_worker(
    broker: &Broker,
    begun: mpsc::UnboundedSender<Instant>,
    shutdown: Shutdown,
) -> Result<std::thread::JoinHandle<()>, CliError> {
    let mark = move |_: Mark| {
        // Nobody listens any more when the measurement is over.
        let _ = begun.send(Instant::now());
        async { Ok::<_, TaskError>(()) }
    };
    let fill = async |_: Fill| Ok::<_, TaskError>(());
    let tasks = Registry::new(()).task(mark).task(fill).build();
    let config = WorkerConfig { concurrency: 2, ..WorkerConfig::default() };
    let worker = Worker::new(broker.separate()?, tasks, config)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(CliError::System)?;
    Ok(std::thread::spawn(move || {
        if let Err(error) = runtime.block_on(worker.run(shutdown)) {
            tracing::error!(%error, "the measured worker ended");
        }
    }))
}

/// The median of one round trip, in milliseconds.
async fn round_trip(broker: &Broker) -> Result<f64, CliError> {
    let mut millis = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let begin = Instant::now();
        broker.ping().await?;
        millis.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&mut millis))
}
