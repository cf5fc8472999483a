//! The arguments of `celeriac enqueue`: one task, many from lines, or a job of chunks.

use std::time::Duration;

use clap::Args;

use super::task::TaskArgs;
use super::values::{Due, count, due, duration, split, time, unique};
use super::{Input, WaitArgs};
use celeriac_broker_schema::{Timestamp, UniqueMode};

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct EnqueueArgs {
    /// Name of the task; with --lines the one for lines that name none
    #[arg(required_unless_present_any = ["lines", "file", "schema"])]
    pub(crate) task: Option<String>,
    #[command(flatten)]
    pub(crate) options: TaskArgs,
    #[command(flatten)]
    pub(crate) start: StartArgs,
    /// Many tasks: a file, or - for standard input, with one JSON object in each line. Options
    /// of the command line hold for the lines that do not say otherwise. Prints one id a line; with
    /// --wait one result a line, in the order of the lines
    #[arg(long, value_name = "FILE", value_parser = Input::parse, conflicts_with = "chunks")]
    pub(crate) lines: Option<Input>,
    /// With --lines: report lines that are not valid and go on with the next
    #[arg(long, requires = "lines", help_heading = "Many tasks")]
    pub(crate) skip_bad: bool,
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Acknowledge it only when more than the memory of Redis has it: so many replicas, the disk, or auto:
    /// one replica if there is one, otherwise the disk
    #[arg(
        long,
        value_name = "N|disk|auto",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "auto",
        env = "CELERIAC_DURABLE"
    )]
    pub(crate) durable: Option<String>,
    #[command(flatten)]
    pub(crate) workflow: WorkflowArgs,
    /// If the queue is full, wait for room for so long (celeriac queues limit)
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s", hide_default_value = true)]
    pub(crate) wait_while_full: Duration,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

/// When a task may start, and what stands for it: what only one that is enqueued now can have.
#[derive(Debug, Args)]
#[command(next_help_heading = "Task")]
pub(crate) struct StartArgs {
    /// Start it not before this time has passed
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "chunks")]
    pub(crate) delay: Option<Duration>,
    /// Start it not before: 2030-01-31T12:00:00Z, or Unix seconds
    #[arg(long, value_name = "WHEN", value_parser = time, conflicts_with_all = ["delay", "chunks"])]
    pub(crate) at: Option<Timestamp>,
    /// Do not start it at all after: a time from now (1h), or a point in time as for --at
    #[arg(long, value_name = "WHEN", value_parser = due, conflicts_with = "chunks")]
    pub(crate) expires: Option<Due>,
    /// Enqueue it only if nothing with this key was enqueued within the last day
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// For how long the key stands for the task: for=10m, queued, until-done, debounce=5s (or
    /// debounce=5s..1m: at most a minute), keep-last [default: for=1d]
    #[arg(long, value_name = "MODE", value_parser = unique)]
    pub(crate) unique: Option<UniqueMode>,
}

/// How a job is cut and put together.
#[derive(Debug, Args)]
#[command(next_help_heading = "Job of chunks")]
pub(crate) struct JobArgs {
    /// Run the task as a job of so many chunks
    #[arg(long, value_name = "N", value_parser = count, conflicts_with = "keep_failed")]
    pub(crate) chunks: Option<u64>,
    /// Share an amount out among the chunks: each gets its part in this argument
    #[arg(long, value_name = "FIELD=TOTAL", value_parser = split, requires = "chunks")]
    pub(crate) split: Option<(String, u64)>,
    /// Sum this field of the chunks' results up
    #[arg(long, value_name = "FIELD", requires = "chunks")]
    pub(crate) sum: Vec<String>,
    /// Keep the smallest value of this field
    #[arg(long, value_name = "FIELD", requires = "chunks")]
    pub(crate) min: Vec<String>,
    /// Keep the largest value of this field
    #[arg(long, value_name = "FIELD", requires = "chunks")]
    pub(crate) max: Vec<String>,
    /// Task that gets the sums, minima and maxima; its result is that of the job
    #[arg(long, value_name = "TASK", requires = "chunks")]
    pub(crate) reduce: Option<String>,
    /// Start a chunk a second time when it runs for so many percent of the mean, such as 300, and a
    /// worker is free; only for tasks that may run twice at once
    #[arg(long, value_name = "PERCENT", requires = "chunks", value_parser = clap::value_parser!(u32).range(100..))]
    pub(crate) speculate: Option<u32>,
}

/// A workflow from a file, which says all of it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Workflow")]
pub(crate) struct WorkflowArgs {
    /// Enqueue a workflow: a file, or - for standard input, with JSON (see --schema). All that is wrong
    /// with it is told at once, and nothing is enqueued then
    #[arg(
        long,
        value_name = "FILE",
        value_parser = Input::parse,
        conflicts_with_all = ["task", "TaskArgs", "StartArgs", "JobArgs", "lines", "schema"]
    )]
    pub(crate) file: Option<Input>,
    /// With --file: enqueue nothing; say whether it is valid, and how large it is
    #[arg(long, requires = "file", conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// Print the JSON Schema of workflows, and nothing else
    #[arg(long)]
    pub(crate) schema: bool,
}

const EXAMPLES: &str = "\
Examples:
  celeriac enqueue echo --arg greeting=hello --wait
  celeriac enqueue report --queue slow --delay 10m --retries 5 --key report-2030-01
  celeriac enqueue pi --split samples=100000000 --chunks 100 --arg seed=7 --wait
  generate | celeriac enqueue --lines -
  celeriac enqueue report --durable=2
  celeriac enqueue --file workflow.json --wait

The tasks of the stock worker and their arguments: celeriac worker --help

Lines: {\"task\": NAME, \"args\": …, \"queue\": …, \"needs\": …, \"priority\": …, \"delay\": \"10s\", \"at\": WHEN,
\"expires\": WHEN, \"retries\": N, \"backoff\": \"1s..10m\", \"timeout\": \"30s\", \"soft_timeout\": \"25s\", \"keep\": \"1d\", \"keep_failed\": \"1h\", \"key\": …, \"unique\": \"until-done\",
\"label\": …, \"tags\": […], \"headers\": {…}, \"tenant\": …, \"cost\": N}; all but the task may
be left out. The first line that is not valid ends the command, unless --skip-bad is given; the
lines before it are enqueued, and it is told how many those are.";
