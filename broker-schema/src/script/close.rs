//! `close`: end a lease in good order.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::LeaseId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;

script!(CLOSE, "close", " flags=allow-oom", ["base"]);

/// The answer to a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The lease is no more.
    Done,
    /// It still holds this many things; nothing was done.
    Busy(u64),
    /// It was gone already.
    Lost,
}

pub(crate) async fn close(
    connections: &Connections,
    keys: &Keys,
    lease: &LeaseId,
) -> Result<Closed, BrokerError> {
    let mut command = CLOSE.command(keys.prefix());
    command.arg(lease.as_str());
    let mut reply = Reply::new(CLOSE.name, connections.run(&CLOSE, &command).await?)?;
    match reply.text("state")?.as_str() {
        "ok" => Ok(Closed::Done),
        "busy" => Ok(Closed::Busy(reply.number("held")?)),
        "lost" => Ok(Closed::Lost),
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}
