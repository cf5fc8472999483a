//! What `celeriac history` is asked.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::duration;

/// What is to be told of the past.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// How far back; two weeks at most
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1h")]
    pub(crate) back: Duration,
    /// How far its points are apart [default: the shortest step that is kept so long]
    #[arg(long, value_enum)]
    pub(crate) step: Option<HistoryStep>,
    /// Whether all together, each queue or each name of tasks is told
    #[arg(long, value_enum, default_value_t = HistoryBy::All)]
    pub(crate) by: HistoryBy,
    /// Only tasks from this queue
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,
    /// Only tasks of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) task: Option<String>,
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HistoryStep {
    /// A minute, kept for six hours
    #[value(name = "1m")]
    Minute,
    /// Ten minutes, kept for two days
    #[value(name = "10m")]
    TenMinutes,
    /// An hour, kept for two weeks
    #[value(name = "1h")]
    Hour,
}

/// A division.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HistoryBy {
    /// All together, step by step
    All,
    /// The sums of each queue
    Queue,
    /// The sums of each name of tasks
    Task,
}
