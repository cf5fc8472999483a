//! Where the next page of a list begins, as text that nobody need understand: the digits of what
//! the list itself wrote, with the name of the list in front, so that it fits no other.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::query::Parameter;
use super::refusal::Refusal;

/// A cursor, to be passed on unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Cursor(String);

impl Cursor {
    /// The place `at` of a list.
    pub(super) fn new(list: &str, at: impl std::fmt::Display) -> Self {
        Self(format!("{list} {at}").bytes().map(|byte| format!("{byte:02x}")).collect())
    }

    /// What the list wrote.
    ///
    /// # Errors
    /// It is not of this list, or not what it should be.
    pub(super) fn read<T>(
        cursor: Option<&Self>,
        list: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(Self(text)) = cursor else { return Ok(None) };
        let bytes: Option<Vec<u8>> = (text.as_bytes().chunks(2))
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let at = text.as_deref().and_then(|text| text.strip_prefix(list)?.strip_prefix(' '));
        at.and_then(parse).map(Some).ok_or_else(Refusal::cursor)
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.0
    }
}

impl Parameter for Cursor {
    fn read(text: &str) -> Result<Self, String> {
        let fits = text.len() <= 2_000 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err("this is no cursor: pass `next` of the page before, unchanged".to_owned())
        }
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_fits_the_list_that_wrote_it_and_no_other() {
        let cursor = Cursor::new("dead", "5 ä");
        let read = |list: &str| {
            Cursor::read(Some(&cursor), list, |at| Some(at.to_owned()))
                .map_err(|refusal| refusal.errors)
        };
        assert_eq!(read("dead"), Ok(Some("5 ä".to_owned())));
        assert!(read("jobs").is_err() && read("dea").is_err());
        for broken in ["0", "zz", "ff", &cursor.0[1..]] {
            let broken = Cursor(broken.to_owned());
            assert!(
                Cursor::read(Some(&broken), "dead", |at| Some(at.to_owned())).is_err(),
                "{broken:?}"
            );
        }
    }
}
