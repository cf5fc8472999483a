//! A job of chunks with a reduction: what is stored of it, how its chunks get their arguments,
//! and what their results add to its accumulators.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use crate::error::InvalidInput;
use crate::id::ChunkIndex;
use crate::limits::{MAX_ACCUMULATORS, MAX_CHUNKS, MAX_EXACT_INTEGER, MAX_LABEL_BYTES};
use crate::record::{FORMAT, Record, UnreadableRecord};

/// The stored description of a job: the record that all its chunks share, how they differ, what
/// is accumulated, and what is done with it at the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobSpec<'a> {
    /// The version of the stored form.
    pub v: u16,
    /// Name, arguments and options of every chunk.
    #[serde(borrow)]
    pub chunk: Record<'a>,
    /// The number of chunks.
    pub chunks: u64,
    /// The argument that is shared out among the chunks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Field of a chunk's result → what is accumulated of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accumulate: BTreeMap<String, Accumulate>,
    /// The task that gets the accumulators when all chunks are done, by name.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reduce: Option<Cow<'a, str>>,
    /// What people call the job.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Cow<'a, str>>,
    /// Who enqueued it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub submitted_by: Option<Cow<'a, str>>,
    /// The percentage of the mean duration after which a chunk is started a second time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speculate: Option<u32>,
    /// Of a workflow: what it looks like, for people. Its chunks are members with records of their own, and
    /// `chunk` says nothing of them.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<&'a RawValue>,
}

/// An amount in the arguments that is shared out: chunk `i` gets its part of `total` in `field`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Split {
    /// The field of the arguments.
    pub field: String,
    /// The amount to share out.
    pub total: u64,
}

/// What is accumulated of a field of the chunks' results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Accumulate {
    /// The sum. Integers are added exactly; other numbers with the rounding of Redis'
    /// `HINCRBYFLOAT`, which depends on the order in which chunks end.
    Sum,
    /// The smallest number.
    Min,
    /// The largest number.
    Max,
    /// How many results there are; they need no such field.
    Count,
    /// The field is an object of numbers: those of the same key are summed up. All such maps of a job
    /// have at most about 1,000 keys together.
    Merge,
}

/// One step of an accumulator, as the script applies it.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    /// `sum` (integer), `sumf` (other numbers), `min` or `max`.
    pub op: &'static str,
    /// The accumulator.
    pub name: String,
    /// The number, in JSON.
    pub number: String,
}

impl Split {
    /// The share of a chunk: all shares differ by at most one and add up to the total.
    pub fn share(&self, index: ChunkIndex, chunks: u64) -> u64 {
        self.total / chunks + u64::from(index < self.total % chunks)
    }

    /// The sum of the shares of all chunks before `index`: where this one begins.
    pub fn offset(&self, index: ChunkIndex, chunks: u64) -> u64 {
        self.total / chunks * index + index.min(self.total % chunks)
    }
}

impl<'a> JobSpec<'a> {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// Chunks out of bounds, too many or badly named accumulators, a label, submitter or split field
    /// that is too long, arguments that cannot be split.
    pub fn check(&self) -> Result<(), InvalidInput> {
        let least = u64::from(self.workflow.is_none());
        if !(least..=MAX_CHUNKS).contains(&self.chunks) {
            return Err(InvalidInput::Chunks(self.chunks));
        }
        if self.accumulate.len() > MAX_ACCUMULATORS {
            return Err(InvalidInput::OutOfBounds {
                what: "number of accumulators",
                value: self.accumulate.len().to_string(),
                expected: "use at most 32",
            });
        }
        for name in self.accumulate.keys() {
            // Accumulators become fields of a hash and names in JSON that a script puts together.
            name.parse::<crate::name::QueueName>().map_err(|_| InvalidInput::Name {
                what: "accumulator",
                value: name.chars().take(80).collect(),
                max: 100,
                extra: "",
            })?;
        }
        self.check_lengths()?;
        self.args_of(0).map(|_| ())
    }

    fn check_lengths(&self) -> Result<(), InvalidInput> {
        let texts = [
            ("label", self.label.as_deref()),
            ("name of the submitter", self.submitted_by.as_deref()),
            ("name of the split field", self.split.as_ref().map(|split| split.field.as_str())),
        ];
        for (what, text) in texts {
            let bytes = text.unwrap_or_default().len();
            if bytes > MAX_LABEL_BYTES {
                let expected = "use at most 256 bytes";
                let value = format!("{bytes} bytes");
                return Err(InvalidInput::OutOfBounds { what, value, expected });
            }
        }
        Ok(())
    }

