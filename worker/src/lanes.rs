//! Units that were claimed and have not begun, in two lanes: one for tasks that await, one for
//! tasks that compute. Slots take from the front, each unit with a permit: both lanes together run
//! no more at once than the worker may. A unit that costs more than one slot begins when so many
//! permits are free; nothing overtakes it in its lane meanwhile. What is handed back is taken from
//! here, too.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use celeriac_broker_schema::JobId;
use tokio::runtime::Handle;
use tokio::sync::{AcquireError, Notify, Semaphore, SemaphorePermit};

use crate::unit::Unit;

#[derive(Debug)]
pub(crate) struct Lanes {
    /// One permit for each unit that may run at once.
    free: Semaphore,
    /// Who waits for more than one permit holds this: two that do would take from each other.
    heavy: tokio::sync::Mutex<()>,
    /// Whether somebody waits for more than one permit.
    heavy_waits: AtomicBool,
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

/// What a lane has for somebody with a number of permits.
enum Next {
    Nothing,
    /// The unit in front costs more than that.
    Costs(usize),
    /// The unit in front, and whether there are more behind it.
    Unit(Unit, bool),
}

impl Next {
    fn of(lane: &mut VecDeque<Unit>, permits: usize) -> Self {
        match lane.pop_front() {
            None => Self::Nothing,
            Some(unit) if unit.cost > permits => {
                let costs = unit.cost;
                lane.push_front(unit);
                Self::Costs(costs)
            }
            Some(unit) => Self::Unit(unit, !lane.is_empty()),
        }
    }
}

/// A unit with the permits to run it, and whether there are more behind it.
type Begun<'a> = (Unit, SemaphorePermit<'a>, bool);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done in a queue by a panic elsewhere.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lanes {
    pub(crate) fn new(concurrency: usize) -> Self {
        Self {
            free: Semaphore::new(concurrency),
            heavy: tokio::sync::Mutex::default(),
            heavy_waits: AtomicBool::new(false),
            awaiting: Mutex::default(),
            arrived: Notify::new(),
            computing: Mutex::default(),
            arrived_to_compute: Condvar::new(),
            buffered: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
        }
    }

    pub(crate) fn buffered(&self) -> usize {
        self.buffered.load(Ordering::Relaxed)
    }

    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
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
            let take = |permits| Next::of(&mut lock(&self.awaiting), permits);
            let Ok(next) = self.begin(take).await else { std::future::pending().await };
            if let Some((unit, permit, more)) = next {
                if more {
                    self.arrived.notify_one();
                }
                self.count_begun();
                return (unit, permit);
            }
            arrived.await;
        }
    }

    /// The next unit that computes, with the permit to run it; None when the lanes are closed. Blocks
    /// the thread.
    pub(crate) fn next_to_compute(&self, runtime: &Handle) -> Option<(Unit, SemaphorePermit<'_>)> {
        loop {
            self.wait_to_compute()?;
            let take = |permits| Next::of(&mut lock(&self.computing).units, permits);
            if let Some((unit, permit, _)) = runtime.block_on(self.begin(take)).ok()? {
                self.count_begun();
                return Some((unit, permit));
            }
        }
    }

    /// The unit in front of a lane with its permits; None if there is none. Fails when the lanes are
    /// closed.
    async fn begin(&self, take: impl Fn(usize) -> Next) -> Result<Option<Begun<'_>>, AcquireError> {
        let permit = self.free.acquire().await?;
        match take(1) {
            Next::Nothing => Ok(None),
            Next::Unit(unit, more) => Ok(Some((unit, permit, more))),
            Next::Costs(_) => {
                drop(permit);
                self.begin_heavy(take).await
            }
        }
    }

    /// As [`Lanes::begin`], for a unit that costs several slots. It stays in its lane until it begins,
    /// so that it can be handed back.
    async fn begin_heavy(
        &self,
        take: impl Fn(usize) -> Next,
    ) -> Result<Option<Begun<'_>>, AcquireError> {
        let _turn = self.heavy.lock().await;
        let mut wanted = 1;
        loop {
            self.heavy_waits.store(wanted > 1, Ordering::Relaxed);
            let permits = self.free.acquire_many(u32::try_from(wanted).unwrap_or(u32::MAX)).await;
            self.heavy_waits.store(false, Ordering::Relaxed);
            let mut permits = permits?;
            match take(wanted) {
                Next::Nothing => return Ok(None),
                Next::Costs(costs) => wanted = costs,
                Next::Unit(unit, more) => {
                    drop(permits.split(wanted - unit.cost));
                    return Ok(Some((unit, permits, more)));
                }
            }
        }
    }

    /// Whether a unit waits until there is room for all that it costs.
    pub(crate) fn heavy_waits(&self) -> bool {
        self.heavy_waits.load(Ordering::Relaxed)
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

    /// Takes all chunks of a job out that have not begun, those that would begin last first.
    pub(crate) fn take_job(&self, job: JobId) -> Vec<Unit> {
        let mut units = Vec::new();
        for lane in [&mut lock(&self.computing).units, &mut *lock(&self.awaiting)] {
            let all = std::mem::take(lane);
            let (of_job, rest) = all.into_iter().partition(|unit| unit.job() == Some(job));
            *lane = rest;
            let of_job: VecDeque<Unit> = of_job;
            units.extend(of_job.into_iter().rev());
        }
        self.buffered.fetch_sub(units.len(), Ordering::Relaxed);
        units
    }

    /// Takes units out that have not begun and cost no more than `cost` together, those that would
    /// begin last first.
    pub(crate) fn take_last_costing(&self, mut cost: usize) -> Vec<Unit> {
        let mut units = Vec::new();
        for lane in [&mut lock(&self.computing).units, &mut *lock(&self.awaiting)] {
            while lane.back().is_some_and(|unit| unit.cost <= cost)
                && let Some(unit) = lane.pop_back()
            {
                cost -= unit.cost;
                units.push(unit);
            }
        }
        self.buffered.fetch_sub(units.len(), Ordering::Relaxed);
        units
    }

    /// The jobs of the chunks that have not begun.
    pub(crate) fn jobs(&self) -> BTreeSet<JobId> {
        let jobs = |lane: &VecDeque<Unit>| lane.iter().filter_map(Unit::job).collect();
        let mut all: BTreeSet<JobId> = jobs(&lock(&self.computing).units);
        all.append(&mut jobs(&lock(&self.awaiting)));
        all
    }

    /// Begins nothing any more, and lets the computing threads end.
    pub(crate) fn close(&self) {
        self.free.close();
        lock(&self.computing).closed = true;
        self.arrived_to_compute.notify_all();
    }
}
