//! What travels with a task besides its arguments: a label and tags for people, headers for the
//! programs around a task (trace context, tenant). All bounded, and left out of the record if empty.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::error::InvalidInput;
use crate::limits::{
    MAX_HEADER_BYTES, MAX_HEADER_NAME_BYTES, MAX_HEADERS, MAX_LABEL_CHARS, MAX_TAG_BYTES, MAX_TAGS,
};

/// Label, tags and headers of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    /// What people call this one task: up to 200 characters.
    pub label: Option<String>,
    /// What people find it by: up to 16 tags of up to 64 bytes.
    pub tags: BTreeSet<String>,
    /// What programs pass along with it.
    pub headers: Headers,
}

impl Meta {
    /// Whether there is none of it, as for most tasks.
    pub fn is_empty(&self) -> bool {
        self.label.is_none() && self.tags.is_empty() && self.headers.is_empty()
    }

    /// Checks all bounds.
    ///
    /// # Errors
    /// [`InvalidInput::OutOfBounds`] with the first that is not kept.
    pub fn check(&self) -> Result<(), InvalidInput> {
        if let Some(label) = &self.label {
            let fits = !label.is_empty() && label.chars().count() <= MAX_LABEL_CHARS;
            expect(fits, "label", label, "use 1 to 200 characters")?;
        }
        let many = self.tags.len().to_string();
        expect(self.tags.len() <= MAX_TAGS, "number of tags", &many, "use at most 16")?;
        for tag in &self.tags {
            let fits = !tag.is_empty() && tag.len() <= MAX_TAG_BYTES && !has_control(tag);
            expect(fits, "tag", tag, "use 1 to 64 bytes without control characters")?;
        }
        self.headers.check()
    }
}

/// Names and short texts that travel with a task, as the headers of a request do: `traceparent`,
/// `tenant`. At most 32 of them, and at most 4 kB of names and values together.
///
/// Names are not case-sensitive and are kept in lower case.
///
/// ```
/// use celeriac_broker_schema::Headers;
/// let mut headers = Headers::default();
/// headers.set("Tenant", "acme");
/// assert_eq!(headers.get("tenant"), Some("acme"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Sets a header; what it was before is replaced. Bounds are checked when the task is enqueued.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let mut name = name.into();
        name.make_ascii_lowercase();
        self.0.insert(name, value.into());
    }

    /// The value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        // Nearly always it is asked for as it is kept.
        let value = self.0.get(name).or_else(|| self.0.get(&name.to_ascii_lowercase()));
        value.map(String::as_str)
    }

    /// Takes a header out.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.0.remove(&name.to_ascii_lowercase())
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn check(&self) -> Result<(), InvalidInput> {
        let many = self.0.len().to_string();
        expect(self.0.len() <= MAX_HEADERS, "number of headers", &many, "use at most 32")?;
        for (name, value) in self.iter() {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            let fits = !name.is_empty() && name.len() <= MAX_HEADER_NAME_BYTES;
            let name_rule = "use 1 to 64 of a-z 0-9 _ . -";
            expect(fits && name.chars().all(allowed), "header name", name, name_rule)?;
            expect(!has_control(value), "header value", value, "use no control characters")?;
        }
        let bytes: usize = self.iter().map(|(name, value)| name.len() + value.len()).sum();
        let limit = "use at most 4096 bytes of names and values";
        expect(bytes <= MAX_HEADER_BYTES, "size of headers", &bytes.to_string(), limit)
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

fn expect(
    fits: bool,
    what: &'static str,
    value: &str,
    expected: &'static str,
) -> Result<(), InvalidInput> {
    if fits {
        return Ok(());
    }
    let value = value.chars().take(80).flat_map(char::escape_default).collect();
    Err(InvalidInput::OutOfBounds { what, value, expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Meta)) -> Result<(), String> {
        let mut meta = Meta::default();
        change(&mut meta);
        meta.check().map_err(|error| error.to_string())
    }

    #[test]
    fn every_bound_is_kept_to_the_last_character() {
        assert_eq!(with(|meta| meta.label = Some("ä".repeat(200))), Ok(()));
        assert_eq!(with(|meta| meta.tags.extend((0..16).map(|n| n.to_string()))), Ok(()));
        assert_eq!(with(|meta| meta.tags.extend(["x".repeat(64)])), Ok(()));
        let name = "n".repeat(64);
        assert_eq!(with(|meta| meta.headers.set(&name, "v".repeat(4096 - 64))), Ok(()));
        assert_eq!(with(|meta| (0..32).for_each(|n| meta.headers.set(n.to_string(), ""))), Ok(()));

        let refused = [
            ("label", with(|meta| meta.label = Some("ä".repeat(201)))),
            ("label", with(|meta| meta.label = Some(String::new()))),
            ("number of tags", with(|meta| meta.tags.extend((0..17).map(|n| n.to_string())))),
            ("tag", with(|meta| meta.tags.extend(["x".repeat(65)]))),
            ("tag", with(|meta| meta.tags.extend(["a\nb".to_owned()]))),
            ("header name", with(|meta| meta.headers.set("n".repeat(65), ""))),
            ("header name", with(|meta| meta.headers.set("a b", ""))),
            ("header value", with(|meta| meta.headers.set("a", "\0"))),
            ("size of headers", with(|meta| meta.headers.set(&name, "v".repeat(4096 - 63)))),
            (
                "number of headers",
                with(|meta| (0..33).for_each(|n| meta.headers.set(n.to_string(), ""))),
            ),
        ];
        for (what, checked) in refused {
            let error = checked.expect_err(what);
            assert!(error.starts_with(&format!("{what} of ")), "{what}: {error}");
        }
    }

    #[test]
    fn names_of_headers_have_no_case() {
        let mut headers = Headers::default();
        headers.set("TraceParent", "1");
        headers.set("traceparent", "2");
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("traceparent", "2")]);
        assert_eq!(headers.get("TRACEPARENT"), Some("2"));
        assert_eq!(headers.remove("Traceparent").as_deref(), Some("2"));
        assert!(headers.is_empty());
    }
}
