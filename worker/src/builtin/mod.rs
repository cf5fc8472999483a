//! The tasks of the stock worker, for trying and measuring: `pi` and its reducer, `echo`,
//! `sleep`, `count`, `fail`, `noop`.

use std::time::Duration;

use celeriac_producer::task::Task;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::task::{Chunk, Context, Registry, TaskError, Tasks};

pub mod pi;

/// The seed of Pi when none is given.
const DEFAULT_SEED: u64 = 0;

/// All built-in tasks.
pub fn tasks() -> Tasks {
    registry().build()
}

/// The same, to add others.
pub fn registry() -> Registry {
    Registry::new(())
        .task(echo)
        .task(sleep)
        .task(count)
        .task(fail)
        .task(noop)
        .cpu_task(pi_chunk)
        .task(pi_estimate)
}

/// How a job of a built-in task is reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobPlan {
    /// The fields of its result that are summed.
    pub sums: &'static [&'static str],
    /// The task that gets the sums.
    pub reducer: &'static str,
}

/// The plan for a job of this task, if it is a built-in one that has a plan.
pub fn job_plan(task: &str) -> Option<JobPlan> {
    (task == Pi::NAME).then_some(JobPlan { sums: &["hits", "samples"], reducer: PiEstimate::NAME })
}

macro_rules! named {
    ($type:ty, $name:literal, $output:ty) => {
        impl Task for $type {
            const NAME: &'static str = $name;
            // None of them does anything outside of itself.
            const IDEMPOTENT: bool = true;
            type Output = $output;
        }
    };
}

/// Returns its arguments, whatever they are.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Echo(pub Value);
named!(Echo, "echo", Value);

async fn echo(task: Echo) -> Result<Value, TaskError> {
    Ok(task.0)
}

/// Does nothing with any arguments.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Noop(pub Box<serde_json::value::RawValue>);
named!(Noop, "noop", ());

async fn noop(_: Noop) -> Result<(), TaskError> {
    Ok(())
}

/// Waits.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sleep {
    /// For how long, in milliseconds.
    pub ms: u64,
}
named!(Sleep, "sleep", ());

async fn sleep(ctx: Context, task: Sleep) -> Result<(), TaskError> {
    let mut slept = 0;
    while slept < task.ms {
        ctx.progress(slept, task.ms);
        let nap = (task.ms - slept).min(1_000);
        tokio::time::sleep(Duration::from_millis(nap)).await;
        slept += nap;
    }
    Ok(())
}

/// Counts, and shows what long tasks can do: it tells how far it is, sends each number as a partial
/// result, and goes on where it was when its worker dies or stops.
#[derive(Debug, Serialize, Deserialize)]
pub struct Count {
    /// How far, from 1.
    pub to: u64,
    /// How long each number takes, in milliseconds. 100 unless given.
    #[serde(default = "default_count_ms")]
    pub ms: u64,
}
named!(Count, "count", u64);

fn default_count_ms() -> u64 {
    100
}

async fn count(ctx: Context, task: Count) -> Result<u64, TaskError> {
    let mut counted: u64 = ctx.restored()?.unwrap_or_default();
    while counted < task.to {
        tokio::time::sleep(Duration::from_millis(task.ms)).await;
        counted += 1;
        ctx.emit(&counted).await?;
        ctx.checkpoint(&counted)?;
        ctx.progress(counted, task.to);
    }
    Ok(counted)
}

/// Fails.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Fail {
    /// What it says.
    pub message: String,
    /// Attempts that fail; later ones succeed. 0: all.
    pub times: u32,
    /// Whether it panics instead of returning an error.
    pub panic: bool,
    /// Whether another attempt makes no sense.
    pub fatal: bool,
}
named!(Fail, "fail", String);

async fn fail(ctx: Context, task: Fail) -> Result<String, TaskError> {
    if task.times > 0 && ctx.attempt() > task.times {
        return Ok(format!("succeeded at attempt {}", ctx.attempt()));
    }
    let message = if task.message.is_empty() { "told to fail" } else { &task.message };
    if task.panic {
        panic!("{message}");
    }
    if task.fatal { Err(TaskError::fatal(message)) } else { Err(TaskError::new(message)) }
}

/// Counts how many of `samples` random points of the unit square lie in the quarter circle.
///
/// As a chunk of a job it takes the stream of its index, so the estimate of the job depends on
/// samples, chunks and seed alone.
#[derive(Debug, Serialize, Deserialize)]
pub struct Pi {
    /// How many points.
    pub samples: u64,
    /// The seed of the job. 0 unless given.
    #[serde(default)]
    pub seed: Option<u64>,
}
named!(Pi, "pi", Hits);

/// What a chunk of Pi counts.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hits {
    /// Points in the quarter circle.
    pub hits: u64,
    /// Points in all.
    pub samples: u64,
}

fn pi_chunk(ctx: Context, chunk: Option<Chunk>, task: Pi) -> Result<Hits, TaskError> {
    let Pi { samples, seed } = task;
    let index = chunk.map_or(0, |chunk| chunk.index);
    let hits = pi::hits_until(seed.unwrap_or(DEFAULT_SEED), index, samples, || ctx.is_cancelled());
    hits.map(|hits| Hits { hits, samples }).ok_or_else(TaskError::cancelled)
}

/// Turns the counts of all chunks into an estimate of Pi.
#[derive(Debug, Serialize, Deserialize)]
pub struct PiEstimate {
    /// Points in the quarter circle.
    pub hits: u64,
    /// Points in all.
    pub samples: u64,
}
named!(PiEstimate, "pi.estimate", pi::Estimate);

async fn pi_estimate(task: PiEstimate) -> Result<pi::Estimate, TaskError> {
    if task.hits > task.samples {
        return Err(TaskError::fatal(format!(
            "{} hits of {} samples cannot be",
            task.hits, task.samples
        )));
    }
    Ok(pi::Estimate::from_counts(task.hits, task.samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pi_adds_up_over_its_chunks() {
        let tasks = tasks();
        let hits = tasks.call(&Context::for_test(), Pi { samples: 100_000, seed: Some(7) }).await;
        assert_eq!(hits.expect("counts").hits, pi::hits(7, 0, 100_000));
        let wrong = tasks.call(&Context::for_test(), PiEstimate { hits: 2, samples: 1 }).await;
        assert!(wrong.is_err());
    }

    #[tokio::test]
    async fn fail_fails_as_told() {
        let tasks = tasks();
        let task = |times| Fail { times, ..Fail::default() };
        assert!(tasks.call(&Context::for_test(), task(0)).await.is_err());
        assert!(tasks.call(&Context::for_test(), task(1)).await.is_err());
        let second = crate::task::ContextParts { attempt: 2, ..Default::default() };
        assert!(tasks.call(&Context::new(second), task(1)).await.is_ok());
    }
}
