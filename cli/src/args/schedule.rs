//! The arguments of `celeriac schedule`.

use std::time::Duration;

use celeriac_producer::{Missed, Overlap};
use clap::{Args, Subcommand};

use super::task::TaskArgs;
use super::values::duration;
use super::who::WhoArgs;

/// What to do with schedules.
#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleCommand {
    /// Enqueue a task again and again
    #[command(after_help = EXAMPLES)]
    Add {
        /// Name of the schedule
        name: String,
        /// Name of the task
        task: String,
        #[command(flatten)]
        when: WhenArgs,
        #[command(flatten)]
        options: Box<TaskArgs>,
        /// Replace the schedule of this name if there is one
        #[arg(long)]
        replace: bool,
    },
    /// All schedules, when they run next and how they ran
    List,
    /// All that is known of one
    Show {
        /// Name of the schedule
        name: String,
    },
    /// Change what is named here and leave the rest as it is
    ///
    /// Arguments, tags and headers take the place of all that were there. Another queue leaves what the
    /// task needs as it is, unless it is written with a label: mail@gpu.
    Edit {
        /// Name of the schedule
        name: String,
        #[command(flatten)]
        when: WhenArgs,
        #[command(flatten)]
        options: Box<TaskArgs>,
    },
    /// Let it rest until it is resumed
    Pause {
        /// Name of the schedule
        name: String,
        #[command(flatten)]
        who: WhoArgs,
    },
    /// Let it go on from now; what it would have run meanwhile is not made up for
    Resume {
        /// Name of the schedule
        name: String,
    },
    /// Enqueue its task now, and leave its times as they are
    Run {
        /// Name of the schedule
        name: String,
    },
    /// Leave its next run out
    Skip {
        /// Name of the schedule
        name: String,
    },
    /// Remove it; tasks that it has enqueued go on
    Remove {
        /// Name of the schedule
        name: String,
    },
    /// The next times of a schedule, or of a cron expression (without Redis)
    Next(NextArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NextArgs {
    /// Name of a schedule, or a cron expression in quotes
    pub(crate) what: String,
    /// How many
    #[arg(short, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) number: u16,
    /// Time zone of the expression, and of the times that are shown [default: that of the schedule, or UTC]
    #[arg(long, value_name = "NAME")]
    pub(crate) zone: Option<String>,
}

/// When it runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "When")]
pub(crate) struct WhenArgs {
    /// Minute, hour, day of month, month, day of week; a second may go before them; or @daily …
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "every")]
    pub(crate) cron: Option<String>,
    /// Time zone of the expression: Europe/Berlin, America/New_York [default: UTC]
    #[arg(long, value_name = "NAME", conflicts_with = "every")]
    pub(crate) zone: Option<String>,
    /// Run in equal intervals, from 1s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) every: Option<Duration>,
    /// Runs for whose times no worker was there: skip, once, or the most to make up for [default: once]
    #[arg(long, value_name = "skip|once|N", value_parser = missed)]
    pub(crate) missed: Option<Missed>,
    /// A run that is due while the last one has not ended: allow or skip [default: allow]
    #[arg(long, value_name = "allow|skip", value_parser = overlap)]
    pub(crate) overlap: Option<Overlap>,
    /// Do not start a run at all so long after its time
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Task")]
    pub(crate) expires: Option<Duration>,
}

fn missed(text: &str) -> Result<Missed, String> {
    match text {
        "skip" => Ok(Missed::Skip),
        "once" => Ok(Missed::Once),
        _ => match text.parse() {
            Ok(most @ 1..=1_000) => Ok(Missed::All { most }),
            _ => Err("write skip, once, or a number from 1 to 1000".to_owned()),
        },
    }
}

fn overlap(text: &str) -> Result<Overlap, String> {
    match text {
        "allow" => Ok(Overlap::Allow),
        "skip" => Ok(Overlap::Skip),
        _ => Err("write allow or skip".to_owned()),
    }
}

const EXAMPLES: &str = "\
Examples:
  celeriac schedule add morning-report report --cron '0 9 * * 1-5' --zone Europe/Berlin --arg kind=daily
  celeriac schedule add poll fetch --every 15s --overlap skip --expires 15s
  celeriac schedule next '0 9 * * 1-5' --zone Europe/Berlin";
