//! The protocol once more, in memory and without any thought of speed: what must be in Redis after
//! any sequence of calls.
//!
//! It knows no time: leases are over and delays have passed when it is told so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use celeriac_broker_schema::State;

use crate::support::id;

/// Deliveries that may end with a lost worker, as in all calls of this test.
const CRASH_LIMIT: u32 = 3;
/// So many chunks are given at once however few are left.
const FAIR_LEAST: usize = 4;

/// Where something waits: queue and priority.
pub(crate) type Place = (&'static str, u8);

/// What stands in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Element {
    Task(String),
    Chunk(String, u64),
    Range { job: String, lo: u64, hi: u64, crashes: u32 },
}

impl Element {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Task(name) => name.clone(),
            Self::Chunk(job, index) => format!("{job}:{index}"),
            Self::Range { job, lo, hi, crashes: 0 } => format!("{job}:{lo}-{hi}"),
            Self::Range { job, lo, hi, crashes } => format!("{job}:{lo}-{hi}+{crashes}"),
        }
    }

    pub(crate) fn job(&self) -> Option<&str> {
        match self {
            Self::Task(_) => None,
            Self::Chunk(job, _) | Self::Range { job, .. } => Some(job),
        }
    }

    /// What it is ordered by when it goes back: age, then number, then its name.
    fn order(&self) -> (String, u64, String) {
        match self {
            Self::Task(name) => (id(name).to_string(), 0, String::new()),
            Self::Chunk(job, lo) | Self::Range { job, lo, .. } => {
                (format!("{}:", id(job)), *lo, self.text())
            }
        }
    }
}

/// Something in flight.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) element: Element,
    pub(crate) attempt: u32,
    pub(crate) place: Place,
    /// The chunks of it that have not ended; none for a task.
    pub(crate) chunks: BTreeSet<u64>,
    /// Those that were handed back, in the order in which they were.
    pub(crate) handed_back: Vec<(u64, u64)>,
}

#[derive(Debug, Default)]
pub(crate) struct Lease {
    pub(crate) number: u64,
    /// Set when it is over and nobody has noticed: which of several comes first.
    pub(crate) over: Option<u64>,
    pub(crate) held: BTreeMap<String, Held>,
}

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) total: u64,
    pub(crate) state: &'static str,
    pub(crate) done: BTreeSet<u64>,
    pub(crate) failed: BTreeSet<u64>,
    pub(crate) out: BTreeSet<u64>,
    pub(crate) retried: u64,
    pub(crate) reducer: Option<Place>,
}

impl Job {
    fn is_open(&self, index: u64) -> bool {
        ![&self.done, &self.failed, &self.out].iter().any(|bits| bits.contains(&index))
    }

    /// What its chunks have added up to: each adds its index plus one.
    pub(crate) fn sum(&self) -> u64 {
        self.done.iter().map(|index| index + 1).sum()
    }
}

/// The end of an attempt. Runs are named as they are in flight.
#[derive(Debug, Clone)]
pub(crate) enum End {
    Succeeded(String),
    Retry { name: String, later: bool },
    Snoozed(String),
    Failed(String),
    Released(String),
    ChunksSucceeded { run: String, lo: u64, hi: u64 },
    ChunkRetry { run: String, index: u64, later: bool },
    ChunkSnoozed { run: String, index: u64 },
    ChunkFailed { run: String, index: u64 },
    ChunksReleased { run: String, lo: u64, hi: u64 },
}

/// All that there is.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    pub(crate) tasks: BTreeSet<String>,
    pub(crate) ready: BTreeMap<Place, VecDeque<Element>>,
    pub(crate) suspects: BTreeMap<&'static str, VecDeque<(u8, Element)>>,
    /// By what orders things that are due at the same time; with whether they are due.
    pub(crate) delayed: BTreeMap<String, (Place, Element, bool)>,
    pub(crate) leases: BTreeMap<String, Lease>,
    /// Failures and crashes so far.
    pub(crate) history: BTreeMap<String, (u32, u32)>,
    pub(crate) jobs: BTreeMap<String, Job>,
    pub(crate) inputs: BTreeSet<String>,
    pub(crate) dead: BTreeSet<String>,
    pub(crate) ended: BTreeMap<String, State>,
    pub(crate) stats: BTreeMap<&'static str, u64>,
    /// Whether the claim under way has met a range of which it got its fair share.
    shared: bool,
}

