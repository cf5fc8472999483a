//! `celeriac result`: how a task or job ended. Also the end of every command that waits.

use std::time::Duration;

use celeriac_broker_schema::script::Found;
use celeriac_broker_schema::{Broker, Bytes, ErrorKind, Outcome, State, TaskFailure, TaskId};
use celeriac_producer::{Handle, Producer, ResultError};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::args::ResultArgs;
use crate::error::CliError;
use crate::fleet::Interrupt;
use crate::globals::Globals;
use crate::output;

pub(crate) async fn run(args: &ResultArgs, globals: &Globals) -> Result<(), CliError> {
    let id: TaskId = args.id.parse()?;
    let broker = globals.connect().await?;
    if args.follow {
        return follow(&Producer::new(broker).handle(id), globals).await;
    }
    let outcome = match args.wait.wait {
        // A chunk that was never seen to fail has nothing that could be waited for.
        true if id.chunk().is_none() => {
            let handle = Producer::new(broker).handle(id);
            let wait = wait_for(&handle, args.wait.wait_timeout);
            unless_told_to_stop(Interrupt::listen()?, Some(id), wait).await?
        }
        _ => stored(&broker, id).await?,
    };
    if args.raw && outcome.state == State::Succeeded {
        return output::bytes(&raw(outcome.result.as_deref().map_or("null", RawValue::get)));
    }
    show(id, &outcome, globals)
}

/// Waits, until somebody tells the command to stop: what it waits for goes on, and that is said.
pub(super) async fn unless_told_to_stop<T>(
    mut interrupt: Interrupt,
    id: Option<TaskId>,
    wait: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    tokio::select! {
        result = wait => result,
        exit = interrupt.exit() => Err(CliError::StoppedWaiting { id, exit }),
    }
}

/// Partial results as they come, and the end.
async fn follow(handle: &Handle, globals: &Globals) -> Result<(), CliError> {
    let mut parts = handle.stream::<Box<RawValue>>();
    while let Some(value) = parts.next().await {
        let value = value?;
        if globals.json {
            output::json(&PartLine { attempt: parts.attempt(), value: &value })?;
        } else {
            output::line(value.get())?;
        }
    }
    // The results of chunks are in the accumulators of their job.
    if handle.id().chunk().is_some() {
        return Ok(());
    }
    show(handle.id(), &wait_for(handle, None).await?, globals)
}

/// A partial result with the attempt that sent it.
#[derive(Serialize)]
struct PartLine<'a> {
    attempt: u32,
    value: &'a RawValue,
}

/// A result without its coat of JSON: bytes and text as they are, all else as it is written.
fn raw(json: &str) -> Vec<u8> {
    let bytes = serde_json::from_str::<Bytes>(json).map(Vec::from);
    let text = || serde_json::from_str::<String>(json).map(String::into_bytes);
    bytes.or_else(|_| text()).unwrap_or_else(|_| json.as_bytes().to_vec())
}

/// Waits for the end of a task or job.
pub(super) async fn wait_for(
    handle: &Handle,
    limit: Option<Duration>,
) -> Result<Outcome, CliError> {
    Ok(match limit {
        Some(limit) => handle.outcome_within(limit).await?,
        None => handle.outcome().await?,
    })
}

async fn stored(broker: &Broker, id: TaskId) -> Result<Outcome, CliError> {
    let found = broker.inspect(id).await?;
    // Of a job, the state that `status` tells: not that of its reducer, which has the same id.
    if matches!(found, Found::Task { .. } | Found::Unknown)
        && id.chunk().is_none()
        && let Some(job) = broker.job(id.job()).await?.1
        && job.ended.is_none()
    {
        return Err(CliError::NotEnded { id, state: job.state });
    }
    match found {
        Found::Ended(stored) => read(broker, id, &stored).await,
        Found::Chunk { .. } => Err(CliError::ChunkResult(id)),
        Found::Task { whereabouts, .. } => {
            let state = super::status::state_of(&whereabouts).to_string();
            Err(CliError::NotEnded { id, state })
        }
        Found::Unknown => Err(CliError::Unknown(id)),
    }
}

/// Reads a stored outcome; that of a workflow with the results of its members.
pub(super) async fn read(broker: &Broker, id: TaskId, stored: &str) -> Result<Outcome, CliError> {
    let read = broker.read_outcome(id, stored).await?;
    read.map_err(|reason| ResultError::Unreadable { id, reason }.into())
}

/// An outcome with the id of what ended.
#[derive(Serialize)]
struct Ended<'a> {
    id: TaskId,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

/// Prints the result, or the whole outcome as JSON; fails if the task did.
pub(super) fn show(id: TaskId, outcome: &Outcome, globals: &Globals) -> Result<(), CliError> {
    if globals.json {
        json(id, outcome)?;
    } else if outcome.state == State::Succeeded {
        output::line(outcome.result.as_deref().map_or("null", RawValue::get))?;
    }
    succeeded(id, outcome)
}

/// Prints the whole outcome.
pub(super) fn json(id: TaskId, outcome: &Outcome) -> Result<(), CliError> {
    // With the queue also where the stored form leaves it out.
    let outcome = &Outcome { queue: outcome.queue().map(str::to_owned), ..outcome.clone() };
    output::json(&Ended { id, outcome })
}

/// An error, if the task did not succeed.
pub(super) fn succeeded(id: TaskId, outcome: &Outcome) -> Result<(), CliError> {
    let error = match outcome.state {
        State::Succeeded => return Ok(()),
        State::Cancelled => ResultError::Cancelled(id),
        State::Expired => ResultError::Expired(id),
        _ => {
            let unknown = || TaskFailure::new(ErrorKind::Other, "no error was stored");
            let failure = Box::new(outcome.error.clone().unwrap_or_else(unknown));
            ResultError::Failed { id, failed_task: outcome.failed_task.clone(), failure }
        }
    };
    Err(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_result_has_no_coat() {
        assert_eq!(raw(r#"{"$bytes":"AP8="}"#), [0, 255]);
        assert_eq!(raw(r#""a\nb""#), b"a\nb");
        assert_eq!(raw(r#"{"a": 1}"#), br#"{"a": 1}"#);
    }
}
