//! The contract between those who enqueue a task and those who run it: its name, its arguments,
//! its output, its usual options. How it is run is the business of the worker.

use celeriac_broker_schema::{Label, TaskOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A task: the implementing type holds the arguments.
///
/// `#[celeriac::task]` writes the type and this implementation for a function. By hand they are
/// worth it in a crate of their own, on which producers depend without what the worker needs.
///
/// ```
/// use celeriac_producer::task::Task;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Resize {
///     url: String,
///     width: u32,
/// }
///
/// impl Task for Resize {
///     const NAME: &'static str = "images/resize";
///     type Output = String;
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a task",
    label = "this is not a task",
    note = "a task is the type of the arguments: what `#[celeriac::task]` makes of a function, or a type with `impl celeriac::Task`",
    note = "the last parameter of a handler is the task, the parameters before it are extractors",
    note = "in a workflow, what lacks its first argument (`name::after(…)`) goes into `.then(…)`, behind what gives it that argument"
)]
pub trait Task: Serialize + DeserializeOwned + Send + 'static {
    /// The name on the wire: 1 to 200 of `a-z A-Z 0-9 _ . - /`. It is written out, and no Rust
    /// type name, so that moving or renaming code strands no tasks.
    const NAME: &'static str;

    /// What an attempt that succeeds returns.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// Whether two runs of the same task at once do no harm. Only then a job of such chunks may start
    /// a chunk that takes too long a second time ([`NewJob::speculate`]).
    ///
    /// [`NewJob::speculate`]: crate::NewJob::speculate
    const IDEMPOTENT: bool = false;

    /// A label that its worker must have, unless the producer says otherwise.
    fn needs() -> Option<Label> {
        None
    }

    /// How the task is run unless the producer says otherwise.
    fn options() -> TaskOptions {
        TaskOptions::default()
    }
}