impl Reference {
    pub(crate) fn count(&mut self, what: &'static str, by: u64) {
        *self.stats.entry(what).or_default() += by;
    }

    // What producers do.

    pub(crate) fn enqueue(&mut self, name: &str, place: Place, later: bool) {
        self.tasks.insert(name.to_owned());
        self.count("enqueued", 1);
        self.wait(place, Element::Task(name.to_owned()), later);
    }

    pub(crate) fn enqueue_job(
        &mut self,
        name: &str,
        place: Place,
        total: u64,
        reducer: Option<Place>,
    ) {
        let job = name.to_owned();
        if reducer.is_some() {
            self.tasks.insert(job.clone());
        }
        let (done, failed, out) = Default::default();
        let made = Job { total, state: "running", done, failed, out, retried: 0, reducer };
        self.jobs.insert(job.clone(), made);
        self.count("enqueued", total);
        self.push_back(place, Element::Range { job, lo: 0, hi: total, crashes: 0 });
    }

    fn push_back(&mut self, place: Place, element: Element) {
        self.ready.entry(place).or_default().push_back(element);
    }

    fn push_front(&mut self, place: Place, element: Element) {
        self.ready.entry(place).or_default().push_front(element);
    }

    fn wait(&mut self, place: Place, element: Element, later: bool) {
        if later {
            let (queue, priority) = place;
            let what = match &element {
                Element::Chunk(job, index) => format!("{}:{index}", id(job)),
                other => id(&other.text()).to_string(),
            };
            self.delayed.insert(format!("{priority}:{queue}:{what}"), (place, element, false));
        } else {
            self.push_back(place, element);
        }
    }

    // Upkeep, which every call of a worker does on its way.

    fn promote(&mut self) {
        let all = std::mem::take(&mut self.delayed);
        let (due, later) = all.into_iter().partition(|(_, (_, _, due))| *due);
        self.delayed = later;
        for (place, element, _) in BTreeMap::into_values(due) {
            self.push_back(place, element);
        }
    }

    /// At most one lease at a time is taken from its owner, and never one's own.
    fn reclaim(&mut self, own: &str) {
        let mut heads: Vec<(u64, String)> = self
            .leases
            .iter()
            .map(|(name, lease)| (lease.over.unwrap_or(u64::MAX), name.clone()))
            .collect();
        heads.sort();
        heads.truncate(2);
        let over = |(over, name): &&(u64, String)| name != own && *over < u64::MAX;
        let Some((_, name)) = heads.iter().find(over) else { return };
        let lease = self.leases.remove(name).expect("it is listed");
        self.count("reclaimed", lease.held.len() as u64);
        let mut held: Vec<Held> = lease.held.into_values().collect();
        held.sort_by_key(|held| std::cmp::Reverse(held.element.order()));
        for held in held {
            match held.element.clone() {
                Element::Range { job, lo, hi, .. } => {
                    let mut hi = hi;
                    let mut gone = held.handed_back.clone();
                    gone.sort();
                    for (from, to) in gone.into_iter().rev() {
                        self.take_back_run(&held, &job, to, hi);
                        hi = from;
                    }
                    self.take_back_run(&held, &job, lo, hi);
                }
                one => self.take_back(held.place, one),
            }
        }
    }

    fn take_back(&mut self, place: Place, element: Element) {
        if element.job().is_some_and(|job| self.jobs[job].state != "running") {
            return;
        }
        let counts = self.history.entry(element.text()).or_default();
        counts.1 += 1;
        let crashes = counts.1;
        if crashes < CRASH_LIMIT {
            self.put_back(place, element, crashes >= 2);
            return;
        }
        match element {
            Element::Chunk(job, index) => self.fail_chunk(&job, index),
            other => self.fail_task(&other.text()),
        }
    }

