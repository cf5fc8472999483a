//! `delayed`: a page of what waits for a time.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;
use crate::time::Timestamp;

script!(DELAYED, "delayed", " flags=no-writes", ["base"]);

/// A task or chunk that waits for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayedTask {
    /// Its id.
    pub id: TaskId,
    /// The queue to which it goes.
    pub queue: String,
    /// Its priority there.
    pub priority: u8,
    /// When.
    pub due: Timestamp,
}

/// A page of what waits for a time, the earliest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayedPage {
    /// Redis time.
    pub now: Timestamp,
    /// How many there are in all.
    pub total: u64,
    /// Those of this page.
    pub tasks: Vec<DelayedTask>,
}

impl DelayedTask {
    fn read(member: &str, due: Timestamp) -> Option<Self> {
        let mut parts = member.splitn(3, ':');
        let priority = parts.next()?.parse().ok()?;
        let queue = parts.next()?.to_owned();
        Some(Self { id: parts.next()?.parse().ok()?, queue, priority, due })
    }
}

pub(crate) async fn delayed(
    connections: &Connections,
    keys: &Keys,
    after: Option<&DelayedTask>,
    limit: usize,
) -> Result<DelayedPage, BrokerError> {
    let mut command = DELAYED.command(keys.prefix());
    command.arg(limit.max(1));
    match after {
        Some(DelayedTask { id, queue, priority, due }) => {
            command.arg(due.0).arg(format!("{priority}:{queue}:{id}"))
        }
        None => command.arg("").arg(""),
    };
    let mut reply = Reply::new(DELAYED.name, connections.run(&DELAYED, &command).await?)?;
    let (now, total) = (Timestamp(reply.number("now")?), reply.number("total")?);
    let mut found = reply.array("members")?;
    let mut tasks = Vec::with_capacity(found.len() / 2);
    while !found.is_empty() {
        let (member, due) = (found.text("member")?, Timestamp(found.number("due")?));
        let task = DelayedTask::read(&member, due);
        tasks.push(task.ok_or_else(|| found.error(format!("member {member:?}")))?);
    }
    Ok(DelayedPage { now, total, tasks })
}
