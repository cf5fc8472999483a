//! A context as a test wants it.

use std::sync::Arc;

use crate::{Chunk, Context, ContextParts, Meta, QueueName, TaskId, Tenant};

/// The context of an attempt, step by step; see [`context`].
#[derive(Debug, Clone, Default)]
#[must_use = "a context is made by `build`"]
pub struct ContextBuilder {
    parts: ContextParts,
    meta: Meta,
}

/// Begins a context for [`Tasks::call`]: of the first attempt of a task that is no chunk, unless told
/// otherwise. The context is kept by the test, which can cancel the attempt and look at its progress.
///
/// ```
/// use celeriac::{CancelReason, Context, Registry, TaskError, testing};
///
/// #[celeriac::task(name = "count", cpu)]
/// fn count(to: u64, ctx: Context) -> Result<u64, TaskError> {
///     for n in 0..to {
///         if ctx.is_cancelled() {
///             return Err(TaskError::cancelled());
///         }
///         ctx.progress(n + 1, to);
///     }
///     Ok(to * u64::from(ctx.attempt()))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), TaskError> {
/// let tasks = Registry::new(()).add::<count>().build();
/// let ctx = testing::context().attempt(3).header("tenant", "acme").build();
/// assert_eq!(tasks.call(&ctx, count(7)).await?, 21);
/// assert_eq!(ctx.progress_now().expect("it told").done, 7);
///
/// ctx.cancel(CancelReason::Stopping);
/// assert!(tasks.call(&ctx, count(7)).await.unwrap_err().is_cancelled());
/// # Ok(()) }
/// ```
///
/// [`Tasks::call`]: crate::Tasks::call
pub fn context() -> ContextBuilder {
    ContextBuilder::default()
}

impl ContextBuilder {
    /// The id of the task.
    pub fn id(mut self, id: TaskId) -> Self {
        self.parts.id = id;
        self
    }

    /// The number of the attempt, from 1.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.parts.attempt = attempt;
        self
    }

    /// The queue it waited in.
    pub fn queue(mut self, queue: QueueName) -> Self {
        self.parts.queue = queue;
        self
    }

    /// For whom it is run.
    pub fn tenant(mut self, tenant: Tenant) -> Self {
        self.parts.tenant = Some(tenant);
        self
    }

    /// Chunk `index` of the `count` chunks of a job that splits no amount; for others set
    /// [`ContextBuilder::part`].
    pub fn chunk(self, index: u64, count: u64) -> Self {
        let job = self.parts.id.job();
        self.part(Chunk::new(job, index, count, None))
    }

    /// The part of a job that it is.
    pub fn part(mut self, chunk: Chunk) -> Self {
        self.parts.chunk = Some(chunk);
        self
    }

    /// What people call it.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.meta.label = Some(label.into());
        self
    }

    /// A tag more.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.meta.tags.insert(tag.into());
        self
    }

    /// A header more.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.meta.headers.set(name, value);
        self
    }

    /// The context.
    pub fn build(self) -> Context {
        let meta = (!self.meta.is_empty()).then(|| Arc::new(self.meta));
        Context::new(ContextParts { meta, ..self.parts })
    }
}
