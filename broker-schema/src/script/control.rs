//! `control`: pause, resume, close, open or limit a queue; and the form in which that is told.

use std::num::NonZeroU64;

use serde::Serialize;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::name::QueueName;
use crate::reply::Reply;
use crate::requester::{Note, Requester};
use crate::script::script;

// Whoever pauses or closes a queue because the server is full must be able to do so then.
script!(CONTROL, "control", " flags=allow-oom", ["base"]);

/// What is to be done with a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Nothing of it is given to workers. What they hold already is finished.
    Pause,
    /// The end of that.
    Resume,
    /// Producers can put nothing into it. What is there is worked off, retries included.
    Close,
    /// The end of that.
    Open,
    /// So many tasks and chunks may wait in it; producers can put no more into it.
    Limit(NonZeroU64),
    /// The end of that.
    Unlimit,
}

/// What was said of a queue and still holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Controls {
    /// Present if it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Note>,
    /// Present if it is closed to producers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<Note>,
    /// Present if its length is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
}

/// A limit of a queue's length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "QueueLimit"))]
pub struct Limit {
    /// How many tasks and chunks may wait in it.
    pub max: u64,
    /// Who set it, when and why.
    #[serde(flatten)]
    pub note: Note,
}

impl Controls {
    /// Reads what `snapshot` tells: flags, and a note for each.
    pub(crate) fn read(mut reply: Reply) -> Result<Self, BrokerError> {
        let flags = reply.text("flags")?;
        let (paused, closed, limit) =
            (reply.text("pause")?, reply.text("close")?, reply.text("limit")?);
        let max = flags.split_once('m').and_then(|(_, max)| max.parse().ok());
        Ok(Self {
            paused: flags.contains('p').then(|| Note::read(&paused)),
            closed: flags.contains('c').then(|| Note::read(&closed)),
            limit: max.map(|max| Limit { max, note: Note::read(&limit) }),
        })
    }
}

/// True if that changed anything.
pub(crate) async fn control(
    connections: &Connections,
    keys: &Keys,
    queue: &QueueName,
    control: Control,
    who: &Requester,
) -> Result<bool, BrokerError> {
    let (verb, limit) = match control {
        Control::Pause => ("pause", String::new()),
        Control::Resume => ("resume", String::new()),
        Control::Close => ("close", String::new()),
        Control::Open => ("open", String::new()),
        Control::Limit(max) => ("limit", max.to_string()),
        Control::Unlimit => ("unlimit", String::new()),
    };
    let mut command = CONTROL.command(keys.prefix());
    command.arg(queue.as_str()).arg(verb).arg(limit).arg(who.as_object());
    let mut reply = Reply::new(CONTROL.name, connections.run(&CONTROL, &command).await?)?;
    match reply.text("state")?.as_str() {
        "changed" => Ok(true),
        "unchanged" => Ok(false),
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}
