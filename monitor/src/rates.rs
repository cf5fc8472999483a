//! Rates from counts: how much was added between the looks of the last seconds. All times are
//! Redis time; nothing here reads a clock.

use std::collections::{BTreeMap, VecDeque};

use celeriac_broker_schema::script::{JobView, Snapshot};
use celeriac_broker_schema::{JobId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

/// Rates are averages over this time: long enough to be readable, short enough to be news.
const WINDOW_MS: u64 = 10_000;

/// Ended tasks and chunks per second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Rates {
    pub(crate) succeeded_per_s: f64,
    pub(crate) failed_per_s: f64,
}

/// The counts of earlier looks.
#[derive(Debug, Default)]
pub(crate) struct History {
    totals: VecDeque<Sample<[u64; 2]>>,
    jobs: BTreeMap<JobId, VecDeque<Sample<u64>>>,
}

#[derive(Debug, Clone, Copy)]
struct Sample<T> {
    at: Timestamp,
    count: T,
}

impl History {
    /// Notes what a look has counted.
    pub(crate) fn note(&mut self, snapshot: &Snapshot) {
        let count = |name: &str| snapshot.stats.get(name).copied().unwrap_or(0);
        let sample = Sample { at: snapshot.now, count: [count("succeeded"), count("failed")] };
        let shrunk = |last: &Sample<[u64; 2]>| {
            last.at >= sample.at || last.count.iter().zip(sample.count).any(|(old, new)| *old > new)
        };
        // Counts only shrink when the data is gone: what came before says nothing any more.
        if self.totals.back().is_some_and(shrunk) {
            *self = Self::default();
        }
        self.totals.push_back(sample);
        forget(&mut self.totals, WINDOW_MS);
        self.note_jobs(snapshot);
    }

    fn note_jobs(&mut self, snapshot: &Snapshot) {
        let open = |job: &&JobView| job.ended.is_none();
        let mut jobs = BTreeMap::new();
        for job in snapshot.jobs.iter().filter(open) {
            let mut samples = self.jobs.remove(&job.id).unwrap_or_default();
            samples.push_back(Sample { at: snapshot.now, count: job.done });
            forget(&mut samples, WINDOW_MS);
            jobs.insert(job.id, samples);
        }
        self.jobs = jobs;
    }

    /// The present rates; None before the second look.
    pub(crate) fn rates(&self) -> Option<Rates> {
        let last = self.totals.back()?;
        let in_window = |sample: &&Sample<_>| last.at.since(sample.at) <= WINDOW_MS;
        let first = self.totals.iter().find(in_window)?;
        rates_between(first, last)
    }

    /// Chunks of a job per second; None before the second look at it.
    pub(crate) fn job(&self, id: JobId) -> Option<f64> {
        let samples = self.jobs.get(&id)?;
        let (first, last) = (samples.front()?, samples.back()?);
        per_second(last.count.saturating_sub(first.count), last.at.since(first.at))
    }
}

/// `count` in `ms` milliseconds, per second; None if that is no time at all.
pub(crate) fn per_second(count: u64, ms: u64) -> Option<f64> {
    (ms > 0).then(|| count as f64 * 1000.0 / ms as f64)
}

fn rates_between(first: &Sample<[u64; 2]>, last: &Sample<[u64; 2]>) -> Option<Rates> {
    let ms = last.at.since(first.at);
    let rate = |i: usize| per_second(last.count[i] - first.count[i], ms);
    Some(Rates { succeeded_per_s: rate(0)?, failed_per_s: rate(1)? })
}

/// Drops what is older than `ms`, seen from the newest sample.
fn forget<T>(samples: &mut VecDeque<Sample<T>>, ms: u64) {
    let Some(newest) = samples.back().map(|sample| sample.at) else {
        return;
    };
    while samples.front().is_some_and(|sample| newest.since(sample.at) > ms) {
        samples.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at: u64, succeeded: u64) -> Snapshot {
        Snapshot {
            now: Timestamp(at),
            queues: Vec::new(),
            jobs: Vec::new(),
            tasks: 0,
            delayed: 0,
            waiting: 0,
            leases: 0,
            dead: 0,
            open_jobs: 0,
            orphans: 0,
            stats: BTreeMap::from([("succeeded".to_owned(), succeeded)]),
        }
    }

    fn rate(history: &History) -> Option<f64> {
        history.rates().map(|rates| rates.succeeded_per_s)
    }

    #[test]
    fn rates_are_averages_of_the_window() {
        let mut history = History::default();
        history.note(&look(1_000, 50));
        assert_eq!(rate(&history), None);
        history.note(&look(2_000, 60));
        assert_eq!(rate(&history), Some(10.0));
        for second in 3..=20 {
            history.note(&look(second * 1_000, 60 + (second - 2) * 100));
        }
        assert_eq!(rate(&history), Some(100.0));
    }

    #[test]
    fn lost_data_starts_anew() {
        let mut history = History::default();
        history.note(&look(1_000, 50));
        history.note(&look(2_000, 5));
        assert_eq!(rate(&history), None);
        history.note(&look(3_000, 6));
        assert_eq!(rate(&history), Some(1.0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = History::default();
        for second in 0..10_000 {
            history.note(&look(second * 1_000, second));
        }
        assert!(history.totals.len() as u64 <= WINDOW_MS / 1_000 + 1);
    }
}
