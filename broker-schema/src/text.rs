//! Values as people write them, on the command line, in lines of JSON and in requests: durations,
//! times, waits. Each function says in words what is wrong with a text.

use std::time::Duration;

use crate::limits::MAX_DELAYS;
use crate::retry::Backoff;
use crate::time::{Timestamp, millis};
use crate::unique::UniqueMode;

/// Units of a duration, with their milliseconds.
const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Numbers below this are Unix seconds (up to the year 5138), others milliseconds (from 1973 on).
const SECONDS_BELOW: u64 = 100_000_000_000;

/// `500ms`, `30s`, `5m`, `2h`, `1d`, or several of them in a row: `1h30m`.
///
/// # Errors
/// What is wrong with the text, and how to write it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let (ms, after) = duration_part(rest).ok_or_else(|| not_a_duration(text))?;
        total_ms = total_ms.checked_add(ms).ok_or_else(|| not_a_duration(text))?;
        rest = after;
    }
    if text.is_empty() {
        return Err(not_a_duration(text));
    }
    Ok(Duration::from_millis(total_ms))
}

fn duration_part(text: &str) -> Option<(u64, &str)> {
    let (number, text) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (unit, rest) = text.split_at(text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len()));
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let ms = number.parse::<u64>().ok()?.checked_mul(*factor)?;
    Some((ms, rest))
}

fn not_a_duration(text: &str) -> String {
    format!("{text:?} is no duration: write a number with a unit, such as 500ms, 30s, 5m, 2h or 1d")
}

/// A time in RFC 3339 (`2030-01-31T12:00:00Z`, `…+02:00`), or Unix seconds or milliseconds.
///
/// # Errors
/// What is wrong with the text, and how to write it.
pub fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(number) = text.parse::<u64>() {
        let ms = if number < SECONDS_BELOW { number * 1_000 } else { number };
        return Ok(Timestamp(ms));
    }
    let time = text.parse::<jiff::Timestamp>().ok();
    let ms = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
    ms.map(Timestamp).ok_or_else(|| {
        format!("{text:?} is no time: write it as 2030-01-31T12:00:00Z, or as Unix seconds or milliseconds")
    })
}

/// A point in time, or so far from now. Now is when Redis takes the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// So far from now.
    After(Duration),
    /// This time, by the clock of Redis.
    At(Timestamp),
}

/// A duration or a time.
///
/// # Errors
/// What is wrong with the text, and how to write it.
pub fn due(text: &str) -> Result<Due, String> {
    if let Ok(after) = duration(text) {
        return Ok(Due::After(after));
    }
    time(text).map(Due::At).map_err(|_| {
        format!("{text:?} is neither a duration (10s, 5m, 2h) nor a time (2030-01-31T12:00:00Z, or Unix seconds)")
    })
}

/// Growing waits `1s..10m`, the same wait `30s`, or listed ones `1s,10s,5m`; followed by `jitter` or
/// `exact` if it is not to be as usual: growing waits have jitter, the others are exact.
///
/// # Errors
/// What is wrong with the text, and how to write it.
pub fn backoff(text: &str) -> Result<Backoff, String> {
    let (waits, jitter) = match text.trim_end().rsplit_once(' ') {
        Some((waits, "jitter")) => (waits, Some(true)),
        Some((waits, "exact")) => (waits, Some(false)),
        _ => (text, None),
    };
    let wrong = |why: &str| format!("{text:?} is no backoff: {why}");
    let backoff = if let Some((base, cap)) = waits.split_once("..") {
        let (base, cap) = (duration(base.trim())?, duration(cap.trim())?);
        if base > cap {
            return Err(wrong("the wait grows, so the second value is the larger one"));
        }
        Backoff::exponential(base, cap)
    } else {
        let listed: Result<Vec<_>, _> =
            waits.split(',').map(|wait| duration(wait.trim())).collect();
        match listed.as_deref() {
            Ok([wait]) => Backoff::fixed(*wait),
            Ok(waits) if waits.len() <= MAX_DELAYS => Backoff::listed(waits.iter().copied()),
            Ok(_) => return Err(wrong(&format!("at most {MAX_DELAYS} waits can be listed"))),
            Err(_) => {
                return Err(wrong(
                    "write 1s..10m for growing waits, 30s for one that is always the same, or 1s,10s,5m; then jitter or exact if you like",
                ));
            }
        }
    };
    Ok(match jitter {
        Some(jitter) => backoff.jitter(jitter),
        None => backoff,
    })
}

