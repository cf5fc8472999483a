//! `records`: the stored records of tasks that have not ended.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;

script!(RECORDS, "records", " flags=no-writes", ["base"]);

/// Most ids in one call.
pub(crate) const BITE: usize = 500;

/// The records of the first of these tasks, `""` for those that are not there. At least one is
/// answered, and all unless they are large.
pub(crate) async fn records(
    connections: &Connections,
    keys: &Keys,
    ids: &[TaskId],
) -> Result<Vec<String>, BrokerError> {
    let mut command = RECORDS.command(keys.prefix());
    for id in ids {
        command.arg(id.to_string());
    }
    let reply = Reply::new(RECORDS.name, connections.run(&RECORDS, &command).await?)?;
    if reply.is_empty() && !ids.is_empty() {
        return Err(reply.error("nothing was answered"));
    }
    reply.texts("record")
}
