//! What can go wrong when tasks are enqueued ([`EnqueueError`]) and when their results are waited
//! for ([`ResultError`]).

use std::time::Duration;

use celeriac_broker_schema::Note;
use celeriac_broker_schema::script::Refusal;
use celeriac_broker_schema::{BrokerError, InvalidInput, JobId, TaskFailure, TaskId};
use thiserror::Error;

/// What is wrong with a workflow: all of it at once. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the workflow is not valid: {}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct InvalidWorkflow {
    /// At least one problem.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: `/chain/1/group/0` is the first member of the group that is the second step of a chain. Empty
    /// for the workflow as a whole.
    pub path: String,
    /// What.
    pub reason: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.reason)
        } else {
            write!(f, "{}: {}", self.path, self.reason)
        }
    }
}

/// Why a task was not, or perhaps not, enqueued.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// The task cannot be enqueued as it is. Nothing was sent.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// The workflow cannot be enqueued as it is. Nothing was sent.
    #[error(transparent)]
    Workflow(#[from] InvalidWorkflow),
    /// A layer of the producer refuses it. Nothing was sent.
    #[error("the task was not enqueued: {0}")]
    Layer(std::sync::Arc<dyn std::error::Error + Send + Sync>),
    /// Redis refuses for good: wrong user, out of memory, unsuitable. The task does not exist.
    #[error("the task was not enqueued: {0}")]
    Refused(std::sync::Arc<BrokerError>),
    /// Redis did not answer in time.
    #[error("{} within {waited:?}: {source}", if *.may_exist { "it is not known whether the task was enqueued" } else { "the task was not enqueued" })]
    Unavailable {
        /// How long it was tried.
        waited: Duration,
        /// Whether the task may exist all the same: the command may have been carried out and its
        /// answer lost. To enqueue it once whatever happens, give it an idempotency key and repeat.
        may_exist: bool,
        /// What happened last.
        source: std::sync::Arc<BrokerError>,
    },
    /// The queue is closed to producers. The task does not exist.
    #[error("queue {queue} is closed, so the task was not enqueued: {}; open it with `celeriac queues open {queue}`", told("closed", .note))]
    QueueClosed {
        /// The queue.
        queue: String,
        /// Who closed it, when and why.
        note: Note,
    },
    /// As many tasks wait in the queue as may. The task does not exist.
    #[error("queue {queue} is full, so the task was not enqueued: it is limited to {limit} tasks ({}); try again when workers have made room, or raise the limit with `celeriac queues limit {queue}`", told("limited", .note))]
    QueueFull {
        /// The queue.
        queue: String,
        /// How many tasks and chunks may wait in it.
        limit: u64,
        /// Who limited it, when and why.
        note: Note,
    },
    /// The job to which more was to be added has ended.
    #[error(
        "job {job} has ended, so nothing can be added to it; `celeriac result {job}` tells how it ended"
    )]
    JobOver {
        /// The job.
        job: JobId,
    },
    /// A job that is enqueued in parts got one that is not its next: somebody else adds to it, too.
    #[error(
        "part {part} of job {job} was not enqueued: part {expected} is the next one; continue the job from there, and from one place only"
    )]
    WrongPart {
        /// The job.
        job: JobId,
        /// The part that was sent.
        part: u64,
        /// The part that is the next one.
        expected: u64,
    },
    /// The producer was shut down before the task was sent.
    #[error("the producer was shut down before the task was sent")]
    ShutDown,
}

impl From<Refusal> for EnqueueError {
    fn from(refusal: Refusal) -> Self {
        let Refusal { queue, limit, note } = refusal;
        match limit {
            Some(limit) => Self::QueueFull { queue, limit, note },
            None => Self::QueueClosed { queue, note },
        }
    }
}

/// `closed by ada: moving house`
fn told(what: &str, note: &Note) -> String {
    match (&note.who.by, &note.who.why) {
        (None, None) => format!("{what} a moment ago"),
        _ => format!("{what} {}", note.who),
    }
}

/// Why there is no result.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ResultError {
    /// The task failed for good.
    #[error("task {id} failed: {failure}")]
    Failed {
        /// The task that was waited for.
        id: TaskId,
        /// For a job: the task or chunk whose failure ended it.
        failed_task: Option<String>,
        /// Why.
        failure: Box<TaskFailure>,
    },
    /// The task was cancelled.
    #[error("task {0} was cancelled")]
    Cancelled(TaskId),
    /// The task was not started before it expired.
    #[error("task {0} expired before a worker started it")]
    Expired(TaskId),
    /// No such task, or its outcome was not kept.
    #[error("task {0} was never enqueued here, or its outcome is not kept any more")]
    Unknown(TaskId),
    /// The task has not ended in time. It goes on.
    #[error("task {id} has not ended within {waited:?}; it goes on")]
    Timeout {
        /// The task.
        id: TaskId,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The result, or the stored outcome, is not what was expected.
    #[error("the outcome of task {id} cannot be read: {reason}")]
    Unreadable {
        /// The task.
        id: TaskId,
        /// What is wrong with it.
        reason: String,
    },
    /// The producer was shut down.
    #[error("the producer was shut down while it waited")]
    ShutDown,
}
