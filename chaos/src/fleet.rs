//! The worker processes of a run, each behind a proxy of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use celeriac_testkit::{Process, Proxy};

use crate::dice::Dice;

/// How workers are started.
#[derive(Debug, Clone)]
pub struct Build {
    /// The programs, of which one is drawn for each new worker.
    pub programs: Vec<PathBuf>,
    /// Slots of a worker.
    pub concurrency: usize,
    /// After so long its silence is noticed.
    pub visibility: Duration,
    /// Where the ledger is.
    pub ledger: PathBuf,
    /// The namespace of the round.
    pub namespace: String,
}

/// A worker that is there, or was a moment ago.
#[derive(Debug)]
pub struct Worker {
    pub(crate) process: Process,
    pub(crate) proxy: usize,
}

impl Worker {
    /// Starts a worker behind one of the proxies. It is not waited for: Redis may be away.
    pub fn start(build: &Build, proxies: &[Proxy], proxy: usize, dice: &mut Dice) -> Self {
        let program: &PathBuf = dice.pick(&build.programs, |_| 1);
        let mut command = Command::new(program);
        command.arg("worker").args(["--redis", &proxies[proxy].url()]);
        command.args(["--namespace", &build.namespace]).arg("--ledger").arg(&build.ledger);
        command.args(["--concurrency", &build.concurrency.to_string()]);
        command.args(["--visibility-ms", &build.visibility.as_millis().to_string()]);
        Self { process: Process::spawn(&mut command), proxy }
    }

    /// What is wrong if it has ended by itself.
    pub fn unexpected_end(&self) -> Option<String> {
        let status = self.process.exited()?;
        let lines = self.process.lines();
        let last = lines[lines.len().saturating_sub(10)..].join(" | ");
        Some(format!("worker {} ended by itself: {status}; {last}", self.process.id()))
    }
}
