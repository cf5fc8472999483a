//! A [`Handle`]: the id of something enqueued, with the type of its result and the way to it.

use std::marker::PhantomData;
use std::time::Duration;

use celeriac_broker_schema::script::{Cancelled, JobControlled, JobDeleted, JobRetried};
use celeriac_broker_schema::{BrokerError, Outcome, Requester, State, TaskFailure, TaskId};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::ResultError;
use crate::parts::Parts;
use crate::producer::Producer;
use crate::progress::{MemberResults, ProgressStream};

/// Leads to the result of a task or job. It is only an id: dropping it changes nothing, and
/// [`Producer::handle`] makes another one from the id.
pub struct Handle<T = Box<RawValue>> {
    id: TaskId,
    /// Whether an earlier task with the same idempotency key stands for the one enqueued.
    duplicate: bool,
    producer: Producer,
    output: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self { producer: self.producer.clone(), output: PhantomData, ..*self }
    }
}

impl Handle {
    pub(crate) fn new(id: TaskId, duplicate: bool, producer: Producer) -> Self {
        Self { id, duplicate, producer, output: PhantomData }
    }

    /// The same with the type of the result, which is checked when it arrives.
    pub fn typed<T>(self) -> Handle<T> {
        Handle {
            id: self.id,
            duplicate: self.duplicate,
            producer: self.producer,
            output: PhantomData,
        }
    }
}

impl<T> Handle<T> {
    /// The id of the task or job.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Whether nothing was enqueued, because an earlier task has the same idempotency key; the
    /// handle leads to that one.
    pub fn is_duplicate(&self) -> bool {
        self.duplicate
    }

    /// Cancels the task or job: what does not run ends at once, and what runs is told to stop. Says
    /// which of both it was; wait for the [`Handle::outcome`] to know how it ended. A cancel is kept
    /// in Redis, and outlives this process and that of the worker.
    ///
    /// ```no_run
    /// # async fn f(handle: celeriac_producer::Handle<u64>) -> Result<(), Box<dyn std::error::Error>> {
    /// handle.cancel().await?;
    /// println!("{}", handle.outcome().await?.state);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Whatever keeps us from the server; it may have been cancelled all the same, and repeating it
    /// does no harm.
    pub async fn cancel(&self) -> Result<Cancelled, BrokerError> {
        self.cancel_as(&Requester::default()).await
    }

    /// As [`Handle::cancel`], and says who wants it and why: it is told to the task, and stands in
    /// its outcome.
    ///
    /// # Errors
    /// As [`Handle::cancel`].
    pub async fn cancel_as(&self, requester: &Requester) -> Result<Cancelled, BrokerError> {
        let answers = self.producer.broker().cancel(&[self.id], requester).await?;
        Ok(answers.into_iter().next().unwrap_or(Cancelled::Unknown))
    }

    /// Pauses a job: nothing more of it is given to workers, and what they hold goes on. Kept in Redis, until
    /// somebody resumes it.
    ///
    /// # Errors
    /// As [`Handle::cancel`].
    pub async fn pause(&self, requester: &Requester) -> Result<JobControlled, BrokerError> {
        self.producer.broker().pause_job(self.id.job(), requester).await
    }

    /// The end of that.
    ///
    /// # Errors
    /// As [`Handle::cancel`]. If it is interrupted, resume it again.
    pub async fn resume(&self, requester: &Requester) -> Result<JobControlled, BrokerError> {
        self.producer.broker().resume_job(self.id.job(), requester).await
    }

    /// Tries the failed part of a workflow again, under a new id: what has succeeded stays. Returns the handle
    /// of the new job; None if there is nothing to try again, of which [`JobRetried`] in the broker tells more.
    ///
    /// # Errors
    /// As [`Handle::cancel`]. If it is interrupted, retry it again.
    pub async fn retry_failed(&self, requester: &Requester) -> Result<Option<Self>, BrokerError> {
        let retried = self.producer.broker().retry_job(self.id.job(), requester).await?;
        let (JobRetried::Retried(job) | JobRetried::Continued(job)) = retried else {
            return Ok(None);
        };
        Ok(Some(Self { id: job.task(), duplicate: false, ..self.clone() }))
    }

    /// Removes all that is kept of a job that has ended, before its retention is over.
    ///
    /// # Errors
    /// As [`Handle::cancel`].
    pub async fn delete(&self) -> Result<JobDeleted, BrokerError> {
        self.producer.broker().delete_job(self.id.job()).await
    }

