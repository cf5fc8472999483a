//! `limit`: set or remove one limit.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::gate::{Limit, Subject};
use crate::keys::Keys;
use crate::reply::Reply;
use crate::requester::Requester;
use crate::script::script;

// It writes little, and may be what keeps a full server from getting fuller.
script!(LIMIT, "limit", " flags=allow-oom", ["base", "ready", "gate"]);

/// What became of the wish to set or remove a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitChanged {
    /// It holds from now on.
    Changed {
        /// What held before.
        before: Option<Limit>,
    },
    /// It was like that already.
    Unchanged,
    /// Not done: there are as many of the kind as there may be.
    Full,
}

/// None: it is removed.
pub(crate) async fn limit(
    connections: &Connections,
    keys: &Keys,
    subject: &Subject,
    limit: Option<&Limit>,
    who: &Requester,
) -> Result<LimitChanged, BrokerError> {
    let mut command = LIMIT.command(keys.prefix());
    command.arg(subject.kind()).arg(subject.name());
    command.arg(limit.map(Limit::encode).unwrap_or_default()).arg(who.as_rest());
    let mut reply = Reply::new(LIMIT.name, connections.run(&LIMIT, &command).await?)?;
    match reply.text("state")?.as_str() {
        "ok" => Ok(LimitChanged::Changed { before: Limit::decode(&reply.text("before")?) }),
        "unchanged" => Ok(LimitChanged::Unchanged),
        "full" => Ok(LimitChanged::Full),
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}
