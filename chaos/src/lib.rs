//! The fault laboratory: a mixed load on real workers and a private Redis, random faults from a seed,
//! and at the end a count of what became of every task, in Redis and in a ledger outside of it.
//!
//! `load` is what is enqueued and `tasks` what it runs; `feed` are the producers, `fleet` and `worker`
//! the workers, `faults` what is done to all of them; `round` puts them together, `verify` compares,
//! `report` adds up.

pub mod dice;
pub mod faults;
pub mod feed;
pub mod fleet;
pub mod ledger;
pub mod load;
pub mod report;
pub mod round;
pub mod tasks;
pub mod verify;
pub mod worker;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use celeriac_testkit::TestRedis;

use crate::faults::Mix;
use crate::report::{Ran, Report};

/// How a run is.
#[derive(Debug, Clone)]
pub struct Options {
    /// The seed of the first round; each further one adds 1.
    pub seed: u64,
    /// Rounds.
    pub rounds: u64,
    /// How long load and faults last in a round.
    pub duration: Duration,
    /// Tasks and jobs of a round.
    pub tasks: u64,
    /// Faults per minute.
    pub faults: f64,
    /// Which faults.
    pub mix: Mix,
    /// Worker processes.
    pub workers: usize,
    /// Slots of each.
    pub slots: usize,
    /// After so long a silent worker is lost.
    pub visibility: Duration,
    /// The programs of the workers, of which one is drawn for each.
    pub programs: Vec<PathBuf>,
}

/// All rounds on one Redis, each in a namespace of its own. `told` hears of each round.
///
/// # Panics
/// If the laboratory itself fails.
pub async fn run(options: &Options, mut told: impl FnMut(u64, &Report)) -> Report {
    let (begin, mut redis) = (Instant::now(), TestRedis::start().await);
    let mut all = Report::default();
    for round in 0..options.rounds {
        let seed = options.seed.wrapping_add(round);
        let report = round::round(&mut redis, options, seed).await;
        told(seed, &report);
        all.add(report);
    }
    all.seconds = begin.elapsed().as_secs();
    let options_text = format!(
        "rounds {} duration {:?} tasks {} faults {} mix {:?} workers {} slots {} visibility {:?}",
        options.rounds,
        options.duration,
        options.tasks,
        options.faults,
        options.mix,
        options.workers,
        options.slots,
        options.visibility
    );
    all.runs.push(Ran { seed: options.seed, options: options_text });
    all
}
