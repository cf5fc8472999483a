//! `speculate`: second starts of chunks that take far longer than others.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;

script!(SPECULATE, "speculate", "", ["base", "ready"]);

/// Chunks that run for less are left alone: a second start costs more than it saves.
const LEAST_MS: u64 = 500;

/// What a look at slow chunks came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speculated {
    /// Open jobs that allow second starts.
    pub jobs: u64,
    /// Chunks that were started a second time.
    pub started: u64,
    /// Those of the caller's chunks that are settled, or whose job is over.
    pub over: Vec<TaskId>,
}

pub(crate) async fn speculate(
    connections: &Connections,
    keys: &Keys,
    most: u32,
    chunks: &[TaskId],
) -> Result<Speculated, BrokerError> {
    let mut command = SPECULATE.command(keys.prefix());
    command.arg(most).arg(LEAST_MS);
    for chunk in chunks {
        command.arg(chunk.to_string());
    }
    let value = connections.run(&SPECULATE, &command).await?;
    let mut reply = Reply::new(SPECULATE.name, value)?;
    let (jobs, started) = (reply.number("jobs")?, reply.number("started")?);
    let mut ids = reply.array("over")?;
    let mut over = Vec::with_capacity(ids.len());
    while !ids.is_empty() {
        over.push(ids.parsed("id")?);
    }
    Ok(Speculated { jobs, started, over })
}
