//! `stream`: partial results of a task, as they come.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;

script!(STREAM, "stream", " flags=no-writes", ["base"]);

/// Most values in one answer.
const MOST: u32 = 100;

/// Values of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPage {
    /// Whether more may come.
    pub state: StreamState,
    /// The values, the first one first.
    pub parts: Vec<Part>,
}

/// Whether the task of a stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamState {
    /// It has not ended.
    Open,
    /// It has: an empty page is the end.
    Ended,
    /// There is no such task under way, and nothing is kept of one.
    Unknown,
}

/// A partial result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its place in the stream: what comes after it is asked for with this.
    pub at: String,
    /// The attempt that it is of, from 1.
    pub attempt: u32,
    /// The value, in JSON.
    pub value: String,
}

pub(crate) async fn stream(
    connections: &Connections,
    keys: &Keys,
    id: TaskId,
    after: Option<&str>,
) -> Result<StreamPage, BrokerError> {
    let mut command = STREAM.command(keys.prefix());
    command.arg(id.to_string()).arg(after.unwrap_or("0-0")).arg(MOST);
    let mut reply = Reply::new(STREAM.name, connections.run(&STREAM, &command).await?)?;
    let state = match reply.text("state")?.as_str() {
        "open" => StreamState::Open,
        "ended" => StreamState::Ended,
        "unknown" => StreamState::Unknown,
        other => return Err(reply.error(format!("unknown word {other:?}"))),
    };
    let (mut places, mut attempts) = (reply.array("entries")?, reply.array("attempts")?);
    let mut values = reply.array("values")?;
    let mut parts = Vec::with_capacity(places.len());
    while !places.is_empty() {
        parts.push(Part {
            at: places.text("entry")?,
            attempt: u32::try_from(attempts.number("attempt")?).unwrap_or(u32::MAX),
            value: values.text("value")?,
        });
    }
    Ok(StreamPage { state, parts })
}
