//! A schedule as it is stored: readable JSON, opaque to Lua.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::InvalidInput;
use crate::limits::MAX_ARGS_BYTES;
use crate::record::{FORMAT, Record, UnreadableRecord};
use crate::schedule::Timing;
use crate::time::Timestamp;

/// What happens to runs for whose times no worker was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// They are left out. A run that is at most a minute late is not missed.
    Skip,
    /// One run makes up for all of them.
    #[default]
    Once,
    /// Each is made up for.
    All {
        /// So many at most, 1 to [`crate::limits::MAX_CATCH_UP`].
        most: u32,
    },
}

/// What happens when a run is due and the last one has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It is enqueued beside it.
    #[default]
    Allow,
    /// It is left out, and counted as skipped.
    Skip,
}

/// A schedule as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleSpec {
    /// When it runs.
    pub timing: Timing,
    /// The record of the task, as every run gets it.
    pub record: String,
    /// A run that has not started so many milliseconds after its enqueue is not started at all.
    pub expires_after_ms: Option<u64>,
    /// What happens to runs for whose times no worker was there.
    pub missed: Missed,
    /// What happens when the last run has not ended.
    pub overlap: Overlap,
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    v: u16,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    cron: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    zone: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<Timestamp>,
    #[serde(borrow)]
    task: &'a RawValue,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_after_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    missed: Missed,
    #[serde(default, skip_serializing_if = "is_default")]
    overlap: Overlap,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl ScheduleSpec {
    /// The stored form.
    ///
    /// # Errors
    /// A record that is no JSON, or too large.
    pub fn encode(&self) -> Result<String, InvalidInput> {
        let json = |error: serde_json::Error| InvalidInput::Json {
            what: "schedule",
            reason: error.to_string(),
        };
        let (bytes, max) = (self.record.len(), MAX_ARGS_BYTES);
        if bytes > max {
            return Err(InvalidInput::TooLarge { what: "task of a schedule", bytes, max });
        }
        let (cron, zone, every_ms, start) = match &self.timing {
            Timing::Cron(timing) => {
                (Some(timing.expression().into()), Some(timing.zone().into()), None, None)
            }
            Timing::Every { every_ms, start } => (None, None, Some(*every_ms), Some(*start)),
        };
        let task: &RawValue = serde_json::from_str(&self.record).map_err(json)?;
        let Self { expires_after_ms, missed, overlap, .. } = *self;
        let stored = Stored {
            v: FORMAT,
            cron,
            zone,
            every_ms,
            start,
            task,
            expires_after_ms,
            missed,
            overlap,
        };
        serde_json::to_string(&stored).map_err(json)
    }

    /// Reads a stored schedule.
    ///
    /// # Errors
    /// [`UnreadableRecord`]: written by a newer version, no schedule, or in a time zone that is not
    /// known here.
    pub fn decode(stored: &str) -> Result<Self, UnreadableRecord> {
        let broken = |reason: String| UnreadableRecord::Broken(reason);
        let read: Stored<'_> =
            serde_json::from_str(stored).map_err(|error| broken(error.to_string()))?;
        if read.v > FORMAT {
            return Err(UnreadableRecord::Newer { found: read.v });
        }
        let timing = match (&read.cron, read.every_ms) {
            (Some(cron), None) => Timing::cron(cron, read.zone.as_deref().unwrap_or("UTC")),
            (None, Some(every_ms)) => Timing::every(every_ms, read.start.unwrap_or_default()),
            _ => return Err(broken("it has neither a cron expression nor an interval".to_owned())),
        };
        Ok(Self {
            timing: timing.map_err(|error| broken(error.to_string()))?,
            record: read.task.get().to_owned(),
            expires_after_ms: read.expires_after_ms,
            missed: read.missed,
            overlap: read.overlap,
        })
    }

    /// The task that it runs.
    ///
    /// # Errors
    /// [`UnreadableRecord`].
    pub fn task(&self) -> Result<Record<'_>, UnreadableRecord> {
        Record::decode(&self.record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(timing: Timing) -> ScheduleSpec {
        ScheduleSpec {
            timing,
            record: r#"{"v":1,"task":"report","args":{"n":18446744073709551615}}"#.to_owned(),
            expires_after_ms: None,
            missed: Missed::default(),
            overlap: Overlap::default(),
        }
    }

    #[test]
    fn a_schedule_survives_its_stored_form() {
        let cron = spec(Timing::cron("0 9 * * 1-5", "Europe/Berlin").expect("a timing"));
        let stored = cron.encode().expect("it is stored");
        assert_eq!(
            stored,
            r#"{"v":1,"cron":"0 9 * * 1-5","zone":"Europe/Berlin","task":{"v":1,"task":"report","args":{"n":18446744073709551615}}}"#
        );
        let every = ScheduleSpec {
            expires_after_ms: Some(5),
            missed: Missed::All { most: 3 },
            overlap: Overlap::Skip,
            ..spec(Timing::every(15_000, Timestamp(7)).expect("a timing"))
        };
        for spec in [cron, every] {
            let stored = spec.encode().expect("it is stored");
            assert_eq!(ScheduleSpec::decode(&stored), Ok(spec));
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (stored, part) in [
            ("{", "EOF"),
            (r#"{"v":2,"cron":"* * * * *","task":{}}"#, "format 2"),
            (r#"{"v":1,"task":{}}"#, "neither"),
            (r#"{"v":1,"cron":"* * * * *","zone":"Mars/Olympus","task":{}}"#, "Mars/Olympus"),
            (r#"{"v":1,"every_ms":5,"task":{}}"#, "at least 1 s"),
        ] {
            let error = ScheduleSpec::decode(stored).expect_err("it is refused").to_string();
            assert!(error.contains(part), "{stored}: {error}");
        }
    }
}
