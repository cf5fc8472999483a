//! The outcome: how a task ended, as it is stored under `result:<id>`; and the attempts that led
//! there, side by side.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::id::TaskId;
use crate::limits::{MAX_ERROR_BYTES, MAX_TRACE_BYTES};
use crate::name::QueueName;
use crate::packed::{pack, unpack};
use crate::state::State;
use crate::time::Timestamp;
use crate::workflow::Shape;

/// The newest stored form of an outcome that this build reads.
const NEWEST: u16 = 2;

/// How a task or job ended. All times are Redis time in milliseconds.
///
/// Form 1 is this struct as it is. Form 2 has a compressed result in place of the plain one, and is
/// only written where there is one ([`Outcome::encode`]); to read it is to unpack it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Outcome {
    /// The version of the stored form; 1, once it is read.
    pub v: u16,
    /// One of the final states.
    pub state: State,
    /// The name of the task. Missing in outcomes of jobs that no reducer ended, and of tasks that were
    /// cancelled where they waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Where it waited; left out if that was `default`. See [`Outcome::queue`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// What the task returned: the bytes it wrote. Present when it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    /// Of a workflow, in place of the result: of the results of which members it is made. What waits for the
    /// result puts it together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Shape>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TaskFailure>,
    /// For a job: the task or chunk whose failure ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_task: Option<String>,
    /// The number of the last attempt, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The lease under which it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// When the last attempt began to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Timestamp,
    /// Who cancelled it, if somebody did and said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why it was cancelled, if somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Earlier attempts, and for a failure also the last one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

/// Both stored forms.
#[derive(Serialize, Deserialize)]
struct Stored {
    v: u16,
    state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    /// In form 2: the result, packed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result_z: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    members: Option<Shape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<TaskFailure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed_task: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started: Option<Timestamp>,
    ended: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Attempt>,
}

impl TryFrom<Stored> for Outcome {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        if stored.v > NEWEST {
            let found = stored.v;
            return Err(format!(
                "the outcome has format {found}, and formats up to {NEWEST} are read here: update this program"
            ));
        }
        let result = match &stored.result_z {
            Some(packed) => Some(unpack(packed)?),
            None => stored.result,
        };
        Ok(Self {
            v: 1,
            state: stored.state,
            task: stored.task,
            queue: stored.queue,
            result,
            members: stored.members,
            error: stored.error,
            failed_task: stored.failed_task,
            attempt: stored.attempt,
            worker: stored.worker,
            started: stored.started,
            ended: stored.ended,
            by: stored.by,
            why: stored.why,
            attempts: stored.attempts,
        })
    }
}

impl Outcome {
    /// The queue in which the task waited, if that is known.
    pub fn queue(&self) -> Option<&str> {
        let default = self.task.is_some().then_some(QueueName::DEFAULT);
        self.queue.as_deref().or(default)
    }

    /// The stored form: a long result is compressed.
    pub fn encode(self) -> String {
        let json = match self.result.as_deref().and_then(pack) {
            None => serde_json::to_string(&self),
            packed => serde_json::to_string(&self.packed(packed)),
        };
        json.expect("our own types are always JSON")
    }

    fn packed(self, result_z: Option<String>) -> Stored {
        Stored {
            v: NEWEST,
            state: self.state,
            task: self.task,
            queue: self.queue,
            result: None,
            result_z,
            members: self.members,
            error: self.error,
            failed_task: self.failed_task,
            attempt: self.attempt,
            worker: self.worker,
            started: self.started,
            ended: self.ended,
            by: self.by,
            why: self.why,
            attempts: self.attempts,
        }
    }
}

/// One attempt of a task that did not succeed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Attempt {
    /// Its number, from 1.
    pub attempt: u32,
    /// `failed`, `lost` when its worker was, or `revived`: no attempt, but a mark behind the last one
    /// before the task was revived.
    pub outcome: Cow<'static, str>,
    /// The lease under which it ran.
    pub worker: String,
    /// The machine of that worker, if it was lost and its machine is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When the task was claimed (known for lost ones).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<Timestamp>,
    /// When it began to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Timestamp,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TaskFailure>,
    /// How long it was put off until the next attempt, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// Of the mark `revived`: who revived it, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Of the mark `revived`: why, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What kind of trouble ended an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The task returned an error.
    Error,
    /// The task panicked.
    Panic,
    /// The task ran longer than its time-out.
    Timeout,
    /// The worker has no task of this name.
    UnknownTask,
    /// The arguments do not fit the task.
    BadArguments,
    /// The record cannot be read, or was written by a newer version.
    BadRecord,
    /// The result is too large, or cannot be written as JSON.
    BadResult,
    /// The result does not fit the accumulators of the job.
    BadAccumulator,
    /// No worker that it was given to can run it with these options.
    BadOptions,
    /// Its workers were lost too often.
    Crashed,
    /// Somebody cancelled it.
    Cancelled,
    /// A kind that a newer version writes.
    #[serde(other)]
    Other,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskFailure {
    /// What kind of trouble.
    pub kind: ErrorKind,
    /// What happened, at most 2 kB.
    pub message: String,
    /// Where it happened, at most 16 kB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The same for failures of the same sort: kind and message without what varies.
    pub fingerprint: String,
    /// Where the failure of a part of a workflow is given to what follows: the task that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

impl TaskFailure {
    /// A failure with its message cut to the limit and its fingerprint computed.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = cut(message.into(), MAX_ERROR_BYTES);
        let fingerprint = fingerprint(kind, &message);
        Self { kind, message, trace: None, fingerprint, task: None }
    }

    /// The same with a trace.
    #[must_use]
    pub fn with_trace(mut self, trace: impl Into<String>) -> Self {
        self.trace = Some(cut(trace.into(), MAX_TRACE_BYTES));
        self
    }
}

