//! What the monitor does not show: parts of arguments, results and errors, by rules. The one place where
//! that is done; whoever reads such a thing for a page or the API passes it through here.

use std::fmt;
use std::str::FromStr;

use celeriac_broker_schema::TaskFailure;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::model::{JobDetail, Task};

/// What stands in its place.
const REDACTED: &str = "redacted";

/// Which parts of tasks are not shown. See [`Rule`] for how they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redaction(pub Vec<Rule>);

/// One rule: `mail.*:args.password`. Before the colon stands the name of a task, in which `*` is any
/// text; behind it `args`, `result` or `error`, and for the first two the way into the document: names
/// of fields, positions from 0, or `*` for all. A part that is not there is no harm.
///
/// ```
/// use celeriac_monitor::Rule;
/// for rule in ["*:args.password", "mail.*:args.0", "pay:result", "pay:result.cards.*.number", "*:error"] {
///     assert!(rule.parse::<Rule>().is_ok());
/// }
/// assert!("mail.send".parse::<Rule>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    task: String,
    part: Part,
    path: Vec<String>,
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no rule for what is not shown: write it as TASK:args.FIELD, TASK:result or TASK:error"
)]
pub struct InvalidRule(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Args,
    Result,
    Error,
}

impl FromStr for Rule {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let invalid = || InvalidRule(text.chars().take(200).collect());
        // Names of tasks may have colons in them.
        let (task, rest) = text.rsplit_once(':').ok_or_else(invalid)?;
        let mut path = rest.split('.').map(str::to_owned);
        let part = match path.next().as_deref() {
            Some("args") => Part::Args,
            Some("result") => Part::Result,
            Some("error") => Part::Error,
            _ => return Err(invalid()),
        };
        let path: Vec<String> = path.collect();
        let odd = path.iter().any(String::is_empty) || (part == Part::Error && !path.is_empty());
        if task.is_empty() || odd {
            return Err(invalid());
        }
        Ok(Self { task: task.to_owned(), part, path })
    }
}

impl Redaction {
    /// What is not shown of a task.
    pub(crate) fn task(&self, task: &mut Task) {
        if self.0.is_empty() {
            return;
        }
        let name = task.task.clone();
        let name = name.as_deref();
        self.document(name, Part::Args, &mut task.args);
        self.document(name, Part::Result, &mut task.result);
        if let Some(error) = &mut task.error {
            self.failure(name, error);
        }
        for attempt in &mut task.attempts {
            if let Some(error) = &mut attempt.error {
                self.failure(name, error);
            }
        }
    }

    /// What is not shown of a job: of its chunks, and of its reducer, whose result is that of the job.
    pub(crate) fn job(&self, job: &mut JobDetail) {
        if self.0.is_empty() {
            return;
        }
        let (name, reduce) = (job.job.task.clone(), job.reduce.clone());
        self.document(name.as_deref(), Part::Args, &mut job.args);
        for name in [name.as_deref(), reduce.as_deref().or(name.as_deref())] {
            self.document(name, Part::Result, &mut job.result);
            if let Some(error) = &mut job.error {
                self.failure(name, error);
            }
        }
    }

    /// What is not shown of arguments, of a task with this name.
    pub(crate) fn args(&self, task: Option<&str>, args: &mut Option<Box<RawValue>>) {
        self.document(task, Part::Args, args);
    }

    /// What is not shown of a result, of a task with this name.
    pub(crate) fn result(&self, task: Option<&str>, result: &mut Option<Box<RawValue>>) {
        self.document(task, Part::Result, result);
    }

    /// What is not shown of a failure, of a task with this name: of its sort everything is.
    pub(crate) fn failure(&self, task: Option<&str>, failure: &mut TaskFailure) {
        if self.rules(task, Part::Error).next().is_some() {
            failure.message = REDACTED.to_owned();
            failure.trace = None;
        }
    }

    fn document(&self, task: Option<&str>, part: Part, document: &mut Option<Box<RawValue>>) {
        for rule in self.rules(task, part) {
            if let Some(raw) = document {
                *document = Some(without(raw, &rule.path));
            }
        }
    }

    /// The rules for a part. Of a task whose name is not known any more, all of them.
    fn rules(&self, task: Option<&str>, part: Part) -> impl Iterator<Item = &Rule> {
        let meant = move |rule: &&Rule| {
            rule.part == part && task.is_none_or(|name| is_like(name, &rule.task))
        };
        self.0.iter().filter(meant)
    }
}

