//! Names as they may appear in keys and on the wire: parsed once, valid from then on.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::InvalidInput;

fn check(
    what: &'static str,
    text: &str,
    max: usize,
    extra: &'static str,
) -> Result<(), InvalidInput> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c) || extra.contains(c);
    if !text.is_empty() && text.len() <= max && text.chars().all(allowed) {
        return Ok(());
    }
    Err(InvalidInput::Name { what, value: text.chars().take(80).collect(), max, extra })
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $extra:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Cow<'static, str>);

        impl $name {
            /// Parses a name.
            ///
            /// # Errors
            /// [`InvalidInput::Name`] with what is allowed.
            pub fn new(text: impl Into<Cow<'static, str>>) -> Result<Self, InvalidInput> {
                let text = text.into();
                check($what, &text, $max, $extra)?;
                Ok(Self(text))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidInput;

            fn from_str(text: &str) -> Result<Self, InvalidInput> {
                Self::new(text.to_owned())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

name! {
    /// The name of a queue: 1 to 100 of `a-z A-Z 0-9 _ . - @`. What stands behind an `@` is a label
    /// (see [`QueueName::labelled`]).
    QueueName, "queue name", 100, "@"
}
name! {
    /// What a worker has and a task may need (`gpu`): 1 to 50 of `a-z A-Z 0-9 _ . -`.
    Label, "label", 50, ""
}
name! {
    /// The name of a task on the wire: 1 to 200 of `a-z A-Z 0-9 _ . - /`. Never derived from a
    /// Rust type, so that moving code strands no tasks.
    TaskName, "task name", 200, "/"
}
name! {
    /// The name of a schedule: 1 to 200 of `a-z A-Z 0-9 _ . - /`.
    ScheduleName, "schedule name", 200, "/"
}
name! {
    /// The prefix of all keys of one installation: 1 to 64 of `a-z A-Z 0-9 _ . -`.
    Namespace, "namespace", 64, ""
}

name! {
    /// For whom a task is run: 1 to 200 of `a-z A-Z 0-9 _ . - / @ +`, such as a customer's number or
    /// an address. Limits and fair turns go by it.
    Tenant, "tenant", 200, "/@+"
}

impl QueueName {
    /// The queue of tasks that name none.
    pub const DEFAULT: &'static str = "default";

    /// The sub-queue in which tasks of this queue wait that need a label: `<queue>@<label>`. A worker
    /// with the label serves it along with the queue.
    ///
    /// # Errors
    /// [`InvalidInput::Name`] if that is longer than a name may be.
    pub fn labelled(&self, label: &Label) -> Result<Self, InvalidInput> {
        Self::new(format!("{self}@{label}"))
    }

    /// The opposite of [`QueueName::labelled`]: the queue, and the label of which this is its sub-queue,
    /// if it is one.
    pub fn split_label(&self) -> (Self, Option<Label>) {
        let split = self.as_str().rsplit_once('@');
        let parsed = split.and_then(|(queue, label)| {
            Some((Self::new(queue.to_owned()).ok()?, Label::new(label.to_owned()).ok()?))
        });
        parsed.map_or_else(|| (self.clone(), None), |(queue, label)| (queue, Some(label)))
    }
}

impl Default for QueueName {
    /// [`QueueName::DEFAULT`].
    fn default() -> Self {
        Self(Cow::Borrowed(Self::DEFAULT))
    }
}

impl Default for Namespace {
    /// The namespace of those who name none: `celeriac`.
    fn default() -> Self {
        Self(Cow::Borrowed("celeriac"))
    }
}

/// 0 to 9; 9 runs first. 5 unless set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Priority(u8);

impl Priority {
    /// Runs before all others.
    pub const HIGHEST: Priority = Priority(9);
    /// Runs when nothing else waits.
    pub const LOWEST: Priority = Priority(0);

    /// A priority from 0 to 9.
    ///
    /// # Errors
    /// [`InvalidInput::Priority`] for any other number.
    pub fn new(value: u8) -> Result<Self, InvalidInput> {
        if value <= 9 { Ok(Self(value)) } else { Err(InvalidInput::Priority(value.into())) }
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(5)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Priority {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let value = text.parse::<i64>().unwrap_or(-1);
        u8::try_from(value).map_err(|_| InvalidInput::Priority(value)).and_then(Self::new)
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u8::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// An idempotency key: 1 to 512 bytes of any text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UniqueKey(String);

impl UniqueKey {
    /// Parses a key.
    ///
    /// # Errors
    /// [`InvalidInput::UniqueKey`] if it is empty or longer than 512 bytes.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidInput> {
        let text = text.into();
        if (1..=512).contains(&text.len()) {
            Ok(Self(text))
        } else {
            Err(InvalidInput::UniqueKey(text.len()))
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        let long = "x".repeat(1 << 20);
        for text in ["", "a b", "{a}", "a:b", "a\0b", "\u{202e}abc", "ä", long.as_str()] {
            assert!(text.parse::<QueueName>().is_err(), "{:?}", text.get(..20));
            assert!(text.parse::<TaskName>().is_err());
            assert!(text.parse::<Namespace>().is_err());
        }
        assert!("mail/send.v2".parse::<TaskName>().is_ok());
    }

    #[test]
    fn a_sub_queue_has_a_queue_and_a_label() {
        for (text, queue, label) in [
            ("mail", "mail", None),
            ("mail@gpu", "mail", Some("gpu")),
            ("a@b@gpu", "a@b", Some("gpu")),
            ("@gpu", "@gpu", None),
            ("mail@", "mail@", None),
        ] {
            let name: QueueName = text.parse().expect("a queue");
            let (parent, needs) = name.split_label();
            assert_eq!((parent.as_str(), needs.as_ref().map(Label::as_str)), (queue, label));
            let again = needs.map_or_else(|| Ok(parent.clone()), |label| parent.labelled(&label));
            assert_eq!(again, Ok(name));
        }
    }

    #[test]
    fn priorities_are_0_to_9() {
        assert_eq!("9".parse(), Ok(Priority::HIGHEST));
        for text in ["10", "-1", "x", "256"] {
            assert!(text.parse::<Priority>().is_err(), "{text}");
        }
    }
}
