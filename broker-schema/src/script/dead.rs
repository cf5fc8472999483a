//! `dead`: pages of dead letters, and single ones.

use redis::Cmd;

use crate::connection::Connections;
use crate::dead::DeadLetter;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;
use crate::time::Timestamp;

script!(DEAD, "dead", " flags=no-writes", ["base"]);

/// A page of dead letters, the newest first.
#[derive(Debug, Clone)]
pub struct DeadPage {
    /// Redis time.
    pub now: Timestamp,
    /// How many there are in all.
    pub total: u64,
    /// Those of this page. Fewer than asked for if they are large.
    pub letters: Vec<DeadLetter>,
    /// Where the next page begins; None: there is none.
    pub next: Option<(Timestamp, TaskId)>,
}

pub(crate) async fn dead(
    connections: &Connections,
    keys: &Keys,
    after: Option<(Timestamp, TaskId)>,
    limit: u32,
) -> Result<DeadPage, BrokerError> {
    let mut command = DEAD.command(keys.prefix());
    command.arg(limit.max(1));
    match after {
        Some((at, id)) => command.arg(at.0).arg(id.to_string()),
        None => command.arg("").arg(""),
    };
    run(connections, &command).await
}

pub(crate) async fn dead_letters(
    connections: &Connections,
    keys: &Keys,
    ids: &[TaskId],
) -> Result<Vec<DeadLetter>, BrokerError> {
    let mut command = DEAD.command(keys.prefix());
    command.arg(0).arg("").arg("");
    for id in ids {
        command.arg(id.to_string());
    }
    Ok(run(connections, &command).await?.letters)
}

async fn run(connections: &Connections, command: &Cmd) -> Result<DeadPage, BrokerError> {
    let mut reply = Reply::new(DEAD.name, connections.run(&DEAD, command).await?)?;
    let now = Timestamp(reply.number("now")?);
    let total = reply.number("total")?;
    let more = reply.number("more")? == 1;
    let mut found = reply.array("dead letters")?;
    let mut letters = Vec::with_capacity(found.len() / 3);
    while !found.is_empty() {
        let (id, at) = (found.parsed("id")?, Timestamp(found.number("time")?));
        letters.push(DeadLetter::read(id, at, found.text("document")?));
    }
    let next = letters.last().filter(|_| more).map(|last| (last.at, last.id));
    Ok(DeadPage { now, total, letters, next })
}
