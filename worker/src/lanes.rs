//! Units that were claimed and have not begun, in two lanes: one for tasks that await, one for
//! tasks that compute. Slots take what ranks first, each unit with a permit: both lanes together run
//! no more at once than the worker may, and no more of a queue than its slots. A unit that costs
//! several slots begins when so many are free, and nothing else does meanwhile. What is handed back
//! is taken from here, too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use celeriac_broker_schema::JobId;
use tokio::sync::Notify;

use crate::served::Served;
use crate::unit::Unit;

#[derive(Debug)]
pub(crate) struct Lanes {
    served: Arc<Served>,
    state: Mutex<State>,
    /// A unit that awaits may begin.
    may_await: Notify,
    /// A unit that computes may begin.
    may_compute: Condvar,
    buffered: AtomicUsize,
    /// Counts the units that have begun: whoever wants to know whether things move compares.
    begun: AtomicU64,
}

#[derive(Debug)]
struct State {
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

    /// The rank of the first one that may begin, and that one.
    fn first(&self, may_begin: impl Fn(&Unit) -> bool) -> Option<(usize, &Unit)> {
        let mut firsts = self.0.iter().filter_map(|(rank, units)| Some((*rank, units.front()?)));
        firsts.find(|(_, unit)| may_begin(unit))
    }

    fn pop(&mut self, rank: usize) -> Option<Unit> {
        let units = self.0.get_mut(&rank)?;
        let unit = units.pop_front();
        if units.is_empty() {
            self.0.remove(&rank);
        }
        unit
    }

    /// The one that would begin last, if it is one of these.
    fn pop_last_if(&mut self, wanted: impl Fn(&Unit) -> bool) -> Option<Unit> {
        let mut last = self.0.last_entry()?;
        let unit = last.get_mut().pop_back()?;
        if !wanted(&unit) {
            last.get_mut().push_back(unit);
            return None;
        }
        if last.get().is_empty() {
            last.remove();
        }
        Some(unit)
    }

    /// All chunks of a job, those that would begin last first.
    fn take_job(&mut self, job: JobId) -> Vec<Unit> {
        let mut taken = Vec::new();
        for units in self.0.values_mut().rev() {
            let (of_job, rest) =
                std::mem::take(units).into_iter().partition(|unit| unit.job() == Some(job));
            *units = rest;
            let of_job: VecDeque<Unit> = of_job;
            taken.extend(of_job.into_iter().rev());
        }
        self.0.retain(|_, units| !units.is_empty());
        taken
    }

    fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.0.values().flatten().filter_map(Unit::job)
    }
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

    /// Takes the first unit out that has its slots.
    fn begin(&mut self, kind: Kind, served: &Served) -> Option<Unit> {
        let unit = self.first_with_slots(kind, served);
        self.blocked |= unit.is_none() && !self.lane(kind).is_empty();
        unit
    }

    fn first_with_slots(&mut self, kind: Kind, served: &Served) -> Option<Unit> {
        if self.taken >= self.slots || self.heavy.is_some_and(|waits| waits != kind) {
            return None;
        }
        let (reserve, free) = (served.reserve(), self.slots - self.taken);
        let lane = match kind {
            Kind::Awaiting => &self.awaiting,
            Kind::Computing => &self.computing,
        };
        let running = &self.running;
        let may_begin = |unit: &Unit| {
            reserve.is_empty() || reserve.may_begin(served.class(unit.place().0), running)
        };
        let (rank, unit) = lane.first(may_begin)?;
        // Slots may have been given up since it was claimed.
        if unit.cost.min(self.slots) > free {
            self.heavy = Some(kind);
            return None;
        }
        self.heavy = None;
        let unit = self.lane(kind).pop(rank)?;
        self.taken += unit.cost;
        self.running[served.class(unit.place().0)] += unit.cost;
        Some(unit)
    }

    fn hold(&mut self, units: &[Unit], served: &Served) {
        for unit in units {
            self.held[served.class(unit.place().0)] += unit.cost;
        }
    }

    /// Units leave without having begun. Whatever waited for room in front of others may be gone.
    fn let_go(&mut self, units: &[Unit], served: &Served) {
        for unit in units {
            self.held[served.class(unit.place().0)] -= unit.cost;
        }
        self.heavy = None;
    }
}

