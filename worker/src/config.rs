//! The settings of a worker, checked as a whole before it starts.

use std::collections::BTreeMap;
use std::time::Duration;

use celeriac_broker_schema::limits::{
    DEFAULT_CRASH_LIMIT, DEFAULT_VISIBILITY_MS, MIN_VISIBILITY_MS,
};
use celeriac_broker_schema::{Label, QueueName};
use thiserror::Error;

use crate::served::Served;

/// The most tasks that a worker runs at once.
pub(crate) const MAX_CONCURRENCY: usize = 10_000;

/// How a worker works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// The queues it serves, the most important one first: a queue is looked at when the ones
    /// before it are empty. Default: `default`.
    pub queues: Vec<QueueName>,
    /// Weights of queues, 1 to 1,000. If any is set, the order of the queues is drawn anew for each
    /// claim: a queue of weight 3 is looked at first three times as often as one of weight 1, which
    /// is what those have that are not named. Default: none, the order is strict.
    pub weights: BTreeMap<QueueName, u32>,
    /// Slots that are used for no other queue than this one (its sub-queues included). What is left
    /// is for all queues. Default: none.
    pub reserve: BTreeMap<QueueName, usize>,
    /// What this worker has that tasks may need: with the label `gpu` it also serves the sub-queue
    /// `<queue>@gpu` of each of its queues. Default: none.
    pub labels: Vec<Label>,
    /// How many tasks it runs at once, 1 to 10,000. Default: the number of cores. Tasks that wait
    /// for others (network, disks) allow for many more.
    pub concurrency: usize,
    /// How long its tasks stay with it after its last sign of life, from 1 s. Default: 30 s. It
    /// renews its lease three times in that time.
    pub visibility: Duration,
    /// How long running tasks may go on when it is told to stop. Default: 25 s, below the 30 s
    /// after which Kubernetes kills.
    pub drain_timeout: Duration,
    /// How long a task may go on after it was cancelled. Then a task that awaits is dropped, and one
    /// that computes keeps its slot until it ends, while nobody waits for it any more. Default: 5 s.
    pub cancel_grace: Duration,
    /// Deliveries of one task that may end with a lost worker, from 1. Default: 3.
    pub crash_limit: u32,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            queues: vec![QueueName::default()],
            weights: BTreeMap::new(),
            reserve: BTreeMap::new(),
            labels: Vec::new(),
            concurrency: std::thread::available_parallelism().map_or(1, usize::from),
            visibility: Duration::from_millis(DEFAULT_VISIBILITY_MS),
            drain_timeout: Duration::from_secs(25),
            cancel_grace: Duration::from_secs(5),
            crash_limit: DEFAULT_CRASH_LIMIT,
        }
    }
}

/// Everything that is wrong with the settings of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the worker cannot start with these settings: {}", .problems.join("; "))]
pub struct ConfigError {
    /// One sentence each.
    pub problems: Vec<String>,
}

impl WorkerConfig {
    /// Checks all settings.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem at once.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let mut expect = |fine: bool, problem: &str| {
            if !fine {
                problems.push(problem.to_owned());
            }
        };
        let unique = self.queues.iter().collect::<std::collections::BTreeSet<_>>().len();
        expect(!self.queues.is_empty(), "queues: name at least one");
        expect(unique == self.queues.len(), "queues: a queue is named twice");
        expect((1..=MAX_CONCURRENCY).contains(&self.concurrency), "concurrency: use 1 to 10,000");
        let least = Duration::from_millis(MIN_VISIBILITY_MS);
        expect(self.visibility >= least, "visibility time-out: use at least 1 s");
        expect(self.crash_limit >= 1, "crash limit: use at least 1");
        let known = |queue: &QueueName| self.queues.contains(queue);
        expect(self.weights.keys().all(known), "weights: they name a queue that is not served");
        let weight = 1..=1_000;
        expect(self.weights.values().all(|n| weight.contains(n)), "weights: use 1 to 1,000");
        expect(self.reserve.keys().all(known), "reserve: it names a queue that is not served");
        expect(!self.reserve.values().any(|slots| *slots == 0), "reserve: use at least one slot");
        let reserved = self.reserve.values().fold(0_usize, |sum, slots| sum.saturating_add(*slots));
        let rest = usize::from(self.queues.iter().any(|queue| !self.reserve.contains_key(queue)));
        expect(
            reserved.saturating_add(rest) <= self.concurrency.max(1),
            "reserve: more slots than there are, or none left for the other queues",
        );
        let labels = self.labels.iter().collect::<std::collections::BTreeSet<_>>().len();
        expect(labels == self.labels.len(), "labels: a label is named twice");
        expect(
            Served::new(self).is_ok(),
            "labels: a queue and its label have more than 100 letters",
        );
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_reported_at_once() {
        assert_eq!(WorkerConfig::default().check(), Ok(()));
        let config = WorkerConfig {
            queues: Vec::new(),
            concurrency: 0,
            visibility: Duration::ZERO,
            crash_limit: 0,
            ..WorkerConfig::default()
        };
        assert_eq!(config.check().expect_err("is refused").problems.len(), 4);
    }
}
