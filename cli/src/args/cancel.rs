//! The arguments of `celeriac cancel`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::duration;
use super::who::WhoArgs;

/// What to cancel: ids, or all that waits in a queue and fits the filter.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CancelArgs {
    /// Tasks and jobs
    #[arg(value_name = "ID", required_unless_present = "queue", conflicts_with = "queue")]
    pub(crate) ids: Vec<String>,
    /// Cancel what waits in this queue instead (no chunks: cancel their jobs by id)
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,
    /// Of them only tasks of this name
    #[arg(long, value_name = "NAME", requires = "queue")]
    pub(crate) task: Option<String>,
    /// Of them only tasks of this tenant
    #[arg(long, value_name = "NAME", requires = "queue")]
    pub(crate) tenant: Option<String>,
    /// Of them only tasks with this tag
    #[arg(long, value_name = "TEXT", requires = "queue")]
    pub(crate) tag: Option<String>,
    /// Of them only those in this state
    #[arg(long, value_enum, requires = "queue")]
    pub(crate) state: Option<Waiting>,
    /// Of them only those enqueued longer ago than this
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "queue")]
    pub(crate) older_than: Option<Duration>,
    /// Cancel nothing: say what it would be
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
}

/// A state in which a task waits in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Waiting {
    Ready,
    Delayed,
}

const EXAMPLES: &str = "\
Examples:
  celeriac cancel 0193a7c2b5e07d4e8a1f3c5d7e9b1a00 --why \"wrong recipients\"
  celeriac cancel --queue mail --task mail.send --older-than 1h --dry-run";
