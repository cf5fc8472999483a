//! Why a task is not running, or what happened to it: facts go in, reasons come out. Pure; who collects
//! the facts is `gather`, behind the feature `client`.
//!
//! A new reason is a variant of [`Reason`] with its sentence, a fact in [`Facts`] if none of those
//! there tells it, and a rule in `rules::ALL`, in the order in which people want to read them.

#[cfg(feature = "client")]
mod gather;
mod reason;
mod rules;
mod sentence;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::id::TaskId;
use crate::meta::Meta;
use crate::name::{Priority, QueueName};
use crate::outcome::{Attempt, Outcome};
use crate::requester::Note;
use crate::state::State;
use crate::time::Timestamp;
use crate::worker_info::WorkerInfo;

#[cfg(feature = "client")]
pub(crate) use gather::gather;
pub use reason::Reason;

/// What is known of a task, a chunk or a job, at about one time.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The task, chunk or job.
    pub id: TaskId,
    /// Redis time.
    pub now: Timestamp,
    /// Where it is.
    pub standing: Standing,
    /// What it runs and where it waits, as far as that is kept. Of a job: that of its chunks.
    pub order: Option<Order>,
    /// Its job, or the one that it is a chunk of.
    pub job: Option<JobFacts>,
    /// Attempts that failed, and those that lost their worker, so far.
    pub failures: u32,
    /// See `failures`.
    pub crashes: u32,
    /// Earlier attempts.
    pub attempts: Vec<Attempt>,
    /// What stands around it.
    pub around: Surroundings,
    /// The workers of the namespace, with their leases, as far as they are heard of.
    pub workers: Vec<(String, WorkerInfo)>,
    /// Reasons that other parts of the system know: they come first.
    pub known: Vec<Reason>,
}

/// Where something is.
#[derive(Debug, Clone)]
pub enum Standing {
    /// Nothing is known of it.
    Unknown,
    /// A job whose chunks are under way.
    Chunks,
    /// Waits for the chunks of its job.
    Waiting,
    /// Waits for a time.
    Delayed(Timestamp),
    /// Waits for a worker.
    Ready,
    /// A worker holds it.
    Held {
        /// Its lease.
        lease: String,
        /// The number of the attempt.
        attempt: u32,
        /// Since when.
        claimed: Timestamp,
    },
    /// It ended, and its outcome is kept.
    Ended(Box<Outcome>),
    /// An outcome is kept that cannot be read.
    Unreadable,
    /// A chunk that has ended, of which only this is kept.
    Settled(State),
}

/// What a task runs and where.
#[derive(Debug, Clone)]
pub struct Order {
    /// The name of the task.
    pub task: String,
    /// Where it waits, or goes when it is due.
    pub place: Place,
    /// Its tenant.
    pub tenant: Option<String>,
    /// How many slots it takes.
    pub cost: u32,
    /// Label, tags and headers.
    pub meta: Meta,
}

/// A ready list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its queue.
    pub queue: QueueName,
    /// Its priority there.
    pub priority: Priority,
}

/// A job as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFacts {
    /// Its chunks.
    pub total: u64,
    /// Those that succeeded.
    pub done: u64,
    /// Whether a chunk was ever claimed.
    pub begun: bool,
    /// The task or chunk whose failure ended it.
    pub failed_task: Option<String>,
    /// Who paused it.
    pub paused: Option<Note>,
}

/// What stands around a task in Redis; see `lua/explain.lua`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Tasks and chunks before it in its ready list; None if it is not there.
    pub ahead: Option<u64>,
    /// It was looked for among the first elements only, and `ahead` are those.
    pub beyond: bool,
    /// Tasks and chunks of higher priority in the same queue.
    pub higher: u64,
    /// It is one of the suspects of its queue, with so many before it.
    pub suspects_ahead: Option<u64>,
    /// It stands behind the turn of its tenant.
    pub turn: Option<Turn>,
    /// The queue to which it was moved, in which it is instead.
    pub moved: Option<QueueName>,
    /// Its queue is paused.
    pub paused: Option<Note>,
    /// The limits that keep it back: of its name, its tenant, its queue.
    pub shut: Vec<Shut>,
    /// Its worker is told to stop it.
    pub cancel: Option<Note>,
    /// The task after whose end it begins.
    pub follows: Option<String>,
    /// When it is not started any more.
    pub expiry: Option<Timestamp>,
    /// The deadline of the lease that holds it.
    pub lease_until: Option<Timestamp>,
    /// The lost lease out of which it is being put back.
    pub orphan: Option<String>,
    /// For how many milliseconds its outcome is kept.
    pub kept_ms: Option<u64>,
    /// It is among the dead tasks.
    pub dead: bool,
}

/// Where it stands in a queue whose tenants take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Tasks of its tenant before it.
    pub own: u64,
    /// It was looked for among the first of these only.
    pub more: bool,
    /// Turns of others, and ranges, before that of its tenant; None if that is not among the first ones.
    pub turns: Option<u64>,
}

/// A limit that lets nothing go, or for which a task waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shut {
    /// What it is on: `queue:mail`, `task:send`, `tenant:acme`.
    pub subject: String,
    /// How many are held, if its concurrency is limited.
    pub held: u64,
    /// How many may be held.
    pub concurrency: Option<u64>,
    /// When its rate lets the next one go.
    pub opens: Option<Timestamp>,
    /// The task is parked there, with so many before it.
    pub before: Option<u64>,
}

/// What there is to say of a task, a chunk or a job.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Explanation {
    /// The task, chunk or job.
    pub id: TaskId,
    /// `task`, `chunk` or `job`.
    pub kind: &'static str,
    /// Its state; none if nothing is known of it, or that cannot be read. A job whose chunks are under way counts as running.
    pub state: Option<State>,
    /// What it runs.
    pub task: Option<String>,
    /// Where it waits.
    pub queue: Option<QueueName>,
    /// Its priority there.
    pub priority: Option<Priority>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Why it is where it is, the most telling first. Never empty.
    pub reasons: Vec<Reason>,
    /// The attempts so far that did not succeed.
    pub attempts: Vec<Attempt>,
    /// Redis time of the last look.
    pub now: Timestamp,
}

impl Explanation {
    /// Decides what there is to say.
    pub fn of(facts: &Facts) -> Self {
        let order = facts.order.as_ref();
        let chunk = facts.id.chunk().is_some();
        Self {
            id: facts.id,
            kind: match &facts.job {
                Some(_) if !chunk => "job",
                _ if chunk => "chunk",
                _ => "task",
            },
            state: facts.standing.state(),
            task: order.map(|order| order.task.clone()),
            queue: order.map(|order| order.place.queue.clone()),
            priority: order.map(|order| order.place.priority),
            label: order.and_then(|order| order.meta.label.clone()),
            reasons: rules::reasons(facts),
            attempts: facts.attempts.clone(),
            now: facts.now,
        }
    }
}

impl Standing {
    /// The state of something that is there.
    pub fn state(&self) -> Option<State> {
        match self {
            Self::Unknown | Self::Unreadable => None,
            Self::Chunks | Self::Held { .. } => Some(State::Running),
            Self::Waiting => Some(State::Waiting),
            Self::Delayed(_) => Some(State::Delayed),
            Self::Ready => Some(State::Ready),
            Self::Ended(outcome) => Some(outcome.state),
            Self::Settled(state) => Some(*state),
        }
    }
}