    fn take_back_run(&mut self, held: &Held, job: &str, lo: u64, hi: u64) {
        let one_settled = hi == lo + 1 && !self.jobs[job].is_open(lo);
        if self.jobs[job].state != "running" || lo == hi || one_settled {
            return;
        }
        let crashes = held.attempt;
        if hi - lo > 1 || crashes < CRASH_LIMIT {
            let crashes = crashes.min(CRASH_LIMIT - 1);
            let range = Element::Range { job: job.to_owned(), lo, hi, crashes };
            self.put_back(held.place, range, held.attempt >= 2);
        } else {
            self.history.insert(format!("{job}:{lo}"), (0, crashes));
            self.fail_chunk(job, lo);
        }
    }

    fn put_back(&mut self, place: Place, element: Element, suspect: bool) {
        if suspect {
            self.suspects.entry(place.0).or_default().push_front((place.1, element));
        } else {
            self.push_front(place, element);
        }
    }

    /// To the front again; what was a suspect stays one.
    fn hand_back(&mut self, place: Place, element: Element) {
        let crashes = self.history.get(&element.text()).map_or(0, |counts| counts.1);
        self.put_back(place, element, crashes >= 2);
    }

    pub(crate) fn upkeep(&mut self, own: &str) {
        self.reclaim(own);
        self.promote();
    }

    // What workers do.

