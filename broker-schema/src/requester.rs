//! Who asks for something, when and why: kept with what people do to tasks, queues, limits and workers.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::time::Timestamp;

/// Longest texts that are kept, in characters; what is longer is cut.
#[cfg(feature = "client")]
const MAX_BY: usize = 200;
#[cfg(feature = "client")]
const MAX_WHY: usize = 500;

/// Who asks for something, and why: for people. 200 characters of the one and 500 of the other are
/// kept. An empty text says nothing, and is read as None.
///
/// ```
/// use celeriac_broker_schema::Requester;
/// let ada = Requester::new("ada").because("the mail server is down");
/// assert_eq!(ada.to_string(), "by ada: the mail server is down");
/// assert_eq!(Requester::default().to_string(), "");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Requester {
    /// Who: a person, or a program.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub why: Option<String>,
}

/// Who asked for something, when and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Note {
    /// When (Redis time); 0 if that cannot be read.
    pub at: Timestamp,
    /// Who, and why.
    #[serde(flatten)]
    pub who: Requester,
}

fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()))
}

impl Requester {
    /// Somebody without a reason.
    pub fn new(by: impl Into<String>) -> Self {
        Self { by: Some(by.into()), why: None }
    }

    /// The same with a reason.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// ` by ada`, or nothing.
    pub fn by_whom(&self) -> String {
        self.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default()
    }

    /// `: a typo`, or nothing.
    pub fn and_why(&self) -> String {
        self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
    }
}

/// `by ada: a typo`; what was not said is left out.
impl fmt::Display for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.by, &self.why) {
            (Some(by), Some(why)) => write!(f, "by {by}: {why}"),
            (Some(by), None) => write!(f, "by {by}"),
            (None, Some(why)) => f.write_str(why),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(feature = "client")]
impl Requester {
    /// As the rest of a JSON object: `,"by":"ada","why":"a typo"`, or nothing.
    pub(crate) fn as_rest(&self) -> String {
        let [by, why] = self.kept();
        let part = |name: &str, text: Option<String>| {
            Some(format!(",\"{name}\":{}", serde_json::Value::from(text?)))
        };
        [part("by", by), part("why", why)].into_iter().flatten().collect()
    }

    /// As a JSON object with both: readers of earlier versions miss neither.
    pub(crate) fn as_object(&self) -> String {
        let [by, why] = self.kept().map(Option::unwrap_or_default);
        serde_json::json!({ "by": by, "why": why }).to_string()
    }

    /// The same, cut to what is kept.
    pub(crate) fn cut(&self) -> Self {
        let [by, why] = self.kept();
        Self { by, why }
    }

    /// What is kept of both: the one place where they are cut.
    fn kept(&self) -> [Option<String>; 2] {
        let cut = |text: &Option<String>, most| {
            let text: String = text.as_ref()?.chars().take(most).collect();
            Some(text).filter(|text| !text.is_empty())
        };
        [cut(&self.by, MAX_BY), cut(&self.why, MAX_WHY)]
    }
}

#[cfg(feature = "client")]
impl Note {
    /// A stored note. One that cannot be read is told as one that says nothing: it is for people
    /// only.
    pub(crate) fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The same, if there is one.
    pub(crate) fn read_any(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::read(text))
    }
}

#[cfg(all(test, feature = "client"))]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_json() {
        let who = Requester::new("a \"b\"\n").because("ä".repeat(900));
        for json in [format!("{{\"at\":1{}}}", who.as_rest()), who.as_object()] {
            let read: Requester = serde_json::from_str(&json).expect("JSON");
            assert_eq!(read.by, who.by);
            assert_eq!(read.why.map(|why| why.chars().count()), Some(MAX_WHY));
        }
        assert_eq!(Requester::default().as_rest(), "");
        assert_eq!(Requester::new("").because("").as_rest(), "");
    }

    #[test]
    fn what_says_nothing_is_none() {
        for stored in [r#"{"at":5,"by":"","why":""}"#, r#"{"at":5,"by":null}"#, r#"{"at":5}"#] {
            assert_eq!(Note::read(stored), Note { at: Timestamp(5), ..Note::default() });
        }
        assert_eq!(Note::read("no JSON"), Note::default());
        assert_eq!(Requester { by: None, why: Some("a leak".to_owned()) }.to_string(), "a leak");
    }
}
