//! What the scripts do, without their data: a call is one step.

use std::collections::{BTreeMap, BTreeSet};

/// Two members of a job, and the task that waits for both.
pub(crate) type Task = u8;
/// The task that waits.
pub(crate) const FOLLOWER: Task = 2;
/// How many tasks there are.
pub(crate) const TASKS: usize = 3;
/// Leases are numbered as they are opened.
pub(crate) type Lease = u8;

/// A check whose absence the checker must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// An ending counts only for a task that the lease holds.
    Ownership,
    /// A call that was carried out is not carried out again.
    CallNumber,
    /// Neither is one that is older than the last.
    LateCall,
    /// A lease is removed before what it held goes back.
    LeaseRemoved,
    /// The barrier counts members whose bit flips, and not attempts.
    MemberBit,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Ending {
    Success,
    Retry,
}

/// `complete`, or `claim` if nothing has ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Call {
    pub(crate) worker: usize,
    pub(crate) lease: Lease,
    pub(crate) number: u8,
    pub(crate) endings: Vec<(Task, Ending)>,
    pub(crate) want: bool,
}

/// What the call is answered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Answer {
    Granted(Option<Task>),
    /// It was carried out before; this is all that the lease holds.
    Repeated(BTreeSet<Task>),
    Lost,
}

/// The in-flight hash of a lease.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct InFlight {
    pub(crate) number: u8,
    pub(crate) tasks: BTreeSet<Task>,
}

/// Redis.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    pub(crate) ready: Vec<Task>,
    pub(crate) delayed: BTreeSet<Task>,
    pub(crate) waiting: BTreeSet<Task>,
    pub(crate) in_flight: BTreeMap<Lease, InFlight>,
    /// Leases that were emptied and are still there; only without [`Check::LeaseRemoved`].
    pub(crate) emptied: BTreeSet<Lease>,
    pub(crate) ended: BTreeSet<Task>,
    /// How often each task was counted as succeeded.
    pub(crate) counted: [u8; TASKS],
    /// Members that the barrier still waits for.
    pub(crate) missing: i8,
    /// How often the barrier opened.
    pub(crate) opened: u8,
    pub(crate) next_lease: Lease,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            ready: vec![0, 1],
            delayed: BTreeSet::new(),
            waiting: BTreeSet::from([FOLLOWER]),
            in_flight: BTreeMap::new(),
            emptied: BTreeSet::new(),
            ended: BTreeSet::new(),
            counted: [0; TASKS],
            missing: 2,
            opened: 0,
            next_lease: 0,
        }
    }

    pub(crate) fn open(&mut self) -> Lease {
        let lease = self.next_lease;
        self.next_lease += 1;
        self.in_flight.insert(lease, InFlight::default());
        lease
    }

    pub(crate) fn carry_out(&mut self, call: &Call, without: Option<Check>) -> Answer {
        let Some(held) = self.in_flight.get_mut(&call.lease) else {
            if without == Some(Check::Ownership) {
                self.end_all(call, without);
            }
            return Answer::Lost;
        };
        let repeated = match without {
            Some(Check::CallNumber) => false,
            Some(Check::LateCall) => call.number == held.number,
            _ => call.number <= held.number,
        };
        if repeated {
            return Answer::Repeated(held.tasks.clone());
        }
        held.number = call.number;
        self.end_all(call, without);
        Answer::Granted(self.claim(call))
    }

    fn end_all(&mut self, call: &Call, without: Option<Check>) {
        for &(task, ending) in &call.endings {
            let held =
                self.in_flight.get_mut(&call.lease).is_some_and(|held| held.tasks.remove(&task));
            if held || without == Some(Check::Ownership) {
                self.end(task, ending, without);
            }
        }
    }

    fn end(&mut self, task: Task, ending: Ending, without: Option<Check>) {
        match ending {
            Ending::Retry => {
                self.delayed.insert(task);
            }
            Ending::Success => {
                // An id whose record is gone is dropped where it lies.
                self.ready.retain(|&id| id != task);
                self.delayed.remove(&task);
                self.counted[usize::from(task)] += 1;
                self.ended.insert(task);
            }
        }
        let settles = ending == Ending::Success || without == Some(Check::MemberBit);
        if task != FOLLOWER && settles {
            self.missing -= 1;
            if self.missing == 0 {
                self.opened += 1;
                self.waiting.remove(&FOLLOWER);
                self.ready.push(FOLLOWER);
            }
        }
    }

    fn claim(&mut self, call: &Call) -> Option<Task> {
        if !call.want || self.ready.is_empty() {
            return None;
        }
        let task = self.ready.remove(0);
        self.in_flight.entry(call.lease).or_default().tasks.insert(task);
        Some(task)
    }

    /// The lease is over: what it held goes back to the front.
    pub(crate) fn reclaim(&mut self, lease: Lease, without: Option<Check>) {
        let Some(held) = self.in_flight.get_mut(&lease) else { return };
        let mut back: Vec<Task> = std::mem::take(&mut held.tasks).into_iter().collect();
        back.append(&mut self.ready);
        self.ready = back;
        if without == Some(Check::LeaseRemoved) {
            self.emptied.insert(lease);
        } else {
            self.in_flight.remove(&lease);
        }
    }

    /// The second step of a reclaim that needs two.
    pub(crate) fn remove_emptied(&mut self, lease: Lease) {
        self.emptied.remove(&lease);
        self.in_flight.remove(&lease);
    }

    pub(crate) fn promote(&mut self, task: Task) {
        if self.delayed.remove(&task) {
            self.ready.push(task);
        }
    }

    /// In how many places a task is.
    pub(crate) fn places(&self, task: Task) -> usize {
        self.ready.iter().filter(|&&id| id == task).count()
            + usize::from(self.delayed.contains(&task))
            + usize::from(self.waiting.contains(&task))
            + usize::from(self.ended.contains(&task))
            + self.in_flight.values().filter(|held| held.tasks.contains(&task)).count()
    }
}