impl Lanes {
    pub(crate) fn new(slots: usize, served: Arc<Served>) -> Self {
        let none = vec![0; served.reserve().classes()];
        let state = State {
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
            served,
            state: Mutex::new(state),
            may_await: Notify::new(),
            may_compute: Condvar::new(),
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
        state.hold(&units, &self.served);
        state.lane(kind).extend(units, &self.served);
        self.wake(&state);
    }

    /// Wakes one slot of each kind for which there is something to do. It wakes the next one if it
    /// finds more, so that no slot sleeps beside work and none is woken for nothing.
    fn wake(&self, state: &State) {
        if state.taken >= state.slots {
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
        let unit = state.begin(kind, &self.served)?;
        self.buffered.fetch_sub(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.wake(state);
        let (class, cost) = (self.served.class(unit.place().0), unit.cost);
        Some((unit, Permit { lanes: self, class, cost }))
    }

    fn ended(&self, class: usize, cost: usize) {
        let mut state = self.state();
        state.taken -= cost;
        state.running[class] -= cost;
        state.held[class] -= cost;
        // Its slot looks for the next one by itself.
        if std::mem::take(&mut state.blocked) {
            self.wake(&state);
        }
    }

    /// Whether slots are free that only some queues may have.
    pub(crate) fn has_idle_reserve(&self) -> bool {
        let reserve = self.served.reserve();
        !reserve.is_empty() && reserve.is_idle(&self.state().held)
    }

    /// How much more may be claimed of each class, and of all together (see `Reserve::room`). None if
    /// nothing is reserved.
    pub(crate) fn room(&self, ahead: usize) -> Option<(Vec<usize>, usize)> {
        let reserve = self.served.reserve();
        (!reserve.is_empty()).then(|| reserve.room(&self.state().held, ahead))
    }

    /// From now on so many units run at once. What runs beyond that runs on.
    pub(crate) fn set_slots(&self, slots: usize) {
        let mut state = self.state();
        state.slots = slots;
        state.heavy = None;
        self.wake(&state);
    }

    /// Takes up to `most` out that have not begun, those that would begin last first.
    pub(crate) fn take_last(&self, most: usize) -> Vec<Unit> {
        self.take_while(|units, _| units.len() < most)
    }

    /// Takes units out that have not begun and cost no more than `cost` together, those that would
    /// begin last first.
    pub(crate) fn take_last_costing(&self, cost: usize) -> Vec<Unit> {
        let sum = |units: &[Unit]| units.iter().map(|unit| unit.cost).sum::<usize>();
        self.take_while(|units, unit| sum(units) + unit.cost <= cost)
    }

    fn take_while(&self, wanted: impl Fn(&[Unit], &Unit) -> bool) -> Vec<Unit> {
        let (mut units, mut state) = (Vec::new(), self.state());
        for kind in [Kind::Computing, Kind::Awaiting] {
            while let Some(unit) = state.lane(kind).pop_last_if(|unit| wanted(&units, unit)) {
                units.push(unit);
            }
        }
        self.taken_out(&mut state, units)
    }

    /// Takes all chunks of a job out that have not begun, those that would begin last first.
    pub(crate) fn take_job(&self, job: JobId) -> Vec<Unit> {
        let mut state = self.state();
        let mut units = state.computing.take_job(job);
        units.extend(state.awaiting.take_job(job));
        self.taken_out(&mut state, units)
    }

    fn taken_out(&self, state: &mut State, units: Vec<Unit>) -> Vec<Unit> {
        state.let_go(&units, &self.served);
        self.buffered.fetch_sub(units.len(), Ordering::Relaxed);
        self.wake(state);
        units
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
            checkpoint: None,
        };
        Unit { epoch: 1, cost: 1, work: Work::Task(Box::new(delivery)) }
    }

    fn heavy(cost: usize, record: &str) -> Unit {
        Unit { cost, ..unit("mail", 5, record) }
    }

    fn name(unit: &Unit) -> String {
        match &unit.work {
            Work::Task(delivery) => String::from_utf8(delivery.record.clone()).expect("text"),
            Work::Chunk { .. } => unreachable!("there is none"),
        }
    }

    fn names(mut pop: impl FnMut() -> Option<Unit>) -> Vec<String> {
        std::iter::from_fn(|| pop().map(|unit| name(&unit))).collect()
    }

    /// The next one that may begin, if there is one.
    fn pop_first(lane: &mut Lane, may_begin: impl Fn(&Unit) -> bool) -> Option<Unit> {
        let rank = lane.first(may_begin)?.0;
        lane.pop(rank)
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
        assert_eq!(names(|| pop_first(&mut lane, |_| true)), ["urgent", "first", "second", "b9"]);
        assert!(lane.is_empty());
    }

    #[test]
    fn what_would_begin_last_goes_back_first() {
        let mut lane = filled();
        assert_eq!(names(|| lane.pop_last_if(|_| true)), ["b9", "second", "first", "urgent"]);
        assert!(lane.is_empty());
    }

    #[test]
    fn what_has_no_slot_is_passed_over() {
        let mut lane = filled();
        assert_eq!(names(|| pop_first(&mut lane, |unit| unit.place().0 == "batch")), ["b9"]);
        assert!(!lane.is_empty());
    }

    fn lanes(slots: usize) -> Lanes {
        Lanes::new(slots, Arc::new(served(&["mail", "batch"])))
    }

    /// What computes next, if anything may begin now.
    fn begins(lanes: &Lanes) -> Option<(String, Permit<'_>)> {
        let (unit, permit) = lanes.begin(Kind::Computing, &mut lanes.state())?;
        Some((name(&unit), permit))
    }

    #[test]
    fn no_more_run_than_there_are_slots() {
        let lanes = lanes(2);
        lanes.push_to_compute(vec![heavy(1, "a"), heavy(1, "b"), heavy(1, "c")]);
        let (a, b) = (begins(&lanes).expect("a slot"), begins(&lanes).expect("a slot"));
        assert!(begins(&lanes).is_none());
        lanes.set_slots(1);
        drop(a);
        assert!(begins(&lanes).is_none(), "the slot was given up");
        drop(b);
        assert_eq!(begins(&lanes).expect("a slot").0, "c");
    }

    #[test]
    fn what_costs_much_waits_for_its_room_and_nothing_overtakes_it() {
        let lanes = lanes(3);
        lanes.push_to_compute(vec![heavy(1, "light"), heavy(3, "heavy"), heavy(1, "behind")]);
        let light = begins(&lanes).expect("a slot");
        assert!(begins(&lanes).is_none());
        assert!(lanes.heavy_waits());
        lanes.push_to_await(vec![heavy(1, "beside")]);
        assert!(lanes.begin(Kind::Awaiting, &mut lanes.state()).is_none());
        drop(light);
        let heavy = begins(&lanes).expect("all slots");
        assert_eq!(heavy.0, "heavy");
        drop(heavy);
        assert_eq!(begins(&lanes).expect("a slot").0, "behind");
    }

    #[test]
    fn what_costs_more_than_is_left_runs_alone() {
        let lanes = lanes(4);
        lanes.push_to_compute(vec![heavy(4, "heavy")]);
        lanes.set_slots(2);
        assert_eq!(begins(&lanes).expect("all slots").0, "heavy");
    }

    #[test]
    fn no_more_is_taken_back_than_it_may_cost() {
        let lanes = lanes(1);
        lanes.push_to_compute(vec![heavy(1, "a"), heavy(2, "b"), heavy(2, "c")]);
        let taken: Vec<String> = lanes.take_last_costing(3).iter().map(name).collect();
        assert_eq!(taken, ["c"]);
        assert_eq!(lanes.buffered(), 2);
    }
}
