//! The shape of an input: which results of other members it is made of, and how they are put
//! together. Members are named by their distance from the one that is given the input, so that a
//! shape stays true wherever in a job its members come to stand.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Stretch;
use crate::id::ChunkIndex;

/// What an input is made of.
///
/// ```
/// use celeriac_broker_schema::workflow::Shape;
/// // The three members before this one, as a list; each may have failed.
/// let shape = Shape::List(vec![Shape::tried(Shape::Run(-3, 0))]);
/// let stored = serde_json::to_string(&shape)?;
/// assert_eq!(stored, r#"[{"try":"-3..0"}]"#);
/// assert_eq!(serde_json::from_str::<Shape>(&stored)?, shape);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Shape {
    /// The result of the member at this distance.
    One(i64),
    /// In a list: the results of members from the first distance to the second, which is not one of them.
    #[serde(with = "run")]
    Run(i64, i64),
    /// A list of these, in their order.
    List(Vec<Shape>),
    /// Something else.
    Other(Other),
}

/// What has a name in the stored form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Other {
    /// Results of which each may be an error: `{"Ok": result}` or `{"Err": failure}`.
    Try(Box<Shape>),
    /// An object of these.
    Map(BTreeMap<String, Shape>),
    /// The accumulators of the job.
    Totals(Vec<String>),
    /// The members that were added to the group before a barrier, in the order in which they were added:
    /// a list.
    Fed(i64),
}

mod run {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        lo: &i64,
        hi: &i64,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{lo}..{hi}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<(i64, i64), D::Error> {
        let text = String::deserialize(deserializer)?;
        let ends =
            text.split_once("..").and_then(|(lo, hi)| Some((lo.parse().ok()?, hi.parse().ok()?)));
        ends.ok_or_else(|| D::Error::custom("a stretch of members is written \"lo..hi\""))
    }
}

/// What is known of the result of a member.
#[derive(Debug, Clone)]
pub enum Value {
    /// Its result.
    Ok(Box<RawValue>),
    /// Why it failed: a JSON object.
    Err(Box<RawValue>),
    /// It stands for others: the shape of their results, by their distance from it.
    Of(Shape),
}

/// What is known while an input is put together.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The values of members.
    pub values: HashMap<ChunkIndex, Value>,
    /// The accumulators of the job, as a JSON object.
    pub totals: Option<Box<RawValue>>,
    /// The members that were added to the groups before barriers.
    pub fed: HashMap<ChunkIndex, Vec<Stretch>>,
}

/// What has to be fetched before an input can be put together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Values of members.
    pub members: Vec<Stretch>,
    /// Whether the accumulators.
    pub totals: bool,
    /// Of which barriers the members.
    pub fed: Vec<ChunkIndex>,
    /// A member that failed where a result is needed, or a distance out of the job.
    pub broken: Option<String>,
}

impl Missing {
    /// Whether nothing is missing and nothing is wrong.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn member(&mut self, index: ChunkIndex) {
        match self.members.last_mut() {
            Some((_, hi)) if *hi == index => *hi += 1,
            _ => self.members.push((index, index + 1)),
        }
    }

    fn break_at(&mut self, why: String) {
        self.broken.get_or_insert(why);
    }
}

impl Shape {
    /// The same, of which each may have failed.
    #[must_use]
    pub fn tried(self) -> Self {
        Self::Other(Other::Try(Box::new(self)))
    }

    /// An object of shapes.
    pub fn map(fields: BTreeMap<String, Self>) -> Self {
        Self::Other(Other::Map(fields))
    }

    /// The members that were added to the group before a barrier.
    pub fn fed(barrier: i64) -> Self {
        Self::Other(Other::Fed(barrier))
    }

    /// These accumulators.
    pub fn totals(names: Vec<String>) -> Self {
        Self::Other(Other::Totals(names))
    }

    /// Calls this for each member that it is made of, by its distance.
    pub fn each_member(&self, run: &mut impl FnMut(i64)) {
        match self {
            Self::One(distance) => run(*distance),
            Self::Run(lo, hi) => (*lo..*hi).for_each(run),
            Self::List(items) => items.iter().for_each(|item| item.each_member(run)),
            Self::Other(Other::Try(shape)) => shape.each_member(run),
            Self::Other(Other::Map(fields)) => {
                fields.values().for_each(|shape| shape.each_member(run));
            }
            Self::Other(Other::Totals(_) | Other::Fed(_)) => {}
        }
    }

