//! What people did, for people: who, what, to what, from where, and what came of it.

use serde::{Deserialize, Serialize};

use crate::requester::Requester;
use crate::time::Timestamp;

/// Longest texts that are kept, in characters; what is longer is cut.
#[cfg(feature = "client")]
const MAX_TEXT: usize = 1_000;

/// Something that somebody did, or tried to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Deed {
    /// What: `pause-queue`, `cancel`, …
    pub action: String,
    /// To what: `queue=mail`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Who, and why.
    #[serde(flatten)]
    pub who: Requester,
    /// With what: `monitor`, `cli`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub with: String,
    /// From which address, if it came over the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// How many tasks, or other things, are different now.
    pub changed: u64,
    /// What came of it, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub result: String,
    /// Whether it did not succeed: a part may have been done.
    pub failed: bool,
}

/// A line of the audit list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditLine {
    /// Its place: what comes behind it is asked for with this.
    pub place: String,
    /// When (Redis time).
    pub at: Timestamp,
    /// What was done.
    #[serde(flatten)]
    pub deed: Deed,
}

/// A page of the audit list, the newest line first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditPage {
    /// Redis time.
    pub now: Timestamp,
    /// The lines.
    pub lines: Vec<AuditLine>,
    /// The place behind which the next page begins; None: there is none.
    pub next: Option<String>,
}

#[cfg(feature = "client")]
impl Deed {
    /// As it is stored: the one place where texts are cut.
    pub(crate) fn encode(&self) -> String {
        let cut = |text: &String| text.chars().take(MAX_TEXT).collect::<String>();
        let deed = Self {
            action: cut(&self.action),
            target: cut(&self.target),
            who: self.who.cut(),
            with: cut(&self.with),
            from: self.from.as_ref().map(cut),
            result: cut(&self.result),
            ..*self
        };
        serde_json::to_string(&deed).expect("texts and numbers are JSON")
    }

    /// One that cannot be read is told as one that says nothing but that.
    pub(crate) fn decode(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| Self {
            action: "?".to_owned(),
            result: "what is stored cannot be read".to_owned(),
            ..Self::default()
        })
    }
}

#[cfg(all(test, feature = "client"))]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_left_out() {
        let deed = Deed {
            action: "pause-queue".to_owned(),
            who: Requester::new("ada"),
            ..Deed::default()
        };
        assert_eq!(
            deed.encode(),
            r#"{"action":"pause-queue","by":"ada","changed":0,"failed":false}"#
        );
        assert_eq!(Deed::decode(&deed.encode()), deed);
        assert_eq!(Deed::decode("no JSON").action, "?");
    }

    #[test]
    fn long_texts_are_cut() {
        let deed = Deed { target: "ä".repeat(5_000), ..Deed::default() };
        assert_eq!(Deed::decode(&deed.encode()).target.chars().count(), MAX_TEXT);
    }
}
