//! `celeriac-chaos`: runs the fault laboratory, and prints what it found. Exit code 1 if something is wrong.

use std::error::Error;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use celeriac_chaos::faults::Mix;
use celeriac_chaos::worker::{self, WorkerArgs};
use celeriac_chaos::{Options, run};
use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "celeriac-chaos",
    about = "Breaks what can break, and counts what became of every task"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A worker process of a run
    #[command(hide = true)]
    Worker(WorkerArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// What load and faults are drawn from; a new one if it is left out. Each round adds 1
    #[arg(long)]
    seed: Option<u64>,
    /// How many rounds, each in a namespace of its own
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// Seconds of load and faults in a round
    #[arg(long, default_value_t = 60)]
    duration: u64,
    /// Tasks and jobs in a round
    #[arg(long, default_value_t = 20_000)]
    tasks: u64,
    /// Faults per minute
    #[arg(long, default_value_t = 60.0)]
    faults: f64,
    /// Which faults
    #[arg(long, value_enum, default_value_t = Mix::All)]
    mix: Mix,
    /// Worker processes
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// Slots of each worker
    #[arg(long, default_value_t = 8)]
    slots: usize,
    /// Milliseconds after which a silent worker is lost, from 1,000
    #[arg(long, default_value_t = 2_000)]
    visibility_ms: u64,
    /// Another build of this program, of which some workers are
    #[arg(long)]
    other: Option<PathBuf>,
    /// A file of results to which this run is added; the sum is printed, too
    #[arg(long)]
    append: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match cli.command {
        Some(Command::Worker(args)) => {
            runtime.block_on(worker::run(args))?;
            Ok(ExitCode::SUCCESS)
        }
        None => runtime.block_on(laboratory(cli.run)),
    }
}

async fn laboratory(args: RunArgs) -> Result<ExitCode, Box<dyn Error>> {
    let programs = std::iter::once(std::env::current_exe()?).chain(args.other).collect();
    let options = Options {
        seed: args.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish() % 1_000_000),
        rounds: args.rounds,
        duration: Duration::from_secs(args.duration),
        tasks: args.tasks,
        faults: args.faults,
        mix: args.mix,
        workers: args.workers.max(1),
        slots: args.slots.max(1),
        visibility: Duration::from_millis(args.visibility_ms.max(1_000)),
        programs,
    };
    let mut broken = false;
    let report = run(&options, |seed, report| {
        broken |= !report.violations.is_empty();
        let text = report.text();
        let summary = text.lines().next().unwrap_or_default();
        eprintln!("round with seed {seed}: {summary}");
        text.lines()
            .filter(|line| line.starts_with("VIOLATION"))
            .for_each(|line| eprintln!("{line}"));
    })
    .await;
    let shown = match args.append {
        None => report,
        Some(path) => report.append_to(&path)?,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&shown)?);
    } else {
        println!("{}", shown.text());
    }
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
