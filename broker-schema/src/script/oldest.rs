//! `oldest`: what stands in front in the lists of queues.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;
use crate::time::Timestamp;

script!(OLDEST, "oldest", " flags=no-writes", ["base", "ready"]);

/// Of each queue what stands in front in its lists: tasks, or the first chunk of a range.
pub(crate) async fn oldest(
    connections: &Connections,
    keys: &Keys,
    queues: &[String],
) -> Result<(Timestamp, Vec<Vec<TaskId>>), BrokerError> {
    let mut command = OLDEST.command(keys.prefix());
    command.arg(queues);
    let mut reply = Reply::new(OLDEST.name, connections.run(&OLDEST, &command).await?)?;
    let now = Timestamp(reply.number("now")?);
    let mut heads = reply.array("queues")?;
    let mut found = Vec::with_capacity(heads.len());
    while !heads.is_empty() {
        let elements = heads.array("heads")?.texts("element")?;
        found.push(elements.iter().filter_map(|element| task_of(element)).collect());
    }
    Ok((now, found))
}

/// `<id>`, `<job>:<index>` or `<job>:<lo>-<hi>` with what follows.
fn task_of(element: &str) -> Option<TaskId> {
    element.split('-').next()?.parse().ok()
}
