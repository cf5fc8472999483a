//! The arguments of `celeriac job`.

use clap::{Args, Subcommand};

use super::who::WhoArgs;

/// One job: how far it is, or what to do with it.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_long_help = EXAMPLES)]
pub(crate) struct JobCommandArgs {
    #[command(subcommand)]
    pub(crate) action: Option<JobAction>,
    /// The job
    #[arg(required = true)]
    pub(crate) id: Option<String>,
    /// Draw it anew as it changes, until it has ended
    #[arg(long)]
    pub(crate) watch: bool,
}

/// What to do with a job.
#[derive(Debug, Subcommand)]
pub(crate) enum JobAction {
    /// Give nothing more of it to workers; what they hold goes on
    Pause(OneJobArgs),
    /// The end of that
    Resume(OneJobArgs),
    /// End it: what has not begun never will, and what runs is told to stop
    Cancel(OneJobArgs),
    /// Try the failed part of a workflow again, as a new job: what has succeeded stays
    Retry(OneJobArgs),
    /// Remove all that is kept of it, now that it has ended; its dead letters stay
    Delete {
        /// The job
        id: String,
    },
}

/// A job, and who does it.
#[derive(Debug, Args)]
pub(crate) struct OneJobArgs {
    /// The job
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
}

const EXAMPLES: &str = "\
Examples:
  celeriac job 0193a7c2b5e07d4e8a1f3c5d7e9b1a00 --watch
  celeriac job pause 0193a7c2b5e07d4e8a1f3c5d7e9b1a00 --why \"the disk is full\"
  celeriac job resume 0193a7c2b5e07d4e8a1f3c5d7e9b1a00";
