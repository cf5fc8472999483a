//! `reclaim`: upkeep that any worker does now and then.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::LeaseId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;
use crate::time::Timestamp;

script!(
    RECLAIM,
    "reclaim",
    " flags=allow-oom",
    ["base", "ready", "gate", "locks", "totals", "settle", "workflow", "losses", "reclaim", "take"]
);

/// What one call of upkeep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reclaimed {
    /// Redis time.
    pub now: Timestamp,
    /// How many tasks and runs of expired leases went back.
    pub reclaimed: u64,
    /// How many delayed tasks became ready.
    pub promoted: u64,
}

pub(crate) async fn reclaim(
    connections: &Connections,
    keys: &Keys,
    own: Option<&LeaseId>,
    limit: u32,
    crash_limit: u32,
) -> Result<Reclaimed, BrokerError> {
    let mut command = RECLAIM.command(keys.prefix());
    command.arg(own.map_or("", LeaseId::as_str)).arg(limit).arg(crash_limit);
    let mut reply = Reply::new(RECLAIM.name, connections.run(&RECLAIM, &command).await?)?;
    reply.text("state")?;
    Ok(Reclaimed {
        now: Timestamp(reply.number("now")?),
        reclaimed: reply.number("reclaimed")?,
        promoted: reply.number("promoted")?,
    })
}
