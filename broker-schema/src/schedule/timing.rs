//! When a schedule runs: a cron expression in a time zone, or an interval. The next time is a pure
//! function of the timing and the time before.
//!
//! Daylight saving. An expression that names its hours means times of day: each of them comes once
//! on each of its days. One that the clock skips runs at the first moment after the gap, one that
//! the clock repeats runs the first time. An expression whose hours are `*` or `*/n` means the passing
//! of time: it runs whenever the clock on the wall fits, so that every quarter of an hour stays
//! a quarter of an hour on both days.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::error::InvalidInput;
use crate::limits::MIN_INTERVAL_MS;
use crate::time::Timestamp;

/// The names of the fields, from the last of five or six.
const FIELDS: [&str; 6] = ["second", "minute", "hour", "day of month", "month", "day of week"];

/// What stands for whole expressions.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// When a schedule runs.
///
/// ```
/// use celeriac_broker_schema::{Timestamp, Timing};
/// let mornings = Timing::cron("0 9 * * 1-5", "Europe/Berlin")?;
/// // From Friday noon to Monday, over the beginning of summer time.
/// let friday: jiff::Timestamp = "2026-03-27T12:00:00+01:00".parse().expect("a time");
/// let next = mornings.next(Timestamp(friday.as_millisecond() as u64)).expect("there is always a Monday");
/// let monday: jiff::Timestamp = "2026-03-30T09:00:00+02:00".parse().expect("a time");
/// assert_eq!(next.0, monday.as_millisecond() as u64);
/// # Ok::<(), celeriac_broker_schema::InvalidInput>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timing {
    /// By the calendar.
    Cron(Box<CronTiming>),
    /// In equal intervals.
    Every {
        /// The interval in milliseconds, from [`MIN_INTERVAL_MS`].
        every_ms: u64,
        /// Where the intervals begin. The first run is one interval later.
        start: Timestamp,
    },
}

/// A cron expression in a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronTiming {
    expression: String,
    zone: String,
    cron: Cron,
    time_zone: TimeZone,
    /// Whether it means times of day, and not the passing of time.
    names_hours: bool,
}

impl Timing {
    /// A cron expression of five fields (minute, hour, day of month, month, day of week), of six
    /// with seconds in front, or `@hourly`, `@daily` and the like; in a zone of the IANA time zone
    /// database, such as `Europe/Berlin` or `UTC`.
    ///
    /// # Errors
    /// [`InvalidInput::Timing`], which names the field that is wrong. Also an expression that never
    /// comes, such as the 30th of February.
    pub fn cron(expression: &str, zone: &str) -> Result<Self, InvalidInput> {
        let (cron, names_hours) = parse(expression)?;
        let time_zone = TimeZone::get(zone).map_err(|_| InvalidInput::Timing {
            what: "time zone",
            value: zone.chars().take(80).collect(),
            reason: "use a name of the IANA time zone database, such as Europe/Berlin or UTC"
                .to_owned(),
        })?;
        let (expression, zone) = (expression.trim().to_owned(), zone.to_owned());
        let timing = CronTiming { expression, zone, cron, time_zone, names_hours };
        if timing.next(Timestamp(0)).is_none() {
            return Err(InvalidInput::Timing {
                what: "cron expression",
                value: timing.expression,
                reason: "there is no such day".to_owned(),
            });
        }
        Ok(Self::Cron(Box::new(timing)))
    }

    /// Runs in equal intervals from `start` on, the first time one interval later.
    ///
    /// # Errors
    /// [`InvalidInput::OutOfBounds`] for less than a second.
    pub fn every(every_ms: u64, start: Timestamp) -> Result<Self, InvalidInput> {
        if every_ms < MIN_INTERVAL_MS {
            return Err(InvalidInput::OutOfBounds {
                what: "interval",
                value: format!("{every_ms} ms"),
                expected: "use at least 1 s",
            });
        }
        Ok(Self::Every { every_ms, start })
    }

    /// The first time after `after`. None: never again, as far as a calendar goes.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(timing) => timing.next(after),
            Self::Every { every_ms, start } => {
                let intervals = after.since(*start) / every_ms + 1;
                let past = intervals.checked_mul(*every_ms)?;
                start.0.checked_add(past).map(Timestamp)
            }
        }
    }

    /// The times after `after`, one after the other.
    pub fn upcoming(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        std::iter::successors(self.next(after), |last| self.next(*last))
    }

    /// As people read it: `0 9 * * 1-5 Europe/Berlin`, `every 15 s`.
    pub fn describe(&self) -> String {
        match self {
            Self::Cron(timing) => format!("{} {}", timing.expression, timing.zone),
            Self::Every { every_ms, .. } if every_ms % 1_000 == 0 => {
                format!("every {} s", every_ms / 1_000)
            }
            Self::Every { every_ms, .. } => format!("every {every_ms} ms"),
        }
    }
}

