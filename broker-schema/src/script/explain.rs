//! `explain`: what stands around one task, chunk or job.

use std::collections::BTreeMap;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::explain::{Order, Shut, Surroundings, Turn};
use crate::id::TaskId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;
use crate::time::Timestamp;

script!(EXPLAIN, "explain", " flags=no-writes", ["base", "ready", "gate"]);

/// What `explain` is asked.
pub(crate) struct Question<'a> {
    pub(crate) id: TaskId,
    /// What it runs and where it waits or goes, if it does.
    pub(crate) order: Option<&'a Order>,
    /// It is in the queue of its order, and not on its way there.
    pub(crate) ready: bool,
    /// Under which it is held, if it is.
    pub(crate) lease: Option<&'a str>,
}

pub(crate) async fn explain(
    connections: &Connections,
    keys: &Keys,
    question: &Question<'_>,
) -> Result<(Timestamp, Surroundings), BrokerError> {
    let Question { id, order, ready, lease } = question;
    let mut command = EXPLAIN.command(keys.prefix());
    command.arg(id.to_string());
    match order {
        Some(Order { place, .. }) => command.arg(place.queue.as_str()).arg(place.priority.get()),
        None => command.arg("").arg(0),
    };
    command.arg(if *ready && order.is_some() { "1" } else { "" });
    command.arg(lease.unwrap_or_default());
    command.arg(order.map_or("", |order| &order.task));
    command.arg(order.and_then(|order| order.tenant.as_deref()).unwrap_or_default());
    let mut reply = Reply::new(EXPLAIN.name, connections.run(&EXPLAIN, &command).await?)?;
    let now = Timestamp(reply.number("now")?);
    let mut facts: BTreeMap<String, String> =
        reply.array("facts")?.pairs("fact")?.into_iter().collect();
    let orphan = facts.remove("orphan");
    let follows = facts.remove("follows");
    let shut =
        facts.iter().filter_map(|(name, value)| read_shut(name.strip_prefix("limit:")?, value));
    let shut = shut.collect();
    // Scores of sorted sets are told as floating-point numbers.
    let number = |name: &str| {
        let value: f64 = facts.get(name)?.parse().ok()?;
        Some(value as u64)
    };
    let time = |name: &str| number(name).map(Timestamp);
    let note =
        |name: &str| facts.get(name).map(|text| serde_json::from_str(text).unwrap_or_default());
    let turn = number("turn").map(|own| Turn {
        own,
        more: facts.contains_key("turn_beyond"),
        turns: number("turns"),
    });
    let around = Surroundings {
        ahead: number("ahead"),
        beyond: facts.contains_key("beyond"),
        higher: number("higher").unwrap_or(0),
        suspects_ahead: number("suspect"),
        turn,
        moved: facts.get("moved").and_then(|queue| queue.parse().ok()),
        paused: note("paused"),
        shut,
        cancel: note("cancel"),
        follows,
        expiry: time("expiry"),
        lease_until: time("lease_until"),
        orphan,
        kept_ms: number("kept_ms"),
        dead: facts.contains_key("dead"),
    };
    Ok((now, around))
}

/// `<held> <most> <when the next may go> <before it>`
fn read_shut(subject: &str, value: &str) -> Option<Shut> {
    let mut numbers = value.split(' ').map(|number| number.parse::<u64>().ok());
    let mut next = || numbers.next().flatten();
    let (held, most, opens) = (next()?, next()?, next()?);
    Some(Shut {
        subject: subject.to_owned(),
        held,
        concurrency: Some(most).filter(|most| *most > 0),
        opens: Some(Timestamp(opens)).filter(|at| at.0 > 0),
        before: next(),
    })
}
