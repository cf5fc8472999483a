//! What the API answers, as types: those that the pages do not share. Single things are in
//! [`crate::model`].

use std::collections::BTreeMap;

use celeriac_broker_schema::health::Finding;
use celeriac_broker_schema::{
    Attempt, DeadGroup, DeadLetter, Explanation, JobId, Note, State, Subject, TaskFailure, TaskId,
    Tenant, Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::cursor::Cursor;
use crate::model::{Job, Notice, Queue, Totals, Worker};
use crate::rates::Rates;

/// How things stand.
#[derive(Serialize, JsonSchema)]
pub(super) struct Overview {
    pub(super) namespace: String,
    pub(super) server: Server,
    /// Redis time.
    pub(super) now: Timestamp,
    pub(super) totals: Totals,
    /// Of the last seconds; null until the monitor has looked twice.
    pub(super) rates: Option<Rates>,
    /// What needs attention, the most urgent first.
    pub(super) notices: Vec<Notice>,
}

/// The Redis behind it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Server {
    /// Without user and password.
    pub(super) address: String,
    pub(super) product: String,
    pub(super) version: String,
}

/// All queues.
#[derive(Serialize, JsonSchema)]
pub(super) struct Queues {
    pub(super) now: Timestamp,
    /// Those with most that is ready first.
    pub(super) queues: Vec<Queue>,
    /// Whether these are all. Of more than a hundred queues a hundred are told, picked at random.
    pub(super) complete: bool,
}

/// One queue.
#[derive(Serialize, JsonSchema)]
pub(super) struct OneQueue {
    pub(super) now: Timestamp,
    #[serde(flatten)]
    pub(super) queue: Queue,
    /// Leases of the workers that serve it, as far as they were read.
    pub(super) served_by: Vec<String>,
}

/// A page of what waits in one place of a queue.
#[derive(Serialize, JsonSchema)]
pub(super) struct QueuePage {
    pub(super) now: Timestamp,
    /// The place of this page: a priority (`5`), `suspects`, `delayed`, `parked:<subject>` or
    /// `turn:<priority>:<tenant>`.
    pub(super) place: String,
    /// What waits there, tasks and ranges of chunks alike.
    pub(super) waiting: Vec<Waiting>,
    /// Where the next page begins; null: there is none.
    pub(super) next: Option<Cursor>,
}

/// Something that waits.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Waiting {
    /// A task.
    Task(QueuedTask),
    /// A chunk that goes its own way, since it was retried.
    Chunk {
        id: TaskId,
        /// When it is due, if it waits for that.
        due: Option<Timestamp>,
    },
    /// Chunks of a job that follow one another.
    Range {
        job: JobId,
        /// The index of the first one.
        first: u64,
        chunks: u64,
    },
    /// Chunks of a job, it is not told which.
    Job { job: JobId },
    /// The turn of a tenant: a place of its own.
    Turn {
        /// The place in which its tasks wait.
        place: String,
        tenant: Option<Tenant>,
        /// How many wait there.
        tasks: Option<u64>,
    },
}

/// A task that waits.
#[derive(Serialize, JsonSchema)]
pub(super) struct QueuedTask {
    pub(super) id: TaskId,
    /// When it is due, if it waits for that.
    pub(super) due: Option<Timestamp>,
    /// Its name; null if its record cannot be read.
    pub(super) task: Option<String>,
    /// When it was enqueued, as its id says.
    pub(super) enqueued: Timestamp,
    pub(super) label: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) tenant: Option<String>,
    /// Its arguments, unless they are longer than 2 KiB; the task itself has all of them.
    pub(super) args: Option<Box<RawValue>>,
}

/// Jobs.
#[derive(Serialize, JsonSchema)]
pub(super) struct Jobs {
    pub(super) now: Timestamp,
    /// Jobs that have not ended, also those that are not listed.
    pub(super) open: u64,
    /// The newest open ones, then the newest ended ones.
    pub(super) jobs: Vec<Job>,
}

/// How far each stretch of the chunks of a job is.
#[derive(Serialize, JsonSchema)]
pub(super) struct Chunks {
    pub(super) job: JobId,
    /// All chunks.
    pub(super) total: u64,
    /// Chunks of a stretch; the last one may have fewer.
    pub(super) stretch: u64,
    /// In the order of their indices.
    pub(super) stretches: Vec<Stretch>,
}

/// Chunks that follow one another.
#[derive(Serialize, JsonSchema)]
pub(super) struct Stretch {
    /// The index of the first one.
    pub(super) first: u64,
    pub(super) chunks: u64,
    /// Those that are settled.
    pub(super) done: u64,
    /// Those that were retried, settled or not.
    pub(super) retried: u64,
    /// Those that run, as far as workers tell.
    pub(super) running: u64,
}

