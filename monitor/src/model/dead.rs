//! Dead letters: groups of them, or the letters of one group.

use celeriac_broker_schema::script::DeadPage;
use celeriac_broker_schema::{DeadGroup, DeadLetter, TaskId, Timestamp};

/// What is shown of the dead letters.
#[derive(Debug, Clone)]
pub(crate) struct Dead {
    pub(crate) now: Timestamp,
    /// All that are kept.
    pub(crate) total: u64,
    /// How many of the newest were looked at, to group them.
    pub(crate) looked_at: u64,
    pub(crate) groups: Vec<DeadGroup>,
    /// Of a group that was chosen.
    pub(crate) letters: Vec<DeadLetter>,
    pub(crate) next: Option<(Timestamp, TaskId)>,
}

impl Dead {
    /// A page of letters.
    pub(crate) fn letters(page: DeadPage) -> Self {
        let DeadPage { now, total, letters, next } = page;
        Self { now, total, looked_at: 0, groups: Vec::new(), letters, next }
    }
}
