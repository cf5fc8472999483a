//! `cancel`: end tasks and jobs that nobody wants any more, or tell those who run them.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{LeaseId, TaskId};
use crate::keys::Keys;
use crate::record::{Record, TaskOptions};
use crate::reply::Reply;
use crate::requester::Requester;
use crate::script::records::records;
use crate::script::{bounded, script};

script!(
    CANCEL,
    "cancel",
    " flags=allow-oom",
    ["base", "ready", "gate", "locks", "totals", "settle", "workflow"]
);

/// Most ids in one call.
const BITE: usize = 100;

/// What became of the wish to cancel a task or job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelled {
    /// It has ended as cancelled. The running chunks of a job are told.
    Done,
    /// It runs under this lease, whose worker is told. It ends as cancelled unless it succeeds
    /// before it hears of it.
    Told(LeaseId),
    /// It had ended before.
    Ended,
    /// Never enqueued, or its outcome was not kept.
    Unknown,
    /// It is a chunk, and nothing was done: cancel its job.
    IsChunk,
}

/// What became of each id, in their order.
pub(crate) async fn cancel(
    connections: &Connections,
    keys: &Keys,
    ids: &[TaskId],
    who: &Requester,
) -> Result<Vec<Cancelled>, BrokerError> {
    let whole: Vec<TaskId> = ids.iter().copied().filter(|id| id.chunk().is_none()).collect();
    let mut answers = Vec::with_capacity(whole.len());
    while answers.len() < whole.len() {
        let rest = &whole[answers.len()..];
        answers.extend(cancel_some(connections, keys, &rest[..rest.len().min(BITE)], who).await?);
    }
    let mut answers = answers.into_iter();
    let answer = |id: &TaskId| match id.chunk() {
        Some(_) => Cancelled::IsChunk,
        None => answers.next().unwrap_or(Cancelled::Unknown),
    };
    Ok(ids.iter().map(answer).collect())
}

/// As many of them as one call carries, at least one.
async fn cancel_some(
    connections: &Connections,
    keys: &Keys,
    ids: &[TaskId],
    who: &Requester,
) -> Result<Vec<Cancelled>, BrokerError> {
    let stored = records(connections, keys, ids).await?;
    let mut command = CANCEL.command(keys.prefix());
    command.arg(who.as_rest());
    for (id, record) in ids.iter().zip(&stored) {
        // What cannot be read can be cancelled all the same.
        let options =
            Record::decode(record).map_or_else(|_| TaskOptions::default(), |r| r.options());
        command.arg(id.to_string()).arg(options.priority.get());
        command.arg(options.queue.as_str()).arg(bounded(options.keep_ms));
    }
    let mut reply = Reply::new(CANCEL.name, connections.run(&CANCEL, &command).await?)?;
    match reply.text("state")?.as_str() {
        "ok" => {}
        other => return Err(reply.error(format!("unknown word {other:?}"))),
    }
    reply.number("now")?;
    let mut found = reply.array("answers")?;
    let mut answers = Vec::with_capacity(found.len() / 2);
    while !found.is_empty() {
        let (word, lease) = (found.text("answer")?, found.text("lease")?);
        answers.push(match word.as_str() {
            "cancelled" => Cancelled::Done,
            "told" => Cancelled::Told(LeaseId::from_wire(&lease)),
            "ended" => Cancelled::Ended,
            "unknown" => Cancelled::Unknown,
            other => return Err(found.error(format!("unknown word {other:?}"))),
        });
    }
    if answers.is_empty() { Err(found.error("nothing was answered")) } else { Ok(answers) }
}
