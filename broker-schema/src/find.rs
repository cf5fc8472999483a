//! Searching for tasks: what is asked for, and what is found. The search goes through one source
//! after the other (what runs, what waits in each queue, dead letters, what ended lately); a page tells
//! where the next one begins, whatever comes or goes meanwhile.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::dead::DeadLetter;
use crate::error::InvalidInput;
use crate::id::TaskId;
use crate::name::QueueName;
use crate::recent::RecentTask;
use crate::record::Record;
use crate::state::State;
use crate::time::Timestamp;
use crate::worker_info::RunningTask;

/// Which tasks are meant: those that all that is set holds for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// In this state.
    pub state: Option<State>,
    /// Of this queue.
    pub queue: Option<QueueName>,
    /// Of this name.
    pub task: Option<String>,
    /// That runs, or ran at last, on the worker with this lease, or whose lease begins so.
    pub worker: Option<String>,
    /// That ended, began or, if it has not begun, was enqueued at this time or later.
    pub since: Option<Timestamp>,
    /// The same: before this time.
    pub until: Option<Timestamp>,
}

/// What is found of a task. What is not known there is None: [`crate::Broker::inspect`] tells all.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskRow {
    /// The task or chunk.
    pub id: TaskId,
    /// Its state.
    pub state: State,
    /// Its name.
    pub task: Option<String>,
    /// Its queue.
    pub queue: Option<String>,
    /// The lease of the worker that runs it, or ran it at last.
    pub worker: Option<String>,
    /// The number of its last attempt.
    pub attempt: Option<u32>,
    /// When it was enqueued, by the clock of its producer. A chunk: its job.
    pub enqueued: Timestamp,
    /// Until when it waits, if it is delayed.
    pub due: Option<Timestamp>,
    /// When its last attempt began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How long its last attempt waited for a worker, in milliseconds.
    pub wait_ms: Option<u64>,
    /// How long that ran, in microseconds.
    pub run_us: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A page of tasks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TasksFound {
    /// Redis time.
    pub now: Timestamp,
    /// Those of this page, of each state the newest first; there may be none before the end.
    pub tasks: Vec<TaskRow>,
    /// How many were looked at for this page.
    pub searched: u64,
    /// How many tasks that succeeded were left out of the list at the places that were looked at: of
    /// many, workers tell only of some.
    pub untold: u64,
    /// Where the next page begins; None: there is none.
    pub next: Option<TaskCursor>,
}

/// Where the next page of a search begins. To be passed on as it is: its text has no meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskCursor {
    /// The state that is searched.
    pub(crate) state: State,
    /// How far: of each source in its own words.
    pub(crate) at: String,
}

/// The states in the order in which they are searched. Those that are not in here are not listed
/// anywhere.
pub(crate) const SEARCHED: [State; 6] = [
    State::Running,
    State::Ready,
    State::Delayed,
    State::Failed,
    State::Succeeded,
    State::Cancelled,
];

impl fmt::Display for TaskCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}", self.state.as_str(), self.at)
    }
}

impl FromStr for TaskCursor {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let parsed = text.split_once('~').and_then(|(state, at)| {
            let state = SEARCHED.into_iter().find(|searched| searched.as_str() == state)?;
            Some(Self { state, at: at.to_owned() })
        });
        parsed.ok_or_else(|| InvalidInput::OutOfBounds {
            what: "cursor",
            value: text.chars().take(80).collect(),
            expected: "one that a page of tasks named",
        })
    }
}

impl Serialize for TaskCursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl TaskFilter {
    /// All tasks in a state.
    pub fn of(state: State) -> Self {
        Self { state: Some(state), ..Self::default() }
    }

    /// Whether more must be looked at than the place of a task.
    pub(crate) fn reads(&self) -> bool {
        self.task.is_some() || self.worker.is_some() || self.since.is_some() || self.until.is_some()
    }

