//! What was measured, as JSON and as a table.

use serde::Serialize;

use crate::bench::place::Place;
use crate::bench::workflows::Workflows;
use crate::error::CliError;
use crate::output::{Align, Table};

/// How late half of the due tasks may start at most in an idle worker.
pub(super) const SOON_MS: f64 = 20.0;

/// The figures of a run. What was not measured is absent.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Product and version of the server.
    server: String,
    /// Whether the append-only file was on, as far as known.
    #[serde(skip_serializing_if = "Option::is_none")]
    append_only: Option<bool>,
    tasks: u64,
    cores: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) load_average: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enqueue_one_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enqueue_many_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redis_us_per_enqueue: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) floor_drain_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) drain_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) drain_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) drain_two_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end_to_end_per_s: Option<f64>,
    /// Script time for enqueue, claim and complete together, as the bare client of the floor calls
    /// them: in batches of 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redis_us_per_task: Option<f64>,
    /// The longest call of any script while a full queue was filled and drained by two workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) longest_script_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redis_us_per_chunk: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) chunks_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enqueue_million_chunks_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) latency_ms: Option<Latency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) round_trip_ms: Option<f64>,
    /// Script time for enqueue, claim and complete of one task alone, in an idle system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redis_us_per_single_task: Option<f64>,
    /// The same as `latency_ms` of the most urgent tasks, while a worker is busy with a full queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) overtaking_ms: Option<Latency>,
    /// From the time that a delayed task is due to its first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delay_ms: Option<Latency>,
    /// Whether the median of that is below [`SOON_MS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delay_in_time: Option<bool>,
    /// The same of tasks that a schedule enqueues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schedule_ms: Option<Latency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at_once: Option<AtOnce>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes_per_queued_task: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes_per_finished_task: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes_per_queued_chunk: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) worker_rss_mib: Option<f64>,
    /// Share of a core that a thousand idle workers cost Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) idle_redis_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pi_scale: Option<PiScale>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) workflows: Option<Workflows>,
    /// The longest call of any script among the reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) longest_read_ms: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reads: Vec<ReadRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) features: Vec<FeatureRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) pi: Vec<PiRow>,
}

/// From the call that enqueues a task to its first line.
#[derive(Debug, Serialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
}

impl Latency {
    /// Of so many milliseconds each.
    pub(super) fn of(millis: &[f64]) -> Self {
        let at = |share| percentile(millis, share);
        Self { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
    }
}

/// Very many tasks that become due in one millisecond.
#[derive(Debug, Serialize)]
pub(super) struct AtOnce {
    pub(super) tasks: u64,
    /// Until all of them are ready.
    pub(super) seconds: f64,
    /// Of tasks of another queue meanwhile, as `latency_ms`.
    pub(super) latency: Latency,
    /// The longest of them: no call of a script took longer.
    pub(super) longest_ms: f64,
}

/// How the large Pi job scales, in samples per second.
#[derive(Debug, Serialize)]
pub(super) struct PiScale {
    pub(super) samples: u64,
    pub(super) chunks: u64,
    pub(super) one_thread_per_s: f64,
    pub(super) two_threads_per_s: f64,
    pub(super) one_worker_per_s: f64,
    pub(super) two_workers_per_s: f64,
    pub(super) speedup_over_one_worker: f64,
    /// Time of two plain threads over time of two workers.
    pub(super) ratio_to_threads: f64,
    /// 100 million samples in 100 chunks, two workers running: from enqueue to estimate.
    pub(super) small_job_seconds: f64,
}

/// One row of the classic table.
#[derive(Debug, Serialize)]
pub(super) struct PiRow {
    samples: u64,
    /// 0: one plain thread without a queue.
    workers: usize,
    seconds: f64,
    samples_per_second: f64,
    /// Over one plain thread.
    speedup: f64,
    pi: f64,
}

/// What tasks with a feature cost.
#[derive(Debug, Serialize)]
pub(super) struct FeatureRow {
    feature: String,
    /// Script time from enqueue to result.
    redis_us_per_task: f64,
}

/// What a read of the monitor takes.
#[derive(Debug, Serialize)]
pub(super) struct ReadRow {
    read: String,
    /// All round trips of it together.
    ms: Latency,
}

impl ReadRow {
    pub(super) fn new(read: &str, ms: Latency) -> Self {
        Self { read: read.to_owned(), ms }
    }
}

impl FeatureRow {
    pub(super) fn new(feature: &str, redis_us_per_task: f64) -> Self {
        Self { feature: feature.to_owned(), redis_us_per_task }
    }
}

impl PiRow {
    pub(super) fn new(samples: u64, workers: usize, seconds: f64, thread: f64, pi: f64) -> Self {
        let samples_per_second = samples as f64 / seconds;
        Self { samples, workers, seconds, samples_per_second, speedup: thread / seconds, pi }
    }
}

impl Report {
    pub(super) async fn new(place: &Place, tasks: u64) -> Result<Self, CliError> {
        let server = place.fresh().await?.check_server().await?;
        Ok(Self {
            server: format!("{} {}", server.product, server.version),
            append_only: place.append_only(),
            tasks,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            ..Self::default()
        })
    }

