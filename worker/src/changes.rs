//! What a worker was told to do differently from how it was started, without a restart: to pause, to
//! use another number of slots, to serve other queues. Orders come with the renewals of its lease.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use celeriac_broker_schema::script::{Orders, Wanted};
use celeriac_broker_schema::{Note, QueueName};
use tokio::sync::Notify;

use crate::config::{MAX_CONCURRENCY, WorkerConfig};
use crate::served::Served;
use crate::shared::Shared;
use crate::unit::Epoch;

#[derive(Debug)]
pub(crate) struct Changes {
    slots: AtomicUsize,
    /// As `slots` has ever been: so many loops and threads there are.
    most_slots: AtomicUsize,
    served: Mutex<Arc<Served>>,
    paused: Mutex<Option<Note>>,
    /// Who ordered it to leave.
    leaving: Mutex<Option<Note>>,
    /// The last order that was taken up, and the lease that it was for.
    taken_up: Mutex<(Epoch, u64)>,
    /// Counts the orders taken up.
    count: AtomicU64,
    /// Rung for those who wait, when an order was taken up.
    pub(crate) news: Notify,
    /// Rung when there are more slots than ever before.
    pub(crate) grown: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Changes {
    /// As it was started.
    pub(crate) fn new(config: &WorkerConfig, served: Arc<Served>) -> Self {
        Self {
            slots: AtomicUsize::new(config.concurrency),
            most_slots: AtomicUsize::new(config.concurrency),
            served: Mutex::new(served),
            paused: Mutex::default(),
            leaving: Mutex::default(),
            taken_up: Mutex::default(),
            count: AtomicU64::new(0),
            news: Notify::new(),
            grown: Notify::new(),
        }
    }

    /// How many tasks it runs at once.
    pub(crate) fn slots(&self) -> usize {
        self.slots.load(Ordering::Acquire)
    }

    /// How many slots have to be there.
    pub(crate) fn most_slots(&self) -> usize {
        self.most_slots.load(Ordering::Acquire)
    }

    /// The queues it serves, and how.
    pub(crate) fn served(&self) -> Arc<Served> {
        Arc::clone(&lock(&self.served))
    }

    /// Why it takes nothing new, if it does not.
    pub(crate) fn paused(&self) -> Option<Note> {
        lock(&self.paused).clone()
    }

    /// Who ordered it to leave, if somebody did.
    pub(crate) fn leaving(&self) -> Option<Note> {
        lock(&self.leaving).clone()
    }

    pub(crate) fn is_paused(&self) -> bool {
        lock(&self.paused).is_some()
    }

    /// How many orders it has taken up.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// The number of the last order for this lease that it has taken up.
    pub(crate) fn taken_up(&self, epoch: Epoch) -> u64 {
        let taken_up = lock(&self.taken_up);
        if taken_up.0 == epoch { taken_up.1 } else { 0 }
    }
}

/// Takes up what is new of the orders. What was ordered under an earlier lease holds as long as the
/// process does.
pub(crate) fn take_up(shared: &Shared, epoch: Epoch, orders: Orders) {
    let changes = &shared.changes;
    if orders.number <= changes.taken_up(epoch) {
        return;
    }
    if let Some(Wanted { value, at, who }) = orders.pause {
        *lock(&changes.paused) = value.then_some(Note { at, who });
    }
    if let Some(wanted) = orders.concurrency {
        resize(shared, usize::try_from(wanted.value).unwrap_or(usize::MAX));
    }
    if let Some(wanted) = orders.queues.filter(|wanted| !wanted.value.is_empty()) {
        serve(shared, wanted.value);
    }
    if let Some(Wanted { at, who, .. }) = orders.drain.filter(|wanted| wanted.value) {
        *lock(&changes.leaving) = Some(Note { at, who });
        shared.shutdown.drain();
    }
    *lock(&changes.taken_up) = (epoch, orders.number);
    changes.count.fetch_add(1, Ordering::AcqRel);
    tracing::info!(
        order = orders.number,
        slots = changes.slots(),
        paused = changes.is_paused(),
        draining = shared.shutdown.is_draining(),
        "an order was taken up"
    );
    changes.news.notify_one();
}

/// Only the keeper calls this: there is nobody to disagree with.
fn resize(shared: &Shared, slots: usize) {
    let changes = &shared.changes;
    let slots = slots.clamp(1, MAX_CONCURRENCY);
    let before = changes.slots.swap(slots, Ordering::AcqRel);
    if slots != before {
        // How many are left beside those that are reserved.
        serve(shared, changes.served().queues().to_vec());
    }
    if changes.most_slots.fetch_max(slots, Ordering::AcqRel) < slots {
        changes.grown.notify_one();
    }
}

fn serve(shared: &Shared, queues: Vec<QueueName>) {
    let slots = shared.changes.slots();
    let config = WorkerConfig { queues, concurrency: slots, ..shared.config.clone() };
    match Served::new(&config) {
        Ok(served) => {
            let served = Arc::new(served);
            *lock(&shared.changes.served) = Arc::clone(&served);
            shared.lanes.change(slots, served);
        }
        Err(error) => tracing::error!(%error, "these queues cannot be served"),
    }
}
