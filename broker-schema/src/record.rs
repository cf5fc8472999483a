//! The record: the one stored document of a task. Readable JSON, opaque to Lua; what equals the
//! default is left out, so that a short task stays short in memory.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::InvalidInput;
use crate::limits::{DEFAULT_KEEP_MS, MAX_ARGS_BYTES};
use crate::meta::{Headers, Meta};
use crate::name::{Priority, QueueName, TaskName, Tenant};
use crate::retry::{Backoff, RetryPolicy};
use crate::workflow::MemberTerms;

/// The version of the stored form that this build writes, and the newest that it reads.
pub const FORMAT: u16 = 1;

/// How a task is to be run. Where it waits and when it starts is decided at enqueue time and is
/// not part of it, except for queue and priority, which readers want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskOptions {
    /// The queue it waits in.
    pub queue: QueueName,
    /// Its priority there.
    pub priority: Priority,
    /// What happens when an attempt fails.
    pub retry: RetryPolicy,
    /// The longest time an attempt may run, in milliseconds. None: as long as it wants.
    pub timeout_ms: Option<u64>,
    /// After how many milliseconds an attempt is told that its time is nearly over, so that it may
    /// save what it has and end. None: it is not told.
    pub soft_timeout_ms: Option<u64>,
    /// For how long its outcome is kept, in milliseconds. 0: not at all.
    pub keep_ms: u64,
    /// The same for the outcome of a failure, if it is another time.
    pub keep_failed_ms: Option<u64>,
    /// For whom it is run: what limits and fair turns go by.
    pub tenant: Option<Tenant>,
    /// How many slots of its worker it takes, from 1.
    pub cost: u32,
}

impl Default for TaskOptions {
    fn default() -> Self {
        Self {
            queue: QueueName::default(),
            priority: Priority::default(),
            retry: RetryPolicy::default(),
            timeout_ms: None,
            soft_timeout_ms: None,
            keep_ms: DEFAULT_KEEP_MS,
            keep_failed_ms: None,
            tenant: None,
            cost: 1,
        }
    }
}

/// A task as it is stored.
///
/// ```
/// use celeriac_broker_schema::{Record, TaskOptions};
/// let args = serde_json::value::to_raw_value(&["hello"]).expect("JSON");
/// let name = "echo".parse()?;
/// let stored = Record::new(&name, &args, &TaskOptions::default()).encode()?;
/// assert_eq!(stored, r#"{"v":1,"task":"echo","args":["hello"]}"#);
/// assert_eq!(Record::decode(&stored).expect("a record").task, "echo");
/// # Ok::<(), celeriac_broker_schema::InvalidInput>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record<'a> {
    /// The version of the stored form.
    pub v: u16,
    /// The name of the task.
    #[serde(borrow)]
    pub task: Cow<'a, str>,
    /// The tenant, if there is one. Scripts find the name and the tenant by what a record begins
    /// with, so these three fields stay in front.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Cow<'a, str>>,
    /// Its arguments: the bytes that were sent.
    #[serde(borrow)]
    pub args: &'a RawValue,
    /// The queue, if it is not `default`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Cow<'a, str>>,
    /// The priority, if it is not the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Retries, if not the default number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Backoff, if not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// Time-out of an attempt in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// When an attempt is told that its time is nearly over, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_timeout_ms: Option<u64>,
    /// Retention of the outcome in milliseconds, if not the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_ms: Option<u64>,
    /// Retention of the outcome of a failure in milliseconds, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_failed_ms: Option<u64>,
    /// What people call this one task.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Cow<'a, str>>,
    /// What people find it by.
    #[serde(default, skip_serializing_if = "no_tags")]
    pub tags: Cow<'a, BTreeSet<String>>,
    /// What programs pass along with it.
    #[serde(default, skip_serializing_if = "no_headers")]
    pub headers: Cow<'a, Headers>,
    /// How long after its enqueue it may begin, in milliseconds, if not at once: what it waited for a worker
    /// is counted from there. Nothing is decided by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Of a member of a workflow: what it is given, and what becomes of its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberTerms>,
    /// Slots that it takes, if not one. The last field: a worker looks for it at the end of a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u32>,
}

