//! The arguments of `celeriac dead` and `celeriac settings`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::values::{Due, due, duration};
use super::who::WhoArgs;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_long_help = EXAMPLES)]
pub(crate) struct DeadArgs {
    #[command(subcommand)]
    pub(crate) action: Option<DeadAction>,
    #[command(flatten)]
    pub(crate) filter: DeadFilterArgs,
    /// Show how many there are of each task and sort of error, instead of each
    #[arg(long)]
    pub(crate) group: bool,
    /// Most of them to show, the newest first
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
}

/// Which dead letters are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Which ones")]
pub(crate) struct DeadFilterArgs {
    /// Of this queue
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,
    /// Of the task with this name
    #[arg(long, value_name = "NAME")]
    pub(crate) task: Option<String>,
    /// Whose error says this somewhere, or is of this kind (error, panic, timeout, crashed, …)
    #[arg(long, value_name = "TEXT")]
    pub(crate) error: Option<String>,
    /// Whose error has this fingerprint
    #[arg(long, value_name = "DIGITS")]
    pub(crate) fingerprint: Option<String>,
    /// That failed for good within this time (2h), or since a point in time
    #[arg(long, value_name = "WHEN", value_parser = due)]
    pub(crate) since: Option<Due>,
    /// That failed for good before this time (2h ago), or before a point in time
    #[arg(long, value_name = "WHEN", value_parser = due, conflicts_with = "older_than")]
    pub(crate) until: Option<Due>,
    /// That failed for good longer ago than this
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) older_than: Option<Duration>,
}

/// What to do with them.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadAction {
    /// All that is known of one: error, trace, arguments, every attempt
    Show {
        /// A task, or a chunk (JOB:INDEX)
        id: String,
    },
    /// Let them run again, with no failure counted
    Revive(DeadActArgs),
    /// Throw them away
    Delete(DeadDeleteArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DeadActArgs {
    /// Tasks, or chunks (JOB:INDEX)
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) ids: Vec<String>,
    /// All of them, or all that the options below mean
    #[arg(long)]
    pub(crate) all: bool,
    /// Do nothing, show which ones are meant
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
    #[command(flatten)]
    pub(crate) filter: DeadFilterArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DeadDeleteArgs {
    #[command(flatten)]
    pub(crate) act: DeadActArgs,
    /// Really do it, with --all: what is thrown away does not come back
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    #[command(subcommand)]
    pub(crate) action: Option<SettingsAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SettingsAction {
    /// Change settings: dead_max=100000, dead_age=7d; NAME= for the default
    Set {
        #[arg(value_name = "NAME=VALUE", required = true)]
        changes: Vec<String>,
    },
}

const EXAMPLES: &str = "\
Examples:
  celeriac dead --since 2h --group
  celeriac dead show 0193a7c2b5e07d4e8a1f3c5d7e9b1a00
  celeriac dead revive --all --task mail.send --error \"connection refused\" --dry-run
  celeriac dead delete --all --fingerprint 0650f561240d821a --older-than 7d --yes";
