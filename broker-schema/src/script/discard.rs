//! `discard`: dead letters are thrown away.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::keys::Keys;
use crate::limits::MAX_BATCH;
use crate::reply::Reply;
use crate::script::script;

script!(DISCARD, "discard", " flags=allow-oom", ["base"]);

/// Whether each of them was there.
pub(crate) async fn discard(
    connections: &Connections,
    keys: &Keys,
    ids: &[TaskId],
) -> Result<Vec<bool>, BrokerError> {
    let mut gone = Vec::with_capacity(ids.len());
    for bite in ids.chunks(MAX_BATCH) {
        let mut command = DISCARD.command(keys.prefix());
        for id in bite {
            command.arg(id.to_string());
        }
        let mut reply = Reply::new(DISCARD.name, connections.run(&DISCARD, &command).await?)?;
        while !reply.is_empty() {
            gone.push(reply.number("gone")? > 0);
        }
    }
    Ok(gone)
}
