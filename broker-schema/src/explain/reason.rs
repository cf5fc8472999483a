//! What there is to say of a task, as values; `sentence` makes sentences of them.

use serde::Serialize;

use crate::name::{Priority, QueueName};
use crate::outcome::TaskFailure;
use crate::state::State;
use crate::time::Timestamp;
use crate::worker_info::{Progress, is_zero};

/// One reason why a task is where it is. Its `Display` is a sentence; in JSON, `reason` is its name.
/// All times are Redis time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Nothing is known of it. Not the same as waiting.
    Unknown,
    /// What is stored of it cannot be read by this version. Workers of this version fail it.
    Unreadable,
    /// It moved from one place to another whenever it was looked at. Ask again.
    Moves,
    /// It is not to start before a time.
    Due {
        /// When.
        at: Timestamp,
        /// How long until then.
        in_ms: u64,
        /// Whether that is the pause after a failed attempt.
        retry: bool,
    },
    /// Its time has come, and no worker has looked since then.
    Overdue {
        /// When it was due.
        at: Timestamp,
        /// How long ago.
        for_ms: u64,
    },
    /// It waits for the chunks of its job.
    WaitsForChunks {
        /// Those that are left.
        left: u64,
        /// All of them.
        total: u64,
    },
    /// The chunks of the job are under way, or wait to be.
    ChunksUnderWay {
        /// Those that succeeded.
        done: u64,
        /// All of them.
        total: u64,
        /// Whether any was ever taken by a worker.
        begun: bool,
    },
    /// It follows another task with its key, and begins when that has ended.
    Follows {
        /// That task.
        id: String,
    },
    /// Its queue is paused: nothing of it is given to workers.
    QueuePaused {
        /// The queue.
        queue: QueueName,
        /// Since when; 0 if that cannot be read.
        at: Timestamp,
        /// For how long.
        for_ms: u64,
        /// Who paused it.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Its job is paused: nothing of it is given to workers.
    JobPaused {
        /// The job.
        job: String,
        /// Since when.
        at: Timestamp,
        /// For how long.
        for_ms: u64,
        /// Who paused it.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A limit lets nothing more go, or it waits for one.
    LimitReached {
        /// What the limit is on: `queue:mail`, `task:send`, `tenant:acme`.
        subject: String,
        /// How many are held, if its concurrency is limited.
        held: u64,
        /// How many may be held.
        #[serde(skip_serializing_if = "Option::is_none")]
        concurrency: Option<u64>,
        /// When its rate lets the next one go, if that is what keeps it back.
        #[serde(skip_serializing_if = "Option::is_none")]
        opens: Option<Timestamp>,
        /// How long until then.
        #[serde(skip_serializing_if = "Option::is_none")]
        in_ms: Option<u64>,
        /// It is kept beside its queue for this limit, with so many before it.
        #[serde(skip_serializing_if = "Option::is_none")]
        ahead: Option<u64>,
    },
    /// The tenants of its queue take turns, and it waits behind that of its own.
    Turn {
        /// Its queue.
        queue: QueueName,
        /// Its tenant.
        tenant: String,
        /// Tasks of its tenant before it.
        ahead: u64,
        /// Whether there are more of them than were counted.
        more: bool,
        /// Turns of others before the next one of its tenant, if that is among the first ones.
        #[serde(skip_serializing_if = "Option::is_none")]
        turns: Option<u64>,
    },
    /// Others go first.
    Behind {
        /// Its queue.
        queue: QueueName,
        /// Its priority there.
        priority: Priority,
        /// Tasks and chunks before it at the same priority.
        ahead: u64,
        /// Whether there are more of them than were counted.
        more: bool,
        /// Tasks and chunks of higher priority.
        higher: u64,
    },
    /// It is the next of its queue.
    Next {
        /// Its queue.
        queue: QueueName,
    },
    /// It lost its worker so often that it runs alone: a worker takes it only with nothing beside it.
    Suspect {
        /// How often.
        crashes: u32,
        /// Suspects of the queue that are before it.
        ahead: u64,
    },
    /// Its worker was lost, and it is just being put back.
    ComesBack {
        /// The lost lease.
        lease: String,
    },
    /// Nobody serves its queue.
    NoWorkerForQueue {
        /// The queue.
        queue: QueueName,
    },
    /// Nobody who serves its queue has the label that it needs.
    NoWorkerWithLabel {
        /// The queue without the label.
        queue: QueueName,
        /// The label.
        label: String,
        /// Workers of that queue.
        workers: u64,
    },
    /// It takes more slots than any worker of its queue has: whoever takes it fails the attempt.
    CostsTooMuch {
        /// How many it takes.
        cost: u32,
        /// The most that a worker of the queue has.
        slots: u32,
    },
    /// Some, or all, of the workers that serve its queue do not know its name: whoever takes it there
    /// fails the attempt.
    NotKnownToWorkers {
        /// The name.
        task: String,
        /// Workers of the queue that do not know it.
        unknowing: u64,
        /// All workers of the queue.
        workers: u64,
    },
    /// All workers that could take it are about to leave.
    WorkersLeave {
        /// The queue.
        queue: QueueName,
        /// How many.
        workers: u64,
    },
    /// All workers that could take it are paused, but for those that are about to leave.
    WorkersPaused {
        /// The queue.
        queue: QueueName,
        /// How many workers it has.
        workers: u64,
        /// How many of them are paused.
        paused: u64,
        /// Who paused the first of them.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// All slots of those that could take it are taken.
    WorkersBusy {
        /// The queue.
        queue: QueueName,
        /// How many workers.
        workers: u64,
        /// Their slots together.
        slots: u64,
        /// Those of them whose tasks were settled and go on all the same.
        #[serde(skip_serializing_if = "is_zero")]
        wedged: u64,
    },
    /// Slots are free, but it takes more of them than any worker of its queue has.
    TooFewSlotsFree {
        /// The queue.
        queue: QueueName,
        /// How many it takes.
        cost: u32,
        /// The most that a worker has free.
        free: u32,
    },
    /// Slots are free, but workers keep them for other queues.
    SlotsKept {
        /// The queue.
        queue: QueueName,
        /// How many are free, of all workers of the queue.
        free: u64,
    },
    /// It is not started any more after a time.
    Expires {
        /// When.
        at: Timestamp,
        /// How long until then; 0: it is over and will be ended by the next worker that looks.
        in_ms: u64,
    },
    /// A worker runs it.
    Runs {
        /// The number of the attempt.
        attempt: u32,
        /// The lease.
        lease: String,
        /// The machine, if the worker is heard of.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// The process there.
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
        /// Since when.
        since: Timestamp,
        /// For how long.
        for_ms: u64,
        /// How far it is, if it tells.
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<Progress>,
    },
    /// A worker has taken it and runs others first.
    Buffered {
        /// The number of the attempt.
        attempt: u32,
        /// The lease.
        lease: String,
        /// How long ago it was taken.
        for_ms: u64,
    },
    /// It is to be cancelled, and its worker was told. If it succeeds nevertheless, that counts.
    ToldToStop {
        /// Since when; 0 if that cannot be read.
        at: Timestamp,
        /// For how long.
        for_ms: u64,
        /// Who cancelled it.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Until when the worker that holds it must be heard of.
    LeaseUntil {
        /// The deadline.
        at: Timestamp,
        /// How long until then.
        in_ms: u64,
    },
    /// The worker that holds it was not heard of in time: others give it back now.
    LeaseOver {
        /// The lease.
        lease: String,
    },
    /// It ended with a result.
    Succeeded {
        /// The number of the attempt that did.
        #[serde(skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
        /// How long ago.
        #[serde(skip_serializing_if = "Option::is_none")]
        ago_ms: Option<u64>,
        /// How long that attempt ran.
        #[serde(skip_serializing_if = "Option::is_none")]
        took_ms: Option<u64>,
    },
    /// It ended with an error, for good.
    Failed {
        /// The number of the last attempt.
        #[serde(skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
        /// How long ago.
        #[serde(skip_serializing_if = "Option::is_none")]
        ago_ms: Option<u64>,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<TaskFailure>,
        /// The task or chunk whose failure it was, if it was another one.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// It ended in another way: cancelled, or expired before it was started.
    Ended {
        /// How.
        state: State,
        /// How long ago.
        #[serde(skip_serializing_if = "Option::is_none")]
        ago_ms: Option<u64>,
        /// The task or chunk whose failure ended its job.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Who cancelled it, or its job.
        #[serde(skip_serializing_if = "Option::is_none")]
        cancelled_by: Option<String>,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
        /// What its end was a part of, if that is known: its queue was purged.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<TaskFailure>,
    },
    /// It is kept among the dead tasks, with its arguments and attempts.
    Dead,
    /// For how long its outcome is kept.
    Kept {
        /// Milliseconds from now.
        for_ms: u64,
    },
}
