//! The tasks of a worker: handlers, what they are given, and the table of them by name. Without
//! Redis and without a runtime: what runs them when, and catches their panics, lives elsewhere.
//!
//! [`Registry`] collects handlers and becomes [`Tasks`], which the runtime asks by name.

mod context;
mod error;
mod extract;
mod handler;
mod layer;
mod post;
mod registry;
mod spawn;

pub use context::{CancelReason, Chunk, Context, ContextParts, Progress};
pub use error::TaskError;
pub use extract::{Attempt, Data, Extractors, FromContext, FromRef};
pub use handler::{AsyncRun, CpuRun, ErasedTask, Handler, RunResult, TaskFuture, TaskResult};
pub use layer::{Next, Run, RunLayer};
pub(crate) use post::{Parcel, Post};
pub use registry::{RegisteredTask, Registry, Tasks};
