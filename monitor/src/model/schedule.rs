//! A schedule: when it runs, and how its runs went.

use celeriac_broker_schema::script::{LastRun, Paused, ScheduleView};
use celeriac_broker_schema::{Missed, Overlap, ScheduleSpec, Timestamp, Timing};

/// The schedules of a namespace.
#[derive(Debug, Clone)]
pub(crate) struct Schedules {
    pub(crate) now: Timestamp,
    pub(crate) total: u64,
    pub(crate) page: Vec<Schedule>,
}

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub(crate) name: String,
    /// Why its description cannot be read.
    pub(crate) unreadable: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) queue: Option<String>,
    /// `0 9 * * 1-5, Europe/Berlin` or `every 15 m`.
    pub(crate) timing: Option<When>,
    pub(crate) missed: Missed,
    pub(crate) overlap: Overlap,
    pub(crate) due: Option<Timestamp>,
    pub(crate) paused: Option<Paused>,
    pub(crate) last: Option<LastRun>,
    pub(crate) runs: u64,
    pub(crate) times_missed: u64,
    pub(crate) overlapped: u64,
    pub(crate) refused: u64,
}

/// When a schedule runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum When {
    Cron { expression: String, zone: String },
    Every(u64),
}

impl Schedule {
    pub(crate) fn new(view: &ScheduleView) -> Self {
        let spec = ScheduleSpec::decode(&view.spec);
        let unreadable = spec.as_ref().err().map(ToString::to_string);
        let spec = spec.ok();
        let record = spec.as_ref().and_then(|spec| spec.task().ok());
        Self {
            name: view.name.to_string(),
            unreadable,
            task: record.as_ref().map(|record| record.task.to_string()),
            queue: record.map(|record| record.options().queue.to_string()),
            timing: spec.as_ref().map(|spec| match &spec.timing {
                Timing::Cron(cron) => When::Cron {
                    expression: cron.expression().to_owned(),
                    zone: cron.zone().to_owned(),
                },
                Timing::Every { every_ms, .. } => When::Every(*every_ms),
            }),
            missed: spec.as_ref().map(|spec| spec.missed).unwrap_or_default(),
            overlap: spec.as_ref().map(|spec| spec.overlap).unwrap_or_default(),
            due: view.due,
            paused: view.paused.clone(),
            last: view.last.clone(),
            runs: view.runs,
            times_missed: view.missed,
            overlapped: view.overlapped,
            refused: view.refused,
        }
    }
}
