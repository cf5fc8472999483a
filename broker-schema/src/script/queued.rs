//! `queued`: a page of what waits in one place of a queue.

use std::fmt;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::gate::Subject;
use crate::id::{JobId, TaskId};
use crate::keys::Keys;
use crate::name::{Priority, QueueName, Tenant};
use crate::reply::Reply;
use crate::script::script;
use crate::time::Timestamp;

script!(QUEUED, "queued", " flags=no-writes", ["base", "ready"]);

/// A place where tasks of a queue wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Its ready list of this priority.
    Ready(Priority),
    /// Those that lost their worker twice or more.
    Suspects,
    /// Those that wait for a time.
    Delayed,
    /// Those that only a limit on this subject keeps back, beside the lists. A page of them names the
    /// turns that are kept back, too.
    Parked(Subject),
    /// Those that stand behind the turn of a tenant.
    Turn(Priority, Tenant),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(priority) => write!(f, "{priority}"),
            Self::Suspects => f.write_str("suspects"),
            Self::Delayed => f.write_str("delayed"),
            Self::Parked(subject) => write!(f, "parked:{subject}"),
            Self::Turn(priority, tenant) => write!(f, "turn:{priority}:{tenant}"),
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
    /// Turns that are kept back here: what stands behind them waits here, too, and is read as a place
    /// of its own.
    pub turns: Vec<Place>,
    /// Where the next page begins, if there may be one.
    pub next: Option<u64>,
}

pub(crate) async fn queued(
    connections: &Connections,
    keys: &Keys,
    queue: &QueueName,
    place: &Place,
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
        // What a foreign hand has written is passed over; the worker that meets it sees to it.
        tasks.extend(found.text("task")?.parse::<TaskId>().ok());
    }
    while !of_jobs.is_empty() {
        jobs.extend(of_jobs.text("job")?.parse::<JobId>().ok());
    }
    let turns = reply.array("turns")?.texts("turn")?;
    let turns = turns.iter().filter_map(|turn| read_turn(turn)).collect();
    Ok(Queued { now, tasks, jobs, turns, next: (next > 0).then_some(next) })
}

/// `turn:<priority>:<tenant>`
fn read_turn(text: &str) -> Option<Place> {
    let (priority, tenant) = text.strip_prefix("turn:")?.split_once(':')?;
    Some(Place::Turn(Priority::new(priority.parse().ok()?).ok()?, tenant.parse().ok()?))
}
