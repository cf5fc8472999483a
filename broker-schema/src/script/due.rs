//! `due`: the schedules that are due, and when the next one will be.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::LeaseId;
use crate::keys::Keys;
use crate::name::ScheduleName;
use crate::reply::Reply;
use crate::script::script;
use crate::time::Timestamp;

script!(DUE, "due", " flags=allow-oom", ["base", "schedules"]);

/// What is due, and when to look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Redis time.
    pub now: Timestamp,
    /// When the earliest schedule is due; in the past if it is among those that are.
    pub next: Option<Timestamp>,
    /// Whether the caller watches that moment; the others come a little later.
    pub watching: bool,
    /// Those that are due, the earliest first.
    pub schedules: Vec<DueSchedule>,
}

/// A schedule that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueSchedule {
    /// Its name.
    pub name: ScheduleName,
    /// Since when.
    pub due: Timestamp,
    /// Its revision.
    pub revision: u64,
    /// Its stored description (see [`crate::ScheduleSpec`]).
    pub spec: String,
}

pub(crate) async fn due(
    connections: &Connections,
    keys: &Keys,
    lease: &LeaseId,
    most: u32,
) -> Result<Due, BrokerError> {
    let mut command = DUE.command(keys.prefix());
    command.arg(lease.as_str()).arg(most);
    let mut reply = Reply::new(DUE.name, connections.run(&DUE, &command).await?)?;
    let now = Timestamp(reply.number("now")?);
    let next = Some(Timestamp(reply.number("next")?)).filter(|at| at.0 > 0);
    let watching = reply.number("watching")? == 1;
    let mut found = reply.array("schedules")?;
    let mut schedules = Vec::new();
    while !found.is_empty() {
        schedules.push(DueSchedule {
            name: found.parsed("name")?,
            due: Timestamp(found.number("due")?),
            revision: found.number("revision")?,
            spec: found.text("spec")?,
        });
    }
    Ok(Due { now, next, watching, schedules })
}