/// For how long a key stands for its task: `for=10m`, `queued`, `until-done`, `debounce=5s`, with its
/// longest wait `debounce=5s..1m`, or `keep-last`.
///
/// # Errors
/// What is wrong with the text, and how to write it.
pub fn unique(text: &str) -> Result<UniqueMode, String> {
    match text.split_once('=').unwrap_or((text, "")) {
        ("queued", "") => Ok(UniqueMode::Queued),
        ("until-done", "") => Ok(UniqueMode::UntilDone),
        ("keep-last", "") => Ok(UniqueMode::KeepLast),
        ("for", time) => Ok(UniqueMode::throttle(duration(time)?)),
        ("debounce", times) => match times.split_once("..") {
            None => Ok(UniqueMode::debounce(duration(times)?)),
            Some((wait, longest)) => {
                Ok(UniqueMode::debounce(duration(wait)?).at_most(duration(longest)?))
            }
        },
        _ => Err(format!(
            "{text:?} is no way to be unique: there are for=10m, queued, until-done, debounce=5s (debounce=5s..1m: at most a minute) and keep-last"
        )),
    }
}

/// A duration as [`duration`] reads it.
pub fn duration_text(duration: Duration) -> String {
    let ms = millis(duration);
    let fits = |(_, factor): &&(&str, u64)| ms >= *factor && ms.is_multiple_of(*factor);
    let (unit, factor) = UNITS.iter().rev().find(fits).unwrap_or(&UNITS[0]);
    format!("{}{unit}", ms / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
            let back = duration_text(Duration::from_millis(ms));
            assert_eq!(back, if ms == 0 { "0ms" } else { text });
        }
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        for bad in ["", "30", "s", "-1s", "1.5s", "5 m", "1w", "99999999999999999999s", "1m30"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_backoff_grows_or_not() {
        let second = Duration::from_secs(1);
        assert_eq!(backoff("1s..10m"), Ok(Backoff::exponential(second, 600 * second)));
        assert_eq!(backoff("30s"), Ok(Backoff::fixed(30 * second)));
        assert_eq!(backoff("30s jitter"), Ok(Backoff::fixed(30 * second).jitter(true)));
        let listed = Backoff::listed([second, 60 * second]);
        assert_eq!(backoff("1s, 1m"), Ok(listed));
        let many = vec!["1s"; MAX_DELAYS + 1].join(",");
        for bad in ["", "1", "10m..1s", "..1s", "1s,", "1s often", "jitter", &many] {
            assert!(backoff(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_stand_for_tasks_in_five_ways() {
        let second = Duration::from_secs(1);
        for (text, mode) in [
            ("queued", UniqueMode::Queued),
            ("until-done", UniqueMode::UntilDone),
            ("keep-last", UniqueMode::KeepLast),
            ("for=10m", UniqueMode::throttle(600 * second)),
            ("debounce=5s", UniqueMode::debounce(5 * second)),
            ("debounce=5s..1m", UniqueMode::debounce(5 * second).at_most(60 * second)),
        ] {
            assert_eq!(unique(text), Ok(mode), "{text}");
        }
        for bad in ["", "done", "for", "for=10", "debounce", "debounce=5s..", "queued=1s"] {
            assert!(unique(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_come_in_three_forms() {
        let noon = Timestamp(1_763_726_400_000);
        for text in
            ["2025-11-21T12:00:00Z", "2025-11-21T13:00:00+01:00", "1763726400", "1763726400000"]
        {
            assert_eq!(time(text), Ok(noon), "{text}");
        }
        for bad in ["", "noon", "2025-11-21", "2025-13-01T00:00:00Z", "1950-01-01T00:00:00Z", "-5"]
        {
            assert!(time(bad).is_err(), "{bad}");
        }
        assert_eq!(due("1h"), Ok(Due::After(Duration::from_secs(3_600))));
        assert_eq!(due("1763726400"), Ok(Due::At(noon)));
        assert!(due("soon").is_err());
    }
}
