//! What the demo found, as JSON and as text.

use serde::Serialize;

use super::measure::{Measured, SEED};
use crate::args::DemoArgs;
use crate::format::{counted, grouped};

/// Work that one plain thread does in less time, in seconds, tells nothing of speed: the start of a
/// job takes milliseconds, and as much depends on what else the machine does.
const TELLING: f64 = 0.02;

/// The numbers of the demo. Times in seconds.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pi: f64,
    error: f64,
    standard_error: f64,
    hits: u64,
    samples: u64,
    chunks: u64,
    workers: u16,
    seed: u64,
    /// From the enqueue of the job until its result was here.
    seconds: f64,
    samples_per_second: f64,
    /// The same job on one worker.
    one_worker_seconds: f64,
    speedup_over_one_worker: f64,
    /// The same points on one thread without a queue.
    one_thread_seconds: f64,
    speedup_over_one_thread: f64,
    /// The same points on as many threads as there are workers.
    threads_seconds: f64,
    /// 1 if the queue costs nothing.
    ratio_to_threads: f64,
    /// Whether the work was so little that the ratios above are noise.
    too_short_to_compare: bool,
    cores: usize,
    monitor: String,
    #[serde(skip)]
    keep: bool,
}

impl Report {
    pub(super) fn new(args: &DemoArgs, measured: &Measured, monitor: &str) -> Self {
        let estimate = measured.all_workers.estimate;
        let seconds = measured.all_workers.took.as_secs_f64();
        let one_worker = measured.one_worker.took.as_secs_f64();
        let one_thread = measured.one_thread.took.as_secs_f64();
        let threads = measured.all_threads.took.as_secs_f64();
        Self {
            pi: estimate.pi,
            error: estimate.error,
            standard_error: estimate.standard_error,
            hits: estimate.hits,
            samples: estimate.samples,
            chunks: args.chunks,
            workers: args.workers,
            seed: SEED,
            seconds,
            samples_per_second: estimate.samples as f64 / seconds,
            one_worker_seconds: one_worker,
            speedup_over_one_worker: one_worker / seconds,
            one_thread_seconds: one_thread,
            speedup_over_one_thread: one_thread / seconds,
            threads_seconds: threads,
            ratio_to_threads: threads / seconds,
            too_short_to_compare: one_thread < TELLING,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            monitor: monitor.to_owned(),
            keep: args.keep,
        }
    }

    pub(super) fn text(&self) -> String {
        let Self { pi, error, standard_error, .. } = self;
        let workers = counted(self.workers.into(), "worker");
        let (samples, chunks) = (grouped(self.samples), grouped(self.chunks));
        let rate = self.samples_per_second / 1e6;
        let mut lines = vec![
            format!(
                "pi is about {pi:.8} (error {error:.2e}, expected by chance {standard_error:.2e})"
            ),
            format!(
                "{samples} samples in {chunks} chunks on {workers}: {:.3} s, {rate:.1} million samples/s",
                self.seconds
            ),
        ];
        lines.extend(self.comparison());
        if usize::from(self.workers) > self.cores {
            lines.push(format!(
                "{workers} share {} here: more cannot be faster",
                counted(self.cores as u64, "core")
            ));
        }
        lines.push(match self.keep {
            true => format!("the monitor is at {}", self.monitor),
            false => format!("the monitor was at {}; it stays with --keep", self.monitor),
        });
        lines.join("\n")
    }

    /// How it compares with fewer workers and with none.
    fn comparison(&self) -> Vec<String> {
        if self.too_short_to_compare {
            return vec![format!(
                "too short to compare: one plain thread needs {:.3} s; try more --samples",
                self.one_thread_seconds
            )];
        }
        let threads = counted(self.workers.into(), "thread");
        vec![
            format!(
                "{:.2} times one worker ({:.3} s)",
                self.speedup_over_one_worker, self.one_worker_seconds
            ),
            format!(
                "{:.2} times one plain thread without a queue ({:.3} s)",
                self.speedup_over_one_thread, self.one_thread_seconds
            ),
            format!(
                "{:.0} % of {threads} without a queue ({:.3} s)",
                self.ratio_to_threads * 100.0,
                self.threads_seconds
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use celeriac_worker::builtin::pi::Estimate;

    use super::super::measure::{JobRun, ThreadRun};
    use super::*;

    /// All took as long.
    fn text(took: Duration) -> String {
        let estimate = Estimate::from_counts(785, 1_000);
        let job = JobRun { estimate, took };
        let threads = ThreadRun { hits: 785, took };
        let measured = Measured {
            one_worker: job.clone(),
            all_workers: job,
            one_thread: threads,
            all_threads: threads,
        };
        let args = DemoArgs { samples: 1_000, chunks: 10, workers: 2, keep: false, port: 5555 };
        Report::new(&args, &measured, "http://127.0.0.1:5555/").text()
    }

    #[test]
    fn what_is_noise_is_not_printed() {
        let long = text(Duration::from_millis(30));
        assert!(long.contains("\n1.00 times one worker (0.030 s)\n"), "{long}");
        assert!(long.contains("\n100 % of 2 threads without a queue"), "{long}");
        let short = text(Duration::from_millis(10));
        assert!(
            short.contains("\ntoo short to compare: one plain thread needs 0.010 s;"),
            "{short}"
        );
        assert!(!short.contains(" times ") && !short.contains('%'), "{short}");
    }
}
