//! `watch`: outcomes, and word of those still to come.

use std::time::Duration;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{ClientId, TaskId};
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;

script!(
    WATCH,
    "watch",
    " flags=allow-oom",
    ["base", "ready", "gate", "locks", "totals", "settle", "workflow"]
);

/// What is known of a task or job that somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// It ended; this is its [`crate::Outcome`], in JSON.
    Ended(String),
    /// It has not ended; its end will be told.
    Watching,
    /// As [`Watched::Watching`], but if it is not started within this time it expires, and maybe
    /// without a worker that tells: ask again then.
    Expiring(Duration),
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
            "expiring" => {
                let left = outcome.parse().map_err(|_| pairs.error(format!("time {outcome:?}")))?;
                Watched::Expiring(Duration::from_millis(left))
            }
            "unknown" => Watched::Unknown,
            other => return Err(pairs.error(format!("unknown word {other:?}"))),
        });
    }
    Ok(found)
}
