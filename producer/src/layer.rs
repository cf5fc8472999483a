//! Layers around enqueueing: what sees every task before it is stored.

use crate::call::NewTask;

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Sees every task of a producer before it is stored, and may change it (headers, tags, options,
/// arguments) or refuse it. For a job of chunks it is called once for the task of its chunks and once
/// for its reducer.
///
/// A function `Fn(&mut NewTask) -> Result<(), BoxError>` is a layer, too. It is called while the caller
/// waits: it should not block.
///
/// ```
/// use celeriac_producer::{BoxError, EnqueueLayer, NewTask};
/// use celeriac_broker_schema::Tenant;
///
/// /// Marks all tasks as those of a tenant.
/// struct For(Tenant);
///
/// impl EnqueueLayer for For {
///     fn enqueue(&self, task: &mut NewTask) -> Result<(), BoxError> {
///         task.options.tenant = Some(self.0.clone());
///         Ok(())
///     }
/// }
/// ```
pub trait EnqueueLayer: Send + Sync + 'static {
    /// Looks at a task that is about to be stored.
    ///
    /// # Errors
    /// The task is not enqueued; the caller gets [`EnqueueError::Layer`] with this error.
    ///
    /// [`EnqueueError::Layer`]: crate::EnqueueError::Layer
    fn enqueue(&self, task: &mut NewTask) -> Result<(), BoxError>;

    /// Looks at the task of a schedule that is about to be put ([`Schedules::put`]). Every run of the
    /// schedule is enqueued as the task is after that, by whichever worker is there, and no layer sees
    /// it again; so what is only true now (where in a trace, at what time) has no place in it.
    ///
    /// The same as [`EnqueueLayer::enqueue`] unless it is implemented.
    ///
    /// # Errors
    /// The schedule is not put; the caller gets [`ScheduleError::Layer`] with this error.
    ///
    /// [`Schedules::put`]: crate::Schedules::put
    /// [`ScheduleError::Layer`]: crate::ScheduleError::Layer
    fn schedule(&self, task: &mut NewTask) -> Result<(), BoxError> {
        self.enqueue(task)
    }
}

impl<F> EnqueueLayer for F
where
    F: Fn(&mut NewTask) -> Result<(), BoxError> + Send + Sync + 'static,
{
    fn enqueue(&self, task: &mut NewTask) -> Result<(), BoxError> {
        self(task)
    }
}
