//! Tasks: one of them, and why it is where it is.

use celeriac_broker_schema::{Reason, TaskFailure, TaskId};

use super::refusal::Refusal;
use super::reply::Told;
use super::shapes::Explained;
use super::table::{Call, Table, words};
use crate::error::Problem;
use crate::model::Task;
use crate::observation::Detail;
use crate::read;
use crate::topic::Topic;

pub(super) fn add(table: &mut Table) {
    table.get(
        "/tasks/{id}",
        words("getTask", "tasks", "One task", "A task or chunk, wherever it is in its life."),
        one,
    );
    table.get(
        "/tasks/{id}/explain",
        words("explainTask", "tasks", "Why a task is not running", "Why a task, a chunk or a job is where it is: reasons as values and as sentences, the most telling first."),
        explain,
    );
}

async fn one(call: Call<TaskId>) -> Result<Told<Task>, Refusal> {
    let observation = call.monitor.latest().await;
    let reading = observation.current()?;
    match read::detail(&call.monitor, &Topic::Task(call.path), Some(reading)).await? {
        Some(Detail::Task(task, _)) => Ok(Told::new(*task)),
        Some(Detail::None(problem)) => Err(problem.into()),
        _ => Err(Problem::unknown_task(call.path).into()),
    }
}

async fn explain(call: Call<TaskId>) -> Result<Told<Explained>, Refusal> {
    let mut explanation = call.monitor.broker().explain(call.path).await?;
    let hidden = &call.monitor.config().redaction;
    let name = explanation.task.clone();
    let of_attempts = explanation.attempts.iter_mut().filter_map(|attempt| attempt.error.as_mut());
    let of_reasons = explanation.reasons.iter_mut().filter_map(failure_of);
    of_attempts.chain(of_reasons).for_each(|failure| hidden.failure(name.as_deref(), failure));
    let sentences = explanation.reasons.iter().map(ToString::to_string).collect();
    Ok(Told::new(Explained { explanation, sentences }))
}

fn failure_of(reason: &mut Reason) -> Option<&mut TaskFailure> {
    match reason {
        Reason::Failed { error, .. } | Reason::Ended { error, .. } => error.as_mut(),
        _ => None,
    }
}
