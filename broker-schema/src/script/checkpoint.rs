//! `checkpoint`: the states of attempts under way, kept for the attempts after them.

use redis::{Cmd, Value};

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{LeaseId, TaskId};
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::claim::RunField;
use crate::script::script;

// No `allow-oom`: a full server keeps the states that it has.
script!(CHECKPOINT, "checkpoint", "", ["base", "ready", "states"]);

/// The state of an attempt.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The task or chunk.
    pub id: TaskId,
    /// For a chunk: the run that it came with.
    pub run: Option<RunField>,
    /// The number of the attempt.
    pub attempt: u32,
    /// Its state, in JSON.
    pub state: String,
}

/// What became of a state, or of partial results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is kept.
    Saved,
    /// The lease does not hold the attempt any more, or its job is over. Nothing was changed.
    Lost,
}

pub(crate) fn write_checkpoint(command: &mut Cmd, checkpoint: &Checkpoint) {
    let Checkpoint { id, run, attempt, state } = checkpoint;
    match run {
        Some(run) => command.arg(run.as_str()).arg(id.chunk()),
        None => command.arg(id.to_string()).arg(""),
    };
    command.arg(*attempt).arg(state);
}

pub(crate) async fn checkpoint(
    connections: &Connections,
    keys: &Keys,
    lease: &LeaseId,
    checkpoints: &[Checkpoint],
) -> Result<Vec<Kept>, BrokerError> {
    let mut command = CHECKPOINT.command(keys.prefix());
    command.arg(lease.as_str());
    for checkpoint in checkpoints {
        write_checkpoint(&mut command, checkpoint);
    }
    read_kept(CHECKPOINT.name, connections.run(&CHECKPOINT, &command).await?)
}

pub(crate) fn read_kept(script: &'static str, words: Value) -> Result<Vec<Kept>, BrokerError> {
    let mut reply = Reply::new(script, words)?;
    let mut kept = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        kept.push(match reply.text("word")?.as_str() {
            "saved" => Kept::Saved,
            "lost" => Kept::Lost,
            other => return Err(reply.error(format!("unknown word {other:?}"))),
        });
    }
    Ok(kept)
}
