//! `results`: what members of a workflow came to.

use serde_json::value::RawValue;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{ChunkIndex, JobId};
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;
use crate::workflow::{Shape, Stretch, Value};

script!(RESULTS, "results", " flags=no-writes", ["base", "totals"]);

/// Members are asked for so many at a time.
pub(crate) const BITE: u64 = 1_000;
/// After so many bytes no more is read.
const MOST_BYTES: usize = 4 << 20;

/// What is asked of a workflow.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The values of these members, at most 1,000.
    pub members: Vec<Stretch>,
    /// The accumulators.
    pub totals: bool,
    /// The members that were added to the group before this barrier, and how many stretches were read before.
    pub fed: Option<(ChunkIndex, u64)>,
}

/// What is known of it.
#[derive(Debug, Clone)]
pub struct Results {
    /// The state of the job; None if it is not there.
    pub state: Option<String>,
    /// The accumulators, an object.
    pub totals: Option<Box<RawValue>>,
    /// Members that were added to a group.
    pub fed: Vec<Stretch>,
    /// Where the next of these are read, if there may be more.
    pub next_fed: Option<u64>,
    /// The values of members in the order in which they were asked for, as many as were read; None of
    /// those that have none.
    pub values: Vec<Option<Value>>,
}

pub(crate) async fn results(
    connections: &Connections,
    keys: &Keys,
    job: JobId,
    wanted: &Wanted,
) -> Result<Results, BrokerError> {
    let mut command = RESULTS.command(keys.prefix());
    command.arg(job.to_string()).arg(u8::from(wanted.totals));
    match wanted.fed {
        Some((barrier, from)) => command.arg(barrier).arg(from),
        None => command.arg("").arg(0),
    };
    command.arg(MOST_BYTES);
    for (lo, hi) in &wanted.members {
        command.arg(*lo).arg(*hi);
    }
    let value = connections.run(&RESULTS, &command).await?;
    let mut reply = Reply::new(RESULTS.name, value)?;
    let state = Some(reply.text("state")?).filter(|state| !state.is_empty());
    let totals = Some(reply.text("totals")?).filter(|totals| !totals.is_empty());
    let totals = totals.map(RawValue::from_string).transpose();
    let totals = totals.map_err(|error| reply.error(format!("accumulators: {error}")))?;
    let mut stretches = reply.array("stretches")?;
    let mut fed = Vec::new();
    while !stretches.is_empty() {
        fed.push((stretches.parsed("lo")?, stretches.parsed("hi")?));
    }
    let next_fed = Some(reply.number("next stretch")?).filter(|next| *next > 0);
    let mut found = reply.array("values")?;
    let mut values = Vec::with_capacity(found.len());
    while !found.is_empty() {
        let text = found.text("value")?;
        values.push(read_value(&text).map_err(|reason| found.error(reason))?);
    }
    Ok(Results { state, totals, fed, next_fed, values })
}

/// `=` and a result, `!` and a failure, `@` and a shape; or nothing.
fn read_value(text: &str) -> Result<Option<Value>, String> {
    let Some(kind) = text.chars().next() else { return Ok(None) };
    let rest = &text[kind.len_utf8()..];
    let json = || RawValue::from_string(rest.to_owned()).map_err(|error| error.to_string());
    match kind {
        '=' => json().map(Value::Ok),
        '!' => json().map(Value::Err),
        '@' => {
            serde_json::from_str::<Shape>(rest).map(Value::Of).map_err(|error| error.to_string())
        }
        other => Err(format!("a value of kind {other:?}")),
    }
    .map(Some)
}
