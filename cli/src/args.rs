//! The command line as it is typed: valid in itself, nothing looked up, nothing connected. What
//! the values mean is decided by the commands in `cmd`.
//!
//! Names, ids and keys stay text here: whether they are valid is a question of the protocol, with
//! an exit code of its own.

mod access;
mod cancel;
mod dead;
mod enqueue;
mod history;
mod job;
mod queues;
mod schedule;
mod task;
pub(crate) mod values;
mod who;
mod workers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use self::access::AccessArgs;
pub(crate) use self::cancel::{CancelArgs, Waiting};
pub(crate) use self::dead::{
    DeadActArgs, DeadAction, DeadArgs, DeadDeleteArgs, DeadFilterArgs, SettingsAction, SettingsArgs,
};
pub(crate) use self::enqueue::{EnqueueArgs, JobArgs, StartArgs};
pub(crate) use self::history::{HistoryArgs, HistoryBy, HistoryStep};
pub(crate) use self::job::{JobAction, JobCommandArgs, OneJobArgs};
pub(crate) use self::queues::{LimitArgs, MoveArgs, PurgeArgs, QueueAction, QueuesArgs};
pub(crate) use self::schedule::{NextArgs, ScheduleCommand, WhenArgs};
pub(crate) use self::task::TaskArgs;
use self::values::{count, duration, rate};
pub(crate) use self::who::WhoArgs;
pub(crate) use self::workers::{OrderCommand, WhichArgs, WorkersArgs};

/// A persistent, distributed task queue on Redis: run workers, enqueue tasks, watch them.
#[derive(Debug, Parser)]
#[command(
    name = "celeriac",
    version,
    after_help = "Exit codes and the longer story: celeriac --help",
    after_long_help = crate::exit::help(),
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Reads the command line of this process; leaves with a message if it cannot be understood.
    pub(crate) fn read() -> Self {
        Self::from_matches(&Self::command().get_matches()).unwrap_or_else(|error| error.exit())
    }

    fn from_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let mut cli = Self::from_arg_matches(matches)?;
        let innermost = matches.subcommand().map_or(matches, |(_, inner)| inner);
        cli.globals.redis_on_command_line =
            innermost.value_source("redis") == Some(ValueSource::CommandLine);
        Ok(cli)
    }
}

/// What every command understands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options everywhere")]
pub(crate) struct GlobalArgs {
    /// Redis: redis://[USER:PASSWORD@]HOST:PORT/[DB], redis+unix:///PATH,
    /// redis+sentinel://HOST:PORT,HOST:PORT/SERVICE, or redis+cluster://HOST:PORT,HOST:PORT; with rediss
    /// in the place of redis under TLS
    /// [default: redis://127.0.0.1:6379/]
    // The value from the environment stays hidden: it may hold a password.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "CELERIAC_REDIS_URL",
        hide_env_values = true
    )]
    pub(crate) redis: Option<String>,

    /// Under TLS (rediss://): the certificates of the authority that signed that of Redis, as PEM
    /// [default: those that the system believes]
    #[arg(long, global = true, value_name = "FILE", env = "CELERIAC_REDIS_CA")]
    pub(crate) redis_ca: Option<PathBuf>,

    /// Under TLS: the certificate to show to Redis, as PEM
    #[arg(long, global = true, value_name = "FILE", env = "CELERIAC_REDIS_CERT")]
    pub(crate) redis_cert: Option<PathBuf>,

    /// Under TLS: the key of that certificate, as PEM
    #[arg(long, global = true, value_name = "FILE", env = "CELERIAC_REDIS_KEY")]
    pub(crate) redis_key: Option<PathBuf>,

    /// Prefix of all keys; two namespaces on one server do not see each other
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "CELERIAC_NAMESPACE",
        default_value = "celeriac"
    )]
    pub(crate) namespace: String,

    /// Print data as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Tell more on standard error; twice: everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Tell nothing on standard error but errors
    #[arg(long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Whether `--redis` was typed, and is no inheritance from the environment.
    #[arg(skip)]
    pub(crate) redis_on_command_line: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Estimate Pi on a private Redis with real workers: the whole road in one command
    Demo(DemoArgs),
    /// Redis, workers and monitor for development, with data in ./.celeriac, until Ctrl-C
    Up(UpArgs),
    /// Run tasks: the stock worker with the tasks pi, echo, sleep, count, fail and noop
    Worker(WorkerArgs),
    /// Show queues, workers and jobs as web pages
    Monitor(MonitorArgs),
    /// Enqueue a task, many tasks from a file, a job of chunks, or a workflow
    Enqueue(Box<EnqueueArgs>),
    /// Tasks that are enqueued again and again: add, list, edit, pause, run, skip, remove
    #[command(subcommand)]
    Schedule(Box<ScheduleCommand>),
    /// Where a task, a chunk (JOB:INDEX) or a job is, and what happened to it
    Status(StatusArgs),
    /// Cancel tasks and jobs: by id, or what waits in a queue
    Cancel(CancelArgs),
    /// Why a task, a chunk (JOB:INDEX) or a job is not running, or what happened to it
    Explain(ExplainArgs),
    /// The result of a task or job
    Result(ResultArgs),
    /// Queues and what waits in them; pause, close, limit, purge and move them
    Queues(QueuesArgs),
    /// Workers and what they do; or tell them to drain, pause, resume, or change their slots
    Workers(WorkersArgs),
    /// One job: how far it is; pause, resume, cancel, retry, delete it
    Job(JobCommandArgs),
    /// Jobs and how far they are
    Jobs(JobsArgs),
    /// What was done lately: counts, waits and run times, by time, queue or task
    History(HistoryArgs),
    /// Limits across the fleet: show, set, remove; let the tenants of a queue take turns
    Limits(LimitsArgs),
    /// Tasks that failed for good: list, group, show, revive, delete
    Dead(Box<DeadArgs>),
    /// What people did to tasks, queues, limits, workers and schedules
    Audit(AuditArgs),
    /// What is set for the whole namespace
    Settings(SettingsArgs),
    /// Look for trouble, and say what to do about it
    Doctor(DoctorArgs),
    /// Measure throughput, latency and memory
    Bench(BenchArgs),
    /// Print a script that completes this command in a shell
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Random points in all
    #[arg(long, default_value = "100_000_000", value_parser = count)]
    pub(crate) samples: u64,
    /// Parts into which they are split
    #[arg(long, default_value = "100", value_parser = count)]
    pub(crate) chunks: u64,
    /// Worker processes, each with one slot
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: u16,
    /// Leave all running until Ctrl-C
    #[arg(long)]
    pub(crate) keep: bool,
    /// Port of the monitor on 127.0.0.1; another one is taken if it is not free
    #[arg(long, default_value_t = 5555)]
    pub(crate) port: u16,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Worker processes, each with a slot for every core
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(0..=256))]
    pub(crate) workers: u16,
    /// Port of the monitor on 127.0.0.1; another one is taken if it is not free
    #[arg(long, default_value_t = 5555)]
    pub(crate) port: u16,
}

