//! `fair`: whether the tenants of a queue take turns.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::name::QueueName;
use crate::reply::Reply;
use crate::requester::Requester;
use crate::script::script;

script!(FAIR, "fair", " flags=allow-oom", ["base"]);

/// True if that changed anything.
pub(crate) async fn fair(
    connections: &Connections,
    keys: &Keys,
    queue: &QueueName,
    on: bool,
    who: &Requester,
) -> Result<bool, BrokerError> {
    let mut command = FAIR.command(keys.prefix());
    command.arg(queue.as_str()).arg(u8::from(on)).arg(who.as_rest());
    let mut reply = Reply::new(FAIR.name, connections.run(&FAIR, &command).await?)?;
    match reply.text("state")?.as_str() {
        "ok" => Ok(true),
        "unchanged" => Ok(false),
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}
