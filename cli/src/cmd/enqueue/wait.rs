//! Waiting for many tasks: one line for each, in the order in which they were enqueued.

use std::collections::VecDeque;
use std::time::Duration;

use celeriac_broker_schema::{Outcome, State, TaskId};
use celeriac_producer::Producer;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::cmd::result;
use crate::error::CliError;
use crate::exit::Exit;
use crate::globals::Globals;
use crate::output;

/// So many are waited for at once; those behind them may well have ended meanwhile.
const AT_ONCE: usize = 1_000;

/// A task of which no outcome can be told.
#[derive(Serialize)]
struct WithoutOutcome {
    id: TaskId,
    /// None: it may not have ended.
    state: Option<State>,
    /// Why there is none.
    problem: String,
}

/// Prints how each of the tasks ended.
pub(super) async fn for_all(
    producer: &Producer,
    ids: Vec<TaskId>,
    limit: Option<Duration>,
    globals: &Globals,
) -> Result<(), CliError> {
    let deadline = limit.map(|limit| Instant::now() + limit);
    let total = ids.len() as u64;
    let (mut ids, mut ahead) = (ids.into_iter(), VecDeque::new());
    let (mut failed, mut worst) = (0, Exit::Success);
    loop {
        while ahead.len() < AT_ONCE
            && let Some(id) = ids.next()
        {
            let handle = producer.handle(id);
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let wait = async move { result::wait_for(&handle, left).await };
            ahead.push_back((id, tokio::spawn(wait)));
        }
        let Some((id, wait)) = ahead.pop_front() else { break };
        let ended = wait.await.map_err(|error| CliError::Bug(error.to_string()))?;
        if let Err(error) = show(id, ended, globals) {
            if let CliError::Output(_) = error {
                return Err(error);
            }
            output::talk(format_args!("{id}: {error}"));
            failed += 1;
            worst = if error.exit().code() > worst.code() { error.exit() } else { worst };
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(CliError::SomeFailed { failed, total, exit: worst }),
    }
}

/// One line: the result, or the word for another end; with `--json` the whole outcome.
fn show(id: TaskId, ended: Result<Outcome, CliError>, globals: &Globals) -> Result<(), CliError> {
    let outcome = match ended {
        Ok(outcome) => outcome,
        Err(error) => {
            let problem = error.to_string();
            match globals.json {
                true => output::json(&WithoutOutcome { id, state: None, problem })?,
                false => output::line("unknown")?,
            }
            return Err(error);
        }
    };
    if globals.json {
        result::json(id, &outcome)?;
    } else if outcome.state == State::Succeeded {
        output::line(outcome.result.as_deref().map_or("null", RawValue::get))?;
    } else {
        output::line(outcome.state)?;
    }
    result::succeeded(id, &outcome)
}
