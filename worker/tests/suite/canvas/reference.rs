//! What must come of a workflow, worked out in memory. Which of several failures comes first is open: where
//! one is to be told, all that may be are given.

use std::collections::{BTreeMap, BTreeSet};

use celeriac_broker_schema::Accumulate;
use celeriac_broker_schema::{Outcome, State};
use serde_json::{Value, json};

use super::part::{Act, Errors, Grow, Knot, Part};

/// What may be told of a failure: one of these.
type Failures = BTreeSet<String>;
type Evaluated = Result<Value, Failures>;

/// What is expected of a workflow.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// How often each act runs to a good end at most.
    pub(super) runs: BTreeMap<u32, usize>,
    /// Whether anything fails for good; otherwise all acts do run.
    pub(super) fails: bool,
    /// Failures of what only the end of the job waits for.
    beside: Failures,
    /// The same of what may or may not have begun before its branch failed.
    perhaps: Failures,
    result: Option<Evaluated>,
    /// Failures of parts that joined a group whose failures are caught one by one.
    joined: Vec<Failures>,
    /// What parts that joined a group with an accumulator add to it.
    added: Vec<Value>,
}

impl Expected {
    pub(super) fn of(root: &Part) -> Self {
        let mut expected = Self::default();
        expected.result = Some(expected.part(root, None, false));
        expected
    }

    pub(super) fn assert_is(&self, outcome: &Outcome) {
        let failures = match self.result.as_ref().unwrap() {
            Err(failures) => failures | &(&self.beside | &self.perhaps),
            Ok(value) if outcome.state == State::Succeeded => {
                assert!(self.beside.is_empty(), "it should have failed: {self:?}");
                let result = outcome.result.as_ref().unwrap();
                let result: Value = serde_json::from_str(result.get()).unwrap();
                assert!(fits(&result, value), "{result}\nis not\n{value}");
                return;
            }
            Ok(_) => &self.beside | &self.perhaps,
        };
        assert_eq!(outcome.state, State::Failed, "{outcome:?}, and not {failures:?}");
        let told = &outcome.error.as_ref().unwrap().message;
        assert!(failures.contains(told), "{outcome:?} is none of {failures:?}");
        assert!(outcome.failed_task.is_some(), "{outcome:?}");
    }

    /// `alone`: whether a task at the end of it is by itself a part whose failure is caught.
    fn part(&mut self, part: &Part, input: Option<&Value>, alone: bool) -> Evaluated {
        match part {
            Part::Act(act) => self.act(act, input, alone),
            Part::Chain(steps) => {
                let mut result: Option<Value> = None;
                for (i, step) in steps.iter().enumerate() {
                    let input = result.as_ref().or(input);
                    result = Some(self.part(step, input, alone && i + 1 == steps.len())?);
                }
                Ok(result.unwrap())
            }
            Part::Group { members, on_error } => {
                let results = self.group(members.iter(), *on_error, input)?;
                Ok(json!(results))
            }
            Part::Total { members, on_error, name, how } => {
                let members: Vec<Part> = members.iter().cloned().map(Part::Act).collect();
                let results = self.group(members.iter(), *on_error, input)?;
                let told = |result: &Value| result.get("Ok").unwrap_or(result)[name].as_i64();
                let added = std::mem::take(&mut self.added);
                Ok(total(name, *how, results.iter().chain(&added).filter_map(told).collect()))
            }
            Part::Fold { members, with, width } => {
                let results = members.iter().map(|member| self.part(member, input, false));
                let mut results: Vec<Evaluated> = results.collect();
                loop {
                    let bites = results.chunks(*width).map(|bite| all(bite.to_vec()));
                    let fold = |bite: Result<_, _>| self.act(with, Some(&json!(bite?)), false);
                    results = bites.map(fold).collect();
                    if let [_] = results[..] {
                        return results.remove(0);
                    }
                }
            }
            Part::Graph(knots) => self.graph(knots, input),
        }
    }

    fn act(&mut self, act: &Act, input: Option<&Value>, alone: bool) -> Evaluated {
        if act.broken {
            self.fails = true;
            return Err(Failures::from([act.message()]));
        }
        *self.runs.entry(act.id).or_default() += 1;
        let mut result = act.result(input);
        let mut failures = Failures::new();
        for (grow, part) in &act.grows {
            match grow {
                Grow::Instead => match self.part(part, None, false) {
                    Ok(value) => result = value,
                    Err(more) => failures.extend(more),
                },
                Grow::Join => match self.part(part, None, alone) {
                    Ok(value) => self.added.extend(act.field.is_some().then_some(value)),
                    Err(more) if alone => self.joined.push(more),
                    Err(more) => failures.extend(more),
                },
                Grow::Beside => {
                    if let Err(more) = self.part(part, None, false) {
                        self.beside.extend(more);
                    }
                }
            }
        }
        if failures.is_empty() { Ok(result) } else { Err(failures) }
    }

