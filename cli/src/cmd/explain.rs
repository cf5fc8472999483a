//! `celeriac explain`: why a task, a chunk or a job is where it is, in sentences.

use celeriac_broker_schema::{Explanation, Reason, TaskId};

use super::status::attempt_text;
use crate::args::ExplainArgs;
use crate::error::CliError;
use crate::globals::Globals;
use crate::output;

pub(crate) async fn run(args: &ExplainArgs, globals: &Globals) -> Result<(), CliError> {
    let id: TaskId = args.id.parse()?;
    let explanation = globals.connect().await?.explain(id).await?;
    if explanation.reasons.contains(&Reason::Unknown) {
        return Err(CliError::Unknown(id));
    }
    if globals.json { output::json(&explanation) } else { output::line(text(&explanation)) }
}

fn text(explanation: &Explanation) -> String {
    let Explanation { id, kind, state, task, queue, priority, label, .. } = explanation;
    let state = state.map_or_else(|| "there".to_owned(), |state| state.to_string());
    let mut text = format!("{kind} {id} is {state}");
    if let (Some(task), Some(queue), Some(priority)) = (task, queue, priority) {
        text.push_str(&format!(": {task} in queue {queue}, priority {priority}"));
    }
    if let Some(label) = label {
        text.push_str(&format!(" ({label})"));
    }
    for reason in &explanation.reasons {
        text.push_str(&format!("\n- {reason}{}", hint(reason)));
    }
    for attempt in &explanation.attempts {
        text.push_str(&format!("\n{}", attempt_text(attempt, explanation.now)));
    }
    text
}

/// What to do about it, where the command can.
fn hint(reason: &Reason) -> String {
    match reason {
        Reason::NoWorkerForQueue { queue } => {
            format!(": start one with `celeriac worker --queues {queue}`")
        }
        _ => String::new(),
    }
}