    /// Returns the in-flight names of what is given.
    pub(crate) fn claim(
        &mut self,
        lease: &str,
        want: usize,
        suspect: bool,
        queues: &[&'static str],
    ) -> BTreeSet<String> {
        self.promote();
        self.reclaim(lease);
        self.shared = false;
        let mut taken = Vec::new();
        if suspect && want > 0 {
            for queue in queues {
                if taken.is_empty() {
                    self.take_suspect(queue, &mut taken);
                }
            }
        }
        // Nothing is put beside a suspect.
        if taken.is_empty() {
            for queue in queues {
                self.take_queue(queue, want, &mut taken);
            }
        }
        let names: BTreeSet<String> = taken.iter().map(|held| held.element.text()).collect();
        assert_eq!(names.len(), taken.len(), "one thing was given twice");
        let held = taken.into_iter().map(|held| (held.element.text(), held));
        self.leases.get_mut(lease).expect("it is open").held.extend(held);
        names
    }

    fn take_suspect(&mut self, queue: &'static str, taken: &mut Vec<Held>) {
        while let Some((priority, element)) =
            self.suspects.get_mut(queue).and_then(VecDeque::pop_front)
        {
            if let Some(rest) = self.take((queue, priority), element, 1, taken) {
                self.suspects.entry(queue).or_default().push_front((priority, rest));
            }
            if !taken.is_empty() {
                return;
            }
        }
    }

    /// Pops as many elements as are wanted, takes what they give, and puts the rest back in front;
    /// again, until there is enough.
    fn take_queue(&mut self, queue: &'static str, want: usize, taken: &mut Vec<Held>) {
        while count(taken) < want && !self.shared {
            let is_ours =
                |(place, list): &(&Place, &VecDeque<Element>)| place.0 == queue && !list.is_empty();
            let Some((&place, _)) = self.ready.iter().rfind(is_ours) else { return };
            let list = self.ready.get_mut(&place).expect("it is listed");
            let n = (want - count(taken)).min(list.len());
            let popped: Vec<Element> = list.drain(..n).collect();
            let mut back = Vec::new();
            for element in popped {
                let room = want - count(taken);
                if room == 0 || self.shared {
                    back.push(element);
                } else {
                    back.extend(self.take(place, element, room, taken));
                }
            }
            for element in back.into_iter().rev() {
                self.push_front(place, element);
            }
        }
    }

    /// Takes what there is in an element, up to `room`; returns what is left of it.
    fn take(
        &mut self,
        place: Place,
        element: Element,
        room: usize,
        taken: &mut Vec<Held>,
    ) -> Option<Element> {
        if element.job().is_some_and(|job| self.jobs[job].state != "running") {
            return None;
        }
        let Element::Range { job, lo, hi, crashes } = element else {
            let (failures, crashes) =
                self.history.get(&element.text()).copied().unwrap_or_default();
            let chunks = match &element {
                Element::Chunk(_, index) => BTreeSet::from([*index]),
                _ => BTreeSet::new(),
            };
            let attempt = failures + crashes + 1;
            taken.push(Held { element, attempt, place, chunks, handed_back: Vec::new() });
            return None;
        };
        // Half of an even share of what is left.
        let fair = (hi - lo).div_ceil(2 * self.leases.len() as u64) as usize;
        let fair = fair.max(FAIR_LEAST);
        self.shared |= fair < room.min((hi - lo) as usize);
        let open = |index: &u64| self.jobs[&job].is_open(*index);
        let first = (lo..hi).find(open)?;
        let last =
            (first..hi).take(room.min(fair)).take_while(open).last().expect("the first one is") + 1;
        let run = Element::Range { job: job.clone(), lo: first, hi: last, crashes: 0 };
        let chunks = (first..last).collect();
        let attempt = crashes + 1;
        taken.push(Held { element: run, attempt, place, chunks, handed_back: Vec::new() });
        (last < hi).then_some(Element::Range { job, lo: last, hi, crashes })
    }

    /// Returns what was stale.
    pub(crate) fn end(&mut self, lease: &str, ends: &[End]) -> Vec<String> {
        let mut stale = Vec::new();
        let (first, rest): (Vec<&End>, Vec<&End>) =
            ends.iter().partition(|end| matches!(end, End::Succeeded(_)));
        for end in first.into_iter().chain(rest) {
            let done = match end {
                End::Succeeded(name)
                | End::Retry { name, .. }
                | End::Snoozed(name)
                | End::Failed(name)
                | End::Released(name) => self.end_task(lease, name, end),
                End::ChunksSucceeded { run, .. }
                | End::ChunkRetry { run, .. }
                | End::ChunkSnoozed { run, .. }
                | End::ChunkFailed { run, .. }
                | End::ChunksReleased { run, .. } => self.end_chunks(lease, run, end),
            };
            if let Err(name) = done {
                stale.push(name);
            }
        }
        stale
    }

    fn held(&mut self, lease: &str) -> &mut BTreeMap<String, Held> {
        &mut self.leases.get_mut(lease).expect("it is open").held
    }

    fn end_task(&mut self, lease: &str, name: &str, end: &End) -> Result<(), String> {
        let held = self.held(lease).remove(name).ok_or(name)?;
        match end {
            End::Succeeded(_) => {
                self.count("succeeded", 1);
                self.history.remove(name);
                self.tasks.remove(name);
                self.ended.insert(name.to_owned(), State::Succeeded);
                if self.inputs.remove(name) {
                    self.jobs.get_mut(name).expect("it is a reducer").state = "succeeded";
                }
            }
            End::Retry { later, .. } => {
                self.count("retried", 1);
                self.history.entry(name.to_owned()).or_default().0 += 1;
                self.wait(held.place, held.element, *later);
            }
            End::Snoozed(_) => {
                self.count("snoozed", 1);
                self.wait(held.place, held.element, true);
            }
            End::Failed(_) => self.fail_task(name),
            _ => self.hand_back(held.place, held.element),
        }
        Ok(())
    }

    fn end_chunks(&mut self, lease: &str, run: &str, end: &End) -> Result<(), String> {
        let held = self.held(lease).get(run).ok_or(run)?.clone();
        let job = held.element.job().expect("a run is of a job").to_owned();
        if self.jobs[&job].state != "running" {
            self.held(lease).remove(run);
            return Err(run.to_owned());
        }
        let (lo, hi) = match end {
            End::ChunksSucceeded { lo, hi, .. } | End::ChunksReleased { lo, hi, .. } => (*lo, *hi),
            End::ChunkRetry { index, .. }
            | End::ChunkSnoozed { index, .. }
            | End::ChunkFailed { index, .. } => (*index, index + 1),
            _ => unreachable!("the others are of tasks"),
        };
        let left = self.held(lease).get_mut(run).expect("it was there");
        left.chunks.retain(|index| !(lo..hi).contains(index));
        if matches!(end, End::ChunksReleased { .. }) {
            match left.handed_back.last_mut() {
                Some((from, _)) if *from == hi => *from = lo,
                _ => left.handed_back.push((lo, hi)),
            }
        }
        if left.chunks.is_empty() {
            self.held(lease).remove(run);
        }
        self.settle_chunks(&job, &held, lo, hi, end);
        Ok(())
    }

    fn settle_chunks(&mut self, job: &str, held: &Held, lo: u64, hi: u64, end: &End) {
        let whole = matches!(held.element, Element::Range { .. });
        let name = format!("{job}:{lo}");
        let of = self.jobs.get_mut(job).expect("it is there");
        match end {
            End::ChunksSucceeded { .. } => {
                of.done.extend(lo..hi);
                self.count("succeeded", hi - lo);
                self.open_barrier(job);
            }
            End::ChunkRetry { later, .. } => {
                of.retried += 1;
                if whole {
                    of.out.insert(lo);
                }
                self.count("retried", 1);
                let counts = self.history.entry(name).or_insert((0, held.attempt - 1));
                counts.0 += 1;
                self.wait(held.place, Element::Chunk(job.to_owned(), lo), *later);
            }
            End::ChunkSnoozed { .. } => {
                if whole {
                    of.out.insert(lo);
                }
                self.count("snoozed", 1);
                if whole && held.attempt > 1 {
                    self.history.insert(name, (0, held.attempt - 1));
                }
                self.wait(held.place, Element::Chunk(job.to_owned(), lo), true);
            }
            End::ChunkFailed { .. } => {
                let crashes = if whole { held.attempt - 1 } else { 0 };
                self.history.entry(name).or_insert((0, crashes)).0 += 1;
                self.fail_chunk(job, lo);
            }
            _ if whole => {
                let crashes = held.attempt - 1;
                let range = Element::Range { job: job.to_owned(), lo, hi, crashes };
                self.put_back(held.place, range, crashes >= 2);
            }
            _ => self.hand_back(held.place, held.element.clone()),
        }
    }

    // How tasks and jobs end.

    fn open_barrier(&mut self, name: &str) {
        let job = self.jobs.get_mut(name).expect("it is there");
        if (job.done.len() as u64) < job.total {
            return;
        }
        match job.reducer {
            Some(place) => {
                job.state = "reducing";
                self.inputs.insert(name.to_owned());
                self.push_back(place, Element::Task(name.to_owned()));
            }
            None => {
                job.state = "succeeded";
                self.ended.insert(name.to_owned(), State::Succeeded);
            }
        }
    }

    fn fail_job(&mut self, name: &str) {
        self.jobs.get_mut(name).expect("it is there").state = "failed";
        self.tasks.remove(name);
        self.inputs.remove(name);
        self.ended.insert(name.to_owned(), State::Failed);
    }

    fn fail_chunk(&mut self, job: &str, index: u64) {
        self.jobs.get_mut(job).expect("it is there").failed.insert(index);
        self.count("failed", 1);
        self.dead.insert(format!("{job}:{index}"));
        self.fail_job(job);
    }

    fn fail_task(&mut self, name: &str) {
        self.count("failed", 1);
        self.dead.insert(name.to_owned());
        self.history.remove(name);
        self.tasks.remove(name);
        if self.inputs.contains(name) {
            self.fail_job(name);
        } else {
            self.ended.insert(name.to_owned(), State::Failed);
        }
    }
}

/// How many tasks and chunks these are.
fn count(taken: &[Held]) -> usize {
    taken.iter().map(|held| held.chunks.len().max(1)).sum()
}
