//! One task or chunk, wherever it is in its life.

use celeriac_broker_schema::outcome::{attempts_of, counts_of};
use celeriac_broker_schema::script::{Found, Whereabouts};
use celeriac_broker_schema::{
    Attempt, Backoff, DeadLetter, JobId, JobSpec, Outcome, Progress, Record, Requester, State,
    TaskFailure, TaskId, Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::Worker;

/// What is known of a task or chunk.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct Task {
    pub(crate) id: String,
    /// Redis time at which this was known.
    pub(crate) now: Timestamp,
    /// None if what is stored cannot be read.
    pub(crate) state: Option<State>,
    /// Why what is stored cannot be read.
    pub(crate) unreadable: Option<String>,
    /// The job that it is a chunk or the reducer of.
    pub(crate) job: Option<JobId>,
    pub(crate) chunk: Option<u64>,
    /// Its name. Of what no worker ended it is gone with the record.
    pub(crate) task: Option<String>,
    pub(crate) args: Option<Box<RawValue>>,
    pub(crate) queue: Option<String>,
    pub(crate) priority: Option<u8>,
    pub(crate) retries: Option<u32>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) keep_ms: Option<u64>,
    /// The number of the attempt that runs, or was the last.
    pub(crate) attempt: Option<u32>,
    /// The lease under which that attempt runs or ran.
    pub(crate) worker: Option<String>,
    /// When it may start, if it is delayed.
    pub(crate) due: Option<Timestamp>,
    pub(crate) claimed: Option<Timestamp>,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) progress: Option<Progress>,
    pub(crate) result: Option<Box<RawValue>>,
    pub(crate) error: Option<TaskFailure>,
    /// Who cancelled it, and why, if somebody did and said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cancelled: Option<Requester>,
    /// For the reducer of a job: the task or chunk whose failure ended it.
    pub(crate) failed_task: Option<String>,
    /// Attempts that failed, and those that lost their worker.
    pub(crate) failures: u32,
    pub(crate) crashes: u32,
    /// The attempts that did not succeed, oldest first.
    pub(crate) attempts: Vec<Attempt>,
}

impl Task {
    /// None if nothing is known of it. `job`: whether there is a job of this id.
    pub(crate) fn new(id: TaskId, found: &Found, now: Timestamp, job: bool) -> Option<Self> {
        let mut task = Self {
            id: id.to_string(),
            now,
            job: (job || id.chunk().is_some()).then(|| id.job()),
            chunk: id.chunk(),
            ..Self::default()
        };
        match found {
            Found::Unknown => return None,
            Found::Ended(outcome) => task.add_outcome(outcome),
            Found::Task { whereabouts, record, history, moved } => {
                match Record::decode(record) {
                    Ok(record) => task.add_record(&record),
                    Err(error) => task.unreadable = Some(error.to_string()),
                }
                // Its record names the queue into which it was put.
                if let Some(queue) = moved {
                    task.queue = Some(queue.to_string());
                }
                task.add_history(history);
                task.add_whereabouts(whereabouts);
            }
            Found::Chunk { whereabouts, spec, history, .. } => {
                task.add_spec(spec);
                task.add_history(history);
                task.add_whereabouts(whereabouts);
            }
        }
        Some(task)
    }

    /// What its worker tells of the attempt that runs.
    pub(crate) fn add_progress(&mut self, workers: &[Worker]) {
        let running = workers.iter().flat_map(Worker::running);
        if let Some(running) = running.into_iter().find(|running| running.id == self.id) {
            self.started = Some(running.since);
            self.progress.clone_from(&running.progress);
        }
    }

    /// What is kept of one that failed for good.
    pub(crate) fn add_letter(&mut self, letter: &DeadLetter) {
        self.task.get_or_insert_with(|| letter.task.clone());
        self.priority = Some(letter.priority.get());
        if self.args.is_none() {
            self.args.clone_from(&letter.args);
        }
    }

    fn add_record(&mut self, record: &Record<'_>) {
        let options = record.options();
        self.task = Some(record.task.to_string());
        self.args = Some(record.args.to_owned());
        self.queue = Some(options.queue.to_string());
        self.priority = Some(options.priority.get());
        self.retries = Some(options.retry.retries);
        self.backoff = Some(options.retry.backoff);
        self.timeout_ms = options.timeout_ms;
        self.keep_ms = Some(options.keep_ms);
    }

    fn add_spec(&mut self, spec: &str) {
        match JobSpec::decode(spec) {
            Ok(spec) => {
                self.add_record(&spec.chunk);
                let share = spec.args_of(self.chunk.unwrap_or(0));
                self.args = share.ok().map(|args| args.into_owned());
            }
            Err(error) => self.unreadable = Some(error.to_string()),
        }
    }

    fn add_history(&mut self, history: &str) {
        (self.failures, self.crashes) = counts_of(history);
        self.attempts = attempts_of(history);
        // Until the next one is claimed, the last attempt is the last of the history.
        self.attempt = self.attempts.last().map(|attempt| attempt.attempt);
    }

    fn add_whereabouts(&mut self, whereabouts: &Whereabouts) {
        self.state = Some(match whereabouts {
            Whereabouts::Waiting => State::Waiting,
            Whereabouts::Queued => State::Ready,
            Whereabouts::Succeeded => {
                // Of a chunk, the attempts that did not succeed are kept, and this one did.
                self.attempt = None;
                State::Succeeded
            }
            Whereabouts::Cancelled => State::Cancelled,
            Whereabouts::Delayed(due) => {
                self.due = Some(Timestamp(*due));
                State::Delayed
            }
            Whereabouts::Running { lease, attempt, claimed } => {
                self.worker = Some(lease.clone());
                self.attempt = Some(*attempt);
                self.claimed = Some(Timestamp(*claimed));
                State::Running
            }
            Whereabouts::Failed(failure) => {
                self.error = serde_json::from_str(failure).ok();
                self.add_last_attempt();
                State::Failed
            }
        });
    }

    /// A chunk has no outcome of its own: it ended with its last attempt.
    fn add_last_attempt(&mut self) {
        if let Some(last) = self.attempts.last() {
            self.worker = Some(last.worker.clone());
            self.claimed = last.claimed;
            self.started = last.started;
            self.ended = Some(last.ended);
        }
    }

    fn add_outcome(&mut self, outcome: &str) {
        let outcome: Outcome = match serde_json::from_str(outcome) {
            Ok(outcome) => outcome,
            Err(error) => {
                self.unreadable = Some(format!("the outcome is not readable: {error}"));
                return;
            }
        };
        let count = |word: &str| {
            let of_kind = |attempt: &&Attempt| attempt.outcome == word;
            u32::try_from(outcome.attempts.iter().filter(of_kind).count()).unwrap_or(u32::MAX)
        };
        (self.failures, self.crashes) = (count("failed"), count("lost"));
        self.state = Some(outcome.state);
        self.queue = outcome.queue().map(str::to_owned);
        self.task = outcome.task;
        self.attempt = outcome.attempt;
        self.worker = outcome.worker;
        self.started = outcome.started;
        self.ended = Some(outcome.ended);
        self.result = outcome.result;
        self.error = outcome.error;
        let who = Requester { by: outcome.by, why: outcome.why };
        self.cancelled = Some(who).filter(|who| *who != Requester::default());
        self.failed_task = outcome.failed_task;
        self.attempts = outcome.attempts;
    }
}
