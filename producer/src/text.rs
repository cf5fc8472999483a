//! Durations and waits as people write them: on the command line, in lines of JSON, in workflows.

use std::time::Duration;

use celeriac_broker_schema::Backoff;
use celeriac_broker_schema::limits::MAX_DELAYS;
use celeriac_broker_schema::time::millis;

/// Units of a duration, with their milliseconds.
const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// `500ms`, `30s`, `5m`, `2h`, `1d`, or several of them in a row: `1h30m`.
///
/// # Errors
/// What is wrong with the text, in words.
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

/// Growing waits `1s..10m`, the same wait `30s`, or listed ones `1s,10s,5m`; followed by `jitter` or
/// `exact` if it is not to be as usual: growing waits have jitter, the others are exact.
///
/// # Errors
/// What is wrong with the text, in words.
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
}