/// Why a stored record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableRecord {
    /// Written by a newer version of Celeriac.
    #[error("the record has format {found}, this worker reads up to {FORMAT}: update the worker")]
    Newer {
        /// The format found.
        found: u16,
    },
    /// Not a record at all.
    #[error("the record is not readable: {0}")]
    Broken(String),
}

fn no_tags(tags: &BTreeSet<String>) -> bool {
    tags.is_empty()
}

fn no_headers(headers: &Headers) -> bool {
    headers.is_empty()
}

fn unless<T: PartialEq>(value: T, default: &T) -> Option<T> {
    (value != *default).then_some(value)
}

impl<'a> Record<'a> {
    /// The record of a task with these arguments and options.
    pub fn new(task: &'a TaskName, args: &'a RawValue, options: &'a TaskOptions) -> Self {
        let default = RetryPolicy::default();
        Self {
            v: FORMAT,
            task: Cow::Borrowed(task.as_str()),
            args,
            queue: (options.queue != QueueName::default())
                .then(|| Cow::Borrowed(options.queue.as_str())),
            priority: unless(options.priority, &Priority::default()),
            retries: unless(options.retry.retries, &default.retries),
            backoff: unless(options.retry.backoff.clone(), &default.backoff),
            timeout_ms: options.timeout_ms,
            soft_timeout_ms: options.soft_timeout_ms,
            keep_ms: unless(options.keep_ms, &DEFAULT_KEEP_MS),
            keep_failed_ms: options.keep_failed_ms,
            tenant: options.tenant.as_ref().map(|tenant| Cow::Borrowed(tenant.as_str())),
            cost: unless(options.cost, &1),
            delay_ms: None,
            label: None,
            tags: Cow::default(),
            headers: Cow::default(),
            member: None,
        }
    }

    /// The same with label, tags and headers.
    #[must_use]
    pub fn with_meta(mut self, meta: &'a Meta) -> Self {
        self.label = meta.label.as_deref().map(Cow::Borrowed);
        self.tags = Cow::Borrowed(&meta.tags);
        self.headers = Cow::Borrowed(&meta.headers);
        self
    }

    /// The stored form.
    ///
    /// # Errors
    /// [`InvalidInput::TooLarge`] if the arguments are over the limit.
    pub fn encode(&self) -> Result<String, InvalidInput> {
        let bytes = self.args.get().len();
        if bytes > MAX_ARGS_BYTES {
            return Err(InvalidInput::TooLarge { what: "arguments", bytes, max: MAX_ARGS_BYTES });
        }
        serde_json::to_string(self)
            .map_err(|error| InvalidInput::Json { what: "record", reason: error.to_string() })
    }

