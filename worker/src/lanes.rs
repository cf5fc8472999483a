//! Units that were claimed and have not begun, in two lanes: one for tasks that await, one for
//! tasks that compute. Slots take what ranks first, each unit with a permit: both lanes together run
//! no more at once than the worker may, and no more of a queue than its slots. A unit that costs
//! several slots begins when so many are free, and nothing else does meanwhile. What is handed back
//! is taken from here, too.

mod lane;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use celeriac_broker_schema::JobId;
use tokio::sync::Notify;

use crate::served::Served;
use crate::unit::Unit;
use lane::{Lane, Waiting};

#[derive(Debug)]
pub(crate) struct Lanes {
    state: Mutex<State>,
    /// A unit that awaits may begin.
    may_await: Notify,
    /// A unit that computes may begin.
    may_compute: Condvar,
    /// Rung when a slot is free that may be kept for some queues: whoever claims looks again which.
    pub(crate) room_news: Notify,
    buffered: AtomicUsize,
    /// Counts the units that have begun: whoever wants to know whether things move compares.
    begun: AtomicU64,
}

#[derive(Debug)]
struct State {
    served: Arc<Served>,
    /// How many slots there are.
    slots: usize,
    /// How many of them are taken. More than there are, for a while, when some were given up.
    taken: usize,
    awaiting: Lane,
    computing: Lane,
    /// The lane whose first unit waits for more slots than are free.
    heavy: Option<Kind>,
    /// Whether something could not begin because of what runs.
    blocked: bool,
    /// Slots' worth of units of each class that are held, and that run.
    held: Vec<usize>,
    running: Vec<usize>,
    closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Awaiting,
    Computing,
}

/// The right to run one unit; it ends when this is dropped.
pub(crate) struct Permit<'a> {
    lanes: &'a Lanes,
    class: usize,
    cost: usize,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.lanes.ended(self.class, self.cost);
    }
}

impl State {
    fn lane(&mut self, kind: Kind) -> &mut Lane {
        match kind {
            Kind::Awaiting => &mut self.awaiting,
            Kind::Computing => &mut self.computing,
        }
    }

    fn push(&mut self, kind: Kind, units: Vec<Unit>) {
        let served = Arc::clone(&self.served);
        for unit in units {
            self.held[served.class(unit.place().0)] += unit.cost;
            self.lane(kind).push(unit, &served);
        }
    }

    /// Takes the first unit out that has its slots.
    fn begin(&mut self, kind: Kind) -> Option<Waiting> {
        let begun = self.first_with_slots(kind);
        self.blocked |= begun.is_none() && !self.lane(kind).is_empty();
        begun
    }

    fn first_with_slots(&mut self, kind: Kind) -> Option<Waiting> {
        if self.taken >= self.slots || self.heavy.is_some_and(|waits| waits != kind) {
            return None;
        }
        let (reserve, free) = (self.served.reserve(), self.slots - self.taken);
        let lane = match kind {
            Kind::Awaiting => &self.awaiting,
            Kind::Computing => &self.computing,
        };
        let may_begin = |waiting: &Waiting| {
            reserve.is_empty() || reserve.may_begin(waiting.class, &self.running)
        };
        let (rank, first) = lane.first(may_begin)?;
        // Slots may have been given up since it was claimed.
        if first.unit.cost.min(self.slots) > free {
            self.heavy = Some(kind);
            return None;
        }
        self.heavy = None;
        let begun = self.lane(kind).pop(rank)?;
        self.taken += begun.unit.cost;
        self.running[begun.class] += begun.unit.cost;
        Some(begun)
    }

    /// Units leave without having begun. Whatever waited for room in front of others may be gone.
    fn let_go(&mut self, all: &[Waiting]) {
        for waiting in all {
            self.held[waiting.class] -= waiting.unit.cost;
        }
        self.heavy = None;
    }
}

