//! When a failed attempt is tried again: a policy, and one pure function that decides.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{MAX_DELAYS, MIN_SNOOZE_MS};
use crate::time::millis;

/// How long to wait before each retry: growing, always the same, or as listed; exactly so long, or a
/// random part of it.
///
/// Growing waits have full jitter unless told otherwise: before retry `n` (from 1) a random time
/// between 0 and `min(cap, base * 2^(n-1))` passes. Full jitter spreads the retries of tasks that
/// failed together (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
///
/// ```
/// use std::time::Duration;
/// use celeriac_broker_schema::Backoff;
/// let second = Duration::from_secs(1);
/// assert_eq!(Backoff::fixed(second).delay_ms(7, 0.5), 1_000);
/// let listed = Backoff::listed([second, 5 * second, 60 * second]);
/// assert_eq!([1, 2, 3, 4].map(|n| listed.delay_ms(n, 0.5)), [1_000, 5_000, 60_000, 60_000]);
/// assert_eq!(listed.jitter(true).delay_ms(1, 0.5), 500);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Backoff {
    /// The longest wait before the first retry, in milliseconds.
    pub base_ms: u64,
    /// The longest wait before any retry, in milliseconds.
    pub cap_ms: u64,
    /// The wait before each retry in milliseconds, instead of growing ones; the last one holds for
    /// all further retries. At most [`MAX_DELAYS`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delays_ms: Vec<u64>,
    /// Whether the wait is exactly so long, and not a random part of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
}

impl Default for Backoff {
    /// 1 s, 2 s, 4 s … up to 10 minutes, with full jitter.
    fn default() -> Self {
        Self { base_ms: 1_000, cap_ms: 600_000, delays_ms: Vec::new(), exact: false }
    }
}

impl Backoff {
    /// Waits that double from `base` up to `cap`, with full jitter.
    pub fn exponential(base: Duration, cap: Duration) -> Self {
        Self { base_ms: millis(base), cap_ms: millis(cap), ..Self::default() }
    }

    /// Always the same wait, exactly.
    pub fn fixed(wait: Duration) -> Self {
        Self { exact: true, ..Self::exponential(wait, wait) }
    }

    /// These waits one after the other, exactly; the last one holds for all further retries. Only
    /// the first [`MAX_DELAYS`] count; none means no wait.
    pub fn listed(waits: impl IntoIterator<Item = Duration>) -> Self {
        let delays_ms: Vec<u64> = waits.into_iter().take(MAX_DELAYS).map(millis).collect();
        // What a worker reads that knows of growing waits only.
        let base_ms = delays_ms.first().copied().unwrap_or(0);
        let cap_ms = delays_ms.iter().copied().max().unwrap_or(0);
        Self { base_ms, cap_ms, delays_ms, exact: true }
    }

    /// Whether a random part of each wait passes, and not all of it.
    #[must_use]
    pub fn jitter(mut self, jitter: bool) -> Self {
        self.exact = !jitter;
        self
    }

    /// The wait before retry `n` (from 1) in milliseconds; `random` is uniform in 0..1.
    pub fn delay_ms(&self, n: u32, random: f64) -> u64 {
        let longest = self.longest_ms(n);
        if self.exact { longest } else { (longest as f64 * random) as u64 }
    }

    fn longest_ms(&self, n: u32) -> u64 {
        let before = n.saturating_sub(1);
        let last = self.delays_ms.len().saturating_sub(1);
        match self.delays_ms.get(last.min(before as usize)) {
            Some(listed) => *listed,
            None => self.base_ms.saturating_mul(1 << before.min(40)).min(self.cap_ms),
        }
    }
}

/// How often and when failures of a task are tried again. Lost workers are counted apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts after the first one.
    pub retries: u32,
    /// The wait before each.
    pub backoff: Backoff,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { retries: 3, backoff: Backoff::default() }
    }
}

/// What the error of an attempt asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Try again as the policy says.
    Retry,
    /// Try again after this many milliseconds, if the policy has a retry left.
    RetryAfter(u64),
    /// Another attempt would fail in the same way.
    Fatal,
    /// Nothing failed, it is only too early: run it again after this many milliseconds, at least
    /// [`MIN_SNOOZE_MS`]. Counts neither as a failure nor as an attempt.
    Snooze(u64),
}

/// What is done about a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Another attempt after this many milliseconds.
    Retry {
        /// The wait.
        delay_ms: u64,
    },
    /// The task failed for good.
    Fail,
    /// The same attempt again after this many milliseconds.
    Snooze {
        /// The wait.
        delay_ms: u64,
    },
}

