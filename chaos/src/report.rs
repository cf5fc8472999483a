//! What a run found, as JSON and for people; and the sum of several runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::faults::Fault;

/// One run, or the sum of several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The seeds, in the order of the runs, with their options.
    pub runs: Vec<Ran>,
    /// Rounds: each has a namespace of its own, and is drained and checked at its end.
    pub rounds: u64,
    /// Seconds, with the time that draining and checking took.
    pub seconds: u64,
    /// Tasks and jobs that Redis acknowledged, by the kind of load.
    pub acknowledged: BTreeMap<String, u64>,
    /// Chunks of jobs.
    pub chunks: u64,
    /// Enqueues that led to an earlier task with the same key.
    pub duplicates: u64,
    /// Enqueues that a full Redis refused.
    pub refused: u64,
    /// Enqueues without an answer.
    pub unknown: u64,
    /// How tasks and jobs ended.
    pub outcomes: BTreeMap<String, u64>,
    /// How many tasks and chunks were executed so often, by the ledger. What never began is not in it.
    pub executions: BTreeMap<u64, u64>,
    /// Executions of tasks beyond one for each and one for each failure that was wanted.
    pub executed_again: u64,
    /// How often each fault came.
    pub faults: BTreeMap<Fault, u64>,
    /// Milliseconds from a SIGKILL to the first of the worker's tasks that began again.
    pub worker_first_ms: Vec<u64>,
    /// The same to the last of them.
    pub worker_last_ms: Vec<u64>,
    /// Milliseconds from a Redis that was ready again to the first task that ended.
    pub redis_restart_ms: Vec<u64>,
    /// What must not be, with the seed of its round.
    pub violations: Vec<String>,
}

/// How a run was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// The seed of its first round; each further one adds 1.
    pub seed: u64,
    /// Its options.
    pub options: String,
}

impl Report {
    /// All tasks and chunks that were acknowledged.
    pub fn tasks(&self) -> u64 {
        self.acknowledged.values().sum::<u64>() + self.chunks
    }

    /// All faults.
    pub fn faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        fn sum<K: Ord>(to: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
            from.into_iter().for_each(|(key, n)| *to.entry(key).or_default() += n);
        }
        self.runs.extend(other.runs);
        self.rounds += other.rounds;
        self.seconds += other.seconds;
        sum(&mut self.acknowledged, other.acknowledged);
        self.chunks += other.chunks;
        self.duplicates += other.duplicates;
        self.refused += other.refused;
        self.unknown += other.unknown;
        sum(&mut self.outcomes, other.outcomes);
        sum(&mut self.executions, other.executions);
        self.executed_again += other.executed_again;
        sum(&mut self.faults, other.faults);
        self.worker_first_ms.extend(other.worker_first_ms);
        self.worker_last_ms.extend(other.worker_last_ms);
        self.redis_restart_ms.extend(other.redis_restart_ms);
        self.violations.extend(other.violations);
    }

    /// Adds this one to those of a file, which is made if it is not there. Returns the sum.
    ///
    /// # Errors
    /// If the file cannot be read, is something else, or cannot be written.
    pub fn append_to(self, path: &Path) -> io::Result<Self> {
        let mut all = match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(error),
        };
        all.add(self);
        fs::write(path, serde_json::to_string_pretty(&all)?)?;
        Ok(all)
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut lines = vec![format!(
            "{} tasks and chunks in {} rounds, {} s, {} faults, {} violations",
            self.tasks(),
            self.rounds,
            self.seconds,
            self.faults(),
            self.violations.len()
        )];
        let list = |all: Vec<String>| all.join(", ");
        let counts = |all: &BTreeMap<String, u64>| {
            list(all.iter().map(|(name, n)| format!("{n} {name}")).collect())
        };
        lines.push(format!(
            "acknowledged: {}; chunks: {}",
            counts(&self.acknowledged),
            self.chunks
        ));
        lines.push(format!(
            "refused by a full Redis: {}; without an answer: {}; duplicates: {}",
            self.refused, self.unknown, self.duplicates
        ));
        lines.push(format!("outcomes: {}", counts(&self.outcomes)));
        let times = self.executions.iter().map(|(times, n)| format!("{n} ran {times} times"));
        lines.push(format!("ledger: {}", list(times.collect())));
        lines.push(format!("executed again after a fault: {}", self.executed_again));
        let faults = self.faults.iter().map(|(fault, n)| format!("{n} {fault:?}"));
        lines.push(format!("faults: {}", list(faults.collect())));
        for (what, samples) in [
            ("first task again after SIGKILL of its worker", &self.worker_first_ms),
            ("last task again after SIGKILL of its worker", &self.worker_last_ms),
            ("first end after a restart of Redis", &self.redis_restart_ms),
        ] {
            lines.push(format!("{what}: {}", percentiles(samples)));
        }
        for violation in &self.violations {
            lines.push(format!("VIOLATION {violation}"));
        }
        lines.join("\n")
    }
}

fn percentiles(samples: &[u64]) -> String {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let Some(last) = sorted.len().checked_sub(1) else { return "none".to_owned() };
    let at = |percent: usize| sorted[last * percent / 100];
    format!(
        "{} times; p50 {} ms, p90 {} ms, p99 {} ms, max {} ms",
        sorted.len(),
        at(50),
        at(90),
        at(99),
        at(100)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_add_up_in_a_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("results.json");
        let one = Report {
            rounds: 1,
            acknowledged: [("short".to_owned(), 7)].into(),
            chunks: 3,
            faults: [(Fault::RedisKilled, 2)].into(),
            worker_first_ms: vec![5, 1],
            ..Report::default()
        };
        one.clone().append_to(&path).expect("it is written");
        let sum = one.append_to(&path).expect("it is written");
        assert_eq!((sum.rounds, sum.tasks(), sum.faults()), (2, 20, 4));
        assert!(sum.text().contains("4 times; p50 1 ms, p90 5 ms"), "{}", sum.text());
    }
}
