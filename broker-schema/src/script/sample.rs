//! `sample`: tasks that have not ended, picked at random.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;

script!(SAMPLE, "sample", " flags=no-writes", ["base"]);

pub(crate) async fn sample(
    connections: &Connections,
    keys: &Keys,
    most: u32,
) -> Result<Vec<TaskId>, BrokerError> {
    let mut command = SAMPLE.command(keys.prefix());
    command.arg(most);
    let mut reply = Reply::new(SAMPLE.name, connections.run(&SAMPLE, &command).await?)?;
    let mut ids = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        // What a foreign hand has written is shown by nobody, and keeps nobody from the rest.
        ids.extend(reply.text("id")?.parse::<TaskId>().ok());
    }
    Ok(ids)
}
