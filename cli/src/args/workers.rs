//! The arguments of `celeriac workers`: look at them, or tell them what to do.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::values::duration;
use super::who::WhoArgs;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct WorkersArgs {
    /// What to tell them; without it they are shown
    #[command(subcommand)]
    pub(crate) order: Option<OrderCommand>,
}

/// What to tell workers, without a restart.
#[derive(Debug, Subcommand)]
pub(crate) enum OrderCommand {
    /// Take nothing new, finish what runs, leave
    Drain(WhichArgs),
    /// Take nothing new; what runs goes on
    Pause(WhichArgs),
    /// Go on after a pause
    Resume(WhichArgs),
    /// Change slots and queues until the worker ends
    Set(SetArgs),
}

/// Which workers, and how long to wait for them.
#[derive(Debug, Args)]
pub(crate) struct WhichArgs {
    /// Leases, or beginnings of them that fit one worker each
    #[arg(value_name = "LEASE", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) leases: Vec<String>,
    /// All workers of the namespace
    #[arg(long)]
    pub(crate) all: bool,
    /// How long to wait until they say that they have taken it up
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5s")]
    pub(crate) wait: Duration,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    #[command(flatten)]
    pub(crate) which: WhichArgs,
    /// Tasks to run at once, 1 to 10,000; what runs goes on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), required_unless_present = "queues")]
    pub(crate) concurrency: Option<u32>,
    /// Queues to serve, the most important one first
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) queues: Vec<String>,
}
