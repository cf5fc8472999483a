//! `watch`: outcomes, and word of those still to come.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{ClientId, TaskId};
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;

script!(WATCH, "watch", " flags=allow-oom", ["base"]);

/// What is known of a task or job that somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// It ended; this is its [`crate::Outcome`], in JSON.
    Ended(String),
    /// It has not ended; its end will be told.
    Watching,
    /// It was never enqueued, or its outcome was not kept.
    Unknown,
}

pub(crate) async fn watch(
    connections: &Connections,
    keys: &Keys,
    client: &ClientId,
    ids: &[TaskId],
) -> Result<Vec<Watched>, BrokerError> {
    let mut command = WATCH.command(keys.prefix());
    command.arg(client.as_str());
    for id in ids {
        command.arg(id.to_string());
    }
    let mut reply = Reply::new(WATCH.name, connections.run(&WATCH, &command).await?)?;
    reply.text("state")?;
    reply.number("now")?;
    let mut pairs = reply.array("states")?;
    let mut found = Vec::with_capacity(ids.len());
    while !pairs.is_empty() {
        let word = pairs.text("word")?;
        let outcome = pairs.text("outcome")?;
        found.push(match word.as_str() {
            "ended" => Watched::Ended(outcome),
            "watching" => Watched::Watching,
            "unknown" => Watched::Unknown,
            other => return Err(pairs.error(format!("unknown word {other:?}"))),
        });
    }
    Ok(found)
}
