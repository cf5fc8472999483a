//! `celeriac status`: where a task, a chunk or a job is, what happened to it, and why it does not
//! run if it does not.

use std::collections::BTreeSet;

use celeriac_broker_schema::outcome::{attempts_of, counts_of};
use celeriac_broker_schema::script::{Found, Whereabouts};
use celeriac_broker_schema::{
    Attempt, Broker, Headers, JobSpec, Meta, Note, Outcome, Progress, Record, Requester, State,
    TaskFailure, TaskId, Timestamp,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::jobs::JobLine;
use super::{result, watch};
use crate::args::StatusArgs;
use crate::error::CliError;
use crate::fleet_view::FleetView;
use crate::format::{grouped, percent, span, time_and_distance};
use crate::globals::Globals;
use crate::output;

pub(crate) async fn run(args: &StatusArgs, globals: &Globals) -> Result<(), CliError> {
    let id: TaskId = args.id.parse()?;
    let broker = globals.connect().await?;
    if args.watch {
        return watch::run(&broker, id, globals).await;
    }
    look(&broker, id).await?.show(globals)
}

/// What is known of an id at one instant.
pub(super) struct Look {
    now: Timestamp,
    status: Status,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Status {
    Job(Box<JobStatus>),
    Task(Box<TaskStatus>),
}

pub(super) async fn look(broker: &Broker, id: TaskId) -> Result<Look, CliError> {
    let (now, job) = broker.job(id.job()).await?;
    let status = match job {
        Some(job) if id.chunk().is_none() => {
            Status::Job(Box::new(JobStatus { kind: "job", job: JobLine::new(job) }))
        }
        _ => Status::Task(Box::new(task_status(broker, id).await?)),
    };
    Ok(Look { now, status })
}

impl Look {
    pub(super) fn show(&self, globals: &Globals) -> Result<(), CliError> {
        if globals.json { output::json(&self.status) } else { output::line(self.text()) }
    }

    fn text(&self) -> String {
        match &self.status {
            Status::Job(job) => job.text(self.now),
            Status::Task(task) => task.text(self.now),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        match &self.status {
            Status::Job(job) => job.job.ended.is_some(),
            Status::Task(task) => task.state.is_final(),
        }
    }

    /// All of it in one short line.
    pub(super) fn line(&self) -> String {
        let (state, rest) = match &self.status {
            Status::Job(job) => (job.job.state.clone(), job.job.progress()),
            Status::Task(task) => (task.state.to_string(), task.doing()),
        };
        if rest.is_empty() { state } else { format!("{state}: {rest}") }
    }

    /// What it is now, without what changes by the mere passing of time.
    pub(super) fn data(&self) -> String {
        serde_json::to_string(&self.status).expect("our own types are always JSON")
    }
}

async fn task_status(broker: &Broker, id: TaskId) -> Result<TaskStatus, CliError> {
    let found = broker.inspect(id).await?;
    let mut status = match &found {
        Found::Unknown => return Err(CliError::Unknown(id)),
        Found::Ended(stored) => {
            return Ok(TaskStatus::ended(id, result::read(broker, id, stored).await?));
        }
        Found::Task { whereabouts, record, history, moved } => {
            let record = Record::decode(record).ok();
            let mut status = TaskStatus::under_way(id, whereabouts, record.as_ref(), history);
            if let Some(to) = moved {
                status.moved_from = status.queue.replace(to.as_str().to_owned());
            }
            status
        }
        Found::Chunk { whereabouts, spec, history, .. } => {
            let spec = JobSpec::decode(spec).ok();
            let mut status = TaskStatus::under_way(
                id,
                whereabouts,
                spec.as_ref().map(|spec| &spec.chunk),
                history,
            );
            status.args =
                spec.as_ref().and_then(|spec| Some(spec.args_of(id.chunk()?).ok()?.into_owned()));
            status
        }
    };
    match (status.state, &mut status.running) {
        (State::Ready, _) => {
            let fleet = FleetView::read(broker).await?;
            let paused = paused_by(broker, status.queue.as_deref()).await?;
            status.note = paused.or_else(|| why_not_running(&status, &fleet));
        }
        (_, Some(running)) => running.add_what_is_told(id, &FleetView::read(broker).await?),
        _ => {}
    }
    Ok(status)
}

/// The state of a task by where it is.
pub(super) fn state_of(whereabouts: &Whereabouts) -> State {
    match whereabouts {
        Whereabouts::Waiting => State::Waiting,
        Whereabouts::Delayed(_) => State::Delayed,
        Whereabouts::Queued => State::Ready,
        Whereabouts::Running { .. } => State::Running,
        Whereabouts::Succeeded => State::Succeeded,
        Whereabouts::Failed(_) => State::Failed,
        Whereabouts::Cancelled => State::Cancelled,
    }
}

/// Who paused the queue, if anybody did.
async fn paused_by(broker: &Broker, queue: Option<&str>) -> Result<Option<String>, CliError> {
    let queues = broker.snapshot(super::queues::MOST, 1).await?.queues;
    let view = queues.iter().find(|view| Some(view.name.as_str()) == queue);
    let said = |note: &Note| {
        let (by, why) = (note.who.by_whom(), note.who.why.as_ref());
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        let name = queue.unwrap_or_default();
        format!("queue {name} is paused{by}{why}: celeriac queues resume {name}")
    };
    Ok(view.and_then(|view| view.controls.paused.as_ref()).map(said))
}

fn why_not_running(status: &TaskStatus, fleet: &FleetView) -> Option<String> {
    let (queue, task) = (status.queue.as_deref()?, status.task.as_deref()?);
    if !fleet.serves(queue) {
        return Some(format!(
            "no worker serves queue {queue}: start one with `celeriac worker --queues {queue}`"
        ));
    }
    if !fleet.knows(task) {
        return Some(format!("no worker knows task {task}: it will fail when one takes it"));
    }
    Some(format!("it waits for its turn: celeriac explain {} says for what", status.id))
}

/// A task or chunk as JSON.
#[derive(Debug, Serialize)]
struct TaskStatus {
    id: TaskId,
    /// `task` or `chunk`.
    kind: &'static str,
    state: State,
    task: Option<String>,
    queue: Option<String>,
    /// The queue into which it was put, if it was moved since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_from: Option<String>,
    priority: Option<u8>,
    args: Option<Box<RawValue>>,
    /// What people call it and find it by, and what travels with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    tags: BTreeSet<String>,
    #[serde(skip_serializing_if = "Headers::is_empty")]
    headers: Headers,
    /// When it is due, if it is delayed.
    due: Option<Timestamp>,
    /// The attempt under way.
    running: Option<RunningAttempt>,
    /// Failed attempts, and those that lost their worker, so far.
    failures: u32,
    crashes: u32,
    /// Earlier attempts that did not succeed.
    attempts: Vec<Attempt>,
    /// Why it does not run.
    note: Option<String>,
    /// How it ended.
    outcome: Option<Outcome>,
    /// For a chunk that failed for good: why.
    failure: Option<TaskFailure>,
}

#[derive(Debug, Serialize)]
struct RunningAttempt {
    attempt: u32,
    worker: String,
    claimed: Timestamp,
    /// What its worker tells: where it is, since when the attempt runs, and how far it is. None, if
    /// it has not told yet, or runs too many tasks to tell of all.
    host: Option<String>,
    pid: Option<u32>,
    since: Option<Timestamp>,
    progress: Option<Progress>,
}

impl TaskStatus {
    fn new(id: TaskId, state: State) -> Self {
        let kind = if id.chunk().is_some() { "chunk" } else { "task" };
        Self {
            id,
            kind,
            state,
            task: None,
            queue: None,
            moved_from: None,
            priority: None,
            args: None,
            label: None,
            tags: BTreeSet::new(),
            headers: Headers::new(),
            due: None,
            running: None,
            failures: 0,
            crashes: 0,
            attempts: Vec::new(),
            note: None,
            outcome: None,
            failure: None,
        }
    }

    fn ended(id: TaskId, outcome: Outcome) -> Self {
        let mut status = Self {
            task: outcome.task.clone(),
            queue: outcome.queue().map(str::to_owned),
            attempts: outcome.attempts.clone(),
            ..Self::new(id, outcome.state)
        };
        status.outcome = Some(outcome);
        status
    }

    fn under_way(
        id: TaskId,
        whereabouts: &Whereabouts,
        record: Option<&Record<'_>>,
        history: &str,
    ) -> Self {
        let mut status = Self::new(id, state_of(whereabouts));
        match whereabouts {
            Whereabouts::Delayed(due) => status.due = Some(Timestamp(*due)),
            Whereabouts::Running { lease, attempt, claimed } => {
                status.running = Some(RunningAttempt::new(lease, *attempt, *claimed));
            }
            Whereabouts::Failed(failure) => status.failure = serde_json::from_str(failure).ok(),
            _ => {}
        }
        if let Some(record) = record {
            let options = record.options();
            status.task = Some(record.task.to_string());
            status.queue = Some(options.queue.as_str().to_owned());
            status.priority = Some(options.priority.get());
            status.args = Some(record.args.to_owned());
            let Meta { label, tags, headers } = record.clone().take_meta();
            (status.label, status.tags, status.headers) = (label, tags, headers);
        }
        (status.failures, status.crashes) = counts_of(history);
        status.attempts = attempts_of(history);
        status
    }

    /// How far the attempt under way is, as it says.
    fn doing(&self) -> String {
        let progress = self.running.as_ref().and_then(|running| running.progress.as_ref());
        progress.map(progress_text).unwrap_or_default()
    }

    fn text(&self, now: Timestamp) -> String {
        let mut pairs = vec![(self.kind, self.id.to_string()), ("state", self.state.to_string())];
        let mut add = |name: &'static str, value: Option<String>| {
            pairs.extend(value.map(|value| (name, value)));
        };
        add("why", self.note.clone());
        add("label", self.label.clone());
        add("task", self.task.clone());
        add("arguments", self.args.as_ref().map(|args| args.get().to_owned()));
        let tags = self.tags.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        add("tags", (!tags.is_empty()).then_some(tags));
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        let headers = headers.collect::<Vec<_>>().join(", ");
        add("headers", (!headers.is_empty()).then_some(headers));
        let priority = self.priority.map(|n| format!(", priority {n}")).unwrap_or_default();
        let moved = self.moved_from.as_ref().map(|from| format!(" (moved from {from})"));
        let moved = moved.unwrap_or_default();
        add("queue", self.queue.as_ref().map(|queue| format!("{queue}{priority}{moved}")));
        add("due", self.due.map(|due| time_and_distance(due, now)));
        add("running", self.running.as_ref().map(|running| running.text(now)));
        add("progress", Some(self.doing()).filter(|text| !text.is_empty()));
        if let Some(outcome) = &self.outcome {
            add("attempt", outcome.attempt.map(|attempt| attempt.to_string()));
            add("worker", outcome.worker.clone());
            add("started", outcome.started.map(|started| time_and_distance(started, now)));
            add("ended", Some(time_and_distance(outcome.ended, now)));
            add("result", outcome.result.as_ref().map(|result| result.get().to_owned()));
            add("error", outcome.error.as_ref().map(ToString::to_string));
            add("failed task", outcome.failed_task.clone());
            add("cancelled by", outcome.by.clone());
            add("because", outcome.why.clone());
        }
        add("error", self.failure.as_ref().map(ToString::to_string));
        let mut text = output::facts(&pairs);
        for attempt in &self.attempts {
            text.push_str(&format!("\n{}", attempt_text(attempt, now)));
        }
        text
    }
}

impl RunningAttempt {
    fn new(lease: &str, attempt: u32, claimed: u64) -> Self {
        let (worker, claimed) = (lease.to_owned(), Timestamp(claimed));
        Self { attempt, worker, claimed, host: None, pid: None, since: None, progress: None }
    }

    fn add_what_is_told(&mut self, id: TaskId, fleet: &FleetView) {
        let Some(worker) = fleet.workers.iter().find(|worker| worker.lease == self.worker) else {
            return;
        };
        (self.host, self.pid) = (Some(worker.info.host.clone()), Some(worker.info.pid));
        let (id, attempt) = (id.to_string(), self.attempt);
        let mut running = worker.info.running.iter();
        if let Some(task) = running.find(|task| task.id == id && task.attempt == attempt) {
            (self.since, self.progress) = (Some(task.since), task.progress.clone());
        }
    }

    fn text(&self, now: Timestamp) -> String {
        let since = time_and_distance(self.since.unwrap_or(self.claimed), now);
        let place = self.host.as_ref().zip(self.pid);
        let place = place.map_or(String::new(), |(host, pid)| format!(" ({host}:{pid})"));
        format!("attempt {} on worker {}{place} since {since}", self.attempt, self.worker)
    }
}

/// `40 of 100 (40 %), reading page 3`
fn progress_text(progress: &Progress) -> String {
    let Progress { done, total, note } = progress;
    let share = match total {
        0 => grouped(*done),
        _ => format!("{} of {} ({} %)", grouped(*done), grouped(*total), percent(*done, *total)),
    };
    note.as_ref().map_or(share.clone(), |note| format!("{share}, {note}"))
}

/// `  attempt 1 failed 2025-…Z (3.0 s ago) on worker …: no such file; next try 1.2 s later`
pub(super) fn attempt_text(attempt: &Attempt, now: Timestamp) -> String {
    let ended = time_and_distance(attempt.ended, now);
    if attempt.outcome == "revived" {
        let who = Requester { by: attempt.by.clone(), why: attempt.why.clone() };
        return format!("  revived{} {ended}{}", who.by_whom(), who.and_why());
    }
    let error = attempt.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    let next = attempt
        .retry_in_ms
        .map(|ms| format!("; tried again {} later", span(std::time::Duration::from_millis(ms))));
    let Attempt { attempt: number, outcome, worker, host, .. } = attempt;
    let host = host.as_ref().map(|host| format!(" of {host}")).unwrap_or_default();
    format!(
        "  attempt {number} {outcome} {ended} on worker {worker}{host}{error}{}",
        next.unwrap_or_default()
    )
}

#[derive(Serialize)]
struct JobStatus {
    kind: &'static str,
    #[serde(flatten)]
    job: JobLine,
}

impl JobStatus {
    fn text(&self, now: Timestamp) -> String {
        job_text(&self.job, now)
    }
}

/// All that is known of a job, in lines.
pub(super) fn job_text(job: &JobLine, now: Timestamp) -> String {
    let mut pairs = vec![("job", job.id.to_string()), ("state", job.state_and_pause())];
    let mut add = |name: &'static str, value: Option<String>| {
        pairs.extend(value.map(|value| (name, value)));
    };
    add("goes on as", job.continued_as.map(|job| job.to_string()));
    add("paused", job.paused.as_ref().map(|note| paused_text(note, now)));
    add("label", job.label.clone());
    add("task", Some(job.task.clone()));
    add("queue", Some(format!("{}, priority {}", job.queue, job.priority)));
    add("chunks done", Some(job.progress()));
    add("enqueueing", job.growing.map(|since| time_and_distance(since, now)));
    add("retried", (job.retried > 0).then(|| grouped(job.retried)));
    add("reduced by", job.reduce.clone());
    add("enqueued", Some(time_and_distance(job.created, now)));
    add("started", job.started.map(|started| time_and_distance(started, now)));
    add("ended", job.ended.map(|ended| time_and_distance(ended, now)));
    add("failed task", job.failed_task.clone());
    add("error", job.failure.as_deref().map(failure_text));
    let numbers = job.accumulators.iter().map(|(name, number)| format!("{name} = {number}"));
    let numbers = numbers.collect::<Vec<_>>().join(", ");
    add("accumulated", (!numbers.is_empty()).then_some(numbers));
    output::facts(&pairs)
}

/// `2025-…Z (3.0 s ago) by ada (moving house): celeriac job resume …`
fn paused_text(note: &Note, now: Timestamp) -> String {
    format!("{}{}{}", time_and_distance(note.at, now), note.who.by_whom(), note.who.and_why())
}

fn failure_text(failure: &RawValue) -> String {
    let parsed = serde_json::from_str::<TaskFailure>(failure.get());
    parsed.map_or_else(|_| failure.get().to_owned(), |failure| failure.to_string())
}
