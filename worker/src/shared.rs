//! What the loops of a worker share: the lanes in, the outbox out, what runs in between.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use celeriac_broker_schema::{Broker, JobId, LeaseId};
use tokio::sync::Notify;

use crate::attempt::Running;
use crate::clock::RedisClock;
use crate::config::WorkerConfig;
use crate::lanes::Lanes;
use crate::outbox::Outbox;
use crate::shutdown::Shutdown;
use crate::task::{CancelReason, Tasks};
use crate::unit::Epoch;

pub(crate) struct Shared {
    pub(crate) broker: Broker,
    pub(crate) tasks: Tasks,
    pub(crate) config: WorkerConfig,
    pub(crate) clock: RedisClock,
    pub(crate) lanes: Lanes,
    pub(crate) outbox: Outbox,
    pub(crate) totals: Totals,
    pub(crate) shutdown: Shutdown,
    lease: Mutex<(LeaseId, Epoch)>,
    /// Rung when the lease changes or is found lost.
    pub(crate) lease_news: Notify,
    /// Rung when an attempt leaves something for the courier.
    pub(crate) post_bell: Arc<Notify>,
    /// Whether jobs may be open whose chunks may be started twice.
    pub(crate) speculates: AtomicBool,
    /// Calls of the exchange that were answered.
    calls: AtomicU64,
    /// The newest epoch whose lease is known to be lost.
    lost: AtomicU64,
    /// What each slot runs: first those that await, then those that compute.
    slots: Vec<Mutex<Option<Arc<Running>>>>,
}

/// Counts since the worker began.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) succeeded: AtomicU64,
    pub(crate) failed: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        broker: Broker,
        tasks: Tasks,
        config: WorkerConfig,
        clock: RedisClock,
        lease: LeaseId,
        shutdown: Shutdown,
    ) -> Self {
        let slots = (0..2 * config.concurrency).map(|_| Mutex::new(None)).collect();
        Self {
            broker,
            tasks,
            lanes: Lanes::new(config.concurrency),
            config,
            clock,
            outbox: Outbox::default(),
            totals: Totals::default(),
            shutdown,
            lease: Mutex::new((lease, 1)),
            lease_news: Notify::new(),
            post_bell: Arc::new(Notify::new()),
            speculates: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            slots,
        }
    }

    pub(crate) fn lease(&self) -> (LeaseId, Epoch) {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn lease_id(&self) -> String {
        self.lease().0.as_str().to_owned()
    }

    /// The process goes on under another lease.
    pub(crate) fn set_lease(&self, lease: LeaseId) -> Epoch {
        let mut current = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        *current = (lease, current.1 + 1);
        current.1
    }

    /// How many calls of the exchange were answered.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn count_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a lease is lost: what runs under it is to stop, and nothing of it will be taken.
    pub(crate) fn lease_lost(&self, epoch: Epoch) {
        let before = self.lost.fetch_max(u64::from(epoch), Ordering::AcqRel);
        if before < u64::from(epoch) {
            tracing::warn!("the lease was lost: its tasks are given to other workers");
            self.cancel(CancelReason::LeaseLost, |running| running.unit.epoch <= epoch);
            self.lease_news.notify_one();
        }
    }

    pub(crate) fn is_lost(&self, epoch: Epoch) -> bool {
        self.lost.load(Ordering::Acquire) >= u64::from(epoch)
    }

    /// Asks the chunks of a job that is over to stop.
    pub(crate) fn job_over(&self, job: JobId) {
        self.cancel(CancelReason::Requested, |running| running.unit.job() == Some(job));
    }

    pub(crate) fn cancel(&self, reason: CancelReason, which: impl Fn(&Running) -> bool) {
        for running in self.running().iter().filter(|running| which(running)) {
            running.ctx.cancel(reason);
        }
    }

    /// All attempts under way.
    pub(crate) fn running(&self) -> Vec<Arc<Running>> {
        self.slots
            .iter()
            .filter_map(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }

    pub(crate) fn enter(&self, slot: usize, running: Option<Arc<Running>>) {
        *self.slots[slot].lock().unwrap_or_else(PoisonError::into_inner) = running;
    }
}
