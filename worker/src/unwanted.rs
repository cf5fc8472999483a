//! What the worker holds and nobody wants any more, as the last renewal of its lease told: cancelled
//! tasks, and jobs that are over. Asked whenever an attempt begins.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use celeriac_broker_schema::{JobId, Requester, TaskId};

use crate::unit::Unit;

#[derive(Debug, Default)]
pub(crate) struct Unwanted {
    /// Whether there is anything: the usual answer, without a lock.
    any: AtomicBool,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    tasks: HashMap<TaskId, Requester>,
    jobs: HashSet<JobId>,
}

impl Unwanted {
    /// Replaces what was known. Returns whether there is anything.
    pub(crate) fn set(&self, tasks: Vec<(TaskId, Requester)>, jobs: Vec<JobId>) -> bool {
        let any = !tasks.is_empty() || !jobs.is_empty();
        if any || self.any.load(Ordering::Acquire) {
            *self.held.lock().unwrap_or_else(PoisonError::into_inner) =
                Held { tasks: tasks.into_iter().collect(), jobs: jobs.into_iter().collect() };
            self.any.store(any, Ordering::Release);
        }
        any
    }

    /// Who does not want it, if it is not wanted.
    pub(crate) fn of(&self, unit: &Unit) -> Option<Requester> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match unit.job() {
            Some(job) => held.jobs.contains(&job).then(Requester::default),
            None => held.tasks.get(&unit.id()).cloned(),
        }
    }
}
