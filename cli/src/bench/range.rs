//! Jobs of chunks: what a range of a million chunks costs to enqueue and to hold, and what a chunk
//! costs Redis when real workers run it.

use std::time::Instant;

use celeriac_producer::{NewJob, NewTask, Producer};

use crate::bench::ROUNDS;
use crate::bench::place::{Place, script_micros, used_memory};
use crate::bench::report::{Report, median};
use crate::bench::workers::Workers;
use crate::error::CliError;

const MILLION: u64 = 1_000_000;

fn job(chunks: u64) -> Result<NewJob, CliError> {
    Ok(NewJob::new(NewTask::new("noop", &serde_json::json!({}))?, chunks))
}

pub(super) async fn measure(
    place: &Place,
    tasks: u64,
    report: &mut Report,
) -> Result<(), CliError> {
    let (mut millis, mut micros, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let broker = place.fresh().await?;
        let producer = Producer::new(broker.clone());
        // Loads the script and opens the connection.
        producer.enqueue_job(job(1)?).await?;
        let memory = used_memory(&broker).await?;
        let begin = Instant::now();
        producer.enqueue_job(job(MILLION)?).await?;
        millis.push(begin.elapsed().as_secs_f64() * 1e3);
        report.bytes_per_queued_chunk =
            Some((used_memory(&broker).await? - memory) / MILLION as f64);

        let broker = place.fresh().await?;
        let producer = Producer::new(broker.clone());
        let workers = Workers::start(&broker, 1, 2).await?;
        let before = script_micros(&broker).await?;
        let begin = Instant::now();
        producer.enqueue_job(job(tasks)?).await?.outcome().await?;
        rates.push(tasks as f64 / begin.elapsed().as_secs_f64());
        micros.push((script_micros(&broker).await? - before) / tasks as f64);
        workers.stop().await;
    }
    report.enqueue_million_chunks_ms = Some(median(&mut millis));
    report.redis_us_per_chunk = Some(median(&mut micros));
    report.chunks_per_s = Some(median(&mut rates));
    Ok(())
}
