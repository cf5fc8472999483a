//! `celeriac enqueue --file`: a workflow in JSON, read as a whole and validated before anything is enqueued.

use std::io::Read;

use celeriac_producer::workflow::Workflow;
use celeriac_producer::{InvalidWorkflow, Problem};
use serde::Serialize;

use crate::args::Input;
use crate::error::CliError;
use crate::format::{counted, grouped};
use crate::globals::Globals;
use crate::output;

/// What is told of a workflow that is not enqueued.
#[derive(Serialize)]
struct Checked {
    valid: bool,
    /// How many members the job would have: its tasks, and those that stand for whole groups.
    members: u64,
    /// How many of them would begin at once.
    begin_at_once: u64,
    /// Behind how many barriers the others would wait.
    barriers: u64,
    /// Bytes of their records.
    bytes: u64,
}

/// What is wrong with it.
#[derive(Serialize)]
struct Wrong<'a> {
    /// Always `invalid_workflow`.
    error: &'static str,
    problems: Vec<Told<'a>>,
}

#[derive(Serialize)]
struct Told<'a> {
    /// A JSON pointer into the text.
    path: &'a str,
    reason: &'a str,
}

/// The workflow; None if it is only to be looked at, which is done then.
pub(super) fn read(
    input: &Input,
    dry_run: bool,
    globals: &Globals,
) -> Result<Option<Workflow>, CliError> {
    let checked = Workflow::from_json(&text(input)?)
        .and_then(|workflow| if dry_run { workflow.plan().map(Err) } else { Ok(Ok(workflow)) });
    match checked {
        Ok(Ok(workflow)) => Ok(Some(workflow)),
        Ok(Err(plan)) => {
            let checked = Checked {
                valid: true,
                members: plan.members(),
                begin_at_once: plan.begin_at_once(),
                barriers: plan.barriers(),
                bytes: plan.bytes(),
            };
            show(&checked, globals)?;
            Ok(None)
        }
        Err(InvalidWorkflow { problems }) => Err(refuse(input, &problems, globals)?),
    }
}

fn show(checked: &Checked, globals: &Globals) -> Result<(), CliError> {
    if globals.json {
        return output::json(checked);
    }
    output::line(format_args!(
        "valid: {} with {} of records; {} would begin at once, the others behind {}",
        counted(checked.members, "member"),
        counted(checked.bytes, "byte"),
        grouped(checked.begin_at_once),
        counted(checked.barriers, "barrier"),
    ))
}

fn refuse(input: &Input, problems: &[Problem], globals: &Globals) -> Result<CliError, CliError> {
    if globals.json {
        let told = problems.iter().map(|Problem { path, reason }| Told { path, reason });
        output::json(&Wrong { error: "invalid_workflow", problems: told.collect() })?;
    }
    let problems = problems.iter().map(Problem::to_string).collect();
    Ok(CliError::WorkflowFile { input: input.to_string(), problems })
}

fn text(input: &Input) -> Result<String, CliError> {
    match input {
        Input::File(path) => std::fs::read_to_string(path)
            .map_err(|source| CliError::File { path: path.clone(), source }),
        Input::Stdin => {
            let mut text = String::new();
            let read = std::io::stdin().lock().read_to_string(&mut text);
            let failed = |source| CliError::File { path: "standard input".into(), source };
            read.map(|_| text).map_err(failed)
        }
    }
}
