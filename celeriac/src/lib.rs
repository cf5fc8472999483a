//! A persistent, distributed task queue on Redis.
//!
//! A task is a function. The attribute makes two things of it: a value that holds the arguments,
//! which a producer enqueues, and an entry in the registry of a worker, which runs it.
//!
//! ```
//! use celeriac::{Context, Data, Registry, TaskError};
//!
//! #[celeriac::task(name = "greet", retries = 5, timeout = "30s")]
//! async fn greet(name: String, greeting: Data<String>) -> Result<String, TaskError> {
//!     Ok(format!("{}, {name}!", *greeting))
//! }
//!
//! #[celeriac::task(name = "sum_of_squares", cpu, queue = "math")]
//! fn sum_of_squares(from: u64, to: u64) -> Result<u64, TaskError> {
//!     (from..to).try_fold(0_u64, |sum, n| sum.checked_add(n.checked_mul(n)?))
//!         .ok_or_else(|| TaskError::fatal("the sum is larger than a u64"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), TaskError> {
//! let tasks = Registry::new("Hello".to_owned()).add::<greet>().add::<sum_of_squares>().build();
//!
//! // Without Redis, as in a test:
//! let ctx = Context::for_test();
//! assert_eq!(tasks.call(&ctx, greet("Ada".to_owned())).await?, "Hello, Ada!");
//! assert_eq!(tasks.call(&ctx, sum_of_squares(1, 4)).await?, 14);
//! # Ok(())
//! # }
//! ```
//!
//! A handler can also be written without the attribute: implement [`Task`] for the type of the
//! arguments, in a crate that producers share if you like, and pass the function to
//! [`Registry::task`] or [`Registry::cpu_task`].

pub use celeriac_macros::task;

// What tasks and their handlers are made of.
pub use celeriac_producer::task::Task;
pub use celeriac_worker::task::{
    Attempt, CancelReason, Chunk, Context, ContextParts, Data, FromContext, FromRef, Next,
    Progress, Registry, Run, RunLayer, RunResult, TaskError, Tasks,
};

// The words of the protocol that appear in the interfaces below.
pub use celeriac_broker_schema::{
    Backoff, Broker, BrokerError, Bytes, DeadFilter, DeadLetter, Durable, ErrorKind, Headers,
    InvalidInput, JobId, Label, Limit, Meta, Outcome, Priority, QueueName, Rate, RedisConfig,
    Requester, RetryPolicy, State, Subject, TaskFailure, TaskId, TaskName, TaskOptions, Tenant,
    TlsFiles, UniqueKey, UniqueMode,
};

pub use celeriac_broker_schema::script::{Cancelled, Order, OrderSeen};

// What operators do to queues.
pub use celeriac_broker_schema::Note;
pub use celeriac_broker_schema::script::{Control, Moved, Purged};

// What they do to all that a filter means, page by page; and why a task is where it is.
pub use celeriac_broker_schema::{CancelFilter, DeadGroup, DeadGroups, Explanation, Reason};

// What else operators ask a `Broker` for and tell it; the parts of the answers are in `operate`.
pub use celeriac_broker_schema::script::{Place, Queued, Revived, Snapshot};
pub use celeriac_broker_schema::{LeaseId, Setting, Timestamp, WorkerInfo};

// Enqueueing, and waiting for results.
pub use celeriac_producer::{
    BoxError, Enqueue, EnqueueError, EnqueueLayer, Enqueued, Handle, Many, NewJob, NewTask, Parts,
    Patience, Producer, ResultError,
};

// Waiting for several at once.
pub use celeriac_producer::{
    AsCompleted, JobProgress, MemberResults, ProgressStream, as_completed, as_completed_within,
    wait_any, wait_any_within,
};

// Enqueueing again and again.
pub use celeriac_producer::{
    Missed, Overlap, Replace, Schedule, ScheduleError, ScheduleName, Schedules, Timing,
};

