//! One lane: units that wait, in the order in which they may begin.

use std::collections::{BTreeMap, VecDeque};

use celeriac_broker_schema::JobId;

use crate::served::Served;
use crate::unit::Unit;

/// A unit with the class that its queue had when it came: the queues may be others by now.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) unit: Unit,
    pub(super) class: usize,
}

/// Units by their rank, in the order of their arrival where it is the same. What is claimed later and
/// ranks higher overtakes what has not begun.
#[derive(Debug, Default)]
pub(super) struct Lane(BTreeMap<usize, VecDeque<Waiting>>);

impl Lane {
    pub(super) fn push(&mut self, unit: Unit, served: &Served) {
        let (queue, priority) = unit.place();
        let (rank, class) = (served.rank(queue, priority), served.class(queue));
        self.0.entry(rank).or_default().push_back(Waiting { unit, class });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rank of the first one that may begin, and that one.
    pub(super) fn first(&self, may_begin: impl Fn(&Waiting) -> bool) -> Option<(usize, &Waiting)> {
        let mut firsts = self.0.iter().filter_map(|(rank, units)| Some((*rank, units.front()?)));
        firsts.find(|(_, waiting)| may_begin(waiting))
    }

    pub(super) fn pop(&mut self, rank: usize) -> Option<Waiting> {
        let units = self.0.get_mut(&rank)?;
        let waiting = units.pop_front();
        if units.is_empty() {
            self.0.remove(&rank);
        }
        waiting
    }

    /// The one that would begin last, if it is one of these.
    pub(super) fn pop_last_if(&mut self, wanted: impl Fn(&Unit) -> bool) -> Option<Waiting> {
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
    pub(super) fn take_job(&mut self, job: JobId) -> Vec<Waiting> {
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

    pub(super) fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.0.values().flatten().filter_map(|waiting| waiting.unit.job())
    }
}
