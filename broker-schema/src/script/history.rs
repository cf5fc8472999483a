//! `history`: figures of the past.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::history::Bucket;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;
use crate::time::Timestamp;

script!(HISTORY, "history", " flags=no-writes", ["base", "figures"]);

/// A page of buckets of a level.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buckets {
    pub(crate) now: Timestamp,
    /// Since when anything was told.
    pub(crate) since: Option<Timestamp>,
    /// The minutes before are in the buckets of this level.
    pub(crate) until: Timestamp,
    /// Where the next page begins.
    pub(crate) next: Option<Timestamp>,
    pub(crate) buckets: Vec<Bucket>,
}

pub(crate) async fn history(
    connections: &Connections,
    keys: &Keys,
    level: &str,
    (from, to): (Timestamp, Timestamp),
) -> Result<Buckets, BrokerError> {
    let mut command = HISTORY.command(keys.prefix());
    command.arg(level).arg(from.0).arg(to.0);
    let mut reply = Reply::new(HISTORY.name, connections.run(&HISTORY, &command).await?)?;
    let now = Timestamp(reply.number("now")?);
    let since = Some(Timestamp(reply.number("since")?)).filter(|at| at.0 > 0);
    let until = Timestamp(reply.number("until")?);
    let next = Some(Timestamp(reply.number("next")?)).filter(|at| at.0 > 0);
    let mut found = reply.array("buckets")?;
    let mut buckets = Vec::with_capacity(found.len() / 2);
    while !found.is_empty() {
        let at = Timestamp(found.number("start")?);
        let fields = found.array("fields")?.pairs("field")?;
        buckets.push(read_bucket(at, fields).map_err(|error| found.error(error.to_string()))?);
    }
    Ok(Buckets { now, since, until, next, buckets })
}

/// What waited when a bucket was begun.
#[derive(Deserialize)]
struct Waited {
    ready: BTreeMap<String, f64>,
}

fn read_bucket(at: Timestamp, fields: Vec<(String, String)>) -> serde_json::Result<Bucket> {
    let mut bucket = Bucket { at, ..Bucket::default() };
    for (field, value) in fields {
        match field.as_str() {
            "*" => bucket.all = serde_json::from_str::<crate::figures::Figures>(&value)?.counts,
            "!" => bucket.late_ms = value.parse().unwrap_or(0),
            "#" => {
                // A script writes an empty object as a list.
                let waited = serde_json::from_str(&value).map(|Waited { ready }| ready);
                let ready = waited.unwrap_or_default().into_iter();
                bucket.ready = Some(ready.map(|(queue, n)| (queue, n.max(0.0) as u64)).collect());
            }
            pair => {
                if let Some((queue, task)) = pair.split_once(' ') {
                    let figures = serde_json::from_str(&value)?;
                    bucket.pairs.push((queue.to_owned(), task.to_owned(), figures));
                }
            }
        }
    }
    Ok(bucket)
}
