//! Redis time between two answers: the last answer plus what passed here since. Used to tell
//! when things happened, never to decide.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use celeriac_broker_schema::Timestamp;

/// Redis time as far as known.
#[derive(Debug)]
pub(crate) struct RedisClock {
    start: Instant,
    /// Redis time at `start`, in milliseconds.
    at_start: AtomicU64,
}

impl RedisClock {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { start: Instant::now(), at_start: AtomicU64::new(now.0) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.at_start.load(Ordering::Relaxed) + self.passed())
    }

    /// Learns from an answer.
    pub(crate) fn set(&self, now: Timestamp) {
        self.at_start.store(now.0.saturating_sub(self.passed()), Ordering::Relaxed);
    }

    fn passed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