// Running.
pub use celeriac_worker::{
    ConfigError, Event, Events, Shutdown, Summary, Worker, WorkerConfig, WorkerError,
    listen_to_signals,
};

/// Stock layers around runs, and the trace context that travels with tasks.
pub mod layers {
    pub use celeriac_producer::trace::{Current, TraceContext, TraceParent};
    pub use celeriac_worker::layers::{RunEnd, RunTiming, Timing, TraceSpans};
}

/// Commands as tasks, in any language: see `docs/processes.md`. The command `celeriac worker
/// --tasks-file` does the same without a line of Rust.
///
/// ```
/// use celeriac::Registry;
/// use celeriac::process::{Guard, ProcessTask};
///
/// // One for all commands of a worker: it ends them should the worker be killed.
/// let guard = Guard::new();
/// let name = "resize".parse()?;
/// let resize = ProcessTask::new("python3", ["resize.py"]).dir("/srv/images");
/// let tasks = Registry::new(()).erased(&name, resize.into_task(&name, &guard)).build();
/// assert_eq!(tasks.names(), ["resize"]);
/// # Ok::<(), celeriac::InvalidInput>(())
/// ```
pub mod process {
    pub use celeriac_worker::process::{Guard, ProcessTask};
    pub use celeriac_worker::task::ErasedTask;
}

/// What [`Broker`]'s answers to operators are made of, for programs that do what the command does.
///
/// ```no_run
/// use celeriac::{Broker, LeaseId, Order, Place, Priority, RedisConfig, Requester, Setting, WorkerInfo};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = Broker::new(RedisConfig::default())?;
/// let ada = Requester::new("ada").because("new disks");
///
/// let snapshot: celeriac::Snapshot = broker.snapshot(100, 10).await?;
/// for queue in &snapshot.queues {
///     println!("{}: {} ready, paused: {}", queue.name, queue.ready, queue.controls.paused.is_some());
/// }
/// for worker in broker.workers(0, 100).await?.page {
///     let info: WorkerInfo = serde_json::from_str(&worker.description)?;
///     println!("{} on {}: {} of {} slots", worker.lease, info.host, info.busy, info.slots);
///     let lease = LeaseId::from_wire(&worker.lease);
///     broker.order(&lease, &Order::Pause, &ada).await?;
/// }
/// let first = broker.queued(&"mail".parse()?, &Place::Ready(Priority::HIGHEST), 0, 1).await?;
/// if let Some(id) = first.tasks.first() {
///     let explanation: celeriac::Explanation = broker.explain(*id).await?;
///     println!("{} is {:?}", explanation.id, explanation.state);
/// }
/// broker.settings(&[(Setting::DeadMax, Some(100_000))]).await?;
/// # Ok(()) }
/// ```
pub mod operate {
    // Its `Limit` is that of a queue's length; `celeriac::Limit` is one of rate and concurrency.
    pub use celeriac_broker_schema::script::{
        Controls, DeadPage, Found, JobView, KeyMemory, Limit, LimitChanged, Limits, MemoryPage,
        QueueView, SubjectView, Whereabouts, WorkerView, Workers,
    };
    pub use celeriac_broker_schema::script::{FairView, LimitView, Tidied};
    // Pages of what a filter means.
    pub use celeriac_broker_schema::{
        CancelledPage, DeadActPage, DeadCursor, DeadGroupsPage, QueueCursor, TasksPage,
    };
    // One attempt of a task that has ended, and what a worker tells of what it runs.
    pub use celeriac_broker_schema::{Attempt, Progress, RunningTask, ServerReport};
}

