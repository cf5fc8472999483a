//! `move_queue`: carry what waits in one queue over to another, a bite at a time.

use serde::Serialize;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::name::QueueName;
use crate::reply::Reply;
use crate::script::purge::Part;
use crate::script::script;

script!(MOVE_QUEUE, "move_queue", " flags=allow-oom", ["base", "ready", "shift"]);

/// Elements of one call: about a millisecond of Redis time.
const BITE: u64 = 300;

/// What a move did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Moved {
    /// Elements that went over. A range of chunks is one.
    pub elements: u64,
    /// Tasks and chunks in them.
    pub tasks: u64,
}

/// Goes on until `most` elements have gone over, or what waited when it began.
pub(crate) async fn move_queue(
    connections: &Connections,
    keys: &Keys,
    from: &QueueName,
    to: &QueueName,
    most: u64,
    delayed: bool,
) -> Result<Moved, BrokerError> {
    let mut moved = Moved::default();
    if from == to {
        return Ok(moved);
    }
    let call = async |part: &Part, most: u64| {
        let (word, cursor) = part.words();
        let mut command = MOVE_QUEUE.command(keys.prefix());
        command.arg(from.as_str()).arg(to.as_str()).arg(word).arg(cursor).arg(most);
        let mut reply = Reply::new(MOVE_QUEUE.name, connections.run(&MOVE_QUEUE, &command).await?)?;
        reply.text("state")?;
        reply.number("now")?;
        let bite = Moved { elements: reply.number("elements")?, tasks: reply.number("tasks")? };
        Ok::<_, BrokerError>((bite, reply.number("left")?, reply.text("cursor")?))
    };
    let mut add = |bite: Moved| {
        moved.elements += bite.elements;
        moved.tasks += bite.tasks;
        moved.elements
    };
    let mut end = most;
    let mut done = 0;
    while done < end {
        let (bite, left, _) = call(&Part::Ready, (end - done).min(BITE)).await?;
        let taken = bite.elements;
        done = add(bite);
        end = end.min(if taken == 0 { done } else { end.min(done + left) });
    }
    let mut cursor = delayed.then(|| "0".to_owned());
    while let Some(at) = cursor.take().filter(|_| done < most) {
        let (bite, _, next) = call(&Part::Delayed(at), most - done).await?;
        done = add(bite);
        cursor = (next != "0").then_some(next);
    }
    Ok(moved)
}
