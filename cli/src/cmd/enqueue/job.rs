//! A job of chunks from the command line.

use celeriac_broker_schema::TaskName;
use celeriac_producer::{NewJob, NewTask};
use celeriac_worker::builtin::job_plan;
use serde_json::value::RawValue;

use super::spec::TaskSpec;
use crate::args::JobArgs;
use crate::error::CliError;
use crate::fleet_view::this_host;

/// The job that the arguments describe. One of a built-in task is reduced as that task wants,
/// unless the command line says how.
pub(super) fn new_job(mut spec: TaskSpec, chunks: u64, args: JobArgs) -> Result<NewJob, CliError> {
    let plan = spec.task().and_then(|task| job_plan(task.as_str()));
    let label = spec.take_label();
    let chunk = spec.into_task()?;
    let JobArgs { split, mut sum, min, max, mut reduce, speculate, .. } = args;
    let says_nothing = sum.is_empty() && min.is_empty() && max.is_empty() && reduce.is_none();
    if let Some(plan) = plan.filter(|_| says_nothing) {
        sum = plan.sums.iter().map(|&field| field.to_owned()).collect();
        reduce = Some(plan.reducer.to_owned());
    }
    let reducer = reduce.map(|name| reducer(name, &chunk)).transpose()?;
    let mut job =
        NewJob::new(chunk, chunks).submitted_by(format!("celeriac enqueue on {}", this_host()));
    if let Some((field, total)) = split {
        job = job.split(field, total);
    }
    job = sum.into_iter().fold(job, NewJob::sum);
    job = min.into_iter().fold(job, NewJob::min);
    job = max.into_iter().fold(job, NewJob::max);
    if let Some(reducer) = reducer {
        job = job.reduce(reducer);
    }
    if let Some(percent) = speculate {
        job = job.speculate(percent);
    }
    Ok(match label {
        Some(label) => job.label(label),
        None => job,
    })
}

/// It waits where the chunks do: whoever serves those will serve it.
fn reducer(name: String, chunk: &NewTask) -> Result<NewTask, CliError> {
    let no_arguments = RawValue::from_string("{}".to_owned()).expect("an empty object is JSON");
    let mut options = chunk.options.clone();
    // The time-out is that of a chunk; how long the reduction takes is another matter.
    (options.timeout_ms, options.soft_timeout_ms) = (None, None);
    let mut reducer = NewTask::from_raw(TaskName::new(name)?, no_arguments, options);
    reducer.meta = chunk.meta.clone();
    Ok(reducer)
}
