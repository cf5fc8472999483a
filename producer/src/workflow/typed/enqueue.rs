//! Enqueueing: [`Producer::enqueue`] takes tasks and workflows alike.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use celeriac_broker_schema::limits::DEFAULT_UNIQUE_MS;
use celeriac_broker_schema::time::millis;
use celeriac_broker_schema::{InvalidInput, Unique, UniqueKey, UniqueMode};

use super::{Ended, Flow, Follower, Group, IntoFlow};
use crate::call::{Enqueue, NewTask};
use crate::error::EnqueueError;
use crate::handle::Handle;
use crate::producer::Producer;
use crate::task::Task;
use crate::workflow::{Callbacks, Workflow};

/// What can be enqueued: a reference to a task, a [`Flow`], a [`Group`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be enqueued",
    label = "neither a reference to a task nor a workflow",
    note = "a task is enqueued by reference: `producer.enqueue(&task)`; a workflow, what `group(…)` and `.then(…)` make, by value"
)]
pub trait Enqueueable {
    /// What is awaited for that, with the settings that it has.
    type Call<'a>;

    #[doc(hidden)]
    fn call(self, producer: &Producer) -> Self::Call<'_>;
}

impl<T: Task> Enqueueable for &T {
    type Call<'a> = Enqueue<'a, T>;

    fn call(self, producer: &Producer) -> Enqueue<'_, T> {
        Enqueue::new(producer, self)
    }
}

impl<Out> Enqueueable for Flow<Out> {
    type Call<'a> = EnqueueFlow<'a, Out>;

    fn call(self, producer: &Producer) -> EnqueueFlow<'_, Out> {
        EnqueueFlow { producer, workflow: self.workflow(), out: PhantomData }
    }
}

impl<Out> Enqueueable for Group<Out> {
    type Call<'a> = EnqueueFlow<'a, Out>;

    fn call(self, producer: &Producer) -> EnqueueFlow<'_, Out> {
        self.flow().call(producer)
    }
}

/// A workflow that is about to be enqueued as a job; awaiting it does so. What is set here is true of the
/// job as a whole.
#[derive(Debug)]
#[must_use = "nothing is enqueued until this is awaited"]
pub struct EnqueueFlow<'a, Out> {
    producer: &'a Producer,
    workflow: Result<Workflow, InvalidInput>,
    out: PhantomData<fn() -> Out>,
}

impl<Out> EnqueueFlow<'_, Out> {
    fn set(mut self, change: impl FnOnce(&mut Workflow) -> Result<(), InvalidInput>) -> Self {
        self.workflow = self.workflow.and_then(|mut workflow| {
            change(&mut workflow)?;
            Ok(workflow)
        });
        self
    }

    /// What people call the job, in at most 256 bytes.
    pub fn label(self, label: impl Into<String>) -> Self {
        self.set(|workflow| {
            workflow.label = Some(label.into());
            Ok(())
        })
    }

    /// Who enqueues it, in at most 256 bytes.
    pub fn submitted_by(self, who: impl Into<String>) -> Self {
        self.set(|workflow| {
            workflow.submitted_by = Some(who.into());
            Ok(())
        })
    }

    /// Enqueues it only if no job with this key was enqueued within the last day; the handle leads to the
    /// first one. A key that is not valid is reported when this is awaited.
    pub fn key(self, key: &str) -> Self {
        self.key_for(key, Duration::from_millis(DEFAULT_UNIQUE_MS))
    }

    /// As [`EnqueueFlow::key`], with the time for which the key is remembered.
    pub fn key_for(self, key: &str, remembered: Duration) -> Self {
        self.set(|workflow| {
            let mode = UniqueMode::throttle(remembered);
            workflow.unique = Some(Unique { key: UniqueKey::new(key)?, mode });
            Ok(())
        })
    }

    /// For how long the job and its results are kept after its end.
    pub fn keep_result(self, keep: Duration) -> Self {
        self.set(|workflow| {
            workflow.keep_ms = millis(keep);
            Ok(())
        })
    }

    /// Runs a task when the job has succeeded.
    pub fn on_success<O>(self, callback: Follower<Ended, O>) -> Self {
        self.called_back(callback, |callbacks| &mut callbacks.on_success)
    }

    /// Runs a task when the job has failed or was cancelled.
    pub fn on_failure<O>(self, callback: Follower<Ended, O>) -> Self {
        self.called_back(callback, |callbacks| &mut callbacks.on_failure)
    }

    /// Runs a task when the job has ended.
    pub fn on_end<O>(self, callback: Follower<Ended, O>) -> Self {
        self.called_back(callback, |callbacks| &mut callbacks.on_end)
    }

    fn called_back<O>(
        self,
        callback: Follower<Ended, O>,
        of: impl FnOnce(&mut Callbacks) -> &mut Vec<NewTask>,
    ) -> Self {
        self.set(|workflow| {
            of(&mut workflow.callbacks).push(callback.callback()?);
            Ok(())
        })
    }
}

impl<'a, Out: 'a> IntoFuture for EnqueueFlow<'a, Out> {
    type Output = Result<Handle<Out>, EnqueueError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { producer, workflow, .. } = self;
        Box::pin(async move { Ok(producer.enqueue_workflow(workflow?).await?.typed()) })
    }
}
