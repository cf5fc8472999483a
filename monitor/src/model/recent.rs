//! Pages of tasks, as a search finds them.

use celeriac_broker_schema::Timestamp;
use celeriac_broker_schema::find::{TaskRow, TasksFound};
use serde::Serialize;

/// A page of tasks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RecentTasks {
    /// Redis time.
    pub(crate) now: Timestamp,
    /// Of each state the newest first. There may be none, and yet a next page.
    pub(crate) tasks: Vec<TaskRow>,
    /// How many were looked at for this page.
    pub(crate) searched: u64,
    /// Tasks that ended in between and are not in any list: workers tell by name only of some, if there are
    /// many. To be told to people, if it is not 0.
    pub(crate) untold: u64,
    /// What to ask with for the next page.
    pub(crate) next: Option<String>,
}

impl From<TasksFound> for RecentTasks {
    fn from(found: TasksFound) -> Self {
        let TasksFound { now, tasks, searched, untold, next } = found;
        Self { now, tasks, searched, untold, next: next.map(|next| next.to_string()) }
    }
}