    fn group<'a>(
        &mut self,
        members: impl Iterator<Item = &'a Part>,
        on_error: Errors,
        input: Option<&Value>,
    ) -> Result<Vec<Value>, Failures> {
        if on_error == Errors::Fail {
            return all(members.map(|member| self.part(member, input, false)).collect());
        }
        let mut failures = Vec::new();
        let mut results = Vec::new();
        for member in members {
            let (result, joined) = self.caught(member, input);
            results.push(tried(&result));
            failures.extend(result.err().into_iter().chain(joined));
        }
        match on_error {
            Errors::Tolerate(most) if failures.len() as u64 > most => {
                Err(failures.into_iter().flatten().collect())
            }
            _ => Ok(results),
        }
    }

    /// A part whose failure is caught, and the failures of what joined its last task.
    fn caught(&mut self, part: &Part, input: Option<&Value>) -> (Evaluated, Vec<Failures>) {
        let (joined, beside) = (std::mem::take(&mut self.joined), std::mem::take(&mut self.beside));
        let result = self.part(part, input, true);
        if result.is_err() {
            self.perhaps.append(&mut self.beside);
        }
        self.beside.extend(beside);
        (result, std::mem::replace(&mut self.joined, joined))
    }

    fn graph(&mut self, knots: &[Knot], input: Option<&Value>) -> Evaluated {
        let mut results: Vec<Evaluated> = Vec::new();
        let mut failures = Failures::new();
        for (i, knot) in knots.iter().enumerate() {
            let mut behind = knots.iter().filter(|other| other.after.contains(&i)).peekable();
            let given = behind.peek().is_some() && behind.all(|other| other.collect);
            let before = knot.after.iter().map(|before| match &results[*before] {
                result if knot.collect => Ok(tried(result)),
                result => result.clone(),
            });
            let result = match all(before.collect()) {
                // It never begins, and who is to blame is known.
                Err(failures) => Err(failures),
                Ok(mut before) => {
                    let before = match before.len() {
                        0 => None,
                        1 => Some(before.remove(0)),
                        _ => Some(json!(before)),
                    };
                    let input = before.as_ref().or(input);
                    if given {
                        self.caught(&knot.part, input).0
                    } else {
                        self.part(&knot.part, input, false)
                    }
                }
            };
            if let (Err(more), false) = (&result, given) {
                failures.extend(more.iter().cloned());
            }
            results.push(result);
        }
        if !failures.is_empty() {
            return Err(failures);
        }
        let ends = (0..knots.len()).filter(|i| !knots.iter().any(|knot| knot.after.contains(i)));
        let fields = ends.map(|i| Ok((i.to_string(), results[i].clone()?)));
        Ok(json!(fields.collect::<Result<BTreeMap<_, _>, Failures>>()?))
    }
}

/// The results of parts side by side, or all failures of which one ends them.
fn all(results: Vec<Evaluated>) -> Result<Vec<Value>, Failures> {
    if results.iter().all(Result::is_ok) {
        return Ok(results.into_iter().flatten().collect());
    }
    Err(results.into_iter().filter_map(Result::err).flatten().collect())
}

fn tried(result: &Evaluated) -> Value {
    match result {
        Ok(value) => json!({ "Ok": value }),
        Err(failures) => json!({ "Err": failures }),
    }
}

fn total(name: &str, how: Accumulate, numbers: Vec<i64>) -> Value {
    let count = numbers.len() as i64;
    let total = match how {
        Accumulate::Min => numbers.into_iter().min(),
        Accumulate::Max => numbers.into_iter().max(),
        Accumulate::Count => Some(count).filter(|count| *count > 0),
        _ => numbers.into_iter().reduce(|a, b| a + b),
    };
    total.map_or_else(|| json!({}), |total| json!({ name: total }))
}

/// Whether a result is what is expected: of a failure, one of those that may be.
fn fits(result: &Value, expected: &Value) -> bool {
    match (result, expected) {
        (Value::Array(results), Value::Array(expected)) => {
            results.len() == expected.len()
                && results.iter().zip(expected).all(|(result, expected)| fits(result, expected))
        }
        (Value::Object(fields), Value::Object(expected)) => {
            fields.len() == expected.len()
                && fields.iter().all(|(name, value)| match expected.get(name) {
                    Some(Value::Array(messages)) if name == "Err" => {
                        messages.contains(&value["message"])
                    }
                    Some(expected) => fits(value, expected),
                    None => false,
                })
        }
        _ => result == expected,
    }
}