impl Lanes {
    pub(crate) fn new(slots: usize, served: Arc<Served>) -> Self {
        let none = vec![0; served.reserve().classes()];
        let state = State {
            served,
            slots,
            taken: 0,
            awaiting: Lane::default(),
            computing: Lane::default(),
            heavy: None,
            blocked: false,
            held: none.clone(),
            running: none,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            may_await: Notify::new(),
            may_compute: Condvar::new(),
            room_news: Notify::new(),
            buffered: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done in here by a panic elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn buffered(&self) -> usize {
        self.buffered.load(Ordering::Relaxed)
    }

    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// How many slots are taken, also by what was settled and goes on.
    pub(crate) fn taken(&self) -> usize {
        self.state().taken
    }

    /// How many slots' worth of units is here, running or not.
    pub(crate) fn held(&self) -> usize {
        self.state().held.iter().sum()
    }

    /// Whether a unit waits until there is room for all that it costs.
    pub(crate) fn heavy_waits(&self) -> bool {
        self.state().heavy.is_some()
    }

    /// Adds what was claimed, in its order.
    pub(crate) fn push_to_await(&self, units: Vec<Unit>) {
        self.push(Kind::Awaiting, units);
    }

    /// Adds units that compute.
    pub(crate) fn push_to_compute(&self, units: Vec<Unit>) {
        self.push(Kind::Computing, units);
    }

    fn push(&self, kind: Kind, units: Vec<Unit>) {
        self.buffered.fetch_add(units.len(), Ordering::Relaxed);
        let mut state = self.state();
        state.push(kind, units);
        self.wake(&mut state);
    }

    /// Wakes one slot of each kind for which there is something to do. It wakes the next one if it
    /// finds more, so that no slot sleeps beside work and none is woken for nothing.
    fn wake(&self, state: &mut State) {
        if state.taken >= state.slots {
            // Whoever ends next wakes them.
            state.blocked |= !(state.awaiting.is_empty() && state.computing.is_empty());
            return;
        }
        if !state.awaiting.is_empty() {
            self.may_await.notify_one();
        }
        if !state.computing.is_empty() {
            self.may_compute.notify_one();
        }
    }

    /// The next unit that awaits, with the permit to run it; never returns without one.
    pub(crate) async fn next_to_await(&self) -> (Unit, Permit<'_>) {
        // Tasks that end at once would keep the exchange off this thread as long as there are any.
        tokio::task::coop::consume_budget().await;
        loop {
            let may_await = self.may_await.notified();
            if let Some(begun) = self.begin(Kind::Awaiting, &mut self.state()) {
                return begun;
            }
            may_await.await;
        }
    }

    /// The next unit that computes, with the permit to run it; None when the lanes are closed. Blocks
    /// the thread.
    pub(crate) fn next_to_compute(&self) -> Option<(Unit, Permit<'_>)> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(begun) = self.begin(Kind::Computing, &mut state) {
                return Some(begun);
            }
            state = self.may_compute.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn begin(&self, kind: Kind, state: &mut State) -> Option<(Unit, Permit<'_>)> {
        if state.closed {
            return None;
        }
        let Waiting { unit, class } = state.begin(kind)?;
        self.buffered.fetch_sub(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.wake(state);
        let cost = unit.cost;
        Some((unit, Permit { lanes: self, class, cost }))
    }

    fn ended(&self, class: usize, cost: usize) {
        let mut state = self.state();
        state.taken -= cost;
        state.running[class] -= cost;
        state.held[class] -= cost;
        if !state.served.reserve().is_empty() {
            self.room_news.notify_one();
        }
        // Its slot looks for the next one by itself.
        if std::mem::take(&mut state.blocked) {
            self.wake(&mut state);
        }
    }

    /// Whether slots are free that only some queues may have.
    pub(crate) fn has_idle_reserve(&self) -> bool {
        let state = self.state();
        let reserve = state.served.reserve();
        !reserve.is_empty() && reserve.is_idle(&state.held)
    }

    /// How much more may be claimed of each class, and of all together (see `Reserve::room`). None if
    /// nothing is reserved.
    pub(crate) fn room(&self, ahead: usize) -> Option<(Vec<usize>, usize)> {
        let state = self.state();
        let reserve = state.served.reserve();
        (!reserve.is_empty()).then(|| reserve.room(&state.held, ahead))
    }

    /// From now on so many units run at once, and these queues are served. What runs beyond that runs
    /// on.
    pub(crate) fn change(&self, slots: usize, served: Arc<Served>) {
        let mut state = self.state();
        state.slots = slots;
        state.served = served;
        state.heavy = None;
        self.wake(&mut state);
    }

    /// Takes up to `most` out that have not begun, those that would begin last first.
    pub(crate) fn take_last(&self, most: usize) -> Vec<Unit> {
        self.take_while(|taken, _| taken.len() < most)
    }

    /// Takes units out that have not begun and cost no more than `cost` together, those that would
    /// begin last first.
    pub(crate) fn take_last_costing(&self, cost: usize) -> Vec<Unit> {
        let sum = |taken: &[Waiting]| taken.iter().map(|waiting| waiting.unit.cost).sum::<usize>();
        self.take_while(|taken, unit| sum(taken) + unit.cost <= cost)
    }

    fn take_while(&self, wanted: impl Fn(&[Waiting], &Unit) -> bool) -> Vec<Unit> {
        let (mut taken, mut state) = (Vec::new(), self.state());
        for kind in [Kind::Computing, Kind::Awaiting] {
            while let Some(waiting) = state.lane(kind).pop_last_if(|unit| wanted(&taken, unit)) {
                taken.push(waiting);
            }
        }
        self.taken_out(&mut state, taken)
    }

    /// Takes all chunks of a job out that have not begun, those that would begin last first.
    pub(crate) fn take_job(&self, job: JobId) -> Vec<Unit> {
        let mut state = self.state();
        let mut taken = state.computing.take_job(job);
        taken.extend(state.awaiting.take_job(job));
        self.taken_out(&mut state, taken)
    }

    fn taken_out(&self, state: &mut State, taken: Vec<Waiting>) -> Vec<Unit> {
        state.let_go(&taken);
        self.buffered.fetch_sub(taken.len(), Ordering::Relaxed);
        self.wake(state);
        taken.into_iter().map(|waiting| waiting.unit).collect()
    }

    /// The jobs of the chunks that have not begun.
    pub(crate) fn jobs(&self) -> BTreeSet<JobId> {
        let state = self.state();
        state.computing.jobs().chain(state.awaiting.jobs()).collect()
    }

    /// Begins nothing any more, and lets the computing threads end.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.may_compute.notify_all();
    }
}

#[cfg(test)]
mod tests;
