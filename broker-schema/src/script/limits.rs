//! `limits`: the limits, what they hold and what waits for them.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::gate::{Limit, Subject};
use crate::keys::Keys;
use crate::reply::Reply;
use crate::requester::Note;
use crate::script::script;
use crate::time::Timestamp;

script!(LIMITS, "limits", " flags=no-writes", ["base", "ready"]);

/// The limits of a namespace at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Redis time.
    pub now: Timestamp,
    /// Those that are set, by subject.
    pub set: Vec<LimitView>,
    /// The subjects that hold tasks or let some wait.
    pub busy: Vec<SubjectView>,
    /// The queues whose tenants take turns.
    pub fair: Vec<FairView>,
}

/// A limit that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitView {
    /// What it is on.
    pub subject: Subject,
    /// What it lets go.
    pub limit: Limit,
    /// Who set it, when and why; None if a version set it that did not note that.
    pub note: Option<Note>,
}

/// A queue whose tenants take turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FairView {
    /// Its name.
    pub queue: String,
    /// Who wanted that, when and why, if it was noted.
    pub note: Option<Note>,
}

/// How a subject stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectView {
    /// Which one.
    pub subject: Subject,
    /// How many tasks workers hold, if its concurrency is limited.
    pub held: u64,
    /// How many tasks wait only for this limit. What waits for the limit of a queue stays in the
    /// queue and is not counted here.
    pub waiting: u64,
    /// When its rate lets the next one go, if that is known.
    pub next: Option<Timestamp>,
}

pub(crate) async fn limits(
    connections: &Connections,
    keys: &Keys,
    most: u32,
) -> Result<Limits, BrokerError> {
    let mut command = LIMITS.command(keys.prefix());
    command.arg(most);
    let mut reply = Reply::new(LIMITS.name, connections.run(&LIMITS, &command).await?)?;
    let now = Timestamp(reply.number("now")?);
    let mut set = read_set(reply.array("limits")?)?;
    set.sort_by(|a, b| a.subject.cmp(&b.subject));
    let mut busy = read_busy(reply.array("subjects")?)?;
    busy.sort_by(|a, b| a.subject.cmp(&b.subject));
    let mut fair = read_fair(reply.array("fair")?)?;
    fair.sort_by(|a, b| a.queue.cmp(&b.queue));
    Ok(Limits { now, set, busy, fair })
}

fn read_set(mut reply: Reply) -> Result<Vec<LimitView>, BrokerError> {
    let mut set = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        let mut one = reply.array("limit")?;
        let subject = format!("{}:{}", one.text("kind")?, one.text("name")?);
        let subject = subject.parse().map_err(|_| one.error(format!("subject {subject:?}")))?;
        let stored = one.text("limit")?;
        let limit = Limit::decode(&stored).ok_or_else(|| one.error(format!("limit {stored:?}")))?;
        set.push(LimitView { subject, limit, note: Note::read_any(&one.text("note")?) });
    }
    Ok(set)
}

fn read_fair(mut reply: Reply) -> Result<Vec<FairView>, BrokerError> {
    let mut fair = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        let mut one = reply.array("fair queue")?;
        let queue = one.text("queue")?;
        fair.push(FairView { queue, note: Note::read_any(&one.text("note")?) });
    }
    Ok(fair)
}

fn read_busy(mut reply: Reply) -> Result<Vec<SubjectView>, BrokerError> {
    let mut busy = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        let mut one = reply.array("subject")?;
        busy.push(SubjectView {
            subject: one.parsed("subject")?,
            held: one.number("held")?,
            waiting: one.number("waiting")?,
            next: Some(Timestamp(one.number("next")?)).filter(|at| at.0 > 0),
        });
    }
    Ok(busy)
}
