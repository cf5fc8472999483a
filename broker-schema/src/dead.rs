//! Dead letters: tasks that failed for good, kept for people to look at, to revive or to throw away.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::id::TaskId;
use crate::job::JobSpec;
use crate::name::{Priority, QueueName};
use crate::outcome::{Attempt, ErrorKind, Outcome, TaskFailure};
use crate::record::Record;
use crate::time::Timestamp;

/// A task or chunk that failed for good.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetter {
    /// Its id.
    pub id: TaskId,
    /// When it failed for good, by the clock of Redis.
    pub at: Timestamp,
    /// The name of the task; `?` if what is stored cannot be read.
    pub task: String,
    /// The queue it waited in.
    pub queue: QueueName,
    /// Its priority there.
    pub priority: Priority,
    /// Why it failed at last.
    pub error: TaskFailure,
    /// Its arguments: the bytes that were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Box<RawValue>>,
    /// All attempts side by side, the oldest first.
    pub attempts: Vec<Attempt>,
    /// Whether it is a chunk or the reducer of a job: then the job has ended with it.
    pub of_job: bool,
    /// The lock that it had when it failed, as scripts keep it (`lua/lib/locks.lua`).
    #[serde(skip)]
    pub lock: Option<String>,
    /// Its record, or the description of its job, as it is stored. None if it cannot be read.
    #[serde(skip)]
    pub record: Option<Box<RawValue>>,
    /// What is stored, whether it can be read or not.
    #[serde(skip)]
    pub stored: String,
}

#[derive(Deserialize)]
struct Stored {
    record: Box<RawValue>,
    /// Whether it is the reducer of a job.
    #[serde(default)]
    job: bool,
    #[serde(default)]
    lock: Option<String>,
    outcome: Outcome,
}

impl DeadLetter {
    /// Reads what is stored. What cannot be read becomes an error of kind
    /// [`ErrorKind::BadRecord`], with the text kept.
    pub fn read(id: TaskId, at: Timestamp, stored: String) -> Self {
        let mut letter = Self {
            id,
            at,
            task: "?".to_owned(),
            queue: QueueName::default(),
            priority: Priority::default(),
            error: TaskFailure::new(ErrorKind::BadRecord, "what is stored cannot be read"),
            args: None,
            attempts: Vec::new(),
            of_job: id.chunk().is_some(),
            lock: None,
            record: None,
            stored,
        };
        match serde_json::from_str(&letter.stored) {
            Ok(Stored { record, job, lock, outcome }) => {
                letter.lock = lock;
                letter.of_job |= job;
                letter.add(record, outcome);
            }
            // A record that is no JSON: the outcome behind it can be read all the same.
            Err(_) => {
                if let Some(outcome) = outcome_behind(&letter.stored) {
                    letter.add_outcome(outcome);
                }
            }
        }
        letter
    }

    fn add(&mut self, record: Box<RawValue>, outcome: Outcome) {
        self.add_outcome(outcome);
        if let Some(index) = self.id.chunk() {
            if let Ok(spec) = JobSpec::decode(record.get()) {
                self.add_record(&spec.chunk);
                self.args = spec.args_of(index).ok().map(|args| args.into_owned());
            } else if let Ok(read) = Record::decode(record.get()) {
                // A member of a workflow has a record of its own.
                self.add_record(&read);
            }
        } else if let Ok(read) = Record::decode(record.get()) {
            self.add_record(&read);
        }
        self.record = Some(record);
    }

    fn add_outcome(&mut self, outcome: Outcome) {
        self.attempts = outcome.attempts;
        if let Some(error) = outcome.error {
            self.error = error;
        }
    }

    fn add_record(&mut self, record: &Record<'_>) {
        let options = record.options();
        self.task = record.task.to_string();
        (self.queue, self.priority) = (options.queue, options.priority);
        self.args = Some(record.args.to_owned());
    }
}

fn outcome_behind(stored: &str) -> Option<Outcome> {
    // Those of the attempts are texts.
    let at = stored.rfind(r#""outcome":{"#)? + r#""outcome":"#.len();
    serde_json::from_str(stored[at..].strip_suffix('}')?).ok()
}

/// Which dead letters are meant: those that all that is set holds for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Of this queue.
    pub queue: Option<QueueName>,
    /// Of the task with this name.
    pub task: Option<String>,
    /// Whose error says this somewhere, or is of this kind; upper and lower case are the same.
    pub error: Option<String>,
    /// Whose error has this fingerprint.
    pub fingerprint: Option<String>,
    /// That failed for good at this time or later.
    pub since: Option<Timestamp>,
    /// That failed for good before this time.
    pub until: Option<Timestamp>,
}

impl DeadFilter {
    /// Whether a dead letter is meant.
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        let says = |text: &String| {
            let text = text.to_lowercase();
            letter.error.message.to_lowercase().contains(&text)
                || serde_json::to_value(letter.error.kind).is_ok_and(|kind| kind == *text)
        };
        self.queue.as_ref().is_none_or(|queue| *queue == letter.queue)
            && self.task.as_ref().is_none_or(|task| *task == letter.task)
            && self.error.as_ref().is_none_or(says)
            && self.fingerprint.as_ref().is_none_or(|print| *print == letter.error.fingerprint)
            && self.until.is_none_or(|until| letter.at < until)
            && !self.is_over(letter)
    }

    /// Whether this one, and with it all older ones, died before the time that is asked for.
    pub fn is_over(&self, letter: &DeadLetter) -> bool {
        self.since.is_some_and(|since| letter.at < since)
    }
}

