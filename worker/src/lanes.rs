//! Units that were claimed and have not begun, in two lanes: one for tasks that await, one for
//! tasks that compute. Slots take from the front, each unit with a permit: both lanes together run
//! no more at once than the worker may. What is handed back is taken from here, too.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::unit::Unit;

#[derive(Debug)]
pub(crate) struct Lanes {
    /// One permit for each unit that may run at once.
    free: Semaphore,
    awaiting: Mutex<VecDeque<Unit>>,
    arrived: Notify,
    computing: Mutex<Computing>,
    arrived_to_compute: Condvar,
    buffered: AtomicUsize,
    /// Counts the units that have begun: whoever wants to know whether things move compares.
    begun: AtomicU64,
    /// Permits that are to go, and were taken when that was said.
    owed: AtomicUsize,
}

#[derive(Debug, Default)]
struct Computing {
    units: VecDeque<Unit>,
    closed: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done in a queue by a panic elsewhere.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lanes {
    pub(crate) fn new(concurrency: usize) -> Self {
        Self {
            free: Semaphore::new(concurrency),
            awaiting: Mutex::default(),
            arrived: Notify::new(),
            computing: Mutex::default(),
            arrived_to_compute: Condvar::new(),
            buffered: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            owed: AtomicUsize::new(0),
        }
    }

    pub(crate) fn buffered(&self) -> usize {
        self.buffered.load(Ordering::Relaxed)
    }

    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// So many more units may run at once.
    pub(crate) fn grow(&self, by: usize) {
        let kept = |owed: usize| Some(owed - owed.min(by));
        let before = self.owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, kept);
        self.free.add_permits(by - before.unwrap_or(0).min(by));
    }

    /// So many fewer units may run at once; what runs goes on.
    pub(crate) fn shrink(&self, by: usize) {
        let gone = self.free.forget_permits(by);
        self.owed.fetch_add(by - gone, Ordering::AcqRel);
    }

    /// Gives the permit of a unit back that has ended.
    pub(crate) fn give_back(&self, permit: SemaphorePermit<'_>) {
        let less = |owed: usize| owed.checked_sub(1);
        if self.owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_ok() {
            permit.forget();
        }
    }

    /// Adds what was claimed, in its order. One slot is woken; each that finds more behind its unit
    /// wakes the next, so that no slot sleeps beside work.
    pub(crate) fn push_to_await(&self, units: Vec<Unit>) {
        self.buffered.fetch_add(units.len(), Ordering::Relaxed);
        lock(&self.awaiting).extend(units);
        self.arrived.notify_one();
    }

    /// Adds units that compute.
    pub(crate) fn push_to_compute(&self, units: Vec<Unit>) {
        let n = units.len();
        self.buffered.fetch_add(n, Ordering::Relaxed);
        lock(&self.computing).units.extend(units);
        for _ in 0..n {
            self.arrived_to_compute.notify_one();
        }
    }

    /// The next unit that awaits, with the permit to run it; never returns without one.
    pub(crate) async fn next_to_await(&self) -> (Unit, SemaphorePermit<'_>) {
        loop {
            let arrived = self.arrived.notified();
            let Ok(permit) = self.free.acquire().await else { std::future::pending().await };
            let (next, more) = {
                let mut lane = lock(&self.awaiting);
                (lane.pop_front(), !lane.is_empty())
            };
            if more {
                self.arrived.notify_one();
            }
            if let Some(unit) = next {
                self.count_begun();
                return (unit, permit);
            }
            drop(permit);
            arrived.await;
        }
    }

    /// The next unit that computes, with the permit to run it; None when the lanes are closed. Blocks
    /// the thread.
    pub(crate) fn next_to_compute(&self, runtime: &Handle) -> Option<(Unit, SemaphorePermit<'_>)> {
        loop {
            self.wait_to_compute()?;
            let permit = runtime.block_on(self.free.acquire()).ok()?;
            let next = lock(&self.computing).units.pop_front();
            if let Some(unit) = next {
                self.count_begun();
                return Some((unit, permit));
            }
        }
    }

    /// Waits until there is a unit that computes; None when the lanes are closed.
    fn wait_to_compute(&self) -> Option<()> {
        let wait = |computing: &mut Computing| computing.units.is_empty() && !computing.closed;
        let computing = lock(&self.computing);
        let computing = self
            .arrived_to_compute
            .wait_while(computing, wait)
            .unwrap_or_else(PoisonError::into_inner);
        (!computing.closed).then_some(())
    }

    fn count_begun(&self) {
        self.buffered.fetch_sub(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes up to `most` out that have not begun, those that would begin last first.
    pub(crate) fn take_last(&self, most: usize) -> Vec<Unit> {
        let mut units = Vec::new();
        for lane in [&mut lock(&self.computing).units, &mut *lock(&self.awaiting)] {
            while units.len() < most
                && let Some(unit) = lane.pop_back()
            {
                units.push(unit);
            }
        }
        self.buffered.fetch_sub(units.len(), Ordering::Relaxed);
        units
    }

    /// Begins nothing any more, and lets the computing threads end.
    pub(crate) fn close(&self) {
        self.free.close();
        lock(&self.computing).closed = true;
        self.arrived_to_compute.notify_all();
    }
}
