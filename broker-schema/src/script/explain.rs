//! `explain`: what stands around one task, chunk or job.

use std::collections::BTreeMap;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::explain::{Place, Surroundings};
use crate::id::TaskId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;
use crate::time::Timestamp;

script!(EXPLAIN, "explain", " flags=no-writes", ["base", "ready"]);

/// `ready_in`: where it is ready, if it is. `lease`: under which it is held, if it is.
pub(crate) async fn explain(
    connections: &Connections,
    keys: &Keys,
    id: TaskId,
    ready_in: Option<&Place>,
    lease: Option<&str>,
) -> Result<(Timestamp, Surroundings), BrokerError> {
    let mut command = EXPLAIN.command(keys.prefix());
    command.arg(id.to_string());
    match ready_in {
        Some(place) => command.arg(place.queue.as_str()).arg(place.priority.get()),
        None => command.arg("").arg(0),
    };
    command.arg(lease.unwrap_or_default());
    let mut reply = Reply::new(EXPLAIN.name, connections.run(&EXPLAIN, &command).await?)?;
    let now = Timestamp(reply.number("now")?);
    let mut facts: BTreeMap<String, String> =
        reply.array("facts")?.pairs("fact")?.into_iter().collect();
    let orphan = facts.remove("orphan");
    // Scores of sorted sets are told as floating-point numbers.
    let number = |name: &str| {
        let value: f64 = facts.get(name)?.parse().ok()?;
        Some(value as u64)
    };
    let time = |name: &str| number(name).map(Timestamp);
    let around = Surroundings {
        ahead: number("ahead"),
        beyond: facts.contains_key("beyond"),
        higher: number("higher").unwrap_or(0),
        suspects_ahead: number("suspect"),
        expiry: time("expiry"),
        lease_until: time("lease_until"),
        orphan,
        kept_ms: number("kept_ms"),
        dead: facts.contains_key("dead"),
    };
    Ok((now, around))
}
