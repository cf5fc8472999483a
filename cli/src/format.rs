//! Numbers and times in the form in which people read them. Pure.

use std::time::Duration;

use celeriac_broker_schema::Timestamp;
pub(crate) use celeriac_broker_schema::words::{counted, grouped, mebibytes, span};

/// `2025-11-21T12:00:00.123Z`.
pub(crate) fn time(at: Timestamp) -> String {
    let time = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{} ms", at.0), |time| time.to_string())
}

/// A time with its distance from now.
pub(crate) fn time_and_distance(at: Timestamp, now: Timestamp) -> String {
    let (ago, ahead) = (now.since(at), at.since(now));
    let distance = match ahead {
        0 => format!("{} ago", span(Duration::from_millis(ago))),
        _ => format!("in {}", span(Duration::from_millis(ahead))),
    };
    format!("{} ({distance})", time(at))
}

/// The share of `done` in `total` in whole percent, 100 only when all is done.
pub(crate) fn percent(done: u64, total: u64) -> u64 {
    u64::try_from(u128::from(done) * 100 / u128::from(total.max(1))).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_done_only_at_the_end() {
        assert_eq!([percent(0, 0), percent(999, 1_000), percent(7, 7)], [0, 99, 100]);
    }

    #[test]
    fn times_tell_their_distance() {
        let now = Timestamp(1_763_726_400_000);
        assert_eq!(time_and_distance(now.plus_ms(5_000), now), "2025-11-21T12:00:05Z (in 5.0 s)");
        assert_eq!(time_and_distance(now, now.plus_ms(60_000)), "2025-11-21T12:00:00Z (1 min ago)");
    }
}
