//! The time of Redis as far as known, for the order of ids. Nothing is decided by it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use celeriac_broker_schema::Timestamp;

/// Redis time, estimated from the local clock and the last answer.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// Milliseconds by which Redis is ahead.
    ahead: AtomicI64,
}

impl Clock {
    pub(crate) fn now(&self) -> Timestamp {
        let now = local_ms().saturating_add(self.ahead.load(Ordering::Relaxed));
        Timestamp(u64::try_from(now).unwrap_or(0))
    }

    /// Learns from an answer.
    pub(crate) fn set(&self, now: Timestamp) {
        let redis = i64::try_from(now.0).unwrap_or(i64::MAX);
        self.ahead.store(redis.saturating_sub(local_ms()), Ordering::Relaxed);
    }
}

fn local_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
