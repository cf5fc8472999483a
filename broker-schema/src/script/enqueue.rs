//! `enqueue`: a batch of tasks, safe to repeat.

use redis::Cmd;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{ClientId, TaskId};
use crate::keys::Keys;
use crate::name::{Priority, QueueName};
use crate::reply::Reply;
use crate::requester::Note;
use crate::script::{bounded, remember, script};
use crate::time::Timestamp;
use crate::unique::{Unique, UniqueMode};

script!(ENQUEUE, "enqueue", "", ["base", "ready", "batch", "controls", "locks"]);

/// A task as it is enqueued.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its id.
    pub id: TaskId,
    /// Its encoded record.
    pub record: String,
    /// Where it waits.
    pub queue: QueueName,
    /// How urgent it is there.
    pub priority: Priority,
    /// When it may start and until when.
    pub start: Start,
    /// An idempotency key, and for how long it stands for this task.
    pub unique: Option<Unique>,
}

/// When a task may start. All by the clock of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Start {
    /// Not before this many milliseconds from now.
    pub delay_ms: Option<u64>,
    /// Not before this time. A delay goes before it.
    pub at: Option<Timestamp>,
    /// Not at all once this many milliseconds have passed.
    pub expires_after_ms: Option<u64>,
    /// Not at all after this time.
    pub expires_at: Option<Timestamp>,
}

/// A task that was not enqueued because its idempotency key stands for an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duplicate {
    /// The task that was not enqueued.
    pub id: TaskId,
    /// The earlier one.
    pub first: TaskId,
}

/// What became of a batch, or of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Redis time.
    pub now: Timestamp,
    /// What was not enqueued because of an idempotency key.
    pub duplicates: Vec<Duplicate>,
    /// What was not enqueued because its queue takes nothing, or nothing more. Everything else is
    /// enqueued; of a job, all or nothing.
    pub refused: Vec<Refused>,
}

/// A stretch of a batch that a queue did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The position of the first one in the batch, from 0.
    pub first: usize,
    /// How many from there on.
    pub count: usize,
    /// Why.
    pub why: Refusal,
}

/// Why a queue does not take a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The queue.
    pub queue: String,
    /// The limit of its length, if it is full; None if it is closed.
    pub limit: Option<u64>,
    /// Who closed or limited it, when and why.
    pub note: Note,
}

pub(crate) async fn enqueue(
    connections: &Connections,
    keys: &Keys,
    producer: &ClientId,
    number: u64,
    entries: &[Entry],
) -> Result<Answered, BrokerError> {
    let mut command = ENQUEUE.command(keys.prefix());
    command.arg(producer.as_str()).arg(number);
    let mut rest = entries;
    while let Some(first) = rest.first() {
        if is_plain(first) {
            let same = |entry: &&Entry| {
                is_plain(entry) && entry.queue == first.queue && entry.priority == first.priority
            };
            let n = rest.iter().take_while(same).count();
            write_plain(&mut command, &rest[..n]);
            rest = &rest[n..];
        } else {
            write_single(&mut command, first);
            rest = &rest[1..];
        }
    }
    let (script, then) = remember(keys, producer);
    let value = connections.run_durably((&ENQUEUE, &command), (script, &then)).await?;
    read_enqueued(ENQUEUE.name, value)
}

fn is_plain(entry: &Entry) -> bool {
    entry.start == Start::default() && entry.unique.is_none()
}

fn write_plain(command: &mut Cmd, entries: &[Entry]) {
    let first = &entries[0];
    command.arg("P").arg(first.queue.as_str()).arg(first.priority.get()).arg(entries.len());
    for entry in entries {
        command.arg(&entry.id.root_hex()).arg(&entry.record);
    }
}

fn write_single(command: &mut Cmd, entry: &Entry) {
    let number = |n: Option<u64>| n.map(|n| bounded(n).to_string()).unwrap_or_default();
    let start = entry.start;
    let unique = entry.unique.as_ref();
    let letter = unique.and_then(|unique| unique.mode.letter());
    command.arg(if letter.is_some() { "U" } else { "X" });
    command.arg(entry.queue.as_str()).arg(entry.priority.get());
    command.arg(entry.id.to_string()).arg(&entry.record);
    let debounced = match unique.map(|unique| unique.mode) {
        Some(UniqueMode::Debounce { wait_ms, .. }) => Some(wait_ms),
        _ => None,
    };
    command.arg(number(debounced.or(start.delay_ms))).arg(number(start.at.map(|at| at.0)));
    command.arg(number(start.expires_at.map(|at| at.0))).arg(number(start.expires_after_ms));
    command.arg(unique.map_or("", |unique| unique.key.as_str()));
    let ms = match unique.map(|unique| unique.mode) {
        Some(UniqueMode::For { ms }) => Some(ms.max(1)),
        Some(UniqueMode::Debounce { longest_ms, .. }) => longest_ms,
        _ => None,
    };
    if let Some(letter) = letter {
        command.arg(letter);
    }
    command.arg(number(ms));
}

pub(crate) fn read_enqueued(
    script: &'static str,
    value: redis::Value,
) -> Result<Answered, BrokerError> {
    let mut reply = Reply::new(script, value)?;
    reply.text("state")?;
    read_enqueued_rest(&mut reply)
}

/// The same behind its first word.
pub(crate) fn read_enqueued_rest(reply: &mut Reply) -> Result<Answered, BrokerError> {
    let now = Timestamp(reply.number("now")?);
    let mut pairs = reply.array("duplicates")?;
    let mut duplicates = Vec::new();
    while !pairs.is_empty() {
        duplicates.push(Duplicate { id: pairs.parsed("id")?, first: pairs.parsed("first id")? });
    }
    let refused = read_refused(reply.array("refused")?)?;
    Ok(Answered { now, duplicates, refused })
}

fn read_refused(mut reply: Reply) -> Result<Vec<Refused>, BrokerError> {
    let mut refused = Vec::new();
    while !reply.is_empty() {
        let (first, count) = (reply.number("position")?, reply.number("count")?);
        let queue = reply.text("queue")?;
        let full = reply.text("word")? == "full";
        let limit = Some(reply.number("limit")?).filter(|_| full);
        let note = Note::read(&reply.text("note")?);
        let place = |n| usize::try_from(n).unwrap_or(usize::MAX);
        let why = Refusal { queue, limit, note };
        refused.push(Refused { first: place(first), count: place(count), why });
    }
    Ok(refused)
}
