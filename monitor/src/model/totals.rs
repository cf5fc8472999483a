//! The sums over a namespace.

use celeriac_broker_schema::script::Snapshot;
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::Worker;

/// How many there are of what, tasks and chunks alike unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Totals {
    /// Wait for a worker.
    pub(crate) ready: u64,
    /// Wait for a time.
    pub(crate) delayed: u64,
    /// Wait for other tasks.
    pub(crate) waiting: u64,
    /// Run, as far as the workers that were read tell.
    pub(crate) running: u64,
    /// How many can run at once, on the same workers.
    pub(crate) slots: u64,
    /// Workers that show signs of life.
    pub(crate) workers: u64,
    /// Of them read one by one; `running` and `slots` speak of these.
    pub(crate) workers_read: u64,
    /// Leases: one for each worker that may hold tasks.
    pub(crate) leases: u64,
    /// Expired leases whose tasks are being returned.
    pub(crate) orphans: u64,
    /// Jobs that have not ended.
    pub(crate) open_jobs: u64,
    /// Failed for good and kept for people to look at.
    pub(crate) dead: u64,
    /// Since the namespace began, as everything below.
    pub(crate) enqueued: u64,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) retried: u64,
    /// Deliveries whose worker was lost.
    pub(crate) reclaimed: u64,
    pub(crate) expired: u64,
}

impl Totals {
    pub(crate) fn new(snapshot: &Snapshot, workers: &[Worker], all_workers: u64) -> Self {
        let stat = |name: &str| snapshot.stats.get(name).copied().unwrap_or(0);
        let sum = |of: fn(&Worker) -> u64| workers.iter().map(of).sum();
        Self {
            ready: snapshot.queues.iter().map(|queue| queue.ready).sum(),
            delayed: snapshot.delayed,
            waiting: snapshot.waiting,
            running: sum(Worker::busy),
            slots: sum(Worker::slots),
            workers: all_workers,
            workers_read: workers.len() as u64,
            leases: snapshot.leases,
            orphans: snapshot.orphans,
            open_jobs: snapshot.open_jobs,
            dead: snapshot.dead,
            enqueued: stat("enqueued"),
            succeeded: stat("succeeded"),
            failed: stat("failed"),
            retried: stat("retried"),
            reclaimed: stat("reclaimed"),
            expired: stat("expired"),
        }
    }

    /// What was counted since the namespace began, by event.
    pub(crate) fn events(&self) -> [(&'static str, u64); 6] {
        [
            ("enqueued", self.enqueued),
            ("succeeded", self.succeeded),
            ("failed", self.failed),
            ("retried", self.retried),
            ("reclaimed", self.reclaimed),
            ("expired", self.expired),
        ]
    }
}