    /// The report for people.
    pub(super) fn render(&self) -> String {
        let mut table =
            Table::new([("", Align::Left), ("measured", Align::Right), ("unit", Align::Left)]);
        for (name, value, unit) in self.figures() {
            if let Some(value) = value {
                table.row([name.to_owned(), readable(value), unit.to_owned()]);
            }
        }
        let aof = match self.append_only {
            Some(true) => "append-only file on",
            Some(false) => "append-only file off",
            None => "a server that was given",
        };
        let load =
            self.load_average.map(|load| format!(", load average {load:.2}")).unwrap_or_default();
        let head =
            format!("{}, {aof}; {} tasks; {} cores{load}", self.server, self.tasks, self.cores);
        let pi =
            if self.pi.is_empty() { String::new() } else { format!("\n\n{}", self.render_pi()) };
        let features = match self.features.is_empty() {
            true => String::new(),
            false => format!("\n\n{}", self.render_features()),
        };
        let reads = match self.reads.is_empty() {
            true => String::new(),
            false => format!("\n\n{}", self.render_reads()),
        };
        let figures = match table.is_empty() {
            true => String::new(),
            false => format!("\n\n{}", table.render()),
        };
        let in_time = self.delay_in_time.map(|in_time| {
            let word = if in_time { "yes" } else { "NO" };
            format!("\n\nhalf of the due tasks start within {SOON_MS} ms: {word}")
        });
        format!("{head}{figures}{}{reads}{features}{pi}", in_time.unwrap_or_default())
    }

    fn render_reads(&self) -> String {
        let titles = [("read", Align::Left), ("p50 ms", Align::Right), ("p95 ms", Align::Right)];
        let mut table = Table::new(titles);
        for ReadRow { read, ms } in &self.reads {
            table.row([read.clone(), format!("{:.2}", ms.p50), format!("{:.2}", ms.p95)]);
        }
        table.render()
    }

    fn render_features(&self) -> String {
        let titles =
            [("feature", Align::Left), ("µs/task", Align::Right), ("beside none", Align::Right)];
        let mut table = Table::new(titles);
        let none = self.features.first().map_or(0.0, |row| row.redis_us_per_task);
        for FeatureRow { feature, redis_us_per_task: micros } in &self.features {
            let beside = format!("{:+.2}", micros - none);
            table.row([feature.clone(), format!("{micros:.2}"), beside]);
        }
        table.render()
    }