const BUILT_IN: &str = "\
Built-in tasks and their arguments:
  pi           samples=N [seed=N]: of so many random points, how many lie in the quarter circle
  pi.estimate  hits=N samples=N: the estimate of Pi; reduces jobs of pi
  echo         anything: its result is its arguments
  sleep        ms=N: waits so many milliseconds
  fail         [message=TEXT] [times=N] [fatal=true] [panic=true]: fails; the first N attempts, or
               all; for good at once; with a panic
  count        to=N [ms=N]: counts, sends each number as a partial result, and goes on where it
               was when its worker is lost
  noop         anything: does nothing

Give them with `celeriac enqueue TASK --arg NAME=VALUE`.";

#[derive(Debug, Args)]
#[command(after_long_help = BUILT_IN)]
pub(crate) struct WorkerArgs {
    /// Queues to serve, the most important one first; or with weights: mail=3,batch=1
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        env = "CELERIAC_QUEUES",
        default_value = "default"
    )]
    pub(crate) queues: Vec<String>,
    /// Slots to use for no other queue: mail=2
    #[arg(long, value_name = "QUEUE=SLOTS", value_delimiter = ',', env = "CELERIAC_RESERVE")]
    pub(crate) reserve: Vec<String>,
    /// What this worker has that tasks may need: it also serves QUEUE@LABEL of each of its queues
    #[arg(long, value_name = "LABEL", value_delimiter = ',', env = "CELERIAC_LABELS")]
    pub(crate) label: Vec<String>,
    /// Tasks to run at once [default: the number of cores]
    #[arg(long, value_name = "N", env = "CELERIAC_CONCURRENCY")]
    pub(crate) concurrency: Option<usize>,
    /// How long tasks stay with a worker that gives no sign of life, from 1s [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration, env = "CELERIAC_VISIBILITY_TIMEOUT")]
    pub(crate) visibility_timeout: Option<Duration>,
    /// How long running tasks may go on when the worker is told to stop [default: 25s]
    #[arg(long, value_name = "TIME", value_parser = duration, env = "CELERIAC_DRAIN_TIMEOUT")]
    pub(crate) drain_timeout: Option<Duration>,
    /// How long a task may go on after it was cancelled [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = duration, env = "CELERIAC_CANCEL_GRACE")]
    pub(crate) cancel_grace: Option<Duration>,
    /// Times that a task may lose its worker before it is dead [default: 3]
    #[arg(long, value_name = "N", env = "CELERIAC_CRASH_LIMIT")]
    pub(crate) crash_limit: Option<u32>,
    /// Commands to run as tasks besides the built-in ones, as JSON: {"tasks": {"NAME": {"command":
    /// ["PROGRAM", "ARGUMENT"]}}}
    #[arg(long, value_name = "FILE", env = "CELERIAC_TASKS_FILE")]
    pub(crate) tasks_file: Option<PathBuf>,
    /// Start nothing: succeed if a worker of this machine is alive, for health checks
    #[arg(long)]
    pub(crate) check: bool,
    /// Leave when standard input ends, which is when the parent process does.
    #[arg(long, hide = true)]
    pub(crate) exit_with_parent: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MonitorArgs {
    /// Where to listen; any address that others reach needs one of the options below
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "CELERIAC_LISTEN",
        default_value = "127.0.0.1:5555"
    )]
    pub(crate) listen: SocketAddr,
    /// Start nothing: succeed if the monitor that listens there is healthy, for health checks
    #[arg(long)]
    pub(crate) check: bool,
    /// Take any free port if that one is taken.
    #[arg(long, hide = true)]
    pub(crate) or_any_port: bool,
    /// Leave when standard input ends, which is when the parent process does.
    #[arg(long, hide = true)]
    pub(crate) exit_with_parent: bool,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Most lines to show
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Only what comes behind this place, which `--json` tells as `next`
    #[arg(long, value_name = "PLACE")]
    pub(crate) after: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// A task, a chunk (JOB:INDEX) or a job
    pub(crate) id: String,
    /// Tell what changes until it has ended: in one line on a terminal, in lines elsewhere
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A task, a chunk (JOB:INDEX) or a job
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    /// A task or a job
    pub(crate) id: String,
    /// Print the bytes of a binary result, or a text without its quotes; nothing else is added
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
    /// Print what it sends while it runs, one value in a line, and the result at the end
    #[arg(long, conflicts_with_all = ["raw", "wait", "wait_timeout"])]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

