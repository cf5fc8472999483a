//! A task as it is described, on the command line or in a line of JSON: everything may be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use celeriac_broker_schema::{
    Backoff, Headers, InvalidInput, Label, Priority, QueueName, TaskName, Tenant, UniqueKey,
    UniqueMode,
};
use celeriac_producer::NewTask;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::args::values::{self, Due};
use crate::args::{StartArgs, TaskArgs};
use crate::error::CliError;

/// A task as it is described.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::cmd) struct TaskSpec {
    task: Option<TaskName>,
    args: Option<Box<RawValue>>,
    queue: Option<QueueName>,
    needs: Option<Label>,
    priority: Option<Priority>,
    #[serde(deserialize_with = "duration")]
    delay: Option<Duration>,
    #[serde(deserialize_with = "due")]
    at: Option<Due>,
    #[serde(deserialize_with = "due")]
    expires: Option<Due>,
    retries: Option<u32>,
    #[serde(deserialize_with = "backoff")]
    backoff: Option<Backoff>,
    #[serde(deserialize_with = "duration")]
    timeout: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    soft_timeout: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    keep: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    keep_failed: Option<Duration>,
    key: Option<String>,
    #[serde(deserialize_with = "unique")]
    unique: Option<UniqueMode>,
    label: Option<String>,
    tags: Option<BTreeSet<String>>,
    headers: Option<BTreeMap<String, String>>,
    tenant: Option<Tenant>,
    cost: Option<u32>,
}

impl TaskSpec {
    /// A task of the command line.
    pub(super) fn from_args(
        task: Option<String>,
        options: TaskArgs,
        start: StartArgs,
    ) -> Result<Self, CliError> {
        let StartArgs { delay, at, expires, key, unique } = start;
        Ok(Self {
            task: task.map(TaskName::new).transpose()?,
            delay,
            at: at.map(Due::At),
            expires,
            key,
            unique,
            ..Self::from_options(options)?
        })
    }

    /// What is said of a task that comes from elsewhere.
    pub(in crate::cmd) fn from_options(args: TaskArgs) -> Result<Self, CliError> {
        Ok(Self {
            args: arguments(args.args, args.arg)?,
            queue: args.queue.map(QueueName::new).transpose()?,
            needs: args.needs.map(Label::new).transpose()?,
            priority: args.priority.map(Priority::new).transpose()?,
            retries: args.retries,
            backoff: args.backoff,
            timeout: args.timeout,
            soft_timeout: args.soft_timeout,
            keep: args.keep,
            keep_failed: args.keep_failed,
            label: args.label,
            tags: (!args.tag.is_empty()).then(|| args.tag.into_iter().collect()),
            headers: (!args.header.is_empty()).then(|| args.header.into_iter().collect()),
            tenant: args.tenant.map(Tenant::new).transpose()?,
            cost: args.cost,
            ..Self::default()
        })
    }

    /// Reads a line of JSON.
    pub(in crate::cmd) fn from_line(line: &[u8]) -> Result<Self, String> {
        // `serde` would take the fields from an array as well.
        if !line.trim_ascii_start().starts_with(b"{") {
            return Err("it is no JSON object".to_owned());
        }
        let spec: Self = serde_json::from_slice(line).map_err(|error| {
            let text = error.to_string();
            let message =
                text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
            match error.column() {
                0 => message.to_owned(),
                column => format!("{message} (column {column})"),
            }
        })?;
        match (spec.delay, spec.at) {
            (Some(_), Some(_)) => Err("`delay` and `at` exclude each other".to_owned()),
            _ => Ok(spec),
        }
    }