    fn figures(&self) -> Vec<(&'static str, Option<f64>, &'static str)> {
        let latency = |of: fn(&Latency) -> f64| self.latency_ms.as_ref().map(of);
        let urgent = |of: fn(&Latency) -> f64| self.overtaking_ms.as_ref().map(of);
        let delay = |of: fn(&Latency) -> f64| self.delay_ms.as_ref().map(of);
        let schedule = |of: fn(&Latency) -> f64| self.schedule_ms.as_ref().map(of);
        let at_once = |of: fn(&AtOnce) -> f64| self.at_once.as_ref().map(of);
        let flow = |of: fn(&Workflows) -> f64| self.workflows.as_ref().map(of);
        let pi = |of: fn(&PiScale) -> f64| self.pi_scale.as_ref().map(of);
        vec![
            ("enqueue, one at a time", self.enqueue_one_per_s, "tasks/s"),
            ("enqueue, batched", self.enqueue_many_per_s, "tasks/s"),
            ("floor: drain by a bare client", self.floor_drain_per_s, "tasks/s"),
            ("drain, 1 worker process, results kept", self.drain_per_s, "tasks/s"),
            ("  its share of the floor", self.drain_ratio, ""),
            ("drain, 2 worker processes, results kept", self.drain_two_per_s, "tasks/s"),
            ("producer and worker together", self.end_to_end_per_s, "tasks/s"),
            ("Redis script time, enqueue alone", self.redis_us_per_enqueue, "µs/task"),
            ("Redis script time, bare client, batches of 500", self.redis_us_per_task, "µs/task"),
            ("longest call of a script meanwhile", self.longest_script_ms, "ms"),
            ("Redis script time of a chunk", self.redis_us_per_chunk, "µs/chunk"),
            ("chunks of a range, 1 worker process", self.chunks_per_s, "chunks/s"),
            ("enqueue a range of 1,000,000 chunks", self.enqueue_million_chunks_ms, "ms"),
            ("latency when idle, p50", latency(|latency| latency.p50), "ms"),
            ("latency when idle, p95", latency(|latency| latency.p95), "ms"),
            ("latency when idle, p99", latency(|latency| latency.p99), "ms"),
            ("round trip of a bare client", self.round_trip_ms, "ms"),
            (
                "Redis script time of a single task when idle",
                self.redis_us_per_single_task,
                "µs/task",
            ),
            ("urgent task beside a full queue, p50", urgent(|latency| latency.p50), "ms"),
            ("urgent task beside a full queue, p99", urgent(|latency| latency.p99), "ms"),
            ("delayed task, start after due, p50", delay(|late| late.p50), "ms"),
            ("delayed task, start after due, p95", delay(|late| late.p95), "ms"),
            ("schedule, start after due, p50", schedule(|late| late.p50), "ms"),
            ("schedule, start after due, p95", schedule(|late| late.p95), "ms"),
            ("tasks due in one millisecond", at_once(|all| all.tasks as f64), "tasks"),
            ("  until all are ready", at_once(|all| all.seconds), "s"),
            ("  latency of another queue, p50", at_once(|all| all.latency.p50), "ms"),
            ("  latency of another queue, p99", at_once(|all| all.latency.p99), "ms"),
            ("  latency of another queue, longest", at_once(|all| all.longest_ms), "ms"),
            ("task behind 1,000 others, enqueue to start", flow(|all| all.bare_drain_ms), "ms"),
            ("callback of a chord of 1,000, enqueue to start", flow(|all| all.chord_ms), "ms"),
            ("members of a group, accumulated", flow(|all| all.members_per_s), "tasks/s"),
            ("  the same as independent tasks", flow(|all| all.tasks_per_s), "tasks/s"),
            ("  rate of members over that", flow(|all| all.ratio), ""),
            ("  Redis memory per queued member", flow(|all| all.bytes_per_member), "bytes"),
            (
                "  longest call of a script",
                self.workflows.as_ref().and_then(|all| all.longest_script_ms),
                "ms",
            ),
            ("calls of scripts per step of a chain", flow(|all| all.calls_per_step), "calls"),
            ("steps of a chain, 1 worker process", flow(|all| all.steps_per_s), "steps/s"),
            ("longest call of a script among reads", self.longest_read_ms, "ms"),
            ("Redis memory per queued task", self.bytes_per_queued_task, "bytes"),
            ("Redis memory per finished task", self.bytes_per_finished_task, "bytes"),
            ("Redis memory per queued chunk", self.bytes_per_queued_chunk, "bytes"),
            ("memory of an idle worker", self.worker_rss_mib, "MiB"),
            ("Redis load of 1,000 idle workers", self.idle_redis_percent, "% of a core"),
            ("Pi, 1 plain thread", pi(|pi| pi.one_thread_per_s), "samples/s"),
            ("Pi, 2 plain threads", pi(|pi| pi.two_threads_per_s), "samples/s"),
            ("Pi, 1 worker", pi(|pi| pi.one_worker_per_s), "samples/s"),
            ("Pi, 2 workers", pi(|pi| pi.two_workers_per_s), "samples/s"),
            ("  speed-up over 1 worker", pi(|pi| pi.speedup_over_one_worker), ""),
            ("  share of 2 plain threads", pi(|pi| pi.ratio_to_threads), ""),
            ("Pi, 100 M samples, enqueue to estimate", pi(|pi| pi.small_job_seconds), "s"),
        ]
    }

    fn render_pi(&self) -> String {
        let titles = ["samples", "workers", "seconds", "samples/s", "speed-up", "estimate"];
        let mut table = Table::new(titles.map(|title| (title, Align::Right)));
        for row in &self.pi {
            let workers =
                if row.workers == 0 { "1 thread".to_owned() } else { row.workers.to_string() };
            table.row([
                readable(row.samples as f64),
                workers,
                format!("{:.4}", row.seconds),
                readable(row.samples_per_second),
                format!("{:.2}", row.speedup),
                format!("{:.6}", row.pi),
            ]);
        }
        table.render()
    }
}

fn readable(value: f64) -> String {
    if value >= 1_000.0 {
        crate::format::grouped(value.round() as u64)
    } else {
        format!("{value:.3}")
    }
}

/// The median over the rounds of one measurement divided by another of the same round: what slows the
/// machine down for a while slows both down.
pub(super) fn median_ratio(over: &[f64], under: &[f64]) -> f64 {
    median(&mut over.iter().zip(under).map(|(over, under)| over / under).collect::<Vec<_>>())
}

/// The middle one of these values.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    percentile(values, 0.5)
}

/// The value below which a share of these lies.
pub(super) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(0.0)
}

/// The load of the machine over the last minute, where the system tells it.
pub(super) fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests;
