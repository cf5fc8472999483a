//! Pages of tasks, as a search finds them.

use celeriac_broker_schema::find::{TaskRow, TasksFound};
use celeriac_broker_schema::{ErrorKind, TaskFailure, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::redact::Redaction;
use crate::routes::Cursor;

/// A page of tasks.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
    pub(crate) next: Option<Cursor>,
}

impl RecentTasks {
    /// What was found, without what is not shown.
    pub(crate) fn new(found: TasksFound, next: Option<Cursor>, hidden: &Redaction) -> Self {
        let TasksFound { now, mut tasks, searched, untold, .. } = found;
        for row in &mut tasks {
            let Some(message) = row.error.take() else { continue };
            let mut failure = TaskFailure::new(ErrorKind::Error, message);
            hidden.failure(row.task.as_deref(), &mut failure);
            row.error = Some(failure.message);
        }
        Self { now, tasks, searched, untold, next }
    }
}
