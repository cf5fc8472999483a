//! Units that were claimed and have not begun, in two lanes: one for tasks that await, one for
//! tasks that compute. Slots take what ranks first, each unit with a permit: both lanes together run
//! no more at once than the worker may, and no more of a queue than its slots. What is handed back is
//! taken from here, too.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::served::Served;
use crate::unit::Unit;

#[derive(Debug)]
pub(crate) struct Lanes {
    /// One permit for each unit that may run at once.
    free: Semaphore,
    served: Arc<Served>,
    /// What is held and what runs of each class of queues; not looked at if nothing is reserved.
    classes: Mutex<Classes>,
    awaiting: Mutex<Lane>,
    arrived: Notify,
    computing: Mutex<Computing>,
    arrived_to_compute: Condvar,
    buffered: AtomicUsize,
    /// Counts the units that have begun: whoever wants to know whether things move compares.
    begun: AtomicU64,
}

#[derive(Debug, Default)]
struct Computing {
    units: Lane,
    closed: bool,
}

/// Units by their rank, in the order of their arrival where it is the same. What is claimed later and
/// ranks higher overtakes what has not begun.
#[derive(Debug, Default)]
struct Lane(BTreeMap<usize, VecDeque<Unit>>);

impl Lane {
    fn extend(&mut self, units: Vec<Unit>, served: &Served) {
        for unit in units {
            let (queue, priority) = unit.place();
            self.0.entry(served.rank(queue, priority)).or_default().push_back(unit);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first one that may begin.
    fn pop(&mut self, may_begin: impl Fn(&Unit) -> bool) -> Option<Unit> {
        let may = |units: &VecDeque<Unit>| units.front().is_some_and(&may_begin);
        let rank = *self.0.iter().find(|(_, units)| may(units))?.0;
        let units = self.0.get_mut(&rank)?;
        let unit = units.pop_front();
        if units.is_empty() {
            self.0.remove(&rank);
        }
        unit
    }

    /// The one that would begin last.
    fn pop_last(&mut self) -> Option<Unit> {
        let mut last = self.0.last_entry()?;
        let unit = last.get_mut().pop_back();
        if last.get().is_empty() {
            last.remove();
        }
        unit
    }
}

/// Units of each class of queues.
#[derive(Debug)]
struct Classes {
    held: Vec<usize>,
    running: Vec<usize>,
}

/// The right to run one unit; it ends when this is dropped.
pub(crate) struct Permit<'a> {
    lanes: &'a Lanes,
    class: usize,
    _slot: SemaphorePermit<'a>,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.lanes.ended(self.class);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done in a queue by a panic elsewhere.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lanes {
    pub(crate) fn new(concurrency: usize, served: Arc<Served>) -> Self {
        let none = vec![0; served.reserve().classes()];
        Self {
            free: Semaphore::new(concurrency),
            served,
            classes: Mutex::new(Classes { held: none.clone(), running: none }),
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
        self.count_held(&units);
        lock(&self.awaiting).extend(units, &self.served);
        self.arrived.notify_one();
    }

    /// Adds units that compute.
    pub(crate) fn push_to_compute(&self, units: Vec<Unit>) {
        let n = units.len();
        self.count_held(&units);
        lock(&self.computing).units.extend(units, &self.served);
        for _ in 0..n {
            self.arrived_to_compute.notify_one();
        }
    }

    /// The next unit that awaits, with the permit to run it; never returns without one.
    pub(crate) async fn next_to_await(&self) -> (Unit, Permit<'_>) {
        loop {
            let arrived = self.arrived.notified();
            let Ok(slot) = self.free.acquire().await else { std::future::pending().await };
            let (next, more) = {
                let mut lane = lock(&self.awaiting);
                (self.begin(&mut lane), !lane.is_empty())
            };
            if more && next.is_some() {
                self.arrived.notify_one();
            }
            if let Some((unit, class)) = next {
                return (unit, Permit { lanes: self, class, _slot: slot });
            }
            drop(slot);
            arrived.await;
        }
    }

    /// The next unit that computes, with the permit to run it; None when the lanes are closed. Blocks
    /// the thread.
    pub(crate) fn next_to_compute(&self, runtime: &Handle) -> Option<(Unit, Permit<'_>)> {
        loop {
            self.wait_to_compute()?;
            let slot = runtime.block_on(self.free.acquire()).ok()?;
            let next = self.begin(&mut lock(&self.computing).units);
            if let Some((unit, class)) = next {
                return Some((unit, Permit { lanes: self, class, _slot: slot }));
            }
        }
    }

    /// Takes the first unit out that has a slot, with the class of its queue.
    fn begin(&self, lane: &mut Lane) -> Option<(Unit, usize)> {
        let reserve = self.served.reserve();
        let class = |unit: &Unit| self.served.class(unit.place().0);
        let unit = if reserve.is_empty() {
            lane.pop(|_| true)?
        } else {
            let mut classes = lock(&self.classes);
            let unit = lane.pop(|unit| reserve.may_begin(class(unit), &classes.running))?;
            classes.running[class(&unit)] += 1;
            unit
        };
        self.buffered.fetch_sub(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        let class = class(&unit);
        Some((unit, class))
    }

    fn ended(&self, class: usize) {
        if self.served.reserve().is_empty() {
            return;
        }
        let mut classes = lock(&self.classes);
        classes.running[class] -= 1;
        classes.held[class] -= 1;
        drop(classes);
        // What had no slot may have one now.
        self.arrived.notify_one();
        // The lock keeps the word from falling between a look and the wait after it.
        drop(lock(&self.computing));
        self.arrived_to_compute.notify_one();
    }

    fn count_held(&self, units: &[Unit]) {
        self.buffered.fetch_add(units.len(), Ordering::Relaxed);
        if !self.served.reserve().is_empty() {
            let mut classes = lock(&self.classes);
            for unit in units {
                classes.held[self.served.class(unit.place().0)] += 1;
            }
        }
    }

    /// Whether slots are free that only some queues may have.
    pub(crate) fn has_idle_reserve(&self) -> bool {
        let reserve = self.served.reserve();
        !reserve.is_empty() && reserve.is_idle(&lock(&self.classes).held)
    }

    /// How much more may be claimed of each class, and of all together (see `Reserve::room`). None if
    /// nothing is reserved.
    pub(crate) fn room(&self, ahead: usize) -> Option<(Vec<usize>, usize)> {
        let reserve = self.served.reserve();
        (!reserve.is_empty()).then(|| reserve.room(&lock(&self.classes).held, ahead))
    }

    /// Waits until there is a unit that computes; None when the lanes are closed.
    fn wait_to_compute(&self) -> Option<()> {
        let wait =
            |computing: &mut Computing| !self.can_begin(&computing.units) && !computing.closed;
        let computing = lock(&self.computing);
        let computing = self
            .arrived_to_compute
            .wait_while(computing, wait)
            .unwrap_or_else(PoisonError::into_inner);
        (!computing.closed).then_some(())
    }

    fn can_begin(&self, lane: &Lane) -> bool {
        let reserve = self.served.reserve();
        if reserve.is_empty() {
            return !lane.is_empty();
        }
        let classes = lock(&self.classes);
        lane.0
            .values()
            .filter_map(VecDeque::front)
            .any(|unit| reserve.may_begin(self.served.class(unit.place().0), &classes.running))
    }

    /// Takes up to `most` out that have not begun, those that would begin last first.
    pub(crate) fn take_last(&self, most: usize) -> Vec<Unit> {
        let mut units = Vec::new();
        for lane in [&mut lock(&self.computing).units, &mut *lock(&self.awaiting)] {
            while units.len() < most
                && let Some(unit) = lane.pop_last()
            {
                units.push(unit);
            }
        }
        if !self.served.reserve().is_empty() {
            let mut classes = lock(&self.classes);
            for unit in &units {
                classes.held[self.served.class(unit.place().0)] -= 1;
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

#[cfg(test)]
mod tests {
    use celeriac_broker_schema::TaskId;
    use celeriac_broker_schema::script::Delivery;

    use super::*;
    use crate::config::WorkerConfig;
    use crate::unit::Work;

    fn served(names: &[&str]) -> Served {
        let queues = names.iter().map(|name| name.parse().expect("a queue")).collect();
        Served::new(&WorkerConfig { queues, ..WorkerConfig::default() }).expect("valid")
    }

    fn unit(queue: &str, priority: u8, record: &str) -> Unit {
        let delivery = Delivery {
            id: TaskId::new(celeriac_broker_schema::Timestamp(1)),
            record: record.as_bytes().to_vec(),
            queue: queue.into(),
            priority,
            history: String::new(),
            input: None,
        };
        Unit { epoch: 1, work: Work::Task(Box::new(delivery)) }
    }

    fn names(mut pop: impl FnMut() -> Option<Unit>) -> Vec<String> {
        let name = |unit: Unit| match unit.work {
            Work::Task(delivery) => String::from_utf8(delivery.record).expect("text"),
            Work::Chunk { .. } => unreachable!("there is none"),
        };
        std::iter::from_fn(|| pop().map(name)).collect()
    }

    fn filled() -> Lane {
        let (served, mut lane) = (served(&["mail", "batch"]), Lane::default());
        lane.extend(vec![unit("batch", 9, "b9"), unit("mail", 5, "first")], &served);
        lane.extend(vec![unit("mail", 5, "second"), unit("mail", 9, "urgent")], &served);
        lane
    }

    #[test]
    fn what_comes_later_and_ranks_higher_overtakes() {
        let mut lane = filled();
        assert_eq!(names(|| lane.pop(|_| true)), ["urgent", "first", "second", "b9"]);
        assert!(lane.is_empty());
    }

    #[test]
    fn what_would_begin_last_goes_back_first() {
        let mut lane = filled();
        assert_eq!(names(|| lane.pop_last()), ["b9", "second", "first", "urgent"]);
        assert!(lane.is_empty());
    }

    #[test]
    fn what_has_no_slot_is_passed_over() {
        let mut lane = filled();
        assert_eq!(names(|| lane.pop(|unit| unit.place().0 == "batch")), ["b9"]);
        assert!(!lane.is_empty());
    }
}