/// Decides about an attempt that did not succeed. `failures` counts the earlier failures of the task (not
/// crashes), `random` is uniform in 0..1.
///
/// ```
/// use celeriac_broker_schema::retry::{decide, Decision, RetryPolicy, Wish};
/// let policy = RetryPolicy { retries: 1, ..Default::default() };
/// assert_eq!(decide(&policy, 0, Wish::Retry, 0.5), Decision::Retry { delay_ms: 500 });
/// assert_eq!(decide(&policy, 1, Wish::Retry, 0.5), Decision::Fail);
/// ```
pub fn decide(policy: &RetryPolicy, failures: u32, wish: Wish, random: f64) -> Decision {
    match wish {
        Wish::Snooze(delay_ms) => Decision::Snooze { delay_ms: delay_ms.max(MIN_SNOOZE_MS) },
        _ if failures >= policy.retries => Decision::Fail,
        Wish::Fatal => Decision::Fail,
        Wish::RetryAfter(delay_ms) => Decision::Retry { delay_ms },
        Wish::Retry => Decision::Retry { delay_ms: policy.backoff.delay_ms(failures + 1, random) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_cap() {
        let backoff = Backoff::exponential(SECOND, 5 * SECOND);
        let longest: Vec<u64> = (1..=5).map(|n| backoff.delay_ms(n, 1.0)).collect();
        assert_eq!(longest, [1_000, 2_000, 4_000, 5_000, 5_000]);
        assert_eq!(backoff.delay_ms(u32::MAX, 1.0), 5_000);
        assert_eq!(backoff.delay_ms(3, 0.0), 0);
        let exact = backoff.jitter(false);
        assert_eq!([1, 2, 9].map(|n| exact.delay_ms(n, 0.0)), [1_000, 2_000, 5_000]);
    }

    #[test]
    fn waits_are_fixed_or_listed() {
        let fixed = Backoff::fixed(30 * SECOND);
        assert_eq!([1, 2, u32::MAX].map(|n| fixed.delay_ms(n, 0.1)), [30_000; 3]);
        assert_eq!(fixed.jitter(true).delay_ms(2, 0.5), 15_000);
        let listed = Backoff::listed([9 * SECOND, SECOND]);
        assert_eq!(
            [0, 1, 2, 3, u32::MAX].map(|n| listed.delay_ms(n, 0.1)),
            [9_000, 9_000, 1_000, 1_000, 1_000]
        );
        assert_eq!((listed.base_ms, listed.cap_ms), (9_000, 9_000));
        assert_eq!(Backoff::listed([]).delay_ms(1, 1.0), 0);
        assert_eq!(Backoff::listed([SECOND; 100]).delays_ms.len(), MAX_DELAYS);
    }

    #[test]
    fn the_stored_form_is_as_before_unless_something_new_is_used() {
        let stored = |backoff: &Backoff| serde_json::to_string(backoff).expect("JSON");
        assert_eq!(stored(&Backoff::default()), r#"{"base_ms":1000,"cap_ms":600000}"#);
        let listed = Backoff::listed([SECOND, 2 * SECOND]);
        let text = r#"{"base_ms":1000,"cap_ms":2000,"delays_ms":[1000,2000],"exact":true}"#;
        assert_eq!(stored(&listed), text);
        assert_eq!(serde_json::from_str::<Backoff>(text).expect("a backoff"), listed);
    }

    #[test]
    fn a_snooze_is_no_failure_and_never_too_short() {
        let policy = RetryPolicy { retries: 0, ..Default::default() };
        let decided = |wish| decide(&policy, 7, wish, 0.5);
        assert_eq!(decided(Wish::Snooze(60_000)), Decision::Snooze { delay_ms: 60_000 });
        assert_eq!(decided(Wish::Snooze(0)), Decision::Snooze { delay_ms: MIN_SNOOZE_MS });
    }

    #[test]
    fn fatal_errors_and_used_up_retries_fail() {
        let policy = RetryPolicy { retries: 2, backoff: Backoff::default() };
        assert_eq!(decide(&policy, 0, Wish::Fatal, 0.1), Decision::Fail);
        assert_eq!(decide(&policy, 1, Wish::RetryAfter(7), 0.1), Decision::Retry { delay_ms: 7 });
        assert_eq!(decide(&policy, 2, Wish::RetryAfter(7), 0.1), Decision::Fail);
    }
}
