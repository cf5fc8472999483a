//! Overtaking: how soon the most urgent task begins while a worker is busy with a queue full of
//! others, from the call that enqueues it to its first line.

use std::time::Instant;

use celeriac_broker_schema::{Broker, Priority, QueueName};
use celeriac_producer::{NewTask, Producer};

use crate::bench::marking::{Fill, Mark, Marking};
use crate::bench::place::Place;
use crate::bench::report::{Latency, Report};
use crate::error::CliError;

/// Urgent tasks, one after the other.
const SAMPLES: usize = 200;
/// Others in a batch; as many batches wait as are needed to stay ahead of the worker.
const BATCH: usize = 20_000;

pub(super) async fn measure(place: &Place, report: &mut Report) -> Result<(), CliError> {
    let broker = place.fresh().await?;
    fill(&broker).await?;
    let mut marking = Marking::start(&broker, QueueName::default())?;
    let producer = Producer::new(broker.clone());
    let mut millis = Vec::with_capacity(SAMPLES);
    while millis.len() < SAMPLES {
        if waiting(&broker).await? < BATCH as u64 {
            fill(&broker).await?;
        }
        let mark = Mark { number: millis.len() as u64 };
        let task = NewTask::of(&mark)?.priority(Priority::HIGHEST);
        let enqueued = Instant::now();
        producer.enqueue_task(task).await?;
        let begun = marking.begun().await?.at;
        millis.push(begun.saturating_duration_since(enqueued).as_secs_f64() * 1e3);
    }
    report.overtaking_ms = Some(Latency::of(&millis));
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
