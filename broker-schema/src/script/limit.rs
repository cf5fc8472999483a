//! `limit`: set or remove one limit.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::gate::Subject;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;

// It writes little, and may be what keeps a full server from getting fuller.
script!(LIMIT, "limit", " flags=allow-oom", ["base", "ready", "gate"]);

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It holds from now on.
    Changed,
    /// It was like that already.
    Unchanged,
    /// Not done: there are as many of the kind as there may be.
    Full,
}

/// `rule`: the stored form of the limit; empty to remove it.
pub(crate) async fn limit(
    connections: &Connections,
    keys: &Keys,
    subject: &Subject,
    rule: &str,
) -> Result<Changed, BrokerError> {
    let mut command = LIMIT.command(keys.prefix());
    command.arg(subject.kind()).arg(subject.name()).arg(rule);
    read_changed(&mut Reply::new(LIMIT.name, connections.run(&LIMIT, &command).await?)?)
}

pub(crate) fn read_changed(reply: &mut Reply) -> Result<Changed, BrokerError> {
    match reply.text("state")?.as_str() {
        "ok" => Ok(Changed::Changed),
        "unchanged" => Ok(Changed::Unchanged),
        "full" => Ok(Changed::Full),
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}