/// Whether to wait for the end, and for how long.
#[derive(Debug, Args)]
#[command(next_help_heading = "Waiting")]
pub(crate) struct WaitArgs {
    /// Wait for the end and print the result
    #[arg(long)]
    pub(crate) wait: bool,
    /// Wait no longer than this; the task goes on
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "wait")]
    pub(crate) wait_timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// Most open and most ended jobs to show
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
}

/// What to do with limits; nothing: show them.
#[derive(Debug, Args)]
#[command(after_long_help = LIMITS_EXAMPLES)]
pub(crate) struct LimitsArgs {
    /// What to do, instead of showing the limits
    #[arg(value_enum, requires = "subject")]
    pub(crate) action: Option<LimitsAction>,
    /// queue:NAME, task:NAME or tenant:NAME, or * for each that has no limit of its own; for `fair`
    /// a queue
    #[arg(value_name = "SUBJECT")]
    pub(crate) subject: Option<String>,
    /// For `fair`: whether its tenants take turns
    #[arg(value_enum, value_name = "on|off", hide_possible_values = true)]
    pub(crate) switch: Option<Switch>,
    /// How many tasks may be given to workers in a time: 100/s, 5/10s, 1000/1d
    #[arg(long, value_name = "N/TIME", value_parser = rate)]
    pub(crate) rate: Option<(u64, u64)>,
    /// How many of them at once, after a pause [default: 1]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) burst: Option<u64>,
    /// How many tasks workers may hold at once
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) concurrency: Option<u64>,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LimitsAction {
    /// Set a limit; one that was there is replaced
    Set,
    /// Remove a limit
    Remove,
    /// Say whether the tenants of a queue take turns
    Fair,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

const LIMITS_EXAMPLES: &str = "\
Examples:
  celeriac limits set task:mail.send --rate 100/s --burst 10 --concurrency 5
  celeriac limits set tenant:* --concurrency 20
  celeriac limits fair default on
  celeriac limits remove task:mail.send
  celeriac limits --json";

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Tell what takes the memory of Redis. Looks at every key of the server, a few at a time
    #[arg(long, conflicts_with = "deep")]
    pub(crate) memory: bool,
    /// Also read all that is in Redis, in small pages, and check every invariant
    #[arg(long)]
    pub(crate) deep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    pub(crate) shell: Shell,
}

/// What to measure.
#[derive(Debug, Args)]
#[command(after_long_help = BENCH_PLACE)]
pub(crate) struct BenchArgs {
    /// Parts to run, instead of all
    #[arg(long, value_name = "PART", num_args = 1.., value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Tasks to measure with
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) tasks: Option<u64>,
    /// The append-only file of the private server [default: off]
    #[arg(long, value_enum)]
    pub(crate) aof: Option<Aof>,
    /// Another build of this program: both measure in turns, and are compared
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) against: Option<PathBuf>,
}

const BENCH_PLACE: &str = "\
It measures on private servers, whatever CELERIAC_REDIS_URL says: that one may be in use.
With --redis it measures there, in namespaces of its own that it removes again.
JSON is one object; of both forms of the append-only file it is an array of two.";

/// Whether writes go to an append-only file while it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Aof {
    On,
    Off,
    /// One run with, one without.
    Both,
}

/// Where lines of tasks come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    Stdin,
    File(PathBuf),
}

impl Input {
    fn parse(text: &str) -> Result<Self, std::convert::Infallible> {
        Ok(if text == "-" { Self::Stdin } else { Self::File(text.into()) })
    }
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod deploy_tests;
#[cfg(test)]
mod docs_tests;
#[cfg(test)]
mod tests;
