//! `tidy`: the upkeep that nothing waits for.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;

script!(
    TIDY,
    "tidy",
    " flags=allow-oom",
    ["base", "ready", "gate", "locks", "totals", "settle", "workflow", "names"]
);

/// What one call tidied up. There may be more to do if one of the numbers is as high as its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tidied {
    /// Dead letters that left, because they were too old or too many.
    pub dead: u64,
    /// Names of queues that were found to be idle, or were forgotten.
    pub names: u64,
}

pub(crate) async fn tidy(
    connections: &Connections,
    keys: &Keys,
    limit: u32,
) -> Result<Tidied, BrokerError> {
    let mut command = TIDY.command(keys.prefix());
    command.arg(limit);
    let mut reply = Reply::new(TIDY.name, connections.run(&TIDY, &command).await?)?;
    Ok(Tidied { dead: reply.number("dead letters")?, names: reply.number("names")? })
}