/// What became of tasks that were sent: of one, or of several in their order.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Enqueued {
    One(EnqueuedOne),
    Several { tasks: Vec<EnqueuedOne> },
}

/// What became of a task or job that was sent.
#[derive(Serialize, JsonSchema)]
pub(in crate::routes) struct EnqueuedOne {
    pub(in crate::routes) id: TaskId,
    /// Whether nothing was enqueued: an earlier one with the same idempotency key has this id.
    pub(super) duplicate: bool,
}

/// A page of workers.
#[derive(Serialize, JsonSchema)]
pub(super) struct Workers {
    pub(super) now: Timestamp,
    /// All workers, also those that are not listed.
    pub(super) total: u64,
    pub(super) workers: Vec<Worker>,
    /// Where the next page begins; null: there is none.
    pub(super) next: Option<Cursor>,
}

/// One worker.
#[derive(Serialize, JsonSchema)]
pub(super) struct OneWorker {
    pub(super) now: Timestamp,
    #[serde(flatten)]
    pub(super) worker: Worker,
}

/// Why a task, a chunk or a job is where it is.
#[derive(Serialize, JsonSchema)]
pub(super) struct Explained {
    #[serde(flatten)]
    pub(super) explanation: Explanation,
    /// The reasons as sentences, in their order.
    pub(super) sentences: Vec<String>,
}

/// How a task or job ended.
#[derive(Serialize, JsonSchema)]
pub(super) struct Ended {
    pub(super) id: TaskId,
    pub(super) state: State,
    /// Its name, if that is known.
    pub(super) task: Option<String>,
    pub(super) queue: Option<String>,
    /// What it returned, if it succeeded: the bytes that it wrote.
    pub(super) result: Option<Box<RawValue>>,
    /// Why it failed.
    pub(super) error: Option<TaskFailure>,
    /// For a job: the task or chunk whose failure ended it.
    pub(super) failed_task: Option<String>,
    /// The number of the last attempt.
    pub(super) attempt: Option<u32>,
    /// The lease under which it ran.
    pub(super) worker: Option<String>,
    pub(super) started: Option<Timestamp>,
    pub(super) ended: Timestamp,
    /// Who cancelled it, and why, if somebody did and said so.
    pub(super) by: Option<String>,
    pub(super) why: Option<String>,
    /// Attempts that did not succeed, oldest first.
    pub(super) attempts: Vec<Attempt>,
}

/// A task or job that has not ended.
#[derive(Serialize, JsonSchema)]
pub(super) struct Unended {
    pub(super) id: TaskId,
    /// Always false: the other answer has an end.
    pub(super) has_ended: bool,
}

/// A page of dead letters.
#[derive(Serialize, JsonSchema)]
pub(super) struct DeadLetters {
    pub(super) now: Timestamp,
    /// All dead letters, also those that are not meant.
    pub(super) total: u64,
    /// The newest first. There may be none before the end.
    pub(super) letters: Vec<DeadLetter>,
    /// Where the next page begins; null: there is none.
    pub(super) next: Option<Cursor>,
}

/// Dead letters, counted by task and sort of error.
#[derive(Serialize, JsonSchema)]
pub(super) struct DeadGroups {
    pub(super) now: Timestamp,
    /// All dead letters, also those that are not meant.
    pub(super) total: u64,
    /// The largest first.
    pub(super) groups: Vec<DeadGroup>,
    /// Where the next page begins; null: there is none. Add up the groups of the pages.
    pub(super) next: Option<Cursor>,
}

/// A page of schedules.
#[derive(Serialize, JsonSchema)]
pub(super) struct Schedules {
    pub(super) now: Timestamp,
    pub(super) total: u64,
    /// In the order of their names.
    pub(super) schedules: Vec<Schedule>,
    /// Where the next page begins; null: there is none.
    pub(super) next: Option<Cursor>,
}

/// One schedule.
#[derive(Serialize, JsonSchema)]
pub(super) struct Schedule {
    pub(super) name: String,
    /// It grows with every change.
    pub(super) revision: u64,
    /// Why its description is not readable.
    pub(super) unreadable: Option<String>,
    /// The name of its task.
    pub(super) task: Option<String>,
    pub(super) args: Option<Box<RawValue>>,
    pub(super) queue: Option<String>,
    /// When it runs: by the calendar of a time zone, or in equal intervals.
    pub(super) cron: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) every_ms: Option<u64>,
    /// What becomes of runs that were due while nobody was there: `skip`, `once` or `all`.
    pub(super) missed_policy: Option<celeriac_broker_schema::Missed>,
    pub(super) overlap_policy: Option<celeriac_broker_schema::Overlap>,
    /// When it is due. Null: it is paused, or will never be due again.
    pub(super) due: Option<Timestamp>,
    /// The times after that, three at most.
    pub(super) upcoming: Vec<Timestamp>,
    pub(super) paused: Option<Note>,
    pub(super) created: Timestamp,
    pub(super) changed: Timestamp,
    pub(super) last: Option<LastRun>,
    /// How many tasks were enqueued for it.
    pub(super) runs: u64,
    /// Times that passed while nobody was there, and were not made up for.
    pub(super) missed: u64,
    /// Runs that were left out since the last one had not ended.
    pub(super) overlapped: u64,
    /// Runs that were left out since their queue took none.
    pub(super) refused: u64,
}

