//! `fire`: enqueue what a schedule is due for, once, whoever calls.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::keys::Keys;
use crate::name::{Priority, QueueName, ScheduleName};
use crate::reply::Reply;
use crate::script::{bounded, script};
use crate::time::Timestamp;

script!(FIRE, "fire", "", ["base", "ready", "controls", "schedules"]);

/// A schedule that is to be fired.
#[derive(Debug, Clone)]
pub struct Fire<'a> {
    /// Its name.
    pub name: &'a ScheduleName,
    /// The revision that was seen.
    pub revision: u64,
    /// The time due that was seen. None: run it now, and leave the time that it is due as it is.
    pub due: Option<Timestamp>,
    /// When it is due again. None: never.
    pub next: Option<Timestamp>,
    /// How many times passed for which nothing is enqueued.
    pub missed: u32,
    /// Whether nothing is enqueued while the last run has not ended.
    pub unless_running: bool,
    /// Where the tasks wait.
    pub queue: QueueName,
    /// How urgent they are there.
    pub priority: Priority,
    /// They are not started any more after so many milliseconds.
    pub expires_after_ms: Option<u64>,
    /// The record of the tasks.
    pub record: &'a str,
    /// Their ids.
    pub ids: &'a [TaskId],
}

/// Why a queue takes no task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// It is closed.
    Closed,
    /// As many tasks wait in it as its limit allows.
    Full,
}

impl NoRoom {
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "closed" => Some(Self::Closed),
            "full" => Some(Self::Full),
            _ => None,
        }
    }
}

impl std::fmt::Display for NoRoom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Full => "full",
        })
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fired {
    /// So many tasks were enqueued.
    Enqueued(u64),
    /// Nothing was enqueued: this task, the last run, has not ended. The schedule goes on.
    Overlapped(TaskId),
    /// Nothing was enqueued: its queue is closed, or full. The schedule goes on.
    Refused(NoRoom),
    /// It is not due yet by Redis time. Nothing was done.
    Early,
    /// It was fired, changed, paused or removed meanwhile. Nothing was done.
    Moved,
}

pub(crate) async fn fire(
    connections: &Connections,
    keys: &Keys,
    fire: &Fire<'_>,
) -> Result<(Timestamp, Fired), BrokerError> {
    let time = |at: Option<Timestamp>| at.map(|at| bounded(at.0).to_string()).unwrap_or_default();
    let mut command = FIRE.command(keys.prefix());
    command.arg(fire.name.as_str()).arg(fire.revision).arg(time(fire.due)).arg(time(fire.next));
    command.arg(fire.missed).arg(u8::from(fire.unless_running));
    command.arg(fire.queue.as_str()).arg(fire.priority.get());
    command.arg(fire.expires_after_ms.map(|ms| bounded(ms).to_string()).unwrap_or_default());
    for id in fire.ids {
        command.arg(&id.root_hex()).arg(fire.record);
    }
    let mut reply = Reply::new(FIRE.name, connections.run(&FIRE, &command).await?)?;
    let word = reply.text("state")?;
    let now = Timestamp(reply.number("now")?);
    let fired = match word.as_str() {
        "fired" => Fired::Enqueued(reply.number("tasks")?),
        "overlapped" => Fired::Overlapped(reply.parsed("last task")?),
        "refused" => {
            let why = reply.text("why")?;
            let unknown = || reply.error(format!("unknown word {why:?}"));
            Fired::Refused(NoRoom::from_word(&why).ok_or_else(unknown)?)
        }
        "early" => Fired::Early,
        "moved" => Fired::Moved,
        other => return Err(reply.error(format!("unknown word {other:?}"))),
    };
    Ok((now, fired))
}