    /// The stored form.
    ///
    /// # Errors
    /// What [`JobSpec::check`] finds.
    pub fn encode(&self) -> Result<String, InvalidInput> {
        self.check()?;
        serde_json::to_string(self)
            .map_err(|error| InvalidInput::Json { what: "job", reason: error.to_string() })
    }

    /// Reads a stored description.
    ///
    /// # Errors
    /// [`UnreadableRecord`]: written by a newer version, or no description of a job.
    pub fn decode(stored: &'a str) -> Result<Self, UnreadableRecord> {
        let spec: Self = serde_json::from_str(stored)
            .map_err(|error| UnreadableRecord::Broken(error.to_string()))?;
        let found = spec.v.max(spec.chunk.v);
        if found > FORMAT { Err(UnreadableRecord::Newer { found }) } else { Ok(spec) }
    }

    /// The arguments of one chunk: those of the job, with its share filled in.
    ///
    /// # Errors
    /// [`InvalidInput::SplitArguments`] if there is nothing to fill it into.
    pub fn args_of(&self, index: ChunkIndex) -> Result<Cow<'a, RawValue>, InvalidInput> {
        chunk_args(self.chunk.args, self.split.as_ref(), index, self.chunks)
    }
}

/// The arguments of chunk `index` of `chunks`: `args`, with its share of the split amount.
///
/// # Errors
/// [`InvalidInput::SplitArguments`] if there is nothing to fill the share into.
pub fn chunk_args<'a>(
    args: &'a RawValue,
    split: Option<&Split>,
    index: ChunkIndex,
    chunks: u64,
) -> Result<Cow<'a, RawValue>, InvalidInput> {
    let Some(split) = split else {
        return Ok(Cow::Borrowed(args));
    };
    let share = split.share(index, chunks).to_string();
    let share = BTreeMap::from([(Cow::Borrowed(split.field.as_str()), raw(&share)?)]);
    merge_args(args, share)
        .map(Cow::Owned)
        .map_err(|_| InvalidInput::SplitArguments { field: split.field.clone() })
}

/// The arguments of a reducer: its own, with the accumulators (a JSON object) added by name.
///
/// # Errors
/// [`InvalidInput::Json`] if one of them is no JSON object.
pub fn reducer_args(args: &RawValue, totals: &str) -> Result<Box<RawValue>, InvalidInput> {
    let totals = serde_json::from_str(totals)
        .map_err(|error| InvalidInput::Json { what: "accumulators", reason: error.to_string() })?;
    merge_args(args, totals)
}

/// An object of arguments, in which values stay the bytes that were sent.
type Fields<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

fn merge_args<'a>(args: &'a RawValue, more: Fields<'a>) -> Result<Box<RawValue>, InvalidInput> {
    let json = |error: serde_json::Error| InvalidInput::Json {
        what: "arguments",
        reason: error.to_string(),
    };
    let mut fields: Fields<'a> = serde_json::from_str(args.get()).map_err(json)?;
    fields.extend(more);
    serde_json::value::to_raw_value(&fields).map_err(json)
}

fn raw(json: &str) -> Result<&RawValue, InvalidInput> {
    serde_json::from_str(json)
        .map_err(|error| InvalidInput::Json { what: "number", reason: error.to_string() })
}

/// What the result of a chunk adds to the accumulators of its job.
///
/// # Errors
/// A text that says which field is missing or is no number that can be accumulated.
pub fn deltas(
    accumulate: &BTreeMap<String, Accumulate>,
    result: &RawValue,
) -> Result<Vec<Delta>, String> {
    if accumulate.is_empty() {
        return Ok(Vec::new());
    }
    let result: Map<String, Value> = serde_json::from_str(result.get())
        .map_err(|_| "the result of a chunk with accumulators must be a JSON object".to_owned())?;
    let mut deltas = Vec::with_capacity(accumulate.len());
    for (name, op) in accumulate {
        match (op, result.get(name)) {
            (Accumulate::Count, _) => deltas.push(delta_of(name, Accumulate::Sum, &1.into())?),
            (Accumulate::Merge, Some(Value::Object(entries))) => {
                for (key, value) in entries {
                    let Value::Number(number) = value else {
                        return Err(format!(
                            "field `{name}` of the result is merged, but its entry {key:?} is no number"
                        ));
                    };
                    deltas.push(delta_of(&format!("{name}:{key}"), Accumulate::Sum, number)?);
                }
            }
            (Accumulate::Merge, Some(_)) => {
                return Err(format!(
                    "field `{name}` of the result is merged but is no object of numbers"
                ));
            }
            (_, Some(Value::Number(number))) => deltas.push(delta_of(name, *op, number)?),
            (_, Some(_)) => {
                return Err(format!(
                    "field `{name}` of the result is accumulated but is no number"
                ));
            }
            (_, None) => {
                return Err(format!("field `{name}` of the result is accumulated but missing"));
            }
        }
    }
    Ok(deltas)
}

