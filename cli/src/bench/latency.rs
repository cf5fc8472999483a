//! Latency: from the call that enqueues a task to its first line, in an idle worker. The worker
//! has a runtime of its own in this process, so that both times come from one clock.

use std::time::{Duration, Instant};

use celeriac_broker_schema::{Broker, QueueName};
use celeriac_producer::{NewTask, Producer};
use tokio::task::JoinSet;

use crate::bench::marking::{Mark, Marking};
use crate::bench::place::{Place, script_micros};
use crate::bench::report::{Latency, Report, median};
use crate::error::CliError;

const SAMPLES: usize = 1_000;
/// Time between two tasks: the worker is idle again by then.
const PAUSE: Duration = Duration::from_millis(5);

pub(super) async fn measure(place: &Place, report: &mut Report) -> Result<(), CliError> {
    let broker = place.fresh().await?;
    report.round_trip_ms = Some(round_trip(&broker).await?);
    let marking = Marking::start(&broker, QueueName::default())?;
    let before = script_micros(&broker).await?;
    // As in a service: the producer is called from a task of the runtime. It ends with this one.
    let mut sampling = JoinSet::new();
    sampling.spawn(sample(Producer::new(broker.clone()), marking));
    let samples = sampling.join_next().await.transpose();
    let samples = samples.map_err(|error| CliError::Bug(error.to_string()))?;
    let millis = samples.ok_or(CliError::NoWorkerLeft)??;
    let micros = script_micros(&broker).await? - before;
    report.redis_us_per_single_task = Some(micros / SAMPLES as f64);
    report.latency_ms = Some(Latency::of(&millis));
    Ok(())
}

async fn sample(producer: Producer, mut marking: Marking) -> Result<Vec<f64>, CliError> {
    let mut millis = Vec::with_capacity(SAMPLES);
    // The first one finds scripts not yet loaded and connections not yet made.
    for sample in 0..=SAMPLES {
        let task = NewTask::of(&Mark { number: sample as u64 })?;
        let enqueued = Instant::now();
        producer.enqueue_task(task).await?;
        let begun = marking.begun().await?.at;
        if sample > 0 {
            millis.push(begun.saturating_duration_since(enqueued).as_secs_f64() * 1e3);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(millis)
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
