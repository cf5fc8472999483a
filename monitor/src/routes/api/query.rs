//! Parameters of queries. A [`query!`] is a list of them with their types: it reads a query, says
//! all that is wrong with one, and writes its part of the document, so that the three agree.

use std::time::Duration;

use celeriac_broker_schema::{
    JobId, Priority, QueueName, State, TaskId, TaskName, Tenant, Timestamp, text,
};
use serde_json::{Value, json};

use super::refusal::{Fault, Refusal};

/// What a route can be asked with.
pub(super) trait Query: Sized + Send + 'static {
    /// Reads decoded pairs; all that is wrong is noted.
    fn read(pairs: &mut Pairs) -> Self;
    /// Name, description and schema of each parameter.
    fn parameters() -> Vec<(&'static str, String, Value)>;
}

/// A value of a parameter.
pub(super) trait Parameter: Sized {
    /// # Errors
    /// What is wrong, and how it should be.
    fn read(text: &str) -> Result<Self, String>;
    fn schema() -> Value;
}

/// The pairs of a query, as far as they were not taken yet, and what is wrong with the others.
pub(super) struct Pairs {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl Pairs {
    /// Takes a parameter out.
    pub(super) fn take<T: Parameter>(&mut self, name: &'static str) -> Option<T> {
        self.known.push(name);
        let mut found = self.pairs.extract_if(.., |(key, _)| key == name);
        let (_, text) = found.next()?;
        if found.count() > 0 {
            self.faults.push(Fault::of(name, "it is given more than once"));
            return None;
        }
        T::read(&text).map_err(|wrong| self.faults.push(Fault::of(name, wrong))).ok()
    }
}

/// Reads the query of a request.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn read<Q: Query>(pairs: Vec<(String, String)>) -> Result<Q, Refusal> {
    let mut pairs = Pairs { pairs, known: Vec::new(), faults: Vec::new() };
    let query = Q::read(&mut pairs);
    let known = match pairs.known.as_slice() {
        [] => "there are no parameters here".to_owned(),
        names => format!("there are {}", names.join(", ")),
    };
    for (name, _) in &pairs.pairs {
        let name: String = name.chars().take(80).collect();
        pairs.faults.push(Fault::of(name, format!("there is no such parameter: {known}")));
    }
    if pairs.faults.is_empty() { Ok(query) } else { Err(Refusal::query(pairs.faults)) }
}

impl Query for () {
    fn read(_: &mut Pairs) -> Self {}

    fn parameters() -> Vec<(&'static str, String, Value)> {
        Vec::new()
    }
}

/// A struct of parameters, each of which may be missing.
macro_rules! query {
    ($(#[$doc:meta])* struct $name:ident { $($(#[doc = $text:literal])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        pub(super) struct $name { $($(#[doc = $text])* pub(super) $field: Option<$type>,)* }

        impl $crate::routes::api::query::Query for $name {
            fn read(pairs: &mut $crate::routes::api::query::Pairs) -> Self {
                Self { $($field: pairs.take(stringify!($field)),)* }
            }

            fn parameters() -> Vec<(&'static str, String, serde_json::Value)> {
                vec![$((
                    stringify!($field),
                    concat!($($text),*).trim().to_owned(),
                    <$type as $crate::routes::api::query::Parameter>::schema(),
                ),)*]
            }
        }
    };
}
pub(super) use query;

/// How many items a page has at most: `DEFAULT` unless the query says otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit<const DEFAULT: u32, const MAX: u32>(u32);

impl<const DEFAULT: u32, const MAX: u32> Limit<DEFAULT, MAX> {
    pub(super) fn of(limit: Option<Self>) -> u32 {
        limit.map_or(DEFAULT, |limit| limit.0)
    }
}

impl<const DEFAULT: u32, const MAX: u32> Parameter for Limit<DEFAULT, MAX> {
    fn read(text: &str) -> Result<Self, String> {
        let limit = text.parse().ok().filter(|limit| (1..=MAX).contains(limit));
        limit.map(Self).ok_or_else(|| format!("it is a whole number from 1 to {MAX}"))
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 1, "maximum": MAX, "default": DEFAULT })
    }
}

/// A time that an answer may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait(pub(super) Duration);

/// The longest: proxies cut off what takes longer than a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(55);

impl Parameter for Wait {
    fn read(text: &str) -> Result<Self, String> {
        match text::duration(text)? {
            wait if wait <= LONGEST_WAIT => Ok(Self(wait)),
            _ => Err(format!("{} s at most: ask again then", LONGEST_WAIT.as_secs())),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["30s"], "default": "0s" })
    }
}

/// Text without further rules, of a bounded length.
impl Parameter for String {
    fn read(text: &str) -> Result<Self, String> {
        match text.len() {
            1..=500 => Ok(text.to_owned()),
            _ => Err("it has 1 to 500 bytes".to_owned()),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": 500 })
    }
}

impl Parameter for bool {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "it is `true` or `false`".to_owned())
    }

    fn schema() -> Value {
        json!({ "type": "boolean" })
    }
}

impl Parameter for Timestamp {
    fn read(text: &str) -> Result<Self, String> {
        text::time(text)
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["2030-01-31T12:00:00Z", "1763726400000"] })
    }
}

macro_rules! parsed {
    ($($type:ty: $schema:tt;)*) => { $(
        impl Parameter for $type {
            fn read(text: &str) -> Result<Self, String> {
                text.parse().map_err(|error: celeriac_broker_schema::InvalidInput| error.to_string())
            }

            fn schema() -> Value {
                json!($schema)
            }
        }
    )* };
}

parsed! {
    QueueName: { "$ref": "#/components/schemas/QueueName" };
    TaskName: { "$ref": "#/components/schemas/TaskName" };
    Tenant: { "$ref": "#/components/schemas/Tenant" };
    TaskId: { "$ref": "#/components/schemas/TaskId" };
    JobId: { "$ref": "#/components/schemas/JobId" };
    Priority: { "type": "integer", "minimum": 0, "maximum": 9 };
}

impl Parameter for State {
    fn read(text: &str) -> Result<Self, String> {
        State::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            format!(
                "there is no such state: there are {}",
                State::ALL.map(State::as_str).join(", ")
            )
        })
    }

    fn schema() -> Value {
        json!({ "$ref": "#/components/schemas/State" })
    }
}
