//! How often somebody may try to log in. Kept by each monitor for itself, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Attempts are counted within this time from the first one on.
const WINDOW: Duration = Duration::from_secs(60);

/// As many are known at a time. Beyond that everybody new is refused until some are forgotten: a
/// flood must not make room for itself.
const MOST: usize = 10_000;

/// Counts attempts that failed, of each who tries.
#[derive(Debug)]
pub(super) struct Limiter<K> {
    most: u32,
    known: Mutex<HashMap<K, Attempts>>,
}

#[derive(Debug)]
struct Attempts {
    number: u32,
    since: Instant,
}

impl<K: Eq + Hash> Limiter<K> {
    /// `most` attempts in a minute.
    pub(super) fn new(most: u32) -> Self {
        Self { most, known: Mutex::default() }
    }

    /// Counts an attempt before it is known how it goes: those made at once count, too.
    ///
    /// # Errors
    /// How long to wait, if there were too many.
    pub(super) fn begin(&self, who: K) -> Result<(), Duration> {
        self.begin_at(who, Instant::now())
    }

    fn begin_at(&self, who: K, now: Instant) -> Result<(), Duration> {
        let mut known = self.known.lock().expect("no panic while the lock is held");
        if known.len() >= MOST {
            known.retain(|_, attempts| attempts.since + WINDOW > now);
        }
        if known.len() >= MOST && !known.contains_key(&who) {
            return Err(WINDOW);
        }
        let attempts = known.entry(who).or_insert(Attempts { number: 0, since: now });
        if attempts.since + WINDOW <= now {
            *attempts = Attempts { number: 0, since: now };
        }
        if attempts.number >= self.most {
            return Err((attempts.since + WINDOW).saturating_duration_since(now));
        }
        attempts.number += 1;
        Ok(())
    }

    /// That attempt was a good one, and does not count. Those before it do: somebody who may log in
    /// cannot try the passwords of others in between.
    pub(super) fn forgive(&self, who: &K) {
        let mut known = self.known.lock().expect("no panic while the lock is held");
        if let Some(attempts) = known.get_mut(who) {
            attempts.number = attempts.number.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_so_many_attempts() {
        let limiter = Limiter::new(2);
        let start = Instant::now();
        let at = |who, seconds| limiter.begin_at(who, start + Duration::from_secs(seconds));
        assert_eq!((at("a", 0), at("a", 0)), (Ok(()), Ok(())));
        assert_eq!(at("a", 20), Err(Duration::from_secs(40)));
        assert_eq!(at("b", 20), Ok(()), "others are not held up");
        assert_eq!(at("a", 60), Ok(()));
        limiter.forgive(&"a");
        assert_eq!((at("a", 61), at("a", 62)), (Ok(()), Ok(())));
        assert_eq!(at("a", 63), Err(Duration::from_secs(57)));
    }

    #[test]
    fn a_flood_finds_no_more_memory() {
        let limiter = Limiter::new(1);
        let start = Instant::now();
        for who in 0..MOST {
            assert_eq!(limiter.begin_at(who, start), Ok(()));
        }
        assert_eq!(limiter.begin_at(MOST, start), Err(WINDOW));
        assert_eq!(limiter.begin_at(MOST, start + WINDOW), Ok(()));
        assert_eq!(limiter.known.lock().expect("whole").len(), 1);
    }
}
