//! Values as people write them, on the command line and in lines of JSON: durations, times,
//! large counts, `name=value`.

use std::time::Duration;

use celeriac_broker_schema::time::millis;
use celeriac_broker_schema::{Timestamp, UniqueMode};
pub(crate) use celeriac_producer::text::{backoff, duration, duration_text};

/// Numbers below this are Unix seconds (up to the year 5138), others milliseconds (from 1973 on).
const SECONDS_BELOW: u64 = 100_000_000_000;

/// A time in RFC 3339 (`2030-01-31T12:00:00Z`, `…+02:00`), or Unix seconds or milliseconds.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
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
pub(crate) enum Due {
    After(Duration),
    At(Timestamp),
}

/// A duration or a time.
pub(crate) fn due(text: &str) -> Result<Due, String> {
    if let Ok(after) = duration(text) {
        return Ok(Due::After(after));
    }
    time(text).map(Due::At).map_err(|_| {
        format!("{text:?} is neither a duration (10s, 5m, 2h) nor a time (2030-01-31T12:00:00Z, or Unix seconds)")
    })
}

/// For how long a key stands for its task: `for=10m`, `queued`, `until-done`, `debounce=5s`, with its
/// longest wait `debounce=5s..1m`, or `keep-last`.
pub(crate) fn unique(text: &str) -> Result<UniqueMode, String> {
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

/// A count, with underscores where they help: `100_000_000`.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    digits
        .parse()
        .map_err(|_| format!("{text:?} is no whole number, such as 100000000 or 100_000_000"))
}

/// `100/s`, `5/10s`: how many, in how many milliseconds.
pub(crate) fn rate(text: &str) -> Result<(u64, u64), String> {
    let parsed = text.split_once('/').and_then(|(tasks, per)| {
        let per = if per.starts_with(|c: char| c.is_ascii_digit()) {
            duration(per)
        } else {
            duration(&format!("1{per}"))
        };
        Some((count(tasks).ok()?, millis(per.ok()?)))
    });
    parsed.ok_or_else(|| {
        format!(
            "{text:?} is no rate: write how many in which time, such as 100/s, 5/10s or 1000/1d"
        )
    })
}

/// `field=TOTAL`.
pub(crate) fn split(text: &str) -> Result<(String, u64), String> {
    match text.split_once('=') {
        Some((field, total)) if !field.is_empty() => Ok((field.to_owned(), count(total)?)),
        _ => Err(format!("{text:?} is no split: write FIELD=TOTAL, such as samples=100000000")),
    }
}

/// `name=value`; the value is JSON if it can be read as such, and text if not.
pub(crate) fn named_value(text: &str) -> Result<(String, serde_json::Value), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let parsed = serde_json::from_str(value);
            Ok((name.to_owned(), parsed.unwrap_or_else(|_| value.into())))
        }
        _ => Err(format!("{text:?} is no argument: write NAME=VALUE, such as seed=7")),
    }
}

/// `tenant=acme`
pub(crate) fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is no header: write NAME=VALUE, such as tenant=acme")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn rates_are_numbers_per_time() {
        for (text, expected) in
            [("100/s", (100, 1_000)), ("5/10s", (5, 10_000)), ("1_000/1d", (1_000, 86_400_000))]
        {
            assert_eq!(rate(text), Ok(expected), "{text}");
        }
        for bad in ["", "100", "/s", "100/", "100/x", "-1/s", "1/s/s"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_are_json_if_they_can_be() {
        let value = |text: &str| named_value(text).map(|(name, value)| format!("{name} {value}"));
        assert_eq!(value("seed=7").as_deref(), Ok("seed 7"));
        assert_eq!(value("to=ada@example.org").as_deref(), Ok("to \"ada@example.org\""));
        assert_eq!(value("flag=true").as_deref(), Ok("flag true"));
        assert_eq!(value("query=a=b").as_deref(), Ok("query \"a=b\""));
        assert_eq!(value("empty=").as_deref(), Ok("empty \"\""));
        assert!(value("=7").is_err());
        assert!(value("seed").is_err());
        assert_eq!(split("samples=100_000"), Ok(("samples".to_owned(), 100_000)));
        assert!(split("samples").is_err() && split("samples=many").is_err());
    }
}
