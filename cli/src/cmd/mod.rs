//! One file per command. Each takes its arguments and what holds for all, and either succeeds or
//! says why not.

mod access;
mod audit;
mod cancel;
mod completions;
mod dead;
mod demo;
mod doctor;
mod enqueue;
mod explain;
#[cfg(test)]
mod fuzz;
mod history;
mod job;
mod jobs;
mod limits;
mod memory;
mod monitor;
mod queue_actions;
mod queues;
mod result;
mod schedule;
mod settings;
mod status;
mod up;
mod watch;
mod worker;
mod workers;

use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;

use crate::args::{Cli, Command};
use crate::bench;
use crate::error::CliError;
use crate::globals::Globals;
use crate::output;

/// Runs the command that was typed.
pub(crate) async fn run(cli: Cli) -> Result<(), CliError> {
    let globals = Globals::new(cli.globals)?;
    globals.start_logging(match cli.command {
        // Those that run on also tell what happens.
        Command::Worker(_) | Command::Monitor(_) => LevelFilter::INFO,
        // It runs a thousand workers in this process, on a server that is unsafe on purpose.
        Command::Bench(_) => LevelFilter::ERROR,
        _ => LevelFilter::WARN,
    });
    match cli.command {
        Command::Demo(args) => demo::run(args, &globals).await,
        Command::Up(args) => up::run(&args, &globals).await,
        Command::Worker(args) => worker::run(args, &globals).await,
        Command::Monitor(args) => monitor::run(args, &globals).await,
        Command::Enqueue(args) => enqueue::run(*args, &globals).await,
        Command::Schedule(command) => schedule::run(*command, &globals).await,
        Command::Status(args) => status::run(&args, &globals).await,
        Command::Cancel(args) => cancel::run(&args, &globals).await,
        Command::Explain(args) => explain::run(&args, &globals).await,
        Command::Result(args) => result::run(&args, &globals).await,
        Command::Queues(args) => queues::run(args, &globals).await,
        Command::Workers(args) => workers::run(&args, &globals).await,
        Command::Job(args) => job::run(&args, &globals).await,
        Command::Jobs(args) => jobs::run(&args, &globals).await,
        Command::History(args) => history::run(args, &globals).await,
        Command::Limits(args) => limits::run(args, &globals).await,
        Command::Dead(args) => dead::run(*args, &globals).await,
        Command::Audit(args) => audit::run(&args, &globals).await,
        Command::Settings(args) => settings::run(&args, &globals).await,
        Command::Doctor(args) if args.memory => memory::run(&globals).await,
        Command::Doctor(args) => doctor::run(&globals, args.deep).await,
        Command::Bench(args) => bench::run(args, &globals).await,
        Command::Completions(args) => completions::run(&args),
    }
}

/// What is told to those who ask for what cannot be undone, and do not say that they mean it.
#[derive(Serialize)]
struct Refusal<'a, T> {
    /// Always `not_confirmed`.
    error: &'static str,
    message: &'a str,
    /// What it would have been done to.
    would: &'a T,
}

/// Refuses to do what is asked for without `--yes`; with `--json` also in JSON.
fn refuse<T: Serialize>(message: String, would: &T, globals: &Globals) -> Result<(), CliError> {
    if globals.json {
        output::json(&Refusal { error: "not_confirmed", message: &message, would })?;
    }
    Err(CliError::Arguments(message))
}
