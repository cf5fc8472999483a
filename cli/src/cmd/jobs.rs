//! `celeriac jobs`: the newest open and the newest ended jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use celeriac_broker_schema::script::JobView;
use celeriac_broker_schema::{JobId, JobSpec, Note, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::args::JobsArgs;
use crate::error::CliError;
use crate::format::{grouped, percent, span};
use crate::globals::Globals;
use crate::output::{self, Align, Table};

#[derive(Serialize)]
struct Jobs {
    /// Redis time.
    now: Timestamp,
    /// Open jobs in all.
    open: u64,
    jobs: Vec<JobLine>,
}

/// A job as JSON. `status` shows the same.
#[derive(Debug, Serialize)]
pub(super) struct JobLine {
    pub(super) id: JobId,
    pub(super) state: String,
    pub(super) task: String,
    pub(super) label: Option<String>,
    pub(super) submitted_by: Option<String>,
    pub(super) queue: String,
    pub(super) priority: u8,
    pub(super) reduce: Option<String>,
    pub(super) chunks: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) retried: u64,
    pub(super) created: Timestamp,
    pub(super) started: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    pub(super) failed_task: Option<String>,
    pub(super) failure: Option<Box<RawValue>>,
    /// The job that goes on in its place, if it failed and was retried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) continued_as: Option<JobId>,
    /// Who paused it, if it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) paused: Option<Note>,
    /// Since when more of it is being enqueued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) growing: Option<Timestamp>,
    /// Sums, minima and maxima by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) accumulators: BTreeMap<String, Box<RawValue>>,
}

impl JobLine {
    pub(super) fn new(job: JobView) -> Self {
        // What a newer version wrote may be unreadable; the rest of the job is not.
        let spec = JobSpec::decode(&job.spec).ok();
        let options = spec.as_ref().map(|spec| spec.chunk.options()).unwrap_or_default();
        let text = |text: Option<&str>| text.map(str::to_owned);
        let json = |text: String| RawValue::from_string(text).ok();
        let spec = spec.as_ref();
        Self {
            id: job.id,
            state: job.state,
            task: spec.map_or_else(|| "?".to_owned(), |spec| spec.chunk.task.to_string()),
            label: text(spec.and_then(|spec| spec.label.as_deref())),
            submitted_by: text(spec.and_then(|spec| spec.submitted_by.as_deref())),
            queue: options.queue.as_str().to_owned(),
            priority: options.priority.get(),
            reduce: text(spec.and_then(|spec| spec.reduce.as_deref())),
            chunks: job.total,
            done: job.done,
            failed: job.failed,
            retried: job.retried,
            created: job.created,
            started: job.started,
            ended: job.ended,
            failed_task: job.failed_task,
            failure: job.failure.and_then(json),
            continued_as: job.continued_as,
            paused: job.paused,
            growing: job.growing.filter(|_| job.ended.is_none()),
            accumulators: job
                .accumulators
                .into_iter()
                .filter_map(|(name, number)| Some((name, json(number)?)))
                .collect(),
        }
    }

    /// `running`, or `running, paused`.
    pub(super) fn state_and_pause(&self) -> String {
        let paused = if self.paused.is_some() { ", paused" } else { "" };
        format!("{}{paused}", self.state)
    }

    /// How long it has run or ran, from its enqueue on.
    pub(super) fn took(&self, now: Timestamp) -> Duration {
        Duration::from_millis(self.ended.unwrap_or(now).since(self.created))
    }

    /// `72 of 100 (72 %)`.
    pub(super) fn progress(&self) -> String {
        let (done, chunks) = (self.done, self.chunks);
        format!("{} of {} ({} %)", grouped(done), grouped(chunks), percent(done, chunks))
    }
}

pub(crate) async fn run(args: &JobsArgs, globals: &Globals) -> Result<(), CliError> {
    let snapshot = globals.connect().await?.snapshot(0, args.limit).await?;
    let jobs = Jobs {
        now: snapshot.now,
        open: snapshot.open_jobs,
        jobs: snapshot.jobs.into_iter().map(JobLine::new).collect(),
    };
    if globals.json {
        return output::json(&jobs);
    }
    if jobs.jobs.is_empty() {
        return output::line("no job is open, and none that has ended is kept");
    }
    output::line(table(&jobs).render())
}

fn table(jobs: &Jobs) -> Table {
    let mut table = Table::new([
        ("JOB", Align::Left),
        ("STATE", Align::Left),
        ("CHUNKS DONE", Align::Right),
        ("RETRIED", Align::Right),
        ("TIME", Align::Right),
        ("TASK", Align::Left),
        ("LABEL", Align::Left),
    ]);
    for job in &jobs.jobs {
        table.row([
            job.id.to_string(),
            job.state_and_pause(),
            job.progress(),
            grouped(job.retried),
            span(job.took(jobs.now)),
            job.task.clone(),
            job.label.clone().unwrap_or_default(),
        ]);
    }
    table
}
