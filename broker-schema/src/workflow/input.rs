//! How the results of what a task follows come into its arguments.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::{RawValue, to_raw_value};

use super::Target;

/// The arguments of a task with the results that it is given. All values stay the bytes that they were.
///
/// # Errors
/// A text that says what does not fit: arguments that are no list or no object, a result that is none.
///
/// ```
/// use celeriac_broker_schema::workflow::{Target, with_input};
/// use serde_json::value::to_raw_value;
/// let (args, input) = (to_raw_value(&[2])?, to_raw_value(&7)?);
/// assert_eq!(with_input(&args, &input, &Target::First).unwrap().get(), "[7,2]");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn with_input(
    args: &RawValue,
    input: &RawValue,
    into: &Target,
) -> Result<Box<RawValue>, String> {
    match into {
        Target::First if args.get() == "null" => listed(vec![input]),
        Target::First => {
            let mut all = vec![input];
            all.extend(list(args)?);
            listed(all)
        }
        Target::Spread => match object(input) {
            Ok(more) => {
                let mut fields = if args.get() == "null" { BTreeMap::new() } else { object(args)? };
                fields.extend(more);
                to_raw_value(&fields).map_err(|error| error.to_string())
            }
            Err(_) => {
                let mut all = list(input)?;
                all.extend(if args.get() == "null" { Vec::new() } else { list(args)? });
                listed(all)
            }
        },
        Target::Field(name) => {
            let mut fields = if args.get() == "null" { BTreeMap::new() } else { object(args)? };
            fields.insert(Cow::Borrowed(name.as_str()), input);
            to_raw_value(&fields).map_err(|error| error.to_string())
        }
    }
}

fn listed(values: Vec<&RawValue>) -> Result<Box<RawValue>, String> {
    to_raw_value(&values).map_err(|error| error.to_string())
}

fn list(json: &RawValue) -> Result<Vec<&RawValue>, String> {
    serde_json::from_str(json.get()).map_err(|_| {
        format!("the result of what it follows needs a list of arguments, not {}", brief(json))
    })
}

fn object(json: &RawValue) -> Result<BTreeMap<Cow<'_, str>, &RawValue>, String> {
    serde_json::from_str(json.get()).map_err(|_| {
        format!("the result of what it follows needs an object of arguments, not {}", brief(json))
    })
}

fn brief(json: &RawValue) -> String {
    json.get().chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(args: &str, input: &str, into: &Target) -> Result<String, String> {
        let raw = |json: &str| RawValue::from_string(json.to_owned()).expect("JSON");
        with_input(&raw(args), &raw(input), into).map(|args| args.get().to_owned())
    }

    #[test]
    fn a_result_goes_where_it_is_told() {
        let field = Target::Field("n".to_owned());
        for (args, input, into, json) in [
            ("[1]", "18446744073709551615", &Target::First, "[18446744073709551615,1]"),
            ("null", "7", &Target::First, "[7]"),
            ("[1]", "[7,8]", &Target::Spread, "[7,8,1]"),
            (r#"{"a":1}"#, r#"{"b":2}"#, &Target::Spread, r#"{"a":1,"b":2}"#),
            (r#"{"a":1}"#, "[7]", &field, r#"{"a":1,"n":[7]}"#),
            ("null", "1.50", &field, r#"{"n":1.50}"#),
        ] {
            assert_eq!(placed(args, input, into).as_deref(), Ok(json));
        }
    }

    #[test]
    fn what_does_not_fit_is_told() {
        assert!(placed(r#"{"a":1}"#, "7", &Target::First).is_err());
        assert!(placed("[1]", "7", &Target::Spread).is_err());
        assert!(placed("[1]", "7", &Target::Field("n".to_owned())).is_err());
    }
}
