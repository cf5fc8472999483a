//! `emit`: partial results of attempts under way.

use std::sync::Arc;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{LeaseId, TaskId};
use crate::keys::Keys;
use crate::script::checkpoint::{Kept, read_kept};
use crate::script::claim::RunField;
use crate::script::script;

// No `allow-oom`: a full server takes no more values.
script!(EMIT, "emit", "", ["base", "ready", "states"]);

/// Partial results of an attempt.
#[derive(Debug, Clone)]
pub struct Emission {
    /// The task or chunk.
    pub id: TaskId,
    /// For a chunk: the run that it came with.
    pub run: Option<RunField>,
    /// The number of the attempt.
    pub attempt: u32,
    /// The values, in JSON, the first one first.
    pub values: Vec<Arc<str>>,
}

pub(crate) async fn emit(
    connections: &Connections,
    keys: &Keys,
    lease: &LeaseId,
    emissions: &[Emission],
) -> Result<Vec<Kept>, BrokerError> {
    let mut command = EMIT.command(keys.prefix());
    command.arg(lease.as_str());
    for Emission { id, run, attempt, values } in emissions {
        match run {
            Some(run) => command.arg(run.as_str()).arg(id.chunk()),
            None => command.arg(id.to_string()).arg(""),
        };
        command.arg(*attempt).arg(id.to_string()).arg(values.len());
        for value in values {
            command.arg(&**value);
        }
    }
    read_kept(EMIT.name, connections.run(&EMIT, &command).await?)
}
