//! The same estimate in four ways: a job on one worker and on all, one plain thread and as many
//! as there are workers. All count the same points, so all must find the same hits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use celeriac_broker_schema::{Broker, JobId, Split};
use celeriac_producer::{NewJob, NewTask, Producer, Task};
use celeriac_worker::builtin::pi::{self, Estimate};
use celeriac_worker::builtin::{Pi, PiEstimate};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::progress::Progress;
use crate::error::CliError;

/// The seed of the demo: the estimate is the same every time.
pub(super) const SEED: u64 = 7;
/// How often the progress is shown. The result does not wait for it.
const SHOW_EVERY: Duration = Duration::from_millis(100);
/// How long the job is kept: a namespace of the demo is of no use for long.
const KEEP: Duration = Duration::from_secs(3_600);

/// What to compute.
#[derive(Debug, Clone, Copy)]
pub(super) struct PiJob {
    pub(super) samples: u64,
    pub(super) chunks: u64,
}

/// An estimate by workers, and how long it took from its enqueue until its result was here.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct JobRun {
    pub(super) estimate: Estimate,
    pub(super) took: Duration,
}

/// A count by plain threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ThreadRun {
    pub(super) hits: u64,
    pub(super) took: Duration,
}

/// All four.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) one_worker: JobRun,
    pub(super) all_workers: JobRun,
    pub(super) one_thread: ThreadRun,
    pub(super) all_threads: ThreadRun,
}

impl Measured {
    /// Every chunk counts exactly once, whoever counts.
    pub(super) fn check(&self) -> Result<(), CliError> {
        let found = [
            self.one_worker.estimate.hits,
            self.all_workers.estimate.hits,
            self.one_thread.hits,
            self.all_threads.hits,
        ];
        if found.iter().any(|hits| *hits != found[0]) {
            return Err(CliError::Bug(format!("the same points were counted as {found:?} hits")));
        }
        Ok(())
    }
}

impl PiJob {
    /// Enqueues the job and waits for its result.
    pub(super) async fn run(
        self,
        producer: &Producer,
        label: &str,
        progress: &Progress,
    ) -> Result<JobRun, CliError> {
        let job = self.new_job(label)?;
        let begin = Instant::now();
        let handle = producer.enqueue_job(job).await?.typed::<Estimate>();
        let estimate = tokio::select! {
            estimate = handle.result() => estimate?,
            error = show(producer.broker(), handle.id().job(), progress) => return Err(error),
        };
        let took = begin.elapsed();
        progress.finish();
        Ok(JobRun { estimate, took })
    }

    fn new_job(self, label: &str) -> Result<NewJob, CliError> {
        let chunk = NewTask::of(&Pi { samples: 0, seed: Some(SEED) })?.keep_result(KEEP);
        let reducer = NewTask::new(PiEstimate::NAME, &serde_json::json!({}))?;
        let job = NewJob::new(chunk, self.chunks).split("samples", self.samples);
        Ok(job
            .sum("hits")
            .sum("samples")
            .reduce(reducer)
            .label(format!("Pi on {label}"))
            .submitted_by("celeriac demo"))
    }

    /// Counts the same points on so many threads of this process, which take chunk after chunk.
    pub(super) async fn on_threads(self, threads: usize) -> Result<ThreadRun, CliError> {
        let counted = spawn_blocking(move || self.count_on_threads(threads)).await;
        counted.map_err(|error| CliError::Bug(error.to_string()))
    }

    fn count_on_threads(self, threads: usize) -> ThreadRun {
        let split = Split { field: String::new(), total: self.samples };
        let (next, hits) = (AtomicU64::new(0), AtomicU64::new(0));
        let count = || loop {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            if chunk >= self.chunks {
                return;
            }
            let found = pi::hits(SEED, chunk, split.share(chunk, self.chunks));
            hits.fetch_add(found, Ordering::Relaxed);
        };
        let begin = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(count);
            }
        });
        ThreadRun { took: begin.elapsed(), hits: hits.into_inner() }
    }
}

/// Shows how far a job is, until it is dropped. A failed look at Redis is no reason to stop:
/// whoever waits for the result knows better.
async fn show(broker: &Broker, job: JobId, progress: &Progress) -> CliError {
    let mut ticks = interval(SHOW_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Ok((_, Some(view))) = broker.job(job).await {
            progress.show(view.done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_threads_counts_the_same() {
        let job = PiJob { samples: 1_003, chunks: 7 };
        let split = Split { field: String::new(), total: 1_003 };
        let expected: u64 = (0..7).map(|chunk| pi::hits(SEED, chunk, split.share(chunk, 7))).sum();
        for threads in [1, 2, 16] {
            assert_eq!(job.count_on_threads(threads).hits, expected);
        }
    }
}