/// Dead letters of one task with the same sort of error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadGroup {
    /// The name of the task.
    pub task: String,
    /// What their errors have in common.
    pub fingerprint: String,
    /// What kind of trouble it was.
    pub kind: ErrorKind,
    /// How many there are.
    pub count: u64,
    /// When the first and the last of them failed for good.
    pub first: Timestamp,
    /// See `first`.
    pub last: Timestamp,
    /// The newest of them.
    pub newest: TaskId,
    /// Its message.
    pub message: String,
}

/// Dead letters by task and sort of error. Takes as much memory as there are groups.
#[derive(Debug, Clone, Default)]
pub struct DeadGroups {
    groups: HashMap<(String, String), DeadGroup>,
}

impl DeadGroups {
    /// Counts one more.
    pub fn add(&mut self, letter: DeadLetter) {
        let DeadLetter { id, at, task, error, .. } = letter;
        self.add_group(DeadGroup {
            task,
            fingerprint: error.fingerprint,
            kind: error.kind,
            count: 1,
            first: at,
            last: at,
            newest: id,
            message: error.message,
        });
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: Self) {
        for group in other.groups.into_values() {
            self.add_group(group);
        }
    }

    fn add_group(&mut self, group: DeadGroup) {
        match self.groups.entry((group.task.clone(), group.fingerprint.clone())) {
            Entry::Vacant(entry) => drop(entry.insert(group)),
            Entry::Occupied(mut entry) => entry.get_mut().add(group),
        }
    }

    /// All groups, the largest first; of two that are as large, the one that died last.
    pub fn sorted(self) -> Vec<DeadGroup> {
        let mut groups: Vec<DeadGroup> = self.groups.into_values().collect();
        groups.sort_by(|a, b| b.count.cmp(&a.count).then(b.last.cmp(&a.last)));
        groups
    }
}

impl DeadGroup {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.first = self.first.min(other.first);
        if (other.last, other.newest) > (self.last, self.newest) {
            (self.last, self.newest, self.message) = (other.last, other.newest, other.message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTCOME: &str = r#"{"v":1,"state":"failed","error":{"kind":"panic","message":"No Ink","fingerprint":"f"},"ended":9,"attempts":[{"attempt":1,"outcome":"lost","worker":"w","ended":5}]}"#;

    fn letter(record: &str) -> DeadLetter {
        let id = "018bcfe5680070008000000000000000".parse().expect("an id");
        DeadLetter::read(id, Timestamp(9), format!(r#"{{"record":{record},"outcome":{OUTCOME}}}"#))
    }

    #[test]
    fn what_is_stored_is_read_as_far_as_it_goes() {
        let whole = letter(r#"{"v":1,"task":"t","args":{"n":18446744073709551615},"queue":"q"}"#);
        assert_eq!((&*whole.task, whole.queue.as_str()), ("t", "q"));
        assert_eq!(whole.args.expect("arguments").get(), r#"{"n":18446744073709551615}"#);
        assert_eq!((&*whole.error.message, whole.attempts.len()), ("No Ink", 1));
        for record in ["null", r#"{"v":99}"#, "\u{0}garbage"] {
            let letter = letter(record);
            assert_eq!((&*letter.task, &*letter.error.message), ("?", "No Ink"), "{record}");
            assert!(letter.stored.contains(record));
        }
        let member = format!("{}:3", whole.id).parse().expect("an id");
        let stored = whole.stored.clone();
        let member = DeadLetter::read(member, Timestamp(9), stored);
        assert_eq!((&*member.task, member.queue.as_str()), ("t", "q"), "it has its own record");
        let lost = DeadLetter::read(whole.id, whole.at, String::new());
        assert_eq!(lost.error.kind, ErrorKind::BadRecord);
    }

    #[test]
    fn groups_are_counted_and_added_up() {
        let of = |task: &str, at: u64| {
            let mut letter = letter(&format!(r#"{{"v":1,"task":"{task}","args":1}}"#));
            letter.at = Timestamp(at);
            letter.error.message = format!("at {at}");
            letter
        };
        let mut all = DeadGroups::default();
        for letters in [vec![of("t", 5), of("u", 4)], vec![of("t", 3), of("t", 7)]] {
            let mut page = DeadGroups::default();
            letters.into_iter().for_each(|letter| page.add(letter));
            all.merge(page);
        }
        let told = |group: DeadGroup| (group.task, group.count, group.first.0, group.message);
        let told: Vec<_> = all.sorted().into_iter().map(told).collect();
        let of =
            |task: &str, count, first, at: &str| (task.to_owned(), count, first, at.to_owned());
        assert_eq!(told, [of("t", 3, 3, "at 7"), of("u", 1, 4, "at 4")]);
    }

    #[test]
    fn all_that_is_set_must_hold() {
        let letter = letter(r#"{"v":1,"task":"t","args":1,"queue":"q"}"#);
        let text = |text: &str| Some(text.to_owned());
        let hold = [
            DeadFilter::default(),
            DeadFilter { queue: "q".parse().ok(), task: text("t"), ..Default::default() },
            DeadFilter { error: text("no ink"), fingerprint: text("f"), ..Default::default() },
            DeadFilter { error: text("Panic"), since: Some(Timestamp(9)), ..Default::default() },
            DeadFilter { until: Some(Timestamp(10)), ..Default::default() },
        ];
        assert!(hold.iter().all(|filter| filter.matches(&letter)));
        let fail = [
            DeadFilter { queue: "q".parse().ok(), task: text("u"), ..Default::default() },
            DeadFilter { queue: Some(QueueName::default()), ..Default::default() },
            DeadFilter { error: text("paper"), ..Default::default() },
            DeadFilter { fingerprint: text("g"), ..Default::default() },
            DeadFilter { since: Some(Timestamp(10)), ..Default::default() },
            DeadFilter { until: Some(Timestamp(9)), ..Default::default() },
        ];
        assert!(!fail.iter().any(|filter| filter.matches(&letter)));
    }
}