    /// Whether a task is meant.
    pub fn matches(&self, row: &TaskRow) -> bool {
        let at = row.ended.or(row.started).unwrap_or(row.enqueued);
        let begins = |worker: &String| {
            row.worker.as_deref().is_some_and(|lease| lease.starts_with(worker.as_str()))
        };
        self.state.is_none_or(|state| row.state == state)
            && self.queue.as_ref().is_none_or(|q| row.queue.as_deref() == Some(q.as_str()))
            && self.task.as_ref().is_none_or(|task| row.task.as_ref() == Some(task))
            && self.worker.as_ref().is_none_or(begins)
            && self.since.is_none_or(|since| at >= since)
            && self.until.is_none_or(|until| at < until)
    }
}

impl TaskRow {
    pub(crate) fn new(id: TaskId, state: State) -> Self {
        Self {
            id,
            state,
            task: None,
            queue: None,
            worker: None,
            attempt: None,
            enqueued: id.time(),
            due: None,
            started: None,
            ended: None,
            wait_ms: None,
            run_us: None,
            error: None,
        }
    }

    pub(crate) fn queued(id: TaskId, state: State, queue: &str, record: &str) -> Self {
        let name = Record::decode(record).ok().map(|record| record.task.into_owned());
        Self { task: name, queue: Some(queue.to_owned()), ..Self::new(id, state) }
    }

    pub(crate) fn running(running: &RunningTask, lease: &str) -> Option<Self> {
        Some(Self {
            task: Some(running.task.clone()),
            queue: running.queue.clone(),
            worker: Some(lease.to_owned()),
            attempt: Some(running.attempt),
            started: Some(running.since),
            ..Self::new(running.id.parse().ok()?, State::Running)
        })
    }

    pub(crate) fn dead(letter: &DeadLetter) -> Self {
        let last = letter.attempts.last();
        let started = last.and_then(|last| last.started);
        let ran = started.zip(last).map(|(started, last)| last.ended.since(started) * 1000);
        Self {
            task: Some(letter.task.clone()),
            queue: Some(letter.queue.as_str().to_owned()),
            worker: last.map(|last| last.worker.clone()),
            attempt: last.map(|last| last.attempt),
            started,
            ended: Some(letter.at),
            run_us: ran,
            error: Some(letter.error.to_string()),
            ..Self::new(letter.id, State::Failed)
        }
    }

    pub(crate) fn recent(recent: RecentTask) -> Self {
        Self {
            task: Some(recent.task),
            queue: Some(recent.queue),
            worker: Some(recent.worker),
            attempt: Some(recent.attempt),
            started: Some(recent.started),
            ended: Some(recent.ended),
            wait_ms: recent.wait_ms,
            run_us: Some(recent.run_us),
            ..Self::new(recent.id, recent.state)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_set_must_hold() {
        let row = TaskRow {
            task: Some("t".to_owned()),
            queue: Some("q".to_owned()),
            worker: Some("0123abcd".to_owned()),
            ended: Some(Timestamp(50)),
            ..TaskRow::new(TaskId::first(), State::Succeeded)
        };
        let of = |set: fn(&mut TaskFilter)| {
            let mut filter = TaskFilter::default();
            set(&mut filter);
            filter.matches(&row)
        };
        assert!(of(|_| ()));
        assert!(of(|f| f.state = Some(State::Succeeded)) && !of(|f| f.state = Some(State::Failed)));
        assert!(of(|f| f.queue = "q".parse().ok()) && !of(|f| f.queue = "r".parse().ok()));
        assert!(of(|f| f.task = Some("t".into())) && !of(|f| f.task = Some("u".into())));
        assert!(of(|f| f.worker = Some("0123".into())) && !of(|f| f.worker = Some("3".into())));
        assert!(of(|f| f.since = Some(Timestamp(50))) && !of(|f| f.since = Some(Timestamp(51))));
        assert!(of(|f| f.until = Some(Timestamp(51))) && !of(|f| f.until = Some(Timestamp(50))));
    }

    #[test]
    fn cursors_go_through_text() {
        let cursor = TaskCursor { state: State::Ready, at: "mail:5:7".to_owned() };
        assert_eq!(cursor.to_string().parse::<TaskCursor>(), Ok(cursor));
        for wrong in ["", "ready", "waiting~1", "?~"] {
            wrong.parse::<TaskCursor>().expect_err("it is none");
        }
    }
}