    /// What is missing here is taken from there.
    pub(super) fn or(self, defaults: &Self) -> Self {
        let has_start = self.delay.is_some() || self.at.is_some();
        let (delay, at) =
            if has_start { (self.delay, self.at) } else { (defaults.delay, defaults.at) };
        Self {
            task: self.task.or_else(|| defaults.task.clone()),
            args: self.args.or_else(|| defaults.args.clone()),
            queue: self.queue.or_else(|| defaults.queue.clone()),
            needs: self.needs.or_else(|| defaults.needs.clone()),
            priority: self.priority.or(defaults.priority),
            delay,
            at,
            expires: self.expires.or(defaults.expires),
            retries: self.retries.or(defaults.retries),
            backoff: self.backoff.or_else(|| defaults.backoff.clone()),
            timeout: self.timeout.or(defaults.timeout),
            soft_timeout: self.soft_timeout.or(defaults.soft_timeout),
            keep_failed: self.keep_failed.or(defaults.keep_failed.filter(|_| self.keep.is_none())),
            keep: self.keep.or(defaults.keep),
            key: self.key.or_else(|| defaults.key.clone()),
            unique: self.unique.or(defaults.unique),
            label: self.label.or_else(|| defaults.label.clone()),
            tags: self.tags.or_else(|| defaults.tags.clone()),
            headers: self.headers.or_else(|| defaults.headers.clone()),
            tenant: self.tenant.or_else(|| defaults.tenant.clone()),
            cost: self.cost.or(defaults.cost),
        }
    }

    /// The label, which is that of the job if there is one.
    pub(super) fn take_label(&mut self) -> Option<String> {
        self.label.take()
    }

    pub(super) fn task(&self) -> Option<&TaskName> {
        self.task.as_ref()
    }

    pub(super) fn into_task(mut self) -> Result<NewTask, InvalidInput> {
        let name = self.task.take().ok_or(InvalidInput::Json {
            what: "task",
            reason: "missing field `task`".to_owned(),
        })?;
        let none = RawValue::from_string("{}".to_owned()).expect("an empty object is JSON");
        let mut task = NewTask::from_raw(name, none, Default::default());
        task = match (self.delay, self.at) {
            (Some(after), _) | (_, Some(Due::After(after))) => task.delay(after),
            (_, Some(Due::At(at))) => task.at(at),
            (None, None) => task,
        };
        task = match self.expires {
            Some(Due::After(after)) => task.expires_after(after),
            Some(Due::At(at)) => task.expires_at(at),
            None => task,
        };
        task = match (self.key.take(), self.unique) {
            (Some(key), None) => task.key(UniqueKey::new(key)?),
            (Some(key), Some(mode)) => task.unique(UniqueKey::new(key)?, mode),
            (None, None) => task,
            (None, Some(_)) => {
                return Err(InvalidInput::Json {
                    what: "unique",
                    reason: "it says for how long a key stands for its task, and there is no key"
                        .to_owned(),
                });
            }
        };
        task = self.change(task);
        task.meta.check()?;
        Ok(task)
    }

    /// The task with all that is said here about how it is run. What is not said stays as it is.
    pub(in crate::cmd) fn change(self, mut task: NewTask) -> NewTask {
        if let Some(args) = self.args {
            task.set_args(args);
        }
        task = self.queue.into_iter().fold(task, NewTask::queue);
        task = self.needs.into_iter().fold(task, NewTask::needs);
        task = self.priority.into_iter().fold(task, NewTask::priority);
        task = self.retries.into_iter().fold(task, NewTask::retries);
        task = self.backoff.into_iter().fold(task, NewTask::backoff);
        task = self.timeout.into_iter().fold(task, NewTask::timeout);
        task = self.soft_timeout.into_iter().fold(task, NewTask::soft_timeout);
        if let Some(keep) = self.keep {
            task.options.keep_failed_ms = None;
            task = task.keep_result(keep);
        }
        task = self.keep_failed.into_iter().fold(task, NewTask::keep_on_failure);
        task = self.tenant.into_iter().fold(task, NewTask::tenant);
        task = self.cost.into_iter().fold(task, NewTask::cost);
        task = self.label.into_iter().fold(task, NewTask::label);
        if let Some(tags) = self.tags {
            task.meta.tags = tags;
        }
        if let Some(headers) = self.headers {
            task.meta.headers = Headers::new();
            task = headers.into_iter().fold(task, |task, (name, value)| task.header(name, value));
        }
        task
    }
}