/// Whether a name is like a pattern, in which `*` is any text.
fn is_like(name: &str, pattern: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return name == pattern };
    let Some(mut left) = name.strip_prefix(begin) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match left.split_once(part) {
            Some((_, behind)) => left = behind,
            None => return false,
        }
    }
    left.ends_with(end)
}

/// The document without what is at the end of a path. All that is not on the way stays as it was
/// written: a number of any size is the same.
fn without(raw: &RawValue, path: &[String]) -> Box<RawValue> {
    let Some((step, rest)) = path.split_first() else { return raw_of(&REDACTED) };
    if let Ok(Members(mut members)) = serde_json::from_str(raw.get()) {
        for (name, value) in &mut members {
            if step == "*" || name == step {
                *value = without(value, rest);
            }
        }
        return raw_of(&Members(members));
    }
    if let Ok(mut elements) = serde_json::from_str::<Vec<Box<RawValue>>>(raw.get()) {
        for (i, value) in elements.iter_mut().enumerate() {
            if step == "*" || *step == i.to_string() {
                *value = without(value, rest);
            }
        }
        return raw_of(&elements);
    }
    raw.to_owned()
}

fn raw_of(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("texts and documents are documents")
}

/// The members of an object as they were written, in their order, and all of those of the same name.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[cfg(test)]
mod tests {
    use celeriac_broker_schema::ErrorKind;

    use super::*;

    fn redacted(rules: &[&str], task: Option<&str>, document: &str) -> String {
        let rules = rules.iter().map(|rule| rule.parse().expect("a rule"));
        let mut args = Some(RawValue::from_string(document.to_owned()).expect("JSON"));
        Redaction(rules.collect()).args(task, &mut args);
        args.expect("it stays").get().to_owned()
    }

    #[test]
    fn parts_are_replaced_and_the_rest_stays_as_it_was_written() {
        let document = r#"{"b":18446744073709551616.50,"a":{"p":"x","p":"y"},"l":[1,[2,"z"],{}]}"#;
        let of = |rule: &str| redacted(&[rule], Some("t"), document);
        assert_eq!(of("t:args"), "\"redacted\"");
        assert_eq!(
            of("t:args.a.p"),
            r#"{"b":18446744073709551616.50,"a":{"p":"redacted","p":"redacted"},"l":[1,[2,"z"],{}]}"#
        );
        assert_eq!(
            of("*:args.l.1.*"),
            r#"{"b":18446744073709551616.50,"a":{"p":"x","p":"y"},"l":[1,["redacted","redacted"],{}]}"#
        );
        for nothing in ["t:args.z", "t:args.b.c", "t:args.l.9", "u:args", "t:result"] {
            assert_eq!(of(nothing), document, "{nothing}");
        }
        assert_eq!(redacted(&["t:args.*"], Some("t"), "[1,2]"), r#"["redacted","redacted"]"#);
        assert_eq!(redacted(&["t:args.0"], None, "[1,2]"), r#"["redacted",2]"#, "of no known name");
    }

    #[test]
    fn names_are_like_patterns() {
        for (pattern, like, unlike) in [
            ("mail.send", "mail.send", "mail.sends"),
            ("mail.*", "mail.send", "mail"),
            ("*.send", "mail.send", "mail.send.x"),
            ("*", "", ""),
            ("a*b*c", "a-b-b-c", "a-c-b"),
            ("a*a", "aa", "a"),
        ] {
            assert!(is_like(like, pattern), "{pattern} {like}");
            assert!(unlike.is_empty() || !is_like(unlike, pattern), "{pattern} {unlike}");
        }
    }

    #[test]
    fn errors_may_repeat_arguments() {
        let rule = "mail.*:error".parse().expect("a rule");
        let mut failure = TaskFailure::new(ErrorKind::Error, "no such user: ada").with_trace("ada");
        let fingerprint = failure.fingerprint.clone();
        Redaction(vec![rule]).failure(Some("mail.send"), &mut failure);
        assert_eq!((failure.message.as_str(), failure.trace), ("redacted", None));
        assert_eq!(failure.fingerprint, fingerprint, "equal ones are still told to be equal");
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in ["", "mail", ":args", "mail:", "mail:argument", "mail:args.", "mail:error.x"] {
            assert_eq!(text.parse::<Rule>(), Err(InvalidRule(text.to_owned())));
        }
        assert!("ns:mail:args.x".parse::<Rule>().is_ok(), "names may have colons");
    }
}
