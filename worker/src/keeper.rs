//! The lease keeper: renews the lease and tells who we are, on a thread and with connections of
//! its own, so that no task, however busy or blocked, can starve it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use celeriac_broker_schema::script::Renewed;
use celeriac_broker_schema::{Broker, JobId, Progress, RunningTask, Timestamp, WorkerInfo};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;
use crate::unit::Epoch;

/// How often a busy worker tells what it does.
const BEAT: Duration = Duration::from_secs(2);

/// The loop's handles and state.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    /// Not the worker's: a connection lives in the runtime that made it.
    broker: Broker,
    started: Timestamp,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>, broker: Broker) -> Self {
        let started = shared.clock.now();
        Self { shared, broker, started }
    }

    /// Runs until told to stop, on a runtime of its own.
    pub(crate) async fn run(self, stop: &CancellationToken) {
        tokio::select! {
            () = self.keep() => {}
            () = stop.cancelled() => {}
        }
        self.tell_leave().await;
    }

    async fn keep(&self) {
        let period = self.shared.config.visibility / 3;
        let beat = period.min(BEAT);
        let (mut renew_at, mut tell_at) = (Instant::now() + period, Instant::now());
        let mut told = None;
        loop {
            // The lease first: nothing else may hold it up, and a call that hangs is given up in time
            // for another one on a new connection.
            if Instant::now() >= renew_at {
                let renewed = timeout(period, self.renew()).await.unwrap_or(false);
                renew_at = Instant::now() + if renewed { period } else { period / 10 };
            }
            // People like to see what runs; of an idle worker they know it already.
            let activity = self.activity();
            if told != Some(activity) || Instant::now() >= tell_at {
                let heard = timeout(period, self.tell()).await.unwrap_or(false);
                told = heard.then_some(activity);
                tell_at = Instant::now() + self.shared.config.visibility.mul_f64(2.0 / 3.0);
            }
            sleep(beat.min(renew_at.saturating_duration_since(Instant::now()))).await;
        }
    }

    /// What changes when the worker does something.
    fn activity(&self) -> (u64, usize, bool, Epoch) {
        let totals = &self.shared.totals;
        let ended =
            totals.succeeded.load(Ordering::Relaxed) + totals.failed.load(Ordering::Relaxed);
        let busy = self.shared.running().len();
        // One that runs something has progress to tell.
        let tick = if busy > 0 { self.shared.clock.now().0 } else { 0 };
        (ended.wrapping_add(tick), busy, self.shared.shutdown.is_draining(), self.shared.lease().1)
    }

    /// Renews the lease. False if that has to be tried again soon.
    async fn renew(&self) -> bool {
        let (lease, epoch) = self.shared.lease();
        if self.shared.is_lost(epoch) {
            return false;
        }
        let jobs = self.jobs();
        match self.broker.renew(&lease, self.shared.config.visibility, &jobs).await {
            Ok(Renewed::Until { now, over }) => {
                self.shared.clock.set(now);
                for job in over {
                    self.shared.job_over(job);
                }
                true
            }
            Ok(Renewed::Lost) => {
                self.shared.lease_lost(epoch);
                false
            }
            Err(error) => {
                tracing::debug!(%error, "the lease could not be renewed yet");
                false
            }
        }
    }

    /// The jobs whose chunks run here; enough of them to notice those that are over.
    fn jobs(&self) -> Vec<JobId> {
        let mut jobs: Vec<JobId> =
            self.shared.running().iter().filter_map(|running| running.unit.job()).collect();
        jobs.sort_unstable();
        jobs.dedup();
        jobs.truncate(100);
        jobs
    }

    /// Tells who we are. False if nobody heard.
    async fn tell(&self) -> bool {
        let info = serde_json::to_string(&self.info()).expect("our own types are always JSON");
        let (lease, _) = self.shared.lease();
        let live = self.shared.config.visibility.max(BEAT * 3);
        match self.broker.beat(&lease, live, Some(&info)).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "nobody could be told who we are");
                false
            }
        }
    }

    async fn tell_leave(&self) {
        let (lease, _) = self.shared.lease();
        // The entry expires by itself if this fails.
        let _ = tokio::time::timeout(
            Duration::from_secs(1),
            self.broker.beat(&lease, Duration::ZERO, None),
        )
        .await;
    }

    fn info(&self) -> WorkerInfo {
        let shared = &self.shared;
        let mut running = shared.running();
        let busy = u32::try_from(running.len()).unwrap_or(u32::MAX);
        running.sort_by_key(|running| running.since);
        running.truncate(WorkerInfo::MAX_RUNNING);
        WorkerInfo {
            host: host(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            queues: shared.config.queues.iter().map(|queue| queue.as_str().to_owned()).collect(),
            tasks: shared.tasks.names().into_iter().map(str::to_owned).collect(),
            slots: u32::try_from(shared.config.concurrency).unwrap_or(u32::MAX),
            busy,
            buffered: u32::try_from(shared.lanes.buffered()).unwrap_or(u32::MAX),
            draining: shared.shutdown.is_draining(),
            started: self.started,
            succeeded: shared.totals.succeeded.load(Ordering::Relaxed),
            failed: shared.totals.failed.load(Ordering::Relaxed),
            visibility_ms: celeriac_broker_schema::time::millis(shared.config.visibility),
            rss_bytes: resident_bytes(),
            running: running.iter().map(|running| describe(running)).collect(),
        }
    }
}

fn describe(running: &crate::attempt::Running) -> RunningTask {
    let progress = running.ctx.progress_now();
    RunningTask {
        id: running.unit.id().to_string(),
        task: running.task.clone(),
        attempt: running.ctx.attempt(),
        since: running.since,
        progress: progress.map(|p| Progress { done: p.done, total: p.total, note: p.note }),
    }
}

pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Resident memory of this process, where the system tells it (`/proc`, Linux).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