    /// The partial results that the task sends while it runs (`ctx.emit`), to its end.
    ///
    /// ```no_run
    /// # use celeriac_producer::{Handle, ResultError};
    /// # async fn example(handle: Handle<u64>) -> Result<(), ResultError> {
    /// let mut parts = handle.stream::<String>();
    /// while let Some(line) = parts.next().await {
    ///     println!("{}", line?);
    /// }
    /// println!("in all: {}", handle.result().await?);
    /// # Ok(()) }
    /// ```
    pub fn stream<P: DeserializeOwned>(&self) -> Parts<P> {
        Parts::new(self.id, self.producer.clone())
    }

    /// How far a job is: now, and again whenever that has changed, to its end.
    ///
    /// ```no_run
    /// # use celeriac_producer::{Handle, ResultError};
    /// # async fn example(job: Handle<u64>) -> Result<(), ResultError> {
    /// let mut progress = job.progress();
    /// while let Some(now) = progress.next().await {
    ///     let now = now?;
    ///     println!("{} of {}, {} failed", now.succeeded, now.total, now.failed);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn progress(&self) -> ProgressStream {
        ProgressStream::new(self.id, self.producer.clone())
    }

    /// The results of the members of a workflow as they come, each with its index, to the end of the job.
    /// Members are numbered by how many steps lie before them, and side by side in their order: a group
    /// alone has 0, 1, 2 and so on.
    ///
    /// ```no_run
    /// # use celeriac_producer::{Handle, ResultError};
    /// # async fn example(job: Handle<Vec<u64>>) -> Result<(), ResultError> {
    /// let mut members = job.members::<u64>();
    /// while let Some(member) = members.next().await {
    ///     let (index, result) = member?;
    ///     println!("{index}: {result:?}");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn members<M: DeserializeOwned>(&self) -> MemberResults<M> {
        MemberResults::new(self.id, self.producer.clone())
    }

    /// Waits for the end and returns all that is stored of it, whatever the end was. Waits through
    /// outages of Redis; put a time-out around it where that is not wanted.
    ///
    /// # Errors
    /// [`ResultError::Unknown`] if there is no such task or its outcome was not kept.
    pub async fn outcome(&self) -> Result<Outcome, ResultError> {
        let unreadable = |error: serde_json::Error| ResultError::Unreadable {
            id: self.id,
            reason: error.to_string(),
        };
        let stored = self.producer.wait_for(self.id).await?;
        let mut outcome: Outcome = serde_json::from_str(&stored).map_err(unreadable)?;
        if let Some(shape) = outcome.members.take() {
            outcome.result = Some(self.producer.assemble(self.id, &shape).await?);
        }
        Ok(outcome)
    }

    /// As [`Handle::outcome`], but gives up after some time; the task goes on.
    ///
    /// # Errors
    /// As [`Handle::outcome`], and [`ResultError::Timeout`].
    pub async fn outcome_within(&self, wait: Duration) -> Result<Outcome, ResultError> {
        let timeout = ResultError::Timeout { id: self.id, waited: wait };
        tokio::time::timeout(wait, self.outcome()).await.unwrap_or(Err(timeout))
    }
}

impl<T: DeserializeOwned> Handle<T> {
    /// Waits for the result. Waits through outages of Redis; see [`Handle::result_within`].
    ///
    /// # Errors
    /// [`ResultError`] if the task ended in another way, or its result is not a `T`.
    pub async fn result(&self) -> Result<T, ResultError> {
        self.read(self.outcome().await?)
    }

    /// As [`Handle::result`], but gives up after some time; the task goes on.
    ///
    /// # Errors
    /// As [`Handle::result`], and [`ResultError::Timeout`].
    pub async fn result_within(&self, wait: Duration) -> Result<T, ResultError> {
        self.read(self.outcome_within(wait).await?)
    }

    fn read(&self, outcome: Outcome) -> Result<T, ResultError> {
        let id = self.id;
        match outcome.state {
            State::Succeeded => {
                let json = outcome.result.as_deref().map_or("null", RawValue::get);
                serde_json::from_str(json)
                    .map_err(|error| ResultError::Unreadable { id, reason: error.to_string() })
            }
            State::Cancelled => Err(ResultError::Cancelled(id)),
            State::Expired => Err(ResultError::Expired(id)),
            _ => {
                let unknown = || {
                    TaskFailure::new(
                        celeriac_broker_schema::ErrorKind::Other,
                        "no error was stored",
                    )
                };
                let failure = Box::new(outcome.error.unwrap_or_else(unknown));
                Err(ResultError::Failed { id, failed_task: outcome.failed_task, failure })
            }
        }
    }
}