/// Workflows with the types of their results: chains, groups, chords, graphs of tasks. See
/// `docs/workflows.md`.
///
/// ```
/// use celeriac::TaskError;
/// use celeriac::workflow::{Flow, map};
///
/// #[celeriac::task(name = "square")]
/// async fn square(n: u64) -> Result<u64, TaskError> {
///     Ok(n * n)
/// }
///
/// /// What is given the results of others takes them as its first argument.
/// #[celeriac::task(name = "total")]
/// async fn total(parts: Vec<u64>, factor: u64) -> Result<u64, TaskError> {
///     Ok(factor * parts.iter().sum::<u64>())
/// }
///
/// let all: Flow<u64> = map(square, 0..100).then(total::after(2));
/// # async fn enqueue(all: Flow<u64>, producer: celeriac::Producer) -> Result<(), Box<dyn std::error::Error>> {
/// let sum: u64 = producer.enqueue(all).await?.result().await?;
/// # Ok(()) }
/// ```
pub mod workflow {
    pub use celeriac_producer::workflow::typed::{
        Accumulator, After, Branch, Ended, EnqueueFlow, Enqueueable, Flow, FollowAll, Follower,
        Follows, Graph, Group, IntoFlow, Members, Part, Results, Spread, Totals, chunks, fan_out,
        group, map, max, min, starmap, sum,
    };

    /// The same without types, for workflows whose form is only known when the program runs.
    pub mod tree {
        pub use celeriac_broker_schema::Accumulate;
        pub use celeriac_broker_schema::workflow::Target;
        pub use celeriac_producer::workflow::{
            Broadcast, Callbacks, Fold, GraphNode, Group, Node, OnError, OpenJob, Step, Workflow,
        };
        pub use celeriac_producer::{InvalidWorkflow, Problem};
    }
}

#[cfg(feature = "testing")]
pub mod testing;

/// What the expansion of [`task`] names. It may change in any release.
#[doc(hidden)]
pub mod __private {
    use celeriac_broker_schema::{Label, Priority, QueueName, Tenant};

    pub use celeriac_producer::workflow::typed::Follower;
    pub use celeriac_worker::task::{FromContext, RegisteredTask, TaskResult};
    pub use serde;

    /// The queue of a task; the attribute has checked the name.
    pub fn queue(name: &'static str) -> QueueName {
        QueueName::new(name).expect("checked by the attribute")
    }

    /// The label that a task needs; the attribute has checked it.
    pub fn label(name: &'static str) -> Label {
        Label::new(name).expect("checked by the attribute")
    }

    /// The tenant of a task; the attribute has checked it.
    pub fn tenant(name: &'static str) -> Tenant {
        Tenant::new(name).expect("checked by the attribute")
    }

    /// The priority of a task; the attribute has checked the number.
    pub fn priority(number: u8) -> Priority {
        Priority::new(number).expect("checked by the attribute")
    }
}

/// The guide to writing tasks: compiled and run as documentation tests, so that it stays true.
#[cfg(doctest)]
#[doc = include_str!("../../docs/tasks.md")]
pub mod guide {}

/// The guide to checkpoints, for the same reason.
#[cfg(doctest)]
#[doc = include_str!("../../docs/checkpoints.md")]
pub mod checkpoints {}

/// The same for the guide to middleware.
#[cfg(doctest)]
#[doc = include_str!("../../docs/middleware.md")]
pub mod guide_to_middleware {}

/// The same for the guide to testing.
#[cfg(doctest)]
#[doc = include_str!("../../docs/testing.md")]
pub mod guide_to_testing {}

/// The page on limits, as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/limits.md")]
pub mod limits {}

/// The guide to results, for the same reason.
#[cfg(doctest)]
#[doc = include_str!("../../docs/results.md")]
pub mod results {}

/// The page on queues, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/queues.md")]
pub mod guide_to_queues {}

/// The guide to schedules, as above.
#[cfg(doctest)]
#[doc = include_str!("../../docs/schedules.md")]
pub mod schedules_guide {}

/// The guide to retries, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/retries.md")]
pub mod guide_to_retries {}

/// The guide to uniqueness, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/uniqueness.md")]
pub mod guide_to_uniqueness {}

/// The guide to cancelling, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/cancel.md")]
pub mod guide_to_cancelling {}

/// The guide to dead letters, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/dead-letters.md")]
pub mod guide_to_dead_letters {}

/// The guide to workflows, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/workflows.md")]
pub mod guide_to_workflows {}
