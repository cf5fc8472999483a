//! `open`: begin a lease.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::LeaseId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::{bounded, script};
use crate::time::Timestamp;

script!(OPEN, "open", " flags=allow-oom", ["base"]);

/// The answer to an open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// The lease holds from this Redis time on.
    At(Timestamp),
    /// Another process has this id; make a new one.
    Taken,
}

pub(crate) async fn open(
    connections: &Connections,
    keys: &Keys,
    lease: &LeaseId,
    visibility_ms: u64,
    host: &str,
) -> Result<Opened, BrokerError> {
    let mut command = OPEN.command(keys.prefix());
    // It goes into documents and messages as it is.
    let host: String =
        host.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
    command.arg(lease.as_str()).arg(bounded(visibility_ms)).arg(host);
    let mut reply = Reply::new(OPEN.name, connections.run(&OPEN, &command).await?)?;
    match reply.text("state")?.as_str() {
        "ok" => Ok(Opened::At(Timestamp(reply.number("now")?))),
        "taken" => Ok(Opened::Taken),
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}
