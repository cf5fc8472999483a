//! `ring`: pass a bell token on.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::name::QueueName;
use crate::script::script;

script!(RING, "ring", " flags=allow-oom", ["base"]);

pub(crate) async fn ring(
    connections: &Connections,
    keys: &Keys,
    queues: &[QueueName],
) -> Result<(), BrokerError> {
    let mut command = RING.command(keys.prefix());
    for queue in queues {
        command.arg(queue.as_str());
    }
    connections.run(&RING, &command).await.map(|_| ())
}