/// The arguments from `--args` or from all `--arg`.
fn arguments(
    args: Option<String>,
    named: Vec<(String, Value)>,
) -> Result<Option<Box<RawValue>>, CliError> {
    let json = |error: serde_json::Error| InvalidInput::Json {
        what: "arguments",
        reason: error.to_string(),
    };
    if let Some(args) = args {
        return Ok(Some(serde_json::from_str(&args).map_err(json)?));
    }
    if named.is_empty() {
        return Ok(None);
    }
    let mut object = Map::new();
    for (name, value) in named {
        if object.contains_key(&name) {
            return Err(CliError::Arguments(format!("argument {name:?} is given twice")));
        }
        object.insert(name, value);
    }
    Ok(Some(serde_json::value::to_raw_value(&object).map_err(json)?))
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    text.map(|text| values::duration(&text)).transpose().map_err(D::Error::custom)
}

fn backoff<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Backoff>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    text.map(|text| values::backoff(&text)).transpose().map_err(D::Error::custom)
}

fn unique<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UniqueMode>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    text.map(|text| values::unique(&text)).transpose().map_err(D::Error::custom)
}

/// A time as text, or a number as Unix seconds or milliseconds.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a time or a duration in quotes, or Unix seconds")]
enum When {
    Number(u64),
    Text(String),
}

fn due<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Due>, D::Error> {
    let when: Option<When> = Option::deserialize(deserializer)?;
    let text = when.map(|when| match when {
        When::Number(number) => number.to_string(),
        When::Text(text) => text,
    });
    text.map(|text| values::due(&text)).transpose().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<TaskSpec, String> {
        TaskSpec::from_line(text.as_bytes())
    }

    #[test]
    fn a_line_overrides_what_holds_for_all() {
        let defaults = line(r#"{"task":"echo","queue":"slow","delay":"10s","retries":1}"#).unwrap();
        let spec = line(r#"{"args":[1],"queue":"fast","at":1763726400}"#).unwrap().or(&defaults);
        let task = spec.into_task().unwrap();
        assert_eq!(task.name().as_str(), "echo");
        assert_eq!(task.options.queue.as_str(), "fast");
        assert_eq!(task.options.retry.retries, 1);
        assert_eq!(
            (task.start.delay_ms, task.start.at.map(|at| at.0)),
            (None, Some(1_763_726_400_000))
        );
        let plain = line("{}").unwrap().or(&defaults).into_task().unwrap();
        assert_eq!(plain.start.delay_ms, Some(10_000));
    }

    #[test]
    fn label_tags_and_headers_travel_with_a_line() {
        let defaults = line(r#"{"task":"echo","label":"all","tags":["a"]}"#).unwrap();
        let own = r#"{"tags":["c","b"],"headers":{"Tenant":"acme"}}"#;
        let meta = line(own).unwrap().or(&defaults).into_task().unwrap().meta;
        assert_eq!(meta.label.as_deref(), Some("all"));
        assert_eq!(meta.tags.into_iter().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(meta.headers.iter().collect::<Vec<_>>(), [("tenant", "acme")]);
        let refused = line(r#"{"task":"t","headers":{"a b":""}}"#).unwrap().into_task();
        assert!(refused.unwrap_err().to_string().starts_with("header name of a b"));
    }

    #[test]
    fn bad_lines_say_what_is_wrong() {
        for (text, part) in [
            ("{", "EOF"),
            ("[]", "no JSON object"),
            (r#"{"task":"a b"}"#, "task name"),
            (r#"{"task":"t","dealy":"10s"}"#, "unknown field `dealy`"),
            (r#"{"task":"t","delay":10}"#, "invalid type"),
            (r#"{"task":"t","delay":"10"}"#, "is no duration"),
            (r#"{"task":"t","at":"noon"}"#, "neither a duration"),
            (r#"{"task":"t","at":[]}"#, "expected a time"),
            (r#"{"task":"t","priority":10}"#, "priority 10"),
            (r#"{"task":"t","delay":"1s","at":"1h"}"#, "exclude"),
            (r#"{"task":"t"} x"#, "trailing"),
        ] {
            let error = line(text).unwrap_err();
            assert!(error.contains(part) && !error.contains(" at line "), "{text}: {error}");
        }
    }
}
