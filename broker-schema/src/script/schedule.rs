//! `schedule`: change one schedule.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::name::{QueueName, ScheduleName};
use crate::reply::Reply;
use crate::script::{bounded, script};
use crate::time::Timestamp;

// A full server takes no new description, which may be large, but a schedule can always be paused
// and removed. It is one script under two flags.
script!(PUT, "schedule", "", ["base", "schedules"]);
script!(CHANGE, "schedule", " flags=allow-oom", ["base", "schedules"]);

/// A change of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleChange {
    /// Make it, or make it anew. If it is paused it stays so.
    Put {
        /// Its stored description (see [`crate::ScheduleSpec`]).
        spec: String,
        /// When it is due.
        due: PutDue,
        /// The queue of its task.
        queue: QueueName,
    },
    /// Remove it.
    Remove,
    /// Let it not be due until it is resumed.
    Pause {
        /// Who pauses it.
        by: String,
        /// Why.
        why: String,
    },
    /// Let it be due again.
    Resume {
        /// When. None: never.
        due: Option<Timestamp>,
        /// The queue of its task.
        queue: QueueName,
    },
    /// Leave its next run out.
    Skip {
        /// The time due that is left out.
        due: Timestamp,
        /// When it is due instead. None: never.
        next: Option<Timestamp>,
    },
}

/// When a schedule that is put is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutDue {
    /// When it was due before: it may be fired in this very moment.
    Keep,
    /// At this time.
    At(Timestamp),
    /// Never.
    Never,
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It was made.
    Done {
        /// Redis time.
        now: Timestamp,
        /// The revision after it.
        revision: u64,
    },
    /// Somebody else was faster. Nothing was done.
    Conflict {
        /// The revision that is there now; 0 if there is no such schedule.
        revision: u64,
    },
    /// There is no such schedule.
    Missing,
    /// There are as many schedules as there may be.
    Full,
}

/// `seen`: the revision that the caller saw, 0 if the schedule must not exist; None: whatever it is.
pub(crate) async fn schedule(
    connections: &Connections,
    keys: &Keys,
    name: &ScheduleName,
    seen: Option<u64>,
    change: &ScheduleChange,
) -> Result<Changed, BrokerError> {
    let time = |at: &Option<Timestamp>| at.map(|at| bounded(at.0).to_string()).unwrap_or_default();
    let seen = seen.map(|revision| revision.to_string()).unwrap_or_default();
    let script = match change {
        ScheduleChange::Put { .. } => &PUT,
        _ => &CHANGE,
    };
    let mut command = script.command(keys.prefix());
    let mut begin = |word: &str| {
        command.arg(word).arg(name.as_str()).arg(seen.as_str());
    };
    match change {
        ScheduleChange::Put { spec, due, queue } => {
            begin("put");
            let due = match due {
                PutDue::Keep => "keep".to_owned(),
                PutDue::At(at) => time(&Some(*at)),
                PutDue::Never => String::new(),
            };
            command.arg(spec).arg(due).arg(queue.as_str());
        }
        ScheduleChange::Remove => begin("remove"),
        ScheduleChange::Pause { by, why } => {
            begin("pause");
            command.arg(by).arg(why);
        }
        ScheduleChange::Resume { due, queue } => {
            begin("resume");
            command.arg(time(due)).arg(queue.as_str());
        }
        ScheduleChange::Skip { due, next } => {
            begin("skip");
            command.arg(due.0).arg(time(next));
        }
    }
    let mut reply = Reply::new(script.name, connections.run(script, &command).await?)?;
    match reply.text("state")?.as_str() {
        "ok" => Ok(Changed::Done {
            now: Timestamp(reply.number("now")?),
            revision: reply.number("revision")?,
        }),
        "conflict" => {
            reply.number("now")?;
            Ok(Changed::Conflict { revision: reply.number("revision")? })
        }
        "missing" => Ok(Changed::Missing),
        "full" => Ok(Changed::Full),
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}