impl std::fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let mut end = max - '…'.len_utf8();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Sixteen hex digits: FNV-1a (Fowler, Noll, Vo) over kind and message, in which every run of
/// digits and every id (eight or more hex digits, with or without hyphens) counts as one `0`, so
/// that numbers and ids in a message do not tell errors apart.
fn fingerprint(kind: ErrorKind, message: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut feed = |byte: u8| {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    };
    feed(kind as u8);
    let mut rest = message.as_bytes();
    while let Some(byte) = rest.first() {
        let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        let (word, after) = rest.split_at(rest.iter().take_while(|byte| is_of_word(byte)).count());
        if word.is_empty() {
            feed(*byte);
            rest = &rest[1..];
            continue;
        }
        if is_id(word) {
            feed(b'0');
        } else {
            feed_word(word, &mut feed);
        }
        rest = after;
    }
    format!("{hash:016x}")
}

fn is_id(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"0x").unwrap_or(word);
    word.len() >= 8
        && word.iter().any(u8::is_ascii_digit)
        && word.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
}

fn feed_word(word: &[u8], mut feed: impl FnMut(u8)) {
    let mut in_number = false;
    for byte in word {
        let digit = byte.is_ascii_digit();
        if !(digit && in_number) {
            feed(if digit { b'0' } else { *byte });
        }
        in_number = digit;
    }
}

/// The attempts in a history entry as scripts keep it: a line of counts, then a line of JSON for
/// each attempt. What cannot be read is left out.
pub fn attempts_of(history: &str) -> Vec<Attempt> {
    history.lines().skip(1).filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The earlier failures and crashes that a history entry counts.
pub fn counts_of(history: &str) -> (u32, u32) {
    let mut numbers =
        history.lines().next().unwrap_or("").split(' ').map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_ignore_numbers_and_ids_only() {
        let of = |message: &str| TaskFailure::new(ErrorKind::Error, message).fingerprint;
        assert_eq!(of("row 17 missing"), of("row 4711 missing"));
        assert_ne!(of("row 17 missing"), of("row 17 locked"));
        let about = |id: &str| of(&format!("no user {id} (at 0x7ffe12ab90)"));
        assert_eq!(
            about("018bcfe5-6800-7000-8000-00000000000a"),
            about("f47ac10b-58cc-4372-a567-0e02b2c3d479")
        );
        assert_eq!(about("018bcfe568007000800000000000000a"), about("7"));
        assert_ne!(about("defaced"), about("7"));
        assert_ne!(of("v2 of app"), of("v2 of ape"));
        assert_eq!(of("é 1 ü"), of("é 22 ü"));
        assert_ne!(of("x"), TaskFailure::new(ErrorKind::Panic, "x").fingerprint);
    }

    #[test]
    fn a_long_result_is_stored_compressed_and_read_as_it_was() {
        let outcome = |result: &str| Outcome {
            v: 1,
            state: State::Succeeded,
            result: Some(RawValue::from_string(result.to_owned()).expect("JSON")),
            members: None,
            error: None,
            failed_task: None,
            attempt: Some(2),
            worker: Some("w".to_owned()),
            started: Some(Timestamp(1)),
            ended: Timestamp(2),
            task: None,
            queue: None,
            by: None,
            why: None,
            attempts: Vec::new(),
        };
        let short = outcome("[1]").encode();
        assert!(short.starts_with(r#"{"v":1,"state":"succeeded","result":[1],"#), "{short}");
        let long = format!("\"{}\"", "ä".repeat(100_000));
        let stored = outcome(&long).encode();
        assert!(stored.starts_with(r#"{"v":2,"state":"succeeded","result_z":""#), "{stored:.80}");
        assert!(stored.len() < 2_000, "{} bytes", stored.len());
        let read: Outcome = serde_json::from_str(&stored).expect("it is readable");
        assert_eq!(read.result.as_ref().map(|json| json.get()), Some(long.as_str()));
        assert_eq!((read.v, read.attempt, read.started), (1, Some(2), Some(Timestamp(1))));
    }

    #[test]
    fn a_newer_form_is_refused_in_words() {
        let newer = r#"{"v":3,"state":"succeeded","result_q":1,"ended":2}"#;
        let refused = serde_json::from_str::<Outcome>(newer).expect_err("it is newer").to_string();
        assert!(refused.contains("has format 3") && refused.contains("update"), "{refused}");
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let failure = TaskFailure::new(ErrorKind::Error, "ä".repeat(5_000));
        assert!(failure.message.len() <= MAX_ERROR_BYTES);
        assert!(failure.message.ends_with('…'));
    }

    #[test]
    fn a_history_is_read_line_by_line() {
        let history = "1 1\n{\"attempt\":1,\"outcome\":\"lost\",\"worker\":\"a\",\"claimed\":5,\"ended\":9}\nnoise";
        assert_eq!(counts_of(history), (1, 1));
        assert_eq!(attempts_of(history).len(), 1);
        assert_eq!(counts_of(""), (0, 0));
    }
}
