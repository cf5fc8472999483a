//! Idempotency keys: for how long a key stands for the first task that was enqueued with it.

use std::time::Duration;

use crate::name::UniqueKey;
use crate::time::millis;

/// A key, and for how long it stands for its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    /// The key.
    pub key: UniqueKey,
    /// For how long.
    pub mode: UniqueMode,
}

/// For how long a key stands for its task, and what another task with the same key does meanwhile. It
/// is never enqueued beside the first one; whoever enqueues it is given the id of the first.
///
/// But for [`UniqueMode::For`], the script that ends the task (or gives it to a worker) also releases
/// the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UniqueMode {
    /// So many milliseconds from the enqueue on, whatever becomes of the task (a throttle).
    For {
        /// How long.
        ms: u64,
    },
    /// Until a worker takes the task for the first time.
    Queued,
    /// Until the task has ended, in whatever way. Retries, snoozes and lost workers do not end it.
    UntilDone,
    /// Until a worker takes the task for the first time. The task waits so long, and each further one
    /// makes it wait anew, with the arguments of the newest.
    Debounce {
        /// How long it waits after the newest one.
        wait_ms: u64,
        /// How long it waits at most after the first one.
        longest_ms: Option<u64>,
    },
    /// Until the task has ended. A further one takes the place of one that is queued: its arguments
    /// count. While one runs, exactly one follower waits for its end.
    KeepLast,
}

impl UniqueMode {
    /// [`UniqueMode::For`] this time.
    pub fn throttle(time: Duration) -> Self {
        Self::For { ms: millis(time) }
    }

    /// [`UniqueMode::Debounce`] without a longest wait.
    pub fn debounce(wait: Duration) -> Self {
        Self::Debounce { wait_ms: millis(wait), longest_ms: None }
    }

    /// The same, but a debounced task waits no longer than this after the first one.
    #[must_use]
    pub fn at_most(self, longest: Duration) -> Self {
        match self {
            Self::Debounce { wait_ms, .. } => {
                Self::Debounce { wait_ms, longest_ms: Some(millis(longest)) }
            }
            other => other,
        }
    }

    /// Its letter in the stored form of locks (`lua/lib/locks.lua`); none if it has only a time.
    #[cfg(feature = "client")]
    pub(crate) fn letter(self) -> Option<&'static str> {
        match self {
            Self::For { .. } => None,
            Self::Queued => Some("q"),
            Self::UntilDone => Some("d"),
            Self::Debounce { .. } => Some("b"),
            Self::KeepLast => Some("k"),
        }
    }
}
