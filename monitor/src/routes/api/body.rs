//! Fields of JSON bodies. A [`body!`] is a list of them with their types: it reads an object, says
//! all that is wrong with it by JSON pointer, and writes its schema, so that the three agree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use celeriac_broker_schema::text::{self, Due};
use celeriac_broker_schema::{
    Backoff, InvalidInput, Label, Priority, QueueName, TaskName, Tenant, UniqueMode,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::refusal::Fault;

/// A value of a field.
pub(super) trait Field: Sized {
    /// # Errors
    /// What is wrong, and how it should be.
    fn read(json: &RawValue) -> Result<Self, String>;
    fn schema() -> Value;
}

/// The fields of an object, as far as they were not taken yet, and what is wrong with the others.
pub(super) struct Fields {
    fields: BTreeMap<String, Box<RawValue>>,
    at: String,
    known: Vec<&'static str>,
    pub(super) faults: Vec<Fault>,
}

impl Fields {
    /// The object at a pointer.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn of(json: &RawValue, at: &str) -> Result<Self, Fault> {
        let fields = serde_json::from_str(json.get());
        let fields = fields.map_err(|_| Fault::at(at, "it is no JSON object"))?;
        Ok(Self { fields, at: at.to_owned(), known: Vec::new(), faults: Vec::new() })
    }

    /// The pointer to a field.
    pub(super) fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.at, name.replace('~', "~0").replace('/', "~1"))
    }

    /// Takes a field out. Null is as if it were not there.
    pub(super) fn take<T: Field>(&mut self, name: &'static str) -> Option<T> {
        self.known.push(name);
        let json = self.fields.remove(name).filter(|json| json.get() != "null")?;
        match T::read(&json) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.fault(name, wrong);
                None
            }
        }
    }

    /// Whether a field was there, also one that was wrong.
    pub(super) fn is_wrong(&self, name: &str) -> bool {
        let pointer = self.pointer(name);
        self.faults.iter().any(|fault| fault.pointer.as_ref() == Some(&pointer))
    }

    pub(super) fn fault(&mut self, name: &str, wrong: impl Into<String>) {
        let fault = Fault::at(self.pointer(name), wrong);
        self.faults.push(fault);
    }

    /// What is left is not known.
    pub(super) fn refuse_the_rest(&mut self) {
        let left: Vec<String> = std::mem::take(&mut self.fields).into_keys().collect();
        for name in left {
            let name: String = name.chars().take(80).collect();
            self.fault(
                &name,
                format!("there is no such field: there are {}", self.known.join(", ")),
            );
        }
    }
}

/// A struct of fields, each of which may be missing.
macro_rules! body {
    ($(#[$doc:meta])* struct $name:ident { $($(#[doc = $text:literal])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(in crate::routes) struct $name { $($(#[doc = $text])* pub(in crate::routes) $field: Option<$type>,)* }

        impl $name {
            /// Takes the fields out; what is wrong is noted.
            pub(in crate::routes) fn take(fields: &mut $crate::routes::api::body::Fields) -> Self {
                Self { $($field: fields.take(stringify!($field)),)* }
            }

            /// The properties of its schema.
            pub(in crate::routes) fn properties() -> serde_json::Map<String, serde_json::Value> {
                let mut properties = serde_json::Map::new();
                $(
                    let mut schema = <$type as $crate::routes::api::body::Field>::schema();
                    schema["description"] = concat!($($text),*).trim().into();
                    properties.insert(stringify!($field).to_owned(), schema);
                )*
                properties
            }
        }
    };
}
pub(super) use body;

fn json<T: DeserializeOwned>(json: &RawValue, expected: &str) -> Result<T, String> {
    serde_json::from_str(json.get()).map_err(|_| format!("it is {expected}"))
}

/// Texts that say themselves what is wrong with them.
fn parsed<T>(raw: &RawValue, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, String> {
    parse(&json::<String>(raw, "a text, in quotes")?)
}

macro_rules! names {
    ($($type:ty, $schema:literal;)*) => { $(
        impl Field for $type {
            fn read(json: &RawValue) -> Result<Self, String> {
                parsed(json, |text| text.parse().map_err(|error: InvalidInput| error.to_string()))
            }

            fn schema() -> Value {
                json!({ "$ref": concat!("#/components/schemas/", $schema) })
            }
        }
    )* };
}

names! {
    TaskName, "TaskName";
    QueueName, "QueueName";
    Tenant, "Tenant";
    Label, "Label";
}

impl Field for Priority {
    fn read(raw: &RawValue) -> Result<Self, String> {
        let number: i64 = json(raw, "a whole number from 0 to 9")?;
        number.to_string().parse().map_err(|error: InvalidInput| error.to_string())
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0, "maximum": 9 })
    }
}

impl Field for Duration {
    fn read(json: &RawValue) -> Result<Self, String> {
        parsed(json, text::duration)
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["500ms", "30s", "1h30m"] })
    }
}

impl Field for Due {
    fn read(raw: &RawValue) -> Result<Self, String> {
        match serde_json::from_str::<u64>(raw.get()) {
            Ok(number) => text::due(&number.to_string()),
            Err(_) => parsed(raw, text::due),
        }
    }

    fn schema() -> Value {
        json!({ "type": ["string", "integer"], "examples": ["2030-01-31T12:00:00Z", "10m", 1_763_726_400] })
    }
}

impl Field for Backoff {
    fn read(json: &RawValue) -> Result<Self, String> {
        parsed(json, text::backoff)
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["1s..10m", "30s", "1s,10s,5m jitter"] })
    }
}

impl Field for UniqueMode {
    fn read(json: &RawValue) -> Result<Self, String> {
        parsed(json, text::unique)
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["for=10m", "queued", "until-done", "debounce=5s", "keep-last"] })
    }
}

impl Field for Box<RawValue> {
    fn read(json: &RawValue) -> Result<Self, String> {
        Ok(json.to_owned())
    }

    fn schema() -> Value {
        json!({})
    }
}

macro_rules! plain {
    ($($type:ty, $words:literal, $schema:tt;)*) => { $(
        impl Field for $type {
            fn read(raw: &RawValue) -> Result<Self, String> {
                json(raw, $words)
            }

            fn schema() -> Value {
                json!($schema)
            }
        }
    )* };
}

plain! {
    u32, "a whole number from 0 to 4294967295", { "type": "integer", "minimum": 0, "maximum": u32::MAX };
    u64, "a whole number, from 0", { "type": "integer", "minimum": 0 };
    String, "a text, in quotes", { "type": "string" };
    Vec<String>, "a list of texts", { "type": "array", "items": { "type": "string" } };
    BTreeSet<String>, "a list of texts", { "type": "array", "items": { "type": "string" }, "uniqueItems": true };
    BTreeMap<String, String>, "an object of texts", { "type": "object", "additionalProperties": { "type": "string" } };
}
