//! `celeriac worker`: the stock worker, with the built-in tasks and commands from a file. `--check`
//! asks Redis whether one is alive here, for the health check of a container.

use std::collections::BTreeMap;
use std::str::FromStr;

use celeriac_broker_schema::{Broker, InvalidInput, LeaseId, QueueName, TaskName};
use celeriac_worker::process::{Guard, ProcessTask};
use celeriac_worker::task::{Registry, Tasks};
use celeriac_worker::{Shutdown, Worker, WorkerConfig, builtin, listen_to_signals};
use serde::Serialize;

use crate::args::WorkerArgs;
use crate::error::CliError;
use crate::fleet::parent;
use crate::fleet_view::{FleetView, this_host};
use crate::format::{counted, grouped};
use crate::globals::Globals;
use crate::output;
use crate::tasks_file;

pub(crate) async fn run(args: WorkerArgs, globals: &Globals) -> Result<(), CliError> {
    if args.check {
        return check(globals).await;
    }
    let config = config(&args)?;
    let broker = Broker::new(globals.redis.clone())?;
    let worker = Worker::new(broker, tasks(&args)?, config.clone())?;
    let shutdown = Shutdown::new();
    if args.exit_with_parent {
        let shutdown = shutdown.clone();
        parent::when_gone(move || shutdown.now());
    }
    let signals = tokio::spawn(listen_to_signals(shutdown.clone()));
    let queues: Vec<&str> = config.queues.iter().map(QueueName::as_str).collect();
    let running = worker.run_and_tell(shutdown, |lease| {
        // `demo` and scripts wait for this line.
        globals.talk(format_args!(
            "ready: lease {lease} queues {} slots {}",
            queues.join(","),
            config.concurrency
        ));
        globals.event(&Event::Ready { lease, queues: &queues, slots: config.concurrency });
    });
    let summary = running.await?;
    signals.abort();
    globals.event(&Event::Stopped {
        succeeded: summary.succeeded,
        failed: summary.failed,
        left_behind: summary.left_behind,
    });
    let succeeded = counted(summary.succeeded, "attempt");
    globals
        .talk(format_args!("stopped: {succeeded} succeeded, {} failed", grouped(summary.failed)));
    if summary.left_behind > 0 {
        globals.talk(format_args!(
            "warning: Redis is away: not handed back: {}; other workers get what is left when the lease has expired",
            counted(summary.left_behind as u64, "task")
        ));
    }
    Ok(())
}

/// What is printed with `--json`, one line each.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Ready { lease: &'a LeaseId, queues: &'a [&'a str], slots: usize },
    Stopped { succeeded: u64, failed: u64, left_behind: usize },
}

/// The built-in tasks, and those of the file.
fn tasks(args: &WorkerArgs) -> Result<Tasks, CliError> {
    let Some(file) = &args.tasks_file else { return Ok(builtin::tasks()) };
    let commands = tasks_file::read(file, &builtin::tasks().names())?;
    let guard = Guard::new();
    let add = |registry: Registry, (name, task): (TaskName, ProcessTask)| {
        registry.erased(&name, task.into_task(&name, &guard))
    };
    Ok(commands.into_iter().fold(builtin::registry(), add).build())
}

fn config(args: &WorkerArgs) -> Result<WorkerConfig, CliError> {
    let default = WorkerConfig::default();
    let queues: Vec<(QueueName, Option<u32>)> = numbered(&args.queues)?;
    let weights = queues.iter().filter_map(|(name, weight)| Some((name.clone(), (*weight)?)));
    let reserved: Vec<(QueueName, Option<usize>)> = numbered(&args.reserve)?;
    let mut reserve = BTreeMap::new();
    for (queue, slots) in reserved {
        let missing = || CliError::Arguments(format!("--reserve {queue}: write {queue}=SLOTS"));
        let slots = slots.ok_or_else(missing)?;
        reserve.insert(queue, slots);
    }
    let labels: Result<_, InvalidInput> = args.label.iter().map(|label| label.parse()).collect();
    Ok(WorkerConfig {
        weights: weights.collect(),
        reserve,
        labels: labels?,
        queues: queues.into_iter().map(|(name, _)| name).collect(),
        concurrency: args.concurrency.unwrap_or(default.concurrency),
        visibility: args.visibility_timeout.unwrap_or(default.visibility),
        drain_timeout: args.drain_timeout.unwrap_or(default.drain_timeout),
        cancel_grace: args.cancel_grace.unwrap_or(default.cancel_grace),
        crash_limit: args.crash_limit.unwrap_or(default.crash_limit),
    })
}

/// `NAME` or `NAME=NUMBER`, each.
fn numbered<T: FromStr>(texts: &[String]) -> Result<Vec<(QueueName, Option<T>)>, CliError> {
    let read = |text: &String| {
        let Some((name, number)) = text.split_once('=') else { return Ok((text.parse()?, None)) };
        let number = number.parse().map_err(|_| {
            CliError::Arguments(format!("{text:?} is not valid: write {name}=NUMBER"))
        })?;
        Ok((name.parse()?, Some(number)))
    };
    texts.iter().filter(|text| !text.is_empty()).map(read).collect()
}

/// What `--check` prints with `--json`.
#[derive(Serialize)]
struct Checked<'a> {
    alive: bool,
    host: &'a str,
    /// One of those that are, if any is.
    lease: Option<&'a str>,
    pid: Option<u32>,
}

async fn check(globals: &Globals) -> Result<(), CliError> {
    let fleet = FleetView::read(&globals.connect().await?).await?;
    let host = this_host();
    let namespace = &globals.redis.namespace;
    let found = fleet.workers.iter().find(|worker| worker.info.host == host);
    if globals.json {
        output::json(&Checked {
            alive: found.is_some(),
            host: &host,
            lease: found.map(|worker| worker.lease.as_str()),
            pid: found.map(|worker| worker.info.pid),
        })?;
    }
    let Some(worker) = found else {
        return Err(CliError::Check(format!(
            "no worker of {host} is alive in namespace {namespace}"
        )));
    };
    globals.talk(format_args!("worker {} (pid {}) is alive", worker.lease, worker.info.pid));
    Ok(())
}
