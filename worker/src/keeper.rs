//! The lease keeper: renews the lease and tells who we are, on a thread and with connections of
//! its own, so that no task, however busy or blocked, can starve it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use celeriac_broker_schema::script::Renewed;
use celeriac_broker_schema::{
    Broker, JobId, Notice, Progress, QueueName, RunningTask, Timestamp, WorkerInfo,
};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::changes::take_up;
use crate::ear::Ear;
use crate::shared::Shared;
use crate::unit::Epoch;

/// How often a busy worker tells what it does.
const BEAT: Duration = Duration::from_secs(2);

/// The loop's handles and state.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    /// Not the worker's: a connection lives in the runtime that made it.
    broker: Broker,
    ear: Ear,
    started: Timestamp,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>, broker: Broker) -> Self {
        let started = shared.clock.now();
        let ear = Ear::new(broker.clone());
        Self { shared, broker, ear, started }
    }

    /// Runs until told to stop, on a runtime of its own.
    pub(crate) async fn run(mut self, stop: &CancellationToken) {
        tokio::select! {
            () = self.keep() => {}
            () = stop.cancelled() => {}
        }
        self.tell_leave().await;
    }

    async fn keep(&mut self) {
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
            let unheeded = self.shared.end_unheeded().map_or(renew_at, Instant::from_std);
            let wake_at = renew_at.min(unheeded).min(Instant::now() + beat);
            if self.is_called(wake_at).await {
                renew_at = Instant::now();
            }
        }
    }

    /// Waits until then. True if something is wanted of the lease before: a renewal tells what.
    async fn is_called(&mut self, until: Instant) -> bool {
        let (lease, _) = self.shared.lease();
        loop {
            let notice = tokio::select! {
                () = sleep_until(until) => return false,
                notice = self.ear.heard(&lease) => notice,
            };
            match notice {
                Notice::Job(job) if !self.jobs().contains(&job) => {}
                _ => return true,
            }
        }
    }

    /// What changes when the worker does something.
    fn activity(&self) -> (u64, usize, bool, u64, Epoch) {
        let totals = &self.shared.totals;
        let ended =
            totals.succeeded.load(Ordering::Relaxed) + totals.failed.load(Ordering::Relaxed);
        let busy = self.shared.running().len();
        // One that runs something has progress to tell.
        let tick = if busy > 0 { self.shared.clock.now().0 } else { 0 };
        let orders = self.shared.changes.count();
        let draining = self.shared.shutdown.is_draining();
        (ended.wrapping_add(tick), busy, draining, orders, self.shared.lease().1)
    }

    /// Renews the lease. False if that has to be tried again soon.
    async fn renew(&self) -> bool {
        let (lease, epoch) = self.shared.lease();
        if self.shared.is_lost(epoch) {
            return false;
        }
        let jobs = self.jobs();
        match self.broker.renew(&lease, self.shared.config.visibility, &jobs).await {
            Ok(Renewed::Until { now, over, cancels, orders }) => {
                self.shared.clock.set(now);
                self.shared.hear_unwanted(cancels, over);
                take_up(&self.shared, epoch, *orders);
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

    /// The jobs whose chunks are here; enough of them to notice those that are over.
    fn jobs(&self) -> Vec<JobId> {
        let mut jobs = self.shared.lanes.jobs();
        jobs.extend(self.shared.running().iter().filter_map(|running| running.unit.job()));
        jobs.into_iter().take(100).collect()
    }

    /// Tells who we are. False if nobody heard.
    async fn tell(&self) -> bool {
        let info = self.info();
        let live = Duration::from_millis(info.lives_ms());
        let info = serde_json::to_string(&info).expect("our own types are always JSON");
        let (lease, _) = self.shared.lease();
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
        let served = shared.served();
        let mut running = shared.running();
        let busy = u32::try_from(shared.lanes.taken()).unwrap_or(u32::MAX);
        // Before those that are not listed are left out.
        let wedged = running.iter().filter(|running| running.wedged().is_some());
        let wedged: usize = wedged.map(|running| running.unit.cost).sum();
        running.sort_by_key(|running| running.since);
        running.truncate(WorkerInfo::MAX_RUNNING);
        WorkerInfo {
            host: host(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            queues: served.names().iter().map(|queue| queue.as_str().to_owned()).collect(),
            tasks: shared.tasks.names().into_iter().map(str::to_owned).collect(),
            slots: u32::try_from(shared.changes.slots()).unwrap_or(u32::MAX),
            busy,
            open: open(shared),
            wedged: u32::try_from(wedged).unwrap_or(u32::MAX),
            buffered: u32::try_from(shared.lanes.buffered()).unwrap_or(u32::MAX),
            draining: shared.shutdown.is_draining(),
            leaving: shared.changes.leaving(),
            paused: shared.changes.paused(),
            order: shared.changes.taken_up(shared.lease().1),
            started: self.started,
            succeeded: shared.totals.succeeded.load(Ordering::Relaxed),
            failed: shared.totals.failed.load(Ordering::Relaxed),
            visibility_ms: celeriac_broker_schema::time::millis(shared.config.visibility),
            rss_bytes: resident_bytes(),
            running: running.iter().map(|running| describe(running)).collect(),
        }
    }
}

/// How many slots are free for each queue, if some are kept for some of them.
fn open(shared: &Shared) -> BTreeMap<String, u32> {
    let Some((own, pool)) = shared.lanes.room(0) else { return BTreeMap::new() };
    let served = shared.served();
    let open = |queue: &QueueName| {
        let slots = own[served.class(queue.as_str())] + pool;
        (queue.as_str().to_owned(), u32::try_from(slots).unwrap_or(u32::MAX))
    };
    served.names().iter().map(open).collect()
}

fn describe(running: &crate::attempt::Running) -> RunningTask {
    let progress = running.ctx.progress_now();
    RunningTask {
        id: running.unit.id().to_string(),
        task: running.task.clone(),
        queue: Some(running.unit.place().0.to_owned()),
        attempt: running.ctx.attempt(),
        since: running.since,
        wedged: running.wedged(),
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
