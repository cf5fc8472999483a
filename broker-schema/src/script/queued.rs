//! `queued`: a page of what waits in one place of a queue.

use std::fmt;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{JobId, TaskId};
use crate::keys::Keys;
use crate::name::{Priority, QueueName};
use crate::reply::Reply;
use crate::script::script;
use crate::time::Timestamp;

script!(QUEUED, "queued", " flags=no-writes", ["base", "ready"]);

/// A place where tasks of a queue wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Its ready list of this priority.
    Ready(Priority),
    /// Those that lost their worker twice or more.
    Suspects,
    /// Those that wait for a time.
    Delayed,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(priority) => write!(f, "{priority}"),
            Self::Suspects => f.write_str("suspects"),
            Self::Delayed => f.write_str("delayed"),
        }
    }
}

/// A page of what waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Redis time.
    pub now: Timestamp,
    /// Tasks. Of some of them there may be no record any more: they have ended.
    pub tasks: Vec<TaskId>,
    /// Jobs of which chunks are here.
    pub jobs: Vec<JobId>,
    /// Where the next page begins, if there may be one.
    pub next: Option<u64>,
}

pub(crate) async fn queued(
    connections: &Connections,
    keys: &Keys,
    queue: &QueueName,
    place: Place,
    cursor: u64,
    limit: u32,
) -> Result<Queued, BrokerError> {
    let mut command = QUEUED.command(keys.prefix());
    command.arg(queue.as_str()).arg(place.to_string()).arg(cursor).arg(limit.clamp(1, 1_000));
    let mut reply = Reply::new(QUEUED.name, connections.run(&QUEUED, &command).await?)?;
    let now = Timestamp(reply.number("now")?);
    // The cursor of a scan uses all 64 bits.
    let next: u64 = reply.parsed("cursor")?;
    let (mut found, mut of_jobs) = (reply.array("tasks")?, reply.array("jobs")?);
    let (mut tasks, mut jobs) =
        (Vec::with_capacity(found.len()), Vec::with_capacity(of_jobs.len()));
    while !found.is_empty() {
        tasks.push(found.parsed("task")?);
    }
    while !of_jobs.is_empty() {
        jobs.push(of_jobs.parsed("job")?);
    }
    Ok(Queued { now, tasks, jobs, next: (next > 0).then_some(next) })
}