    /// The name of the task in a stored form, without reading all of it; None if it is not one that this
    /// build has written.
    pub fn name_in(stored: &str) -> Option<&str> {
        Some(stored.strip_prefix(r#"{"v":1,"task":""#)?.split_once('"')?.0)
    }

    /// Label, tags and headers, taken out of the record.
    pub fn take_meta(&mut self) -> Meta {
        Meta {
            label: self.label.take().map(Cow::into_owned),
            tags: std::mem::take(&mut self.tags).into_owned(),
            headers: std::mem::take(&mut self.headers).into_owned(),
        }
    }

    /// Reads a stored record.
    ///
    /// # Errors
    /// [`UnreadableRecord`]: written by a newer version, or not a record.
    pub fn decode(stored: &'a str) -> Result<Self, UnreadableRecord> {
        let broken = |error: serde_json::Error| UnreadableRecord::Broken(error.to_string());
        match serde_json::from_str::<Self>(stored) {
            Ok(record) if (1..=FORMAT).contains(&record.v) => Ok(record),
            Ok(Self { v: 0, .. }) => {
                Err(UnreadableRecord::Broken("there is no format 0".to_owned()))
            }
            Ok(record) => Err(UnreadableRecord::Newer { found: record.v }),
            // A newer format may lack what this one requires: its number is what counts then.
            Err(error) => match serde_json::from_str::<Version>(stored) {
                Ok(Version { v }) if v > FORMAT => Err(UnreadableRecord::Newer { found: v }),
                _ => Err(broken(error)),
            },
        }
    }

    /// The options of the task, with what was left out filled in.
    pub fn options(&self) -> TaskOptions {
        let default = TaskOptions::default();
        TaskOptions {
            queue: self.queue.as_deref().and_then(|name| name.parse().ok()).unwrap_or_default(),
            priority: self.priority.unwrap_or_default(),
            retry: self.retry(),
            timeout_ms: self.timeout_ms,
            soft_timeout_ms: self.soft_timeout_ms,
            keep_ms: self.keep_ms.unwrap_or(default.keep_ms),
            tenant: self.tenant.as_deref().and_then(|tenant| tenant.parse().ok()),
            cost: self.cost(),
            keep_failed_ms: self.keep_failed_ms,
        }
    }

    /// How many slots it takes, one at least.
    pub fn cost(&self) -> u32 {
        self.cost.unwrap_or(1).max(1)
    }

    /// The retry policy of the task.
    pub fn retry(&self) -> RetryPolicy {
        let default = RetryPolicy::default();
        RetryPolicy {
            retries: self.retries.unwrap_or(default.retries),
            backoff: self.backoff.clone().unwrap_or(default.backoff),
        }
    }
}

#[derive(Deserialize)]
struct Version {
    v: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_survive_the_stored_form() {
        let args = serde_json::value::to_raw_value(&1).expect("JSON");
        let name: TaskName = "t".parse().expect("a name");
        let options = TaskOptions {
            queue: "mail".parse().expect("a queue"),
            priority: Priority::HIGHEST,
            retry: RetryPolicy {
                retries: 0,
                backoff: Backoff { base_ms: 5, cap_ms: 10, ..Default::default() },
            },
            timeout_ms: Some(1_500),
            soft_timeout_ms: Some(1_000),
            keep_ms: 0,
            tenant: Some("ada@example.org".parse().expect("a tenant")),
            cost: 3,
            keep_failed_ms: Some(7),
        };
        for options in [options, TaskOptions::default()] {
            let stored = Record::new(&name, &args, &options).encode().expect("encodes");
            assert_eq!(Record::decode(&stored).expect("a record").options(), options);
        }
    }

    #[test]
    fn a_newer_format_is_told_from_garbage() {
        let newer = Record::decode(r#"{"v":2,"what":"ever"}"#).map(|_| ());
        assert_eq!(newer, Err(UnreadableRecord::Newer { found: 2 }));
        assert!(matches!(Record::decode("\u{0}").map(|_| ()), Err(UnreadableRecord::Broken(_))));
        assert!(matches!(
            Record::decode(r#"{"v":1}"#).map(|_| ()),
            Err(UnreadableRecord::Broken(_))
        ));
    }

    #[test]
    fn integers_beyond_2_to_the_53_stay_as_they_are() {
        let stored =
            r#"{"v":1,"task":"t","args":{"n":18446744073709551615,"x":1.0000000000000000001}}"#;
        let record = Record::decode(stored).expect("a record");
        assert_eq!(record.encode().as_deref(), Ok(stored));
    }

    #[test]
    fn oversized_arguments_are_refused() {
        let args = serde_json::value::to_raw_value(&"x".repeat(MAX_ARGS_BYTES)).expect("JSON");
        let name: TaskName = "t".parse().expect("a name");
        let refused = Record::new(&name, &args, &TaskOptions::default()).encode();
        assert!(matches!(refused, Err(InvalidInput::TooLarge { .. })));
    }
}
