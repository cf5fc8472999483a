//! The test kit, behind the feature `testing`: for tests of programs that use the queue.
//!
//! From small to large: [`run`] and [`context`] run one handler without Redis, [`recording`] is a
//! producer without Redis that keeps what it is told to enqueue, and [`Harness`] runs a whole queue to
//! its end, on a real Redis of its own. The guide is `docs/testing.md`.

mod context;
mod harness;

pub use celeriac_producer::{RecordedJob, RecordedTask, Recorder};

pub use self::context::{ContextBuilder, context};
pub use self::harness::{Failure, Harness, HarnessError, Ran};

use crate::{Context, Producer, Task, TaskError, Tasks};

/// Runs a task here and now, with its layers, as a worker would: its arguments and its result go
/// through JSON. The context is that of a first attempt; [`context`] makes others for
/// [`Tasks::call`].
///
/// # Errors
/// What the task returned, or what is wrong with its arguments or its result.
///
/// # Panics
/// If the task is not registered, or panics itself.
///
/// ```
/// use celeriac::{Registry, TaskError, testing};
///
/// #[celeriac::task(name = "double")]
/// async fn double(n: u32) -> Result<u32, TaskError> {
///     n.checked_mul(2).ok_or_else(|| TaskError::fatal("too large"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), TaskError> {
/// let tasks = Registry::new(()).add::<double>().build();
/// assert_eq!(testing::run(&tasks, double(21)).await?, 42);
/// # Ok(()) }
/// ```
pub async fn run<T: Task>(tasks: &Tasks, task: T) -> Result<T::Output, TaskError> {
    tasks.call(&Context::for_test(), task).await
}

/// A producer without Redis, and the recorder of what it is told to enqueue; see
/// [`Producer::recording`].
pub fn recording() -> (Producer, Recorder) {
    Producer::recording()
}