fn delta_of(name: &str, op: Accumulate, number: &Number) -> Result<Delta, String> {
    let integer = number.as_i64();
    let out_of_range = match integer {
        Some(n) => n.unsigned_abs() > MAX_EXACT_INTEGER.unsigned_abs(),
        None => number.is_u64(),
    };
    if out_of_range {
        return Err(format!(
            "field `{name}` of the result is {number}: integers are accumulated up to 2^53"
        ));
    }
    let op = match (op, integer) {
        (Accumulate::Max, _) => "max",
        (Accumulate::Min, _) => "min",
        (_, Some(_)) => "sum",
        (_, None) => "sumf",
    };
    Ok(Delta { op, name: name.to_owned(), number: number.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).expect("JSON")
    }

    #[test]
    fn shares_lose_nothing() {
        for (total, chunks) in [(10, 3), (100, 100), (2, 5), (0, 4), (1_000_003, 997)] {
            let split = Split { field: "n".to_owned(), total };
            let sum: u64 = (0..chunks).map(|i| split.share(i, chunks)).sum();
            assert_eq!(sum, total);
            for i in 0..chunks {
                let before: u64 = (0..i).map(|k| split.share(k, chunks)).sum();
                assert_eq!(split.offset(i, chunks), before);
            }
        }
    }

    #[test]
    fn a_chunk_gets_its_share_and_keeps_the_rest() {
        let stored = r#"{"v":1,"chunk":{"v":1,"task":"pi","args":{"seed":18446744073709551615,"samples":0}},"chunks":3,"split":{"field":"samples","total":10}}"#;
        let spec = JobSpec::decode(stored).expect("a spec");
        let args = spec.args_of(0).expect("arguments");
        assert_eq!(args.get(), r#"{"samples":4,"seed":18446744073709551615}"#);
        assert_eq!(
            spec.args_of(2).expect("arguments").get(),
            r#"{"samples":3,"seed":18446744073709551615}"#
        );
    }

    #[test]
    fn texts_of_a_job_are_bounded() {
        let stored = r#"{"v":1,"chunk":{"v":1,"task":"pi","args":{}},"chunks":3}"#;
        let spec = JobSpec::decode(stored).expect("a spec");
        let of = |bytes: usize| {
            let text = Some(Cow::Owned("x".repeat(bytes)));
            let split = Some(Split { field: "x".repeat(bytes), total: 3 });
            [
                JobSpec { label: text.clone(), ..spec.clone() },
                JobSpec { submitted_by: text, ..spec.clone() },
                JobSpec { split, ..spec.clone() },
            ]
            .map(|spec| spec.encode().map_err(|error| error.to_string()))
        };
        assert!(of(256).iter().all(Result::is_ok));
        let refused = ["label", "name of the submitter", "name of the split field"]
            .map(|what| Err(format!("{what} of 257 bytes is not valid: use at most 256 bytes")));
        assert_eq!(of(257), refused);
    }

    #[test]
    fn deltas_are_exact_or_refused() {
        let ops = BTreeMap::from([("n".to_owned(), Accumulate::Sum)]);
        let delta = |json: &str| deltas(&ops, &boxed(json)).map(|mut all| all.remove(0));
        assert_eq!(delta(r#"{"n":7}"#).map(|d| (d.op, d.number)), Ok(("sum", "7".to_owned())));
        assert_eq!(delta(r#"{"n":0.5}"#).map(|d| d.op), Ok("sumf"));
        for bad in [
            r#"{"n":9007199254740993}"#,
            r#"{"n":18446744073709551615}"#,
            r#"{"n":"7"}"#,
            "{}",
            "7",
        ] {
            assert!(delta(bad).is_err(), "{bad}");
        }
    }
}
