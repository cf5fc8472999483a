//! `recent`: a page of the tasks that ended lately.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::recent::RecentTask;
use crate::reply::Reply;
use crate::script::script;
use crate::state::State;
use crate::time::Timestamp;

script!(RECENT, "recent", " flags=no-writes", ["base"]);

/// Tasks that ended lately, each with its place in the list.
#[derive(Debug, Clone)]
pub(crate) struct RecentPage {
    pub(crate) now: Timestamp,
    /// The newest first. None: what was told cannot be read.
    pub(crate) tasks: Vec<(String, Option<RecentTask>)>,
}

/// `before`: the place of the last one of the page before.
pub(crate) async fn recent(
    connections: &Connections,
    keys: &Keys,
    state: State,
    before: Option<&str>,
    since: Timestamp,
    limit: usize,
) -> Result<RecentPage, BrokerError> {
    let mut command = RECENT.command(keys.prefix());
    command.arg(state.as_str()).arg(before.unwrap_or("+")).arg(since.0).arg(limit.max(1));
    let mut reply = Reply::new(RECENT.name, connections.run(&RECENT, &command).await?)?;
    let now = Timestamp(reply.number("now")?);
    let told = reply.array("tasks")?.pairs("task")?;
    let read = |(place, told): (String, String)| (place, serde_json::from_str(&told).ok());
    Ok(RecentPage { now, tasks: told.into_iter().map(read).collect() })
}
