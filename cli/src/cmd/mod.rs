//! One file per command. Each takes its arguments and what holds for all, and either succeeds or
//! says why not.

mod completions;
mod demo;
mod doctor;
mod enqueue;
mod jobs;
mod monitor;
mod queues;
mod result;
mod schedule;
mod status;
mod up;
mod worker;
mod workers;

use tracing_subscriber::filter::LevelFilter;

use crate::args::{Cli, Command};
use crate::bench;
use crate::error::CliError;
use crate::globals::Globals;

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
        Command::Result(args) => result::run(&args, &globals).await,
        Command::Queues => queues::run(&globals).await,
        Command::Workers => workers::run(&globals).await,
        Command::Jobs(args) => jobs::run(&args, &globals).await,
        Command::Doctor => doctor::run(&globals).await,
        Command::Bench(args) => bench::run(args, &globals).await,
        Command::Completions(args) => completions::run(&args),
    }
}
