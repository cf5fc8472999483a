//! What waits in one place of a queue, with as much of each as a line has room for.

use std::collections::BTreeMap;

use celeriac_broker_schema::script::{Peeked, Waiting};
use celeriac_broker_schema::{JobId, QueueName, Record, TaskId, Timestamp};
use serde_json::value::RawValue;

/// A queue looked at closely.
#[derive(Debug, Clone)]
pub(crate) struct QueueDetail {
    pub(crate) now: Timestamp,
    pub(crate) name: QueueName,
    pub(crate) lines: Vec<Line>,
    /// Where the next page begins.
    pub(crate) next: Option<u64>,
}

/// Something that waits.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) what: What,
    /// The priority of its list, where that is told apart.
    pub(crate) priority: Option<u8>,
    pub(crate) due: Option<Timestamp>,
    /// The name of the task, if its record was read.
    pub(crate) task: Option<String>,
    pub(crate) args: Option<Box<RawValue>>,
}

/// What a line is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Task(TaskId),
    /// Chunks of a job, from the first one to before the last one.
    Chunks(JobId, u64, u64),
    /// The turn of a tenant, and how many stand behind it.
    Turn(String, u64),
}

impl QueueDetail {
    pub(crate) fn new(name: QueueName, now: Timestamp) -> Self {
        Self { now, name, lines: Vec::new(), next: None }
    }

    /// Adds what was seen in one place.
    pub(crate) fn add(&mut self, page: Peeked, priority: Option<u8>) {
        (self.now, self.next) = (page.now, page.next);
        let line = |waiting| {
            let (what, due) = match waiting {
                Waiting::Task(id, due) => (What::Task(id), due),
                Waiting::Range(job, lo, hi) => (What::Chunks(job, lo, hi), None),
                Waiting::Turn(tenant, behind) => (What::Turn(tenant.to_string(), behind), None),
            };
            Line { what, priority, due, task: None, args: None }
        };
        self.lines.extend(page.waiting.into_iter().map(line));
    }

    /// The tasks that have records of their own.
    pub(crate) fn tasks(&self) -> Vec<TaskId> {
        let task = |line: &Line| match line.what {
            What::Task(id) if id.chunk().is_none() => Some(id),
            _ => None,
        };
        self.lines.iter().filter_map(task).collect()
    }

    /// Adds what the records tell.
    pub(crate) fn describe(&mut self, records: &BTreeMap<TaskId, String>) {
        for line in &mut self.lines {
            let What::Task(id) = line.what else { continue };
            let Some(Ok(record)) = records.get(&id).map(|record| Record::decode(record)) else {
                continue;
            };
            line.task = Some(record.task.to_string());
            line.args = Some(record.args.to_owned());
        }
    }
}
