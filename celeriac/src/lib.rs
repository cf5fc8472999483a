//! A persistent, distributed task queue on Redis.
//!
//! A task is a function. The attribute makes two things of it: a value that holds the arguments,
//! which a producer enqueues, and an entry in the registry of a worker, which runs it.
//!
//! ```
//! use celeriac::{Context, Data, Registry, TaskError};
//!
//! #[celeriac::task(retries = 5, timeout = "30s")]
//! async fn greet(name: String, greeting: Data<String>) -> Result<String, TaskError> {
//!     Ok(format!("{}, {name}!", *greeting))
//! }
//!
//! #[celeriac::task(cpu, queue = "math")]
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
    Backoff, Broker, BrokerError, Bytes, DeadFilter, DeadLetter, ErrorKind, Headers, InvalidInput,
    JobId, Label, Limit, Meta, Outcome, Priority, QueueName, Rate, RedisConfig, Requester,
    RetryPolicy, State, Subject, TaskFailure, TaskId, TaskName, TaskOptions, Tenant, UniqueKey,
    UniqueMode,
};

pub use celeriac_broker_schema::script::{Cancelled, Order, OrderSeen};

// What operators do to queues.
pub use celeriac_broker_schema::Note;
pub use celeriac_broker_schema::script::{Control, Moved, Purged};

// What they do to all that a filter means, page by page; and why a task is where it is.
pub use celeriac_broker_schema::{CancelFilter, DeadGroup, DeadGroups, Explanation, Reason};

// Enqueueing, and waiting for results.
pub use celeriac_producer::{
    BoxError, Enqueue, EnqueueError, EnqueueLayer, Enqueued, Handle, Many, NewJob, NewTask, Parts,
    Patience, Producer, ResultError,
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

#[cfg(feature = "testing")]
pub mod testing;

/// What the expansion of [`task`] names. It may change in any release.
#[doc(hidden)]
pub mod __private {
    use celeriac_broker_schema::{Priority, QueueName};

    pub use celeriac_worker::task::{FromContext, RegisteredTask, TaskResult};
    pub use serde;

    /// The queue of a task; the attribute has checked the name.
    pub fn queue(name: &'static str) -> QueueName {
        QueueName::new(name).expect("checked by the attribute")
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