/// The last run of a schedule.
#[derive(Serialize, JsonSchema)]
pub(super) struct LastRun {
    pub(super) task: TaskId,
    pub(super) at: Timestamp,
    pub(super) due: Option<Timestamp>,
    /// Whether the task has not ended.
    pub(super) running: bool,
}

/// One schedule, with the time.
#[derive(Serialize, JsonSchema)]
pub(super) struct OneSchedule {
    pub(super) now: Timestamp,
    #[serde(flatten)]
    pub(super) schedule: Schedule,
}

/// Limits, what they hold and what waits for them.
#[derive(Serialize, JsonSchema)]
pub(super) struct Limits {
    pub(super) now: Timestamp,
    pub(super) limits: Vec<SetLimit>,
    /// Subjects that hold tasks or let some wait.
    pub(super) busy: Vec<Busy>,
    /// Queues whose tenants take turns.
    pub(super) fair: Vec<Fair>,
    /// How many of each kind may wait: the length of queues.
    pub(super) queues: Vec<LimitedQueue>,
}

/// A limit that is set.
#[derive(Serialize, JsonSchema)]
pub(super) struct SetLimit {
    pub(super) subject: Subject,
    #[serde(flatten)]
    pub(super) limit: celeriac_broker_schema::Limit,
    /// Who set it, when and why.
    pub(super) note: Option<Note>,
}

/// How a subject stands.
#[derive(Serialize, JsonSchema)]
pub(super) struct Busy {
    pub(super) subject: Subject,
    /// How many tasks workers hold, if its concurrency is limited.
    pub(super) held: u64,
    /// How many wait only for this limit.
    pub(super) waiting: u64,
    /// When its rate lets the next one go, if that is known.
    pub(super) next: Option<Timestamp>,
}

/// A queue whose tenants take turns.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fair {
    pub(super) queue: String,
    pub(super) note: Option<Note>,
}

/// A queue whose length is limited.
#[derive(Serialize, JsonSchema)]
pub(super) struct LimitedQueue {
    pub(super) queue: String,
    pub(super) max: u64,
    pub(super) note: Note,
}

/// Settings by name.
#[derive(Serialize, JsonSchema)]
pub(super) struct Settings {
    pub(super) settings: BTreeMap<&'static str, Setting>,
}

/// One setting.
#[derive(Serialize, JsonSchema)]
pub(super) struct Setting {
    pub(super) value: u64,
    /// Whether somebody set it; otherwise the value is the default.
    pub(super) is_set: bool,
    pub(super) default: u64,
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) meaning: &'static str,
}

/// What is worth knowing of Redis and of this monitor. Answered during an outage, too.
#[derive(Serialize, JsonSchema)]
pub(super) struct Health {
    pub(super) redis: RedisHealth,
    pub(super) monitor: MonitorHealth,
    /// What `celeriac doctor` says, the worst first. None while Redis is away.
    pub(super) findings: Option<Vec<Finding>>,
    /// What needs attention, the most urgent first, as of the last look.
    pub(super) notices: Vec<Notice>,
}

/// How Redis is.
#[derive(Serialize, JsonSchema)]
pub(super) struct RedisHealth {
    pub(super) up: bool,
    /// Without user and password.
    pub(super) address: String,
    /// What went wrong last, while it is away.
    pub(super) error: Option<String>,
    /// One round trip, now.
    pub(super) round_trip_ms: Option<f64>,
    pub(super) product: Option<String>,
    pub(super) version: Option<String>,
    /// What endangers tasks there.
    pub(super) warnings: Vec<String>,
    pub(super) memory_bytes: Option<u64>,
    /// 0: as much as the machine has.
    pub(super) memory_max_bytes: Option<u64>,
    pub(super) clients: Option<u64>,
}

/// How this monitor is.
#[derive(Serialize, JsonSchema)]
pub(super) struct MonitorHealth {
    pub(super) version: &'static str,
    pub(super) namespace: String,
    /// Live pages and streams that are open, and how many may be.
    pub(super) viewers: usize,
    pub(super) max_viewers: usize,
}
