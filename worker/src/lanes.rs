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

/// A unit with the class that its queue had when it came: the queues may be others by now.
#[derive(Debug)]
struct Waiting {
    unit: Unit,
    class: usize,
}

/// Units by their rank, in the order of their arrival where it is the same. What is claimed later and
/// ranks higher overtakes what has not begun.
#[derive(Debug, Default)]
struct Lane(BTreeMap<usize, VecDeque<Waiting>>);

impl Lane {
    fn push(&mut self, unit: Unit, served: &Served) {
        let (queue, priority) = unit.place();
        let (rank, class) = (served.rank(queue, priority), served.class(queue));
        self.0.entry(rank).or_default().push_back(Waiting { unit, class });
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rank of the first one that may begin, and that one.
    fn first(&self, may_begin: impl Fn(&Waiting) -> bool) -> Option<(usize, &Waiting)> {
        let mut firsts = self.0.iter().filter_map(|(rank, units)| Some((*rank, units.front()?)));
        firsts.find(|(_, waiting)| may_begin(waiting))
    }

    fn pop(&mut self, rank: usize) -> Option<Waiting> {
        let units = self.0.get_mut(&rank)?;
        let waiting = units.pop_front();
        if units.is_empty() {
            self.0.remove(&rank);
        }
        waiting
    }

    /// The one that would begin last, if it is one of these.
    fn pop_last_if(&mut self, wanted: impl Fn(&Unit) -> bool) -> Option<Waiting> {
        let mut last = self.0.last_entry()?;
        let waiting = last.get_mut().pop_back()?;
        if !wanted(&waiting.unit) {
            last.get_mut().push_back(waiting);
            return None;
        }
        if last.get().is_empty() {
            last.remove();
        }
        Some(waiting)
    }

    /// All chunks of a job, those that would begin last first.
    fn take_job(&mut self, job: JobId) -> Vec<Waiting> {
        let mut taken = Vec::new();
        for units in self.0.values_mut().rev() {
            let all = std::mem::take(units).into_iter();
            let (of_job, rest) = all.partition(|waiting| waiting.unit.job() == Some(job));
            *units = rest;
            let of_job: VecDeque<Waiting> = of_job;
            taken.extend(of_job.into_iter().rev());
        }
        self.0.retain(|_, units| !units.is_empty());
        taken
    }

    fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.0.values().flatten().filter_map(|waiting| waiting.unit.job())
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
        let rank = lane.first(|waiting| may_begin(&waiting.unit))?.0;
        Some(lane.pop(rank)?.unit)
    }

    fn filled() -> Lane {
        let (served, mut lane) = (served(&["mail", "batch"]), Lane::default());
        for unit in [
            unit("batch", 9, "b9"),
            unit("mail", 5, "first"),
            unit("mail", 5, "second"),
            unit("mail", 9, "urgent"),
        ] {
            lane.push(unit, &served);
        }
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
        assert_eq!(
            names(|| Some(lane.pop_last_if(|_| true)?.unit)),
            ["b9", "second", "first", "urgent"]
        );
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
        lanes.change(1, Arc::new(served(&["mail"])));
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
    fn who_ends_wakes_what_came_while_all_slots_were_taken() {
        let lanes = lanes(1);
        lanes.push_to_compute(vec![heavy(1, "first")]);
        let first = begins(&lanes).expect("a slot");
        assert!(!lanes.state().blocked);
        lanes.push_to_compute(vec![heavy(1, "second")]);
        assert!(lanes.state().blocked);
        drop(first);
        assert!(!lanes.state().blocked);
    }

    #[test]
    fn what_costs_more_than_is_left_runs_alone() {
        let lanes = lanes(4);
        lanes.push_to_compute(vec![heavy(4, "heavy")]);
        lanes.change(2, Arc::new(served(&["mail"])));
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
