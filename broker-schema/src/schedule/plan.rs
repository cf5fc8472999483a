//! What to do about a schedule that is due: how many runs, how many left out, and when next.

use crate::limits::{MAX_CATCH_UP, ON_TIME_MS};
use crate::schedule::{Missed, Timing};
use crate::time::Timestamp;

/// What to do about a schedule that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How many tasks to enqueue now.
    pub runs: u32,
    /// How many times passed for which none is enqueued; counted up to [`MAX_CATCH_UP`] at once.
    pub missed: u32,
    /// When it is due again. None: never.
    pub next: Option<Timestamp>,
}

impl Plan {
    /// The plan for a schedule that was due at `due`, at `now`, which is not before.
    ///
    /// A run that is at most a minute late is on time. Earlier ones were missed: nobody was there.
    pub fn new(timing: &Timing, missed: Missed, due: Timestamp, now: Timestamp) -> Self {
        let most = MAX_CATCH_UP as usize;
        let later = timing.upcoming(due).take_while(|at| *at <= now).take(most).count();
        // Bounded by the constant.
        let passed = u32::try_from(later).unwrap_or(MAX_CATCH_UP) + 1;
        let runs = match missed {
            Missed::Skip => u32::from(is_on_time(timing, due, now)),
            Missed::Once => 1,
            Missed::All { most } => passed.min(most.clamp(1, MAX_CATCH_UP)),
        };
        Self { runs, missed: passed - runs, next: timing.next(now) }
    }
}

/// Whether the last of the times up to now is near enough.
fn is_on_time(timing: &Timing, due: Timestamp, now: Timestamp) -> bool {
    let from = Timestamp(now.0.saturating_sub(ON_TIME_MS + 1));
    due > from || timing.next(from).is_some_and(|at| at <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_minute() -> Timing {
        Timing::every(60_000, Timestamp(0)).expect("an interval")
    }

    fn plan(missed: Missed, due_s: u64, now_s: u64) -> (u32, u32, u64) {
        let now = Timestamp(now_s * 1_000);
        let plan = Plan::new(&every_minute(), missed, Timestamp(due_s * 1_000), now);
        (plan.runs, plan.missed, plan.next.expect("there is a next one").0 / 1_000)
    }

    #[test]
    fn on_time_all_policies_are_the_same() {
        for missed in [Missed::Skip, Missed::Once, Missed::All { most: 10 }] {
            assert_eq!(plan(missed, 60, 60), (1, 0, 120));
            assert_eq!(plan(missed, 60, 119), (1, 0, 120));
        }
    }

    #[test]
    fn what_was_missed_is_skipped_or_caught_up_on() {
        // Due at 60, 120, …, 600 s; the last of them is on time.
        assert_eq!(plan(Missed::Once, 60, 600), (1, 9, 660));
        assert_eq!(plan(Missed::All { most: 4 }, 60, 600), (4, 6, 660));
        assert_eq!(plan(Missed::All { most: 100 }, 60, 600), (10, 0, 660));
        assert_eq!(plan(Missed::Skip, 60, 600), (1, 9, 660));
        let hourly = Timing::every(3_600_000, Timestamp(0)).expect("an interval");
        let late = Timestamp(3_600_000 * 5 + 90_000);
        let skipped = Plan::new(&hourly, Missed::Skip, Timestamp(3_600_000), late);
        let next = Some(Timestamp(3_600_000 * 6));
        assert_eq!(skipped, Plan { runs: 0, missed: 5, next });
    }

    #[test]
    fn a_year_without_workers_is_bounded() {
        let year = 365 * 86_400;
        let all = Missed::All { most: u32::MAX };
        assert_eq!(plan(all, 60, year), (MAX_CATCH_UP, 1, year + 60));
        assert_eq!(plan(Missed::Once, 60, year), (1, MAX_CATCH_UP, year + 60));
    }
}
