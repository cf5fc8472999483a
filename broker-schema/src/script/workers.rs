//! `workers`: the workers of a namespace.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;
use crate::time::Timestamp;

script!(WORKERS, "workers", " flags=no-writes", ["fleet"]);

/// A page of the workers of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workers {
    /// Redis time.
    pub now: Timestamp,
    /// How many there are in all.
    pub total: u64,
    /// Those of this page, the ones that were heard of longest ago first.
    pub page: Vec<WorkerView>,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerView {
    /// Its lease.
    pub lease: String,
    /// What it told of itself, in JSON (see the worker crate).
    pub description: String,
    /// When it is forgotten unless it is heard of again.
    pub expires: Timestamp,
}

pub(crate) async fn workers(
    connections: &Connections,
    keys: &Keys,
    offset: u64,
    limit: u32,
) -> Result<Workers, BrokerError> {
    let mut command = WORKERS.command(keys.fleet());
    command.arg(offset).arg(limit);
    let mut reply = Reply::new(WORKERS.name, connections.run(&WORKERS, &command).await?)?;
    let now = Timestamp(reply.number("now")?);
    let total = reply.number("total")?;
    let mut found = reply.array("workers")?;
    let mut page = Vec::new();
    while !found.is_empty() {
        page.push(WorkerView {
            lease: found.text("lease")?,
            description: found.text("description")?,
            expires: Timestamp(found.number("expires")?),
        });
    }
    Ok(Workers { now, total, page })
}