    /// The same with other distances; neighbours in a list become a run.
    #[must_use]
    pub fn mapped(&self, distance: &impl Fn(i64) -> i64) -> Self {
        match self {
            Self::One(old) => Self::One(distance(*old)),
            Self::Run(lo, hi) => {
                Self::List((*lo..*hi).map(|old| Self::One(distance(old))).collect()).drawn()
            }
            Self::List(items) => {
                Self::List(items.iter().map(|item| item.mapped(distance)).collect()).drawn()
            }
            Self::Other(Other::Try(shape)) => shape.mapped(distance).tried(),
            Self::Other(Other::Map(fields)) => {
                let mapped =
                    |(name, shape): (&String, &Self)| (name.clone(), shape.mapped(distance));
                Self::map(fields.iter().map(mapped).collect())
            }
            // Barriers have the numbers of members.
            Self::Other(Other::Fed(old)) => Self::Other(Other::Fed(distance(*old))),
            Self::Other(Other::Totals(_)) => self.clone(),
        }
    }

    /// A list in which neighbours are runs.
    fn drawn(self) -> Self {
        let Self::List(items) = self else { return self };
        let mut drawn: Vec<Self> = Vec::new();
        for item in items {
            let joined = drawn.last_mut().is_some_and(|last| last.draw(&item));
            if !joined {
                drawn.push(item);
            }
        }
        Self::List(drawn)
    }

    /// Takes the next item of a list into this one, if they are neighbours of the same kind.
    fn draw(&mut self, next: &Self) -> bool {
        match (&mut *self, next) {
            (Self::One(lo), Self::One(distance)) if *lo + 1 == *distance => {
                *self = Self::Run(*lo, distance + 1);
                true
            }
            (Self::Run(_, hi), Self::One(distance)) if *hi == *distance => {
                *hi += 1;
                true
            }
            (Self::Other(Other::Try(last)), Self::Other(Other::Try(next))) => {
                // Lists that may have failed stay what they are: each fails as a whole.
                matches!(**next, Self::One(_)) && last.draw(next)
            }
            _ => false,
        }
    }

    /// Puts the input of member `own` together, as JSON.
    ///
    /// # Errors
    /// What is [`Missing`] for that: fetch it and try again.
    pub fn build(&self, own: ChunkIndex, known: &Known) -> Result<Box<RawValue>, Missing> {
        let mut missing = Missing::default();
        let mut json = String::new();
        self.write(own, known, false, &mut json, &mut missing);
        if !missing.is_empty() {
            return Err(missing);
        }
        RawValue::from_string(json).map_err(|error| Missing {
            broken: Some(format!("the results do not make JSON: {error}")),
            ..Missing::default()
        })
    }

    fn write(
        &self,
        own: ChunkIndex,
        known: &Known,
        tried: bool,
        json: &mut String,
        missing: &mut Missing,
    ) {
        match self {
            Self::One(distance) => write_member(own, *distance, known, tried, json, missing),
            // A run alone is a list of its members.
            Self::Run(..) => {
                json.push('[');
                self.write_items(own, known, tried, json, missing, &mut true);
                json.push(']');
            }
            Self::List(items) => {
                json.push('[');
                let mut first = true;
                for item in items {
                    item.write_items(own, known, tried, json, missing, &mut first);
                }
                json.push(']');
            }
            Self::Other(Other::Try(shape)) => shape.write(own, known, true, json, missing),
            Self::Other(Other::Map(fields)) => {
                json.push('{');
                for (i, (name, shape)) in fields.iter().enumerate() {
                    json.push_str(if i > 0 { "," } else { "" });
                    json.push_str(&serde_json::Value::from(name.as_str()).to_string());
                    json.push(':');
                    shape.write(own, known, tried, json, missing);
                }
                json.push('}');
            }
            Self::Other(Other::Totals(names)) => write_totals(names, known, json, missing),
            Self::Other(Other::Fed(_)) => {
                json.push('[');
                self.write_items(own, known, tried, json, missing, &mut true);
                json.push(']');
            }
        }
    }

    /// Writes what it adds to a list.
    fn write_items(
        &self,
        own: ChunkIndex,
        known: &Known,
        tried: bool,
        json: &mut String,
        missing: &mut Missing,
        first: &mut bool,
    ) {
        let mut comma = |json: &mut String| {
            if !std::mem::take(first) {
                json.push(',');
            }
        };
        match self {
            Self::Run(lo, hi) => {
                for distance in *lo..*hi {
                    comma(json);
                    write_member(own, distance, known, tried, json, missing);
                }
            }
            Self::Other(Other::Try(shape)) if matches!(**shape, Self::Run(..)) => {
                shape.write_items(own, known, true, json, missing, first);
            }
            Self::Other(Other::Fed(distance)) => {
                let Some(barrier) = own.checked_add_signed(*distance) else {
                    return missing.break_at(format!("no barrier at {distance} from {own}"));
                };
                match known.fed.get(&barrier) {
                    None => missing.fed.push(barrier),
                    Some(stretches) => {
                        for index in stretches.iter().flat_map(|(lo, hi)| *lo..*hi) {
                            comma(json);
                            write_value(index, known, tried, json, missing);
                        }
                    }
                }
            }
            other => {
                comma(json);
                other.write(own, known, tried, json, missing);
            }
        }
    }
}

