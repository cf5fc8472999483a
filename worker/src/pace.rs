//! How many tasks to hold beyond those that run: enough to bridge a round trip, never a hoard.
//! Pure arithmetic on measured durations and sizes.

use std::time::Duration;

/// The work that the buffer should hold, as time of one slot. A round trip takes a fraction of a
/// millisecond, a stall of a busy machine some milliseconds.
const AHEAD: Duration = Duration::from_millis(40);
/// Tasks that take longer are not buffered at all: another worker may be free for them.
const LONG: Duration = Duration::from_millis(200);
/// The most that is held beyond the slots: one claim's worth.
const MOST: usize = 1_000;
/// The most memory that buffered records may take.
const MOST_BYTES: f64 = 8.0 * 1024.0 * 1024.0;
/// The weight of a new measurement that is below the mean, and of one above it: what is held was
/// held on a guess, and hoarding is worse than waiting.
const WEIGHT: f64 = 0.05;
const WEIGHT_ABOVE: f64 = 0.5;

/// Running means of what tasks took and weighed.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    seconds: Option<f64>,
    bytes: f64,
}

impl Pace {
    /// Learns how long `attempts` that ended together took, in all. Long ones count at once, short
    /// ones slowly; but one among many short ones is an accident of the machine.
    pub(crate) fn took(&mut self, attempts: u32, together: Duration) {
        if attempts == 0 {
            return;
        }
        let new = together.as_secs_f64() / f64::from(attempts);
        let Some(old) = self.seconds else {
            self.seconds = Some(new);
            return;
        };
        let attempts = i32::try_from(attempts).unwrap_or(i32::MAX);
        let weight = if new > old { WEIGHT_ABOVE } else { 1.0 - (1.0 - WEIGHT).powi(attempts) };
        self.seconds = Some(old + (new - old) * weight);
    }

    /// Learns how large a record is.
    pub(crate) fn weighed(&mut self, bytes: usize) {
        self.bytes += (bytes as f64 - self.bytes) * WEIGHT;
    }

    /// How long so many slots have to do with so many tasks.
    pub(crate) fn time_for(&self, tasks: usize, slots: usize) -> Duration {
        let seconds = self.seconds.unwrap_or(0.0) * tasks as f64 / slots as f64;
        Duration::from_secs_f64(seconds.min(3_600.0))
    }

    /// How many tasks to hold beyond `slots` running ones. None before anything was measured.
    pub(crate) fn ahead(&self, slots: usize) -> usize {
        let Some(seconds) = self.seconds else {
            return 0;
        };
        if seconds >= LONG.as_secs_f64() {
            return 0;
        }
        let wanted = AHEAD.as_secs_f64() * slots as f64 / seconds.max(1e-7);
        let fitting = MOST_BYTES / self.bytes.max(1.0);
        (wanted.ceil().min(fitting) as usize).min(MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(duration: Duration) -> Pace {
        let mut pace = Pace::default();
        for _ in 0..200 {
            pace.took(1, duration);
        }
        pace
    }

    #[test]
    fn short_tasks_are_buffered_and_long_ones_are_not() {
        assert_eq!(Pace::default().ahead(8), 0);
        assert_eq!(after(Duration::from_micros(5)).ahead(2), MOST);
        assert_eq!(after(Duration::from_millis(10)).ahead(2), 8);
        assert_eq!(after(Duration::from_secs(1)).ahead(8), 0);
    }

    #[test]
    fn one_long_task_counts_at_once() {
        let mut pace = after(Duration::from_micros(5));
        pace.took(1, Duration::from_secs(5));
        assert_eq!(pace.ahead(2), 0);
    }

    #[test]
    fn one_slow_task_among_many_does_not() {
        let mut pace = after(Duration::from_micros(5));
        pace.took(500, Duration::from_micros(5) * 499 + Duration::from_millis(10));
        assert_eq!(pace.ahead(2), MOST);
    }

    #[test]
    fn large_records_are_not_hoarded() {
        let mut pace = after(Duration::from_micros(5));
        for _ in 0..200 {
            pace.weighed(1 << 20);
        }
        assert!(pace.ahead(2) <= 8);
    }
}
