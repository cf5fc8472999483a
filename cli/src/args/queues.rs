//! The arguments of `celeriac queues`: the list, or something that is done to a queue.

use std::num::NonZeroU64;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::values::{count, duration};
use super::who::WhoArgs;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct QueuesArgs {
    #[command(subcommand)]
    pub(crate) action: Option<QueueAction>,
}

/// What is done to a queue.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueAction {
    /// Give nothing of it to workers; what they hold is finished
    Pause(ControlArgs),
    /// End a pause
    Resume(ControlArgs),
    /// Take nothing more from producers; what waits is worked off
    Close(ControlArgs),
    /// Take tasks again
    Open(ControlArgs),
    /// Limit how many tasks and chunks may wait in it
    Limit(LimitArgs),
    /// Cancel all that waits in it
    Purge(PurgeArgs),
    /// Move what waits in it to another queue
    Move(MoveArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ControlArgs {
    /// Name of the queue
    pub(crate) queue: String,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// Name of the queue
    pub(crate) queue: String,
    /// How many, from 1; or `none`
    #[arg(value_name = "N", value_parser = limit)]
    pub(crate) limit: Max,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
}

/// A limit, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Max(pub(crate) Option<NonZeroU64>);

fn limit(text: &str) -> Result<Max, String> {
    if text == "none" {
        return Ok(Max(None));
    }
    let limit = NonZeroU64::new(count(text)?);
    limit.map(|limit| Max(Some(limit))).ok_or_else(|| {
        "at least one must fit; to keep all out, close the queue; for no limit write `none`"
            .to_owned()
    })
}

#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    /// Name of the queue
    pub(crate) queue: String,
    /// Really do it: what is cancelled does not come back
    #[arg(long)]
    pub(crate) yes: bool,
    /// Do nothing: say how much it would be
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Also what is delayed
    #[arg(long)]
    pub(crate) delayed: bool,
    /// How long it is kept that they were cancelled; 0s: not at all
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1d")]
    pub(crate) keep: Duration,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// Name of the queue in which it waits
    pub(crate) from: String,
    /// Name of the queue to which it goes
    pub(crate) to: String,
    /// No more than so many, the first ones; a range of chunks is one [default: all]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) count: Option<u64>,
    /// Also what is delayed
    #[arg(long)]
    pub(crate) delayed: bool,
    /// Do nothing: say how much waits there
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
}

const EXAMPLES: &str = "\
Examples:
  celeriac queues
  celeriac queues pause mail --why 'the mail server is down'
  celeriac queues limit batch 1_000_000
  celeriac queues purge batch --delayed --yes
  celeriac queues move batch later --count 1000";
