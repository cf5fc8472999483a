//! `celeriac enqueue`: one task, many from lines (`stream`, read by `lines`, waited for by `wait`),
//! a job of chunks (`job`), or a workflow (`file`). `spec` is what a task looks like before it is one.

mod file;
mod job;
mod lines;
pub(super) mod spec;
mod stream;
mod wait;

use celeriac_broker_schema::TaskId;
use celeriac_producer::workflow::SCHEMA;
use celeriac_producer::{Handle, Producer};
use serde::Serialize;

use self::spec::TaskSpec;
use super::result;
use crate::args::values::duration_text;
use crate::args::{EnqueueArgs, WaitArgs};
use crate::error::CliError;
use crate::fleet::Interrupt;
use crate::globals::Globals;
use crate::output;

pub(crate) async fn run(args: EnqueueArgs, globals: &Globals) -> Result<(), CliError> {
    let EnqueueArgs {
        task,
        options,
        start,
        lines,
        skip_bad,
        job,
        workflow,
        durable,
        wait_while_full,
        wait,
    } = args;
    if workflow.schema {
        return output::line(SCHEMA.trim_end());
    }
    // Nothing is to be enqueued, and only workflows can be looked at without that.
    if workflow.dry_run && workflow.file.is_none() {
        return Err(CliError::Arguments(
            "--dry-run is for workflows: name one with --file".to_owned(),
        ));
    }
    // An empty variable means: not set.
    let durable = durable.filter(|durable| !durable.is_empty());
    let durable = durable.map(|durable| durable.parse()).transpose()?;
    let globals = &globals.durable(durable);
    if let Some(input) = &workflow.file {
        let producer = |broker| Producer::new(broker).wait_while_full(wait_while_full);
        let Some(workflow) = file::read(input, workflow.dry_run, globals)? else { return Ok(()) };
        let handle = producer(globals.connect().await?).enqueue_workflow(workflow).await?;
        return show_or_wait(&handle, &wait, globals).await;
    }
    let spec = TaskSpec::from_args(task, options, start)?;
    if let Some(input) = lines {
        return stream::run(&input, &spec, skip_bad, wait_while_full, &wait, globals).await;
    }
    // All that can be wrong with it comes before Redis is asked.
    let prepared = match job.chunks {
        Some(chunks) => Prepared::Job(job::new_job(spec, chunks, job)?),
        None => Prepared::Task(spec.into_task()?),
    };
    let producer = Producer::new(globals.connect().await?).wait_while_full(wait_while_full);
    let handle = match prepared {
        Prepared::Job(job) => producer.enqueue_job(job).await?,
        Prepared::Task(task) => producer.enqueue_task(task).await?,
    };
    show_or_wait(&handle, &wait, globals).await
}

/// Prints the id, or waits and prints the result.
async fn show_or_wait(handle: &Handle, wait: &WaitArgs, globals: &Globals) -> Result<(), CliError> {
    if !wait.wait {
        return show_id(handle, globals);
    }
    // Before anybody can know that we wait.
    let interrupt = Interrupt::listen()?;
    globals.talk(format_args!(
        "{} {}",
        if handle.is_duplicate() { "enqueued before:" } else { "enqueued:" },
        handle.id()
    ));
    if let Some(limit) = wait.wait_timeout {
        globals.talk(format_args!("waiting for at most {}", duration_text(limit)));
    }
    let waiting = result::wait_for(handle, wait.wait_timeout);
    let outcome = result::unless_told_to_stop(interrupt, Some(handle.id()), waiting).await?;
    result::show(handle.id(), &outcome, globals)
}

#[expect(clippy::large_enum_variant, reason = "there is one of them in the life of the process")]
enum Prepared {
    Task(celeriac_producer::NewTask),
    Job(celeriac_producer::NewJob),
}

#[derive(Serialize)]
struct Enqueued {
    id: TaskId,
    /// Whether it was enqueued earlier, under the same key.
    duplicate: bool,
}

fn show_id(handle: &Handle, globals: &Globals) -> Result<(), CliError> {
    let (id, duplicate) = (handle.id(), handle.is_duplicate());
    if globals.json {
        return output::json(&Enqueued { id, duplicate });
    }
    if duplicate {
        globals.talk("nothing was enqueued: this is the earlier one with the same key");
    }
    output::line(id)
}
