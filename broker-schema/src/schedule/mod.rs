//! Schedules: tasks that are enqueued again and again. When they run is decided here, by pure
//! functions of a stored description and Redis time; that each time is enqueued once is decided
//! in `lua/fire.lua`, whoever calls it.

mod plan;
mod spec;
mod timing;

pub use crate::name::ScheduleName;
pub use plan::Plan;
pub use spec::{Missed, Overlap, ScheduleSpec};
pub use timing::{CronTiming, Timing};
