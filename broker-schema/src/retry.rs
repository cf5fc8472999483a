//! When a failed attempt is tried again: a policy, and one pure function that decides.

use serde::{Deserialize, Serialize};

/// Exponential backoff with full jitter: before retry `n` (from 1) a random time between 0 and
/// `min(cap, base * 2^(n-1))` passes. Full jitter spreads the retries of tasks that failed
/// together (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// The longest wait before the first retry, in milliseconds.
    pub base_ms: u64,
    /// The longest wait before any retry, in milliseconds.
    pub cap_ms: u64,
}

impl Default for Backoff {
    /// 1 s, 2 s, 4 s … up to 10 minutes.
    fn default() -> Self {
        Self { base_ms: 1_000, cap_ms: 600_000 }
    }
}

impl Backoff {
    /// The wait before retry `n` (from 1) in milliseconds; `random` is uniform in 0..1.
    pub fn delay_ms(self, n: u32, random: f64) -> u64 {
        let doubled = self.base_ms.saturating_mul(1 << n.saturating_sub(1).min(40));
        let longest = doubled.min(self.cap_ms);
        (longest as f64 * random) as u64
    }
}

/// How often and when failures of a task are tried again. Lost workers are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// Decides about a failed attempt. `failures` counts the earlier failures of the task (not
/// crashes), `random` is uniform in 0..1.
///
/// ```
/// use celeriac_broker_schema::retry::{decide, Decision, RetryPolicy, Wish};
/// let policy = RetryPolicy { retries: 1, ..Default::default() };
/// assert_eq!(decide(&policy, 0, Wish::Retry, 0.5), Decision::Retry { delay_ms: 500 });
/// assert_eq!(decide(&policy, 1, Wish::Retry, 0.5), Decision::Fail);
/// ```
pub fn decide(policy: &RetryPolicy, failures: u32, wish: Wish, random: f64) -> Decision {
    if failures >= policy.retries {
        return Decision::Fail;
    }
    match wish {
        Wish::Fatal => Decision::Fail,
        Wish::RetryAfter(delay_ms) => Decision::Retry { delay_ms },
        Wish::Retry => Decision::Retry { delay_ms: policy.backoff.delay_ms(failures + 1, random) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let backoff = Backoff { base_ms: 1_000, cap_ms: 5_000 };
        let longest: Vec<u64> = (1..=5).map(|n| backoff.delay_ms(n, 1.0)).collect();
        assert_eq!(longest, [1_000, 2_000, 4_000, 5_000, 5_000]);
        assert_eq!(backoff.delay_ms(u32::MAX, 1.0), 5_000);
        assert_eq!(backoff.delay_ms(3, 0.0), 0);
    }

    #[test]
    fn fatal_errors_and_used_up_retries_fail() {
        let policy = RetryPolicy { retries: 2, backoff: Backoff::default() };
        assert_eq!(decide(&policy, 0, Wish::Fatal, 0.1), Decision::Fail);
        assert_eq!(decide(&policy, 1, Wish::RetryAfter(7), 0.1), Decision::Retry { delay_ms: 7 });
        assert_eq!(decide(&policy, 2, Wish::RetryAfter(7), 0.1), Decision::Fail);
    }
}
