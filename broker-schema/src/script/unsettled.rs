//! `unsettled`: members of a workflow that have begun and are not settled.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{ChunkIndex, JobId};
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;

script!(UNSETTLED, "unsettled", " flags=no-writes", ["base"]);

/// Members of one call, and the bytes of records after which no more is read.
const BITE: u64 = 500;
const MOST_BYTES: usize = 2 << 20;

/// A member that has begun and is not settled.
#[derive(Debug, Clone)]
pub(crate) struct Unsettled {
    pub(crate) index: ChunkIndex,
    /// It left its range, and goes its own way.
    pub(crate) alone: bool,
    pub(crate) record: String,
}

/// Those from an index on, and where to go on, if there may be more.
pub(crate) async fn unsettled(
    connections: &Connections,
    keys: &Keys,
    job: JobId,
    from: ChunkIndex,
) -> Result<(Vec<Unsettled>, Option<ChunkIndex>), BrokerError> {
    let mut command = UNSETTLED.command(keys.prefix());
    command.arg(job.to_string()).arg(from).arg(BITE).arg(MOST_BYTES);
    let mut reply = Reply::new(UNSETTLED.name, connections.run(&UNSETTLED, &command).await?)?;
    let next = reply.text("next")?;
    let next = if next.is_empty() { None } else { next.parse().ok() };
    let mut found = reply.array("members")?;
    let mut members = Vec::with_capacity(found.len() / 3);
    while !found.is_empty() {
        members.push(Unsettled {
            index: found.number("index")?,
            alone: found.number("alone")? > 0,
            record: found.text("record")?,
        });
    }
    Ok((members, next))
}
