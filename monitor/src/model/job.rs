//! One job: a line of the list, and everything.

use std::collections::BTreeMap;

use celeriac_broker_schema::script::JobView;
use celeriac_broker_schema::{
    Accumulate, Backoff, JobId, JobSpec, Outcome, Split, TaskFailure, Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::raw_json;
use crate::rates::per_second;

/// A job as the list shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    /// What people call it.
    pub(crate) label: Option<String>,
    /// The name of its chunks' task; None if its description is not readable.
    pub(crate) task: Option<String>,
    pub(crate) queue: Option<String>,
    /// `running`, `reducing`, `succeeded` or `failed`.
    pub(crate) state: String,
    /// Chunks in all, and how many of them ended how.
    pub(crate) total: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) retried: u64,
    pub(crate) created: Timestamp,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    /// Since the first claim, until the end or now.
    pub(crate) elapsed_ms: Option<u64>,
    /// Chunks: of the last seconds while it runs, on the whole once it ended.
    pub(crate) done_per_s: Option<f64>,
    /// At the present rate.
    pub(crate) left_ms: Option<u64>,
}

/// All that is known of a job.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct JobDetail {
    #[serde(flatten)]
    pub(crate) job: Job,
    /// Redis time of this answer.
    pub(crate) now: Timestamp,
    /// Why its description is not readable.
    pub(crate) unreadable: Option<String>,
    pub(crate) args: Option<Box<RawValue>>,
    /// The argument that is shared out among the chunks.
    pub(crate) split: Option<Split>,
    pub(crate) priority: Option<u8>,
    pub(crate) retries: Option<u32>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) keep_ms: Option<u64>,
    pub(crate) submitted_by: Option<String>,
    /// Field of a chunk's result → what is accumulated of it.
    pub(crate) accumulate: BTreeMap<String, Accumulate>,
    pub(crate) accumulators: BTreeMap<String, Box<RawValue>>,
    /// The task that gets the accumulators.
    pub(crate) reduce: Option<String>,
    pub(crate) result: Option<Box<RawValue>>,
    /// The task or chunk whose failure ended the job, and that failure.
    pub(crate) failed_task: Option<String>,
    pub(crate) error: Option<TaskFailure>,
}

impl Job {
    /// `rate`: chunks per second of late, if that was watched.
    pub(crate) fn new(view: &JobView, now: Timestamp, rate: Option<f64>) -> Self {
        let spec = JobSpec::decode(&view.spec).ok();
        let elapsed_ms = view.started.map(|started| view.ended.unwrap_or(now).since(started));
        let average = elapsed_ms.and_then(|ms| per_second(view.done, ms));
        let done_per_s = if view.ended.is_some() {
            average
        } else {
            rate.filter(|_| view.started.is_some()).or(average)
        };
        Self {
            id: view.id,
            label: spec.as_ref().and_then(|spec| spec.label.as_deref().map(str::to_owned)),
            task: spec.as_ref().map(|spec| spec.chunk.task.to_string()),
            queue: spec.map(|spec| spec.chunk.options().queue.to_string()),
            state: view.state.clone(),
            total: view.total,
            done: view.done,
            failed: view.failed,
            retried: view.retried,
            created: view.created,
            started: view.started,
            ended: view.ended,
            elapsed_ms,
            done_per_s,
            left_ms: left_ms(view, done_per_s),
        }
    }

    /// What people call it, or what it runs, or at least its id.
    pub(crate) fn title(&self) -> String {
        let name = self.label.as_ref().or(self.task.as_ref());
        name.cloned().unwrap_or_else(|| self.id.to_string())
    }
}

fn left_ms(view: &JobView, rate: Option<f64>) -> Option<u64> {
    let left = view.total.saturating_sub(view.done);
    let rate = rate.filter(|rate| *rate > 0.0 && view.ended.is_none() && left > 0)?;
    Some((left as f64 * 1000.0 / rate) as u64)
}

impl JobDetail {
    /// `outcome`: how it ended, if that is kept.
    pub(crate) fn new(
        view: &JobView,
        now: Timestamp,
        rate: Option<f64>,
        outcome: Option<Outcome>,
    ) -> Self {
        let spec = JobSpec::decode(&view.spec);
        let unreadable = spec.as_ref().err().map(ToString::to_string);
        let spec = spec.ok();
        let options = spec.as_ref().map(|spec| spec.chunk.options());
        let failure = view.failure.as_deref().and_then(|json| serde_json::from_str(json).ok());
        let text = |of: fn(&JobSpec<'_>) -> Option<String>| spec.as_ref().and_then(of);
        Self {
            job: Job::new(view, now, rate),
            now,
            unreadable,
            args: spec.as_ref().map(|spec| spec.chunk.args.to_owned()),
            split: spec.as_ref().and_then(|spec| spec.split.clone()),
            priority: options.as_ref().map(|options| options.priority.get()),
            retries: options.as_ref().map(|options| options.retry.retries),
            backoff: options.as_ref().map(|options| options.retry.backoff.clone()),
            timeout_ms: options.as_ref().and_then(|options| options.timeout_ms),
            keep_ms: options.map(|options| options.keep_ms),
            submitted_by: text(|spec| spec.submitted_by.as_deref().map(str::to_owned)),
            reduce: text(|spec| spec.reduce.as_deref().map(str::to_owned)),
            accumulate: spec.map(|spec| spec.accumulate).unwrap_or_default(),
            accumulators: view
                .accumulators
                .iter()
                .map(|(name, number)| (name.clone(), raw_json(number)))
                .collect(),
            result: outcome.and_then(|outcome| outcome.result),
            failed_task: view.failed_task.clone(),
            error: failure,
        }
    }
}
