//! Units that were claimed and have not begun, in two lanes: one for tasks that await, one for
//! tasks that compute. Slots take from the front; what is handed back is taken from here, too.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::unit::Unit;

#[derive(Debug, Default)]
pub(crate) struct Lanes {
    awaiting: Mutex<VecDeque<Unit>>,
    arrived: Notify,
    computing: Mutex<Computing>,
    arrived_to_compute: Condvar,
    buffered: AtomicUsize,
    /// Counts the units that have begun: whoever wants to know whether things move compares.
    begun: AtomicU64,
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
    pub(crate) fn buffered(&self) -> usize {
        self.buffered.load(Ordering::Relaxed)
    }

    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Adds what was claimed, in its order.
    pub(crate) fn push_to_await(&self, units: Vec<Unit>) {
        let n = units.len();
        self.buffered.fetch_add(n, Ordering::Relaxed);
        lock(&self.awaiting).extend(units);
        for _ in 0..n.min(64) {
            self.arrived.notify_one();
        }
    }

    /// Adds units that compute.
    pub(crate) fn push_to_compute(&self, units: Vec<Unit>) {
        self.buffered.fetch_add(units.len(), Ordering::Relaxed);
        lock(&self.computing).units.extend(units);
        self.arrived_to_compute.notify_all();
    }

    /// The next unit that awaits; never returns without one.
    pub(crate) async fn next_to_await(&self) -> Unit {
        loop {
            let arrived = self.arrived.notified();
            if let Some(unit) = lock(&self.awaiting).pop_front() {
                self.count_begun();
                return unit;
            }
            arrived.await;
        }
    }

    /// The next unit that computes; None when the lanes are closed. Blocks the thread.
    pub(crate) fn next_to_compute(&self) -> Option<Unit> {
        let mut computing = lock(&self.computing);
        loop {
            if let Some(unit) = computing.units.pop_front() {
                self.count_begun();
                return Some(unit);
            }
            if computing.closed {
                return None;
            }
            computing =
                self.arrived_to_compute.wait(computing).unwrap_or_else(PoisonError::into_inner);
        }
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

    /// Lets the computing threads end once nothing is left.
    pub(crate) fn close(&self) {
        lock(&self.computing).closed = true;
        self.arrived_to_compute.notify_all();
    }
}
