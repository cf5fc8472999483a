//! Pi: the main job against plain threads without a queue.

use std::time::{Duration, Instant};

use celeriac_producer::{NewJob, NewTask, Producer};
use celeriac_worker::builtin::{job_plan, pi};

use crate::bench::place::Place;
use crate::bench::report::{PiRow, PiScale, Report, median, median_ratio};
use crate::bench::workers::Workers;
use crate::error::CliError;

/// Rounds are short, and two cores that a neighbour also uses are seldom free for long.
const ROUNDS: usize = 9;
const SEED: u64 = 7;
/// The large job that shows how it scales.
const LARGE: (u64, u64) = (2_000_000_000, 400);
/// The job whose whole time is told.
const SMALL: (u64, u64) = (100_000_000, 100);

pub(super) async fn measure(
    place: &Place,
    table: bool,
    report: &mut Report,
) -> Result<(), CliError> {
    report.pi_scale = Some(scale(place).await?);
    if table {
        report.pi = rows(place).await?;
    }
    Ok(())
}

/// Runs a job on workers that are ready. Returns its time and estimate.
async fn run(
    place: &Place,
    workers: usize,
    (samples, chunks): (u64, u64),
) -> Result<(Duration, pi::Estimate), CliError> {
    let broker = place.fresh().await?;
    let producer = Producer::new(broker.clone());
    let workers = Workers::start(&broker, workers, 1).await?;
    // A small job first: connections are made and scripts loaded.
    producer.enqueue_job(job(1_000, 4)?).await?.outcome().await?;
    let begin = Instant::now();
    let handle = producer.enqueue_job(job(samples, chunks)?).await?;
    let estimate = handle.typed::<pi::Estimate>().result().await?;
    let took = begin.elapsed();
    workers.stop().await;
    Ok((took, estimate))
}

fn job(samples: u64, chunks: u64) -> Result<NewJob, CliError> {
    let plan = job_plan("pi").ok_or_else(|| CliError::Bug("Pi has no plan".to_owned()))?;
    let mut job = NewJob::new(NewTask::new("pi", &serde_json::json!({ "seed": SEED }))?, chunks);
    for sum in plan.sums {
        job = job.sum(*sum);
    }
    let reducer = NewTask::new(plan.reducer, &serde_json::json!({}))?;
    Ok(job.split("samples", samples).reduce(reducer))
}

/// The same chunks on so many plain threads, each taking the next one from a counter.
fn threads(count: usize, (samples, chunks): (u64, u64)) -> Duration {
    let next = std::sync::atomic::AtomicU64::new(0);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                loop {
                    let chunk = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if chunk >= chunks {
                        return;
                    }
                    let share = samples / chunks + u64::from(chunk < samples % chunks);
                    std::hint::black_box(pi::hits(SEED, chunk, share));
                }
            });
        }
    });
    begin.elapsed()
}

async fn scale(place: &Place) -> Result<PiScale, CliError> {
    let mut seconds: [Vec<f64>; 5] = Default::default();
    for _ in 0..ROUNDS {
        seconds[0].push(threads(1, LARGE).as_secs_f64());
        seconds[1].push(threads(2, LARGE).as_secs_f64());
        seconds[2].push(run(place, 1, LARGE).await?.0.as_secs_f64());
        seconds[3].push(run(place, 2, LARGE).await?.0.as_secs_f64());
        seconds[4].push(run(place, 2, SMALL).await?.0.as_secs_f64());
    }
    let speedup_over_one_worker = median_ratio(&seconds[2], &seconds[3]);
    let ratio_to_threads = median_ratio(&seconds[1], &seconds[3]);
    let [thread, threads, one, two, small] = seconds.map(|mut all| median(&mut all));
    let samples = LARGE.0 as f64;
    Ok(PiScale {
        samples: LARGE.0,
        chunks: LARGE.1,
        one_thread_per_s: samples / thread,
        two_threads_per_s: samples / threads,
        one_worker_per_s: samples / one,
        two_workers_per_s: samples / two,
        speedup_over_one_worker,
        ratio_to_threads,
        small_job_seconds: small,
    })
}

async fn rows(place: &Place) -> Result<Vec<PiRow>, CliError> {
    let mut rows = Vec::new();
    for samples in [1_000_000, 10_000_000, 100_000_000] {
        let job = (samples, 100);
        let thread = threads(1, job).as_secs_f64();
        rows.push(PiRow::new(samples, 0, thread, thread, pi_of_threads(job)));
        for workers in [1, 2, 4, 8] {
            let (took, estimate) = run(place, workers, job).await?;
            rows.push(PiRow::new(samples, workers, took.as_secs_f64(), thread, estimate.pi));
        }
    }
    Ok(rows)
}

fn pi_of_threads((samples, chunks): (u64, u64)) -> f64 {
    let share = |chunk| samples / chunks + u64::from(chunk < samples % chunks);
    let hits = (0..chunks).map(|chunk| pi::hits(SEED, chunk, share(chunk))).sum();
    pi::Estimate::from_counts(hits, samples).pi
}