fn write_member(
    own: ChunkIndex,
    distance: i64,
    known: &Known,
    tried: bool,
    json: &mut String,
    missing: &mut Missing,
) {
    match own.checked_add_signed(distance) {
        Some(index) => write_value(index, known, tried, json, missing),
        None => missing.break_at(format!("no member at {distance} from {own}")),
    }
}

fn write_value(
    index: ChunkIndex,
    known: &Known,
    tried: bool,
    json: &mut String,
    missing: &mut Missing,
) {
    let wrap = |json: &mut String, word: &str| {
        if tried {
            json.push_str(&format!(r#"{{"{word}":"#));
        }
    };
    match known.values.get(&index) {
        None => missing.member(index),
        Some(Value::Ok(result)) => {
            wrap(json, "Ok");
            json.push_str(result.get());
            json.push_str(if tried { "}" } else { "" });
        }
        Some(Value::Err(failure)) if tried => {
            wrap(json, "Err");
            json.push_str(failure.get());
            json.push('}');
        }
        Some(Value::Err(_)) => missing.break_at(format!("member {index} has failed")),
        // It was replaced by a member that may have failed.
        Some(Value::Of(shape @ Shape::One(_))) if tried => {
            shape.write(index, known, true, json, missing);
        }
        Some(Value::Of(shape)) => {
            wrap(json, "Ok");
            shape.write(index, known, false, json, missing);
            json.push_str(if tried { "}" } else { "" });
        }
    }
}

fn write_totals(names: &[String], known: &Known, json: &mut String, missing: &mut Missing) {
    let Some(totals) = known.totals.as_deref() else {
        missing.totals = true;
        return;
    };
    let fields: BTreeMap<&str, &RawValue> = match serde_json::from_str(totals.get()) {
        Ok(fields) => fields,
        Err(error) => {
            return missing.break_at(format!("the accumulators are not readable: {error}"));
        }
    };
    json.push('{');
    let found = names.iter().filter_map(|name| Some((name, fields.get(name.as_str())?)));
    for (i, (name, number)) in found.enumerate() {
        json.push_str(if i > 0 { "," } else { "" });
        json.push_str(&format!("\"{name}\":{}", number.get()));
    }
    json.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).expect("JSON")
    }

    fn known() -> Known {
        let mut known = Known::default();
        for index in 0..5 {
            known.values.insert(index, Value::Ok(raw(&format!("{}", index * 10))));
        }
        known.values.insert(5, Value::Err(raw(r#"{"kind":"failed"}"#)));
        known.values.insert(6, Value::Of(serde_json::from_str(r#"["-6..-4"]"#).expect("a shape")));
        known.totals = Some(raw(r#"{"n":3,"sum":18446744073709551615,"x":0}"#));
        known.fed.insert(7, vec![(0, 2), (4, 5)]);
        known
    }

    fn built(shape: &str, own: ChunkIndex) -> Result<String, Missing> {
        let shape: Shape = serde_json::from_str(shape).expect("a shape");
        shape.build(own, &known()).map(|json| json.get().to_owned())
    }

    #[test]
    fn inputs_are_put_together_in_their_order() {
        for (shape, json) in [
            ("-2", "10"),
            (r#""-3..0""#, "[0,10,20]"),
            (r#"[-1,"-3..-1",[-2]]"#, "[20,0,10,[10]]"),
            (
                r#"{"map":{"a":-3,"b":{"totals":["sum","n"]}}}"#,
                r#"{"a":0,"b":{"sum":18446744073709551615,"n":3}}"#,
            ),
        ] {
            assert_eq!(built(shape, 3).as_deref(), Ok(json), "{shape}");
        }
        assert_eq!(built(r#"{"fed":0}"#, 7).as_deref(), Ok("[0,10,40]"));
        assert_eq!(built("-1", 7).as_deref(), Ok("[0,10]"), "it stands for others");
        let tried = built(r#"[{"try":"-3..0"}]"#, 7);
        let json = r#"[{"Ok":40},{"Err":{"kind":"failed"}},{"Ok":[0,10]}]"#;
        assert_eq!(tried.as_deref(), Ok(json));
    }

    #[test]
    fn what_is_missing_is_told_at_once() {
        let missing = built(r#"["1..4",{"fed":3},9]"#, 7).expect_err("missing");
        let told =
            Missing { members: vec![(8, 11), (16, 17)], fed: vec![10], ..Missing::default() };
        assert_eq!(missing, told);
        assert!(built("-2", 7).expect_err("failed").broken.is_some());
        assert!(built("-9", 7).expect_err("before the job").broken.is_some());
    }
}
