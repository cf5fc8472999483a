//! `erase`: removes all keys under a prefix, page by page.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::reply::Reply;
use crate::script::script;

// What only removes is never refused for lack of memory.
script!(ERASE, "erase", " flags=allow-oom", []);

/// Keys of the server that are looked at in one call: about a quarter of a millisecond, and less than
/// one if all of them go.
const PAGE: u32 = 500;

/// Removes all keys that begin so, and returns how many there were.
pub(crate) async fn erase(connections: &Connections, prefix: &str) -> Result<u64, BrokerError> {
    let (mut cursor, mut removed) = (0_u64, 0);
    loop {
        let mut command = ERASE.command(prefix);
        command.arg(cursor).arg(PAGE);
        let mut reply = Reply::new(ERASE.name, connections.run(&ERASE, &command).await?)?;
        // The cursor of a scan uses all 64 bits.
        cursor = reply.parsed("cursor")?;
        removed += reply.number("removed")?;
        if cursor == 0 {
            return Ok(removed);
        }
    }
}
