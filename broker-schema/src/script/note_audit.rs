//! `note_audit`: what somebody did is noted.

use crate::audit::Deed;
use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;

// What operators do on a full server is noted like anything else; the list has an end.
script!(NOTE_AUDIT, "note_audit", " flags=allow-oom", ["base"]);

pub(crate) async fn note_audit(
    connections: &Connections,
    keys: &Keys,
    deed: &Deed,
) -> Result<(), BrokerError> {
    let mut command = NOTE_AUDIT.command(keys.prefix());
    command.arg(deed.encode());
    let mut reply = Reply::new(NOTE_AUDIT.name, connections.run(&NOTE_AUDIT, &command).await?)?;
    match reply.text("state")?.as_str() {
        "ok" => Ok(()),
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}
