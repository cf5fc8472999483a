//! What the monitor shows, in the words of the glossary: the same values for pages, JSON and
//! metrics. Times are Redis time in milliseconds; `_ms` marks durations, `_per_s` rates.

mod chunks;
mod dead;
mod health;
mod history;
mod job;
mod notice;
mod queue;
mod recent;
mod schedule;
mod straggler;
mod task;
mod totals;
mod waiting;
mod worker;

pub(crate) use chunks::{Cell, Map};
pub(crate) use dead::Dead;
pub(crate) use health::Health;
pub(crate) use history::{History, Point, Series};
pub(crate) use job::{Job, JobDetail};
pub(crate) use notice::{Notice, notices};
pub(crate) use queue::{Queue, Ready};
pub(crate) use recent::RecentTasks;
pub(crate) use schedule::{Schedule, Schedules, When};
pub(crate) use straggler::{Stragglers, stragglers};
pub(crate) use task::Task;
pub(crate) use totals::Totals;
pub(crate) use waiting::{Line, QueueDetail, What};
pub(crate) use worker::{Worker, running_of};

use serde_json::value::RawValue;

/// Text that should be JSON, as JSON: itself, or else a JSON string of it.
pub(crate) fn raw_json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| {
        serde_json::value::to_raw_value(text).expect("a string can be written as JSON")
    })
}
