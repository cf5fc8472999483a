//! `fair`: whether the tenants of a queue take turns.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::name::QueueName;
use crate::reply::Reply;
use crate::script::limit::{Changed, read_changed};
use crate::script::script;

script!(FAIR, "fair", " flags=allow-oom", ["base"]);

pub(crate) async fn fair(
    connections: &Connections,
    keys: &Keys,
    queue: &QueueName,
    on: bool,
) -> Result<Changed, BrokerError> {
    let mut command = FAIR.command(keys.prefix());
    command.arg(queue.as_str()).arg(u8::from(on));
    read_changed(&mut Reply::new(FAIR.name, connections.run(&FAIR, &command).await?)?)
}
