//! What a worker tells of itself with every heartbeat: for people, never for decisions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::requester::Note;
use crate::time::Timestamp;

/// A worker's description of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerInfo {
    /// The machine it runs on.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// The version of Celeriac.
    pub version: String,
    /// The queues it serves, the most important one first.
    pub queues: Vec<String>,
    /// The tasks it knows.
    pub tasks: Vec<String>,
    /// Its slots: so many tasks run at once, or fewer that cost more.
    pub slots: u32,
    /// Slots that are taken.
    pub busy: u32,
    /// Of them those whose tasks go on although they were told to stop and their time to do so is over:
    /// what they ran is settled.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub wedged: u32,
    /// Of a worker that keeps slots for some queues: how many are free for each of its queues now.
    /// Of others all that are not busy are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub open: BTreeMap<String, u32>,
    /// How many it holds that have not begun.
    pub buffered: u32,
    /// Whether it takes nothing new and will leave.
    pub draining: bool,
    /// Since when it does so because somebody ordered it, and who that was. A worker that was told to
    /// leave by a signal says nothing here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Note>,
    /// Since when it takes nothing new because somebody said so, and who that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Note>,
    /// The number of the last order of its lease that it has taken up; 0 if there was none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub order: u64,
    /// When it began (Redis time).
    pub started: Timestamp,
    /// Attempts that ended well since then.
    pub succeeded: u64,
    /// Attempts that ended with an error since then.
    pub failed: u64,
    /// Its visibility time-out in milliseconds.
    pub visibility_ms: u64,
    /// Its resident memory in bytes, if the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// What it runs now, the longest first; at most [`WorkerInfo::MAX_RUNNING`].
    pub running: Vec<RunningTask>,
}

/// For numbers that are left out of JSON when there is nothing to tell.
pub(crate) fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

/// A task that a worker runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunningTask {
    /// Its id.
    pub id: String,
    /// Its name.
    pub task: String,
    /// The queue that it was taken from; a worker of an older version does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The number of the attempt.
    pub attempt: u32,
    /// Since when it runs (Redis time).
    pub since: Timestamp,
    /// Since when it goes on although it was told to stop and its time to do so is over (Redis
    /// time). What it was is settled; it only keeps its slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wedged: Option<Timestamp>,
    /// How far it is, if it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// How far an attempt is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all; 0 if that is not known.
    pub total: u64,
    /// What it does right now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl WorkerInfo {
    /// Most running tasks that are listed: a heartbeat stays small whatever the slots.
    pub const MAX_RUNNING: usize = 32;

    /// Slots that are kept by tasks which were settled long ago; also of a worker that does not count
    /// them and only names the tasks.
    #[must_use]
    pub fn wedged_slots(&self) -> u32 {
        let named = self.running.iter().filter(|task| task.wedged.is_some()).count();
        self.wedged.max(u32::try_from(named).unwrap_or(u32::MAX))
    }

    /// How many slots are free for tasks of a queue.
    #[must_use]
    pub fn open_for(&self, queue: &str) -> u32 {
        let free = self.slots.saturating_sub(self.busy);
        self.open.get(queue).map_or(free, |open| free.min(*open))
    }

    /// For how long this is believed after it was told, in milliseconds: the visibility time-out,
    /// and at least 6 s.
    pub fn lives_ms(&self) -> u64 {
        self.visibility_ms.max(6_000)
    }
}
