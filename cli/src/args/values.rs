//! Values as people write them on the command line: large counts, `name=value`, and those that all of
//! Celeriac reads alike.

use celeriac_broker_schema::time::millis;

pub(crate) use celeriac_broker_schema::text::{
    Due, backoff, due, duration, duration_text, time, unique,
};

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
