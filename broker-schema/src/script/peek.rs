//! `peek`: what waits in a place of a queue, in the order in which it goes.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{ChunkIndex, JobId, TaskId};
use crate::keys::Keys;
use crate::name::{QueueName, Tenant};
use crate::reply::Reply;
use crate::script::{Place, script};
use crate::time::Timestamp;

script!(PEEK, "peek", " flags=no-writes", ["base", "ready"]);

/// Something that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// A task, or a chunk that goes its own way; and when it is due, if it waits for that.
    Task(TaskId, Option<Timestamp>),
    /// Chunks of a job, from the first one to before the last one.
    Range(JobId, ChunkIndex, ChunkIndex),
    /// The turn of a tenant, and how many stand behind it.
    Turn(Tenant, u64),
}

/// A page of what waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peeked {
    /// Redis time.
    pub now: Timestamp,
    /// What goes first comes first. What this version cannot read is left out.
    pub waiting: Vec<Waiting>,
    /// Where the next page begins, if there may be one.
    pub next: Option<u64>,
}

pub(crate) async fn peek(
    connections: &Connections,
    keys: &Keys,
    queue: &QueueName,
    place: &Place,
    from: u64,
    limit: u32,
) -> Result<Peeked, BrokerError> {
    let mut command = PEEK.command(keys.prefix());
    command.arg(queue.as_str()).arg(place.to_string()).arg(from).arg(limit.clamp(1, 1_000));
    let mut reply = Reply::new(PEEK.name, connections.run(&PEEK, &command).await?)?;
    let now = Timestamp(reply.number("now")?);
    let next: u64 = reply.number("next")?;
    let found = reply.array("elements")?.pairs("element")?;
    let read = |(element, number): &(String, String)| waiting(element, number.parse().ok()?);
    let waiting = found.iter().filter_map(read).collect();
    Ok(Peeked { now, waiting, next: (next > 0).then_some(next) })
}

fn waiting(element: &str, number: u64) -> Option<Waiting> {
    if let Some(tenant) = element.strip_prefix('@') {
        return Some(Waiting::Turn(tenant.parse().ok()?, number));
    }
    let range =
        element.split_once(':').and_then(|(job, range)| Some((job, range.split_once('-')?)));
    match range {
        Some((job, (lo, hi))) => {
            Some(Waiting::Range(job.parse().ok()?, lo.parse().ok()?, hi.parse().ok()?))
        }
        None => {
            let due = (number > 0).then_some(Timestamp(number));
            Some(Waiting::Task(element.parse().ok()?, due))
        }
    }
}
