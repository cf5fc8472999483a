//! Overtaking: how soon the most urgent task begins while a worker is busy with a queue full of
//! others, from the call that enqueues it to its first line.

use std::time::Instant;

use celeriac_broker_schema::{Broker, Priority};
use celeriac_producer::{NewTask, Producer};
use celeriac_worker::Shutdown;
use tokio::sync::mpsc;

use crate::bench::latency::{Fill, Mark, start_worker};
use crate::bench::place::Place;
use crate::bench::report::{Latency, Report, percentile};
use crate::error::CliError;

/// Urgent tasks, one after the other.
const SAMPLES: usize = 200;
/// Others in a batch; as many batches wait as are needed to stay ahead of the worker.
const BATCH: usize = 20_000;

pub(super) async fn measure(place: &Place, report: &mut Report) -> Result<(), CliError> {
    let broker = place.fresh()?;
    fill(&broker).await?;
    let (begun, mut begins) = mpsc::unbounded_channel();
    let shutdown = Shutdown::new();
    let worker = start_worker(&broker, begun, shutdown.clone())?;
    let producer = Producer::new(broker.clone());
    let mut millis = Vec::with_capacity(SAMPLES);
    while millis.len() < SAMPLES {
        if waiting(&broker).await? < BATCH as u64 {
            fill(&broker).await?;
        }
        let task = NewTask::of(&Mark {})?.priority(Priority::HIGHEST);
        let enqueued = Instant::now();
        producer.enqueue_task(task).await?;
        let begun = begins.recv().await.ok_or(CliError::NoWorkerLeft)?;
        millis.push(begun.saturating_duration_since(enqueued).as_secs_f64() * 1e3);
    }
    shutdown.drain();
    let _ = worker.join();
    let at = |share| percentile(&millis, share);
    report.overtaking_ms = Some(Latency { p50: at(0.5), p95: at(0.95), p99: at(0.99) });
    Ok(())
}

async fn waiting(broker: &Broker) -> Result<u64, CliError> {
    let snapshot = broker.snapshot(1, 0).await?;
    Ok(snapshot.queues.iter().map(|queue| queue.ready).sum())
}

async fn fill(broker: &Broker) -> Result<(), CliError> {
    let mut many = Producer::new(broker.clone()).many();
    for _ in 0..2 * BATCH {
        many.push(NewTask::of(&Fill {})?).await?;
    }
    many.finish().await?;
    Ok(())
}
