//! `completed`: how far a job is, and word of when that changes.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{ClientId, JobId};
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;

script!(COMPLETED, "completed", " flags=allow-oom", ["base"]);

/// So many bytes of bits are read at once.
const MOST_BYTES: u64 = 16_384;

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// Its state; None if it is not there.
    pub state: Option<String>,
    /// How many members it has.
    pub total: u64,
    /// How many of them succeeded.
    pub done: u64,
    /// How many failed for good.
    pub failed: u64,
    /// A bit for each member from the first byte that was asked for on, the first in the highest bit of a
    /// byte: whether it has settled. Up to 16 KiB.
    pub settled: Vec<u8>,
}

pub(crate) async fn completed(
    connections: &Connections,
    keys: &Keys,
    job: JobId,
    client: Option<&ClientId>,
    first: u64,
) -> Result<Completed, BrokerError> {
    let mut command = COMPLETED.command(keys.prefix());
    command.arg(job.to_string()).arg(client.map_or("", ClientId::as_str));
    command.arg(first).arg(MOST_BYTES);
    let mut reply = Reply::new(COMPLETED.name, connections.run(&COMPLETED, &command).await?)?;
    Ok(Completed {
        state: Some(reply.text("state")?).filter(|state| !state.is_empty()),
        total: reply.number("total")?,
        done: reply.number("done")?,
        failed: reply.number("failed")?,
        settled: reply.bytes("bits")?,
    })
}
