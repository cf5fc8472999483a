//! The fields of an action, as they come: from a query, a form or a JSON object. A name may come
//! several times.

use serde_json::{Map, Value};

/// Names and values, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl Fields {
    /// The fields of a query or of the body of a form. Any bytes are some fields.
    pub(crate) fn of_form(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// The fields of a JSON object: texts, numbers, yes and no; lists of them are several fields.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(crate) fn of_json(bytes: &[u8]) -> Result<Self, Vec<String>> {
        let object: Map<String, Value> = match serde_json::from_slice(bytes) {
            Ok(object) => object,
            Err(error) => return Err(vec![format!("the body is no JSON object: {error}")]),
        };
        let (mut fields, mut wrong) = (Vec::new(), Vec::new());
        for (name, value) in object {
            let values = match value {
                Value::Array(values) => values,
                value => vec![value],
            };
            for value in values {
                match value {
                    Value::Null => {}
                    Value::String(text) => fields.push((name.clone(), text)),
                    Value::Bool(true) => fields.push((name.clone(), "yes".to_owned())),
                    Value::Bool(false) => fields.push((name.clone(), "no".to_owned())),
                    Value::Number(number) => fields.push((name.clone(), number.to_string())),
                    Value::Array(_) | Value::Object(_) => {
                        let name: String = name.chars().take(80).collect();
                        wrong.push(format!("field {name:?} holds lists or objects"));
                    }
                }
            }
        }
        if wrong.is_empty() { Ok(Self(fields)) } else { Err(wrong) }
    }

    /// The first value of a name; an empty text if there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    /// All values of a name.
    pub(crate) fn texts<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Those of this one, and of another behind them.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// All but those of these names.
    pub(crate) fn without(&self, names: &[&str]) -> Self {
        let kept = self.0.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        Self(kept.cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(of: &[(&str, &str)]) -> Fields {
        Fields(of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn forms_and_objects_say_the_same() {
        let form = Fields::of_form(b"delayed=yes&id=1&id=2&max=5&queue=a+b%26");
        let json = br#"{"queue":"a b&","id":["1","2"],"delayed":true,"max":5,"why":null}"#;
        assert_eq!(Fields::of_json(json), Ok(form.clone()));
        assert_eq!(form.texts("id").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((form.text("queue"), form.text("why")), ("a b&", ""));
        assert_eq!(form.without(&["id", "queue", "max"]), fields(&[("delayed", "yes")]));
    }

    #[test]
    fn bytes_of_any_sort_are_fields_or_refused() {
        assert_eq!(Fields::of_form(b"%ff=%00&&=").0.len(), 2);
        for bad in [&b""[..], b"[]", b"1", b"{", b"\xff", br#"{"a":{}}"#, br#"{"a":[[1]]}"#] {
            assert!(Fields::of_json(bad).is_err(), "{bad:?}");
        }
    }
}
