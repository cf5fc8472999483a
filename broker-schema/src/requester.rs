//! Who asks for something, and why: kept with what people do to tasks, queues and workers.

use serde::{Deserialize, Serialize};

/// Longest text of either, in characters; what is longer is cut.
#[cfg(feature = "client")]
const MAX_CHARS: usize = 200;

/// Who asks for something, and why. Both are for people, and cut after 200 characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Requester {
    /// Who: a person, or a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
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

    /// As the rest of a JSON object: `,"by":"ada","why":"a typo"`, or nothing.
    #[cfg(feature = "client")]
    pub(crate) fn as_rest(&self) -> String {
        let part = |name: &str, text: &Option<String>| {
            let text: String = text.as_ref()?.chars().take(MAX_CHARS).collect();
            Some(format!(",\"{name}\":{}", serde_json::Value::from(text)))
        };
        [part("by", &self.by), part("why", &self.why)].into_iter().flatten().collect()
    }
}

#[cfg(all(test, feature = "client"))]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_json() {
        let who = Requester::new("a \"b\"\n").because("ä".repeat(900));
        let json = format!("{{\"at\":1{}}}", who.as_rest());
        let read: Requester = serde_json::from_str(&json).expect("JSON");
        assert_eq!(read.by, who.by);
        assert_eq!(read.why.map(|why| why.chars().count()), Some(MAX_CHARS));
        assert_eq!(Requester::default().as_rest(), "");
    }
}
