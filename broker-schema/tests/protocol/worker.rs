//! A worker: what it knows, and what it does with an answer.

use std::collections::BTreeSet;

use crate::server::{Answer, Call, Ending, Lease, Task};

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    pub(crate) lease: Option<Lease>,
    pub(crate) number: u8,
    /// What it holds and has not told of.
    pub(crate) holds: BTreeSet<Task>,
    /// What has ended and is not told yet.
    pub(crate) ended: Vec<(Task, Ending)>,
    /// The call that is not answered yet. There is one at a time.
    pub(crate) pending: Option<Call>,
}

impl Worker {
    /// Begins the next call.
    pub(crate) fn call(&mut self, worker: usize) -> Option<Call> {
        let lease = self.lease?;
        self.number += 1;
        let endings = std::mem::take(&mut self.ended);
        for (task, _) in &endings {
            self.holds.remove(task);
        }
        let want = self.holds.is_empty();
        let call = Call { worker, lease, number: self.number, endings, want };
        self.pending = Some(call.clone());
        Some(call)
    }

    /// Takes an answer in; one to another call than the pending one is nothing to it.
    pub(crate) fn hear(&mut self, call: &Call, answer: Answer) {
        if self.pending.as_ref() != Some(call) {
            return;
        }
        self.pending = None;
        match answer {
            Answer::Granted(task) => self.holds.extend(task),
            Answer::Repeated(all) => self.holds = all,
            Answer::Lost => *self = Self::default(),
        }
    }
}