impl CronTiming {
    /// The expression as it was written.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The name of its time zone.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let ms = i64::try_from(after.0).ok()?;
        let after = jiff::Timestamp::from_millisecond(ms).ok()?.to_zoned(self.time_zone.clone());
        let next =
            if self.names_hours { self.next_of_day(&after) } else { self.next_passing(&after) };
        u64::try_from(next?.as_millisecond()).ok().map(Timestamp)
    }

    /// Goes through the times as a calendar names them, and asks of each when it really is.
    ///
    /// Nothing before the time of day of `after` can be meant: times of day come in the order of
    /// their names, and those that the clock repeats have come by then.
    fn next_of_day(&self, after: &Zoned) -> Option<jiff::Timestamp> {
        let mut civil = after.datetime().with().subsec_nanosecond(0).build().ok()?;
        loop {
            civil = self.cron.find_next_occurrence(&civil, false).ok()?;
            let moment = moment_of(&self.time_zone, civil)?;
            if moment > after.timestamp() {
                return Some(moment);
            }
        }
    }

    fn next_passing(&self, after: &Zoned) -> Option<jiff::Timestamp> {
        let second = jiff::Timestamp::from_second(after.timestamp().as_second()).ok()?;
        let after = second.to_zoned(self.time_zone.clone());
        self.cron.find_next_occurrence(&after, false).ok().map(|next| next.timestamp())
    }
}

/// When a time of day is: the first time if the clock repeats it, the end of the gap if the clock
/// skips it.
fn moment_of(zone: &TimeZone, civil: DateTime) -> Option<jiff::Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { after, .. } => {
            // As if the clock had been put forward already, this is before the gap.
            let before = after.to_timestamp(civil).ok()?;
            let transition = zone.following(before).next();
            transition.map(|transition| transition.timestamp())
        }
        _ => ambiguous.earlier().ok(),
    }
}

/// Reads an expression, field by field, so that an error can name the one that is wrong.
fn parse(expression: &str) -> Result<(Cron, bool), InvalidInput> {
    let text = expression.trim();
    let not_valid = |what: &'static str, value: &str, reason: String| InvalidInput::Timing {
        what,
        value: value.chars().take(80).collect(),
        reason,
    };
    let spelled_out = match text.strip_prefix('@') {
        None => text,
        Some(_) => {
            let known = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
            let names = NICKNAMES.map(|(name, _)| name).join(", ");
            known
                .ok_or_else(|| not_valid("cron expression", text, format!("use one of {names}")))?
                .1
        }
    };
    let fields: Vec<&str> = spelled_out.split_whitespace().collect();
    if !(5..=6).contains(&fields.len()) {
        let reason = format!(
            "it has {} fields; write minute, hour, day of month, month, day of week, with the second in front if you like",
            fields.len()
        );
        return Err(not_valid("cron expression", text, reason));
    }
    let names = &FIELDS[6 - fields.len()..];
    for (place, field) in fields.iter().enumerate() {
        let mut alone = vec!["*"; fields.len()];
        alone[place] = field;
        if let Err(error) = parser().parse(&alone.join(" ")) {
            return Err(not_valid(names_of_fields(names[place]), field, reason(&error)));
        }
    }
    let cron = parser().parse(&fields.join(" "));
    let cron = cron.map_err(|error| not_valid("cron expression", text, reason(&error)))?;
    let hours = fields[fields.len() - 4];
    Ok((cron, !hours.starts_with('*')))
}

fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build()
}

/// What an error calls a field.
fn names_of_fields(field: &str) -> &'static str {
    match field {
        "second" => "the second of a cron expression",
        "minute" => "the minute of a cron expression",
        "hour" => "the hour of a cron expression",
        "day of month" => "the day of month of a cron expression",
        "month" => "the month of a cron expression",
        _ => "the day of week of a cron expression",
    }
}

/// What the library says, without its name for the kind of error.
fn reason(error: &croner::errors::CronError) -> String {
    use croner::errors::CronError;
    match error {
        CronError::ComponentError(text)
        | CronError::IllegalCharacters(text)
        | CronError::InvalidPattern(text) => text.trim_end_matches('.').to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
