//! Tasks that ended lately, for people. Workers tell of those that were cancelled while they ran, and of
//! a sample of those that succeeded; whoever failed for good is a dead letter, and not in here.

use serde::{Deserialize, Serialize};

use crate::id::TaskId;
use crate::state::State;
use crate::time::Timestamp;

/// A task that ended lately, as its worker has told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentTask {
    /// The task or chunk.
    pub id: TaskId,
    /// How it ended.
    pub state: State,
    /// Its name.
    pub task: String,
    /// The queue that it was taken from.
    pub queue: String,
    /// The lease of its worker.
    pub worker: String,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How long the attempt waited for a worker, in milliseconds, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// How long it ran, in microseconds.
    pub run_us: u64,
    /// How many other tasks ended so on the worker about then of which it has not told.
    #[serde(default, skip_serializing_if = "crate::worker_info::is_zero")]
    pub others: u64,
}
