//! `move_queue`: carry what waits in one queue over to another, a bite at a time.

use serde::Serialize;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::name::QueueName;
use crate::reply::Reply;
use crate::script::purge::{Part, parking};
use crate::script::script;

script!(MOVE_QUEUE, "move_queue", " flags=allow-oom", ["base", "ready", "locks", "shift"]);

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

/// What one call did.
struct Bite {
    moved: Moved,
    dropped: u64,
    left: u64,
    cursor: String,
}

/// Goes on until `most` elements have gone over, or what waited when it began. What a limit has parked
/// goes first: it was there before what is in the lists.
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
        Ok::<_, BrokerError>(Bite {
            moved: Moved { elements: reply.number("elements")?, tasks: reply.number("tasks")? },
            dropped: reply.number("dropped")?,
            left: reply.number("left")?,
            cursor: reply.text("cursor")?,
        })
    };
    let mut add = |bite: &Bite| {
        moved.elements += bite.moved.elements;
        moved.tasks += bite.moved.tasks;
        moved.elements
    };
    let mut done = 0;
    for subject in parking(connections, keys).await? {
        let mut part = Some(Part::Parked(subject, "0".to_owned()));
        while let Some(at) = part.take().filter(|_| done < most) {
            let bite = call(&at, (most - done).min(BITE)).await?;
            done = add(&bite);
            part = at.after(bite.left, bite.cursor);
        }
    }
    let mut end = most;
    while done < end {
        let bite = call(&Part::Ready, (end - done).min(BITE)).await?;
        done = add(&bite);
        let none = bite.moved.elements + bite.dropped == 0;
        end = end.min(if none { done } else { done + bite.left });
    }
    let mut part = delayed.then(|| Part::Delayed("0".to_owned()));
    while let Some(at) = part.take().filter(|_| done < most) {
        let bite = call(&at, most - done).await?;
        done = add(&bite);
        part = at.after(0, bite.cursor);
    }
    Ok(moved)
}
