//! An object of a workflow as it is read: its fields one by one, their values as they are written. What
//! nobody has taken in the end is unknown, and told with the name that was probably meant.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of an object, in their order.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    all: Vec<(String, &'a RawValue)>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    all.push(pair);
                }
                Ok(Fields { all })
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

impl<'a> Fields<'a> {
    pub(super) fn has(&self, name: &str) -> bool {
        self.all.iter().any(|(known, _)| known == name)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.all.iter().position(|(known, _)| known == name)?;
        Some(self.all.remove(at).1)
    }

    /// Takes what has the name of something before it, and returns these names.
    pub(super) fn take_twins(&mut self) -> Vec<String> {
        let mut twins = Vec::new();
        let mut seen = HashSet::new();
        self.all.retain(|(name, _)| {
            let is_new = seen.insert(name.clone());
            if !is_new {
                twins.push(name.clone());
            }
            is_new
        });
        twins
    }

    /// What is left.
    pub(super) fn rest(self) -> Vec<(String, &'a RawValue)> {
        self.all
    }
}

/// Which of these names was probably meant.
pub(super) fn meant<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let most = (name.chars().count() / 3).max(1);
    let near = known.iter().map(|known| (edits(name, known), *known));
    near.filter(|(edits, _)| *edits <= most).min().map(|(_, known)| known)
}

/// How many characters have to be added, removed, replaced or swapped with their neighbour to make one text
/// of the other.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_near() {
        let known = ["chain", "group", "chord", "retries", "queue"];
        for (name, told) in [
            ("chian", Some("chain")),
            ("retry", None),
            ("retrys", Some("retries")),
            ("queu", Some("queue")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(meant(name, &known), told, "{name}");
        }
    }

    #[test]
    fn a_name_twice_is_seen() {
        let read = |json| serde_json::from_str::<Fields<'_>>(json).expect("JSON");
        let mut fields = read(r#"{"a":1,"b":2,"a":3}"#);
        assert_eq!(fields.take_twins(), ["a"]);
        assert_eq!(fields.take("a").map(RawValue::get), Some("1"));
        assert!(read(r#"{"a":1,"b":2}"#).take_twins().is_empty());
    }
}
