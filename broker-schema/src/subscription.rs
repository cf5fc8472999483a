//! Hearing that tasks ended. A message is only a hint: a lost one is made good by asking again.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use redis::Msg;

use crate::id::{JobId, TaskId};

/// The messages for one client: ids of tasks that ended.
pub struct Subscription {
    messages: Pin<Box<dyn Stream<Item = Msg> + Send>>,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subscription")
    }
}

impl Subscription {
    pub(crate) fn new(pubsub: redis::aio::PubSub) -> Self {
        Self { messages: Box::pin(pubsub.into_on_message()) }
    }

    /// The ids of the next message: of what has ended, and of jobs of which members have settled. None when
    /// the connection is gone.
    pub async fn ended(&mut self) -> Option<Vec<TaskId>> {
        let message = self.messages.next().await?;
        let payload: String = message.get_payload().unwrap_or_default();
        Some(payload.split(' ').filter_map(|id| id.trim_end_matches(":p").parse().ok()).collect())
    }
}

/// A word to a worker that something is wanted of it; the renewal of its lease says what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// For its lease: tasks to cancel, or orders.
    Lease,
    /// For all that run chunks of this job: it is over.
    Job(JobId),
}

/// The notices for one lease.
pub struct Notices {
    messages: Pin<Box<dyn Stream<Item = Msg> + Send>>,
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notices")
    }
}

impl Notices {
    pub(crate) fn new(pubsub: redis::aio::PubSub) -> Self {
        Self { messages: Box::pin(pubsub.into_on_message()) }
    }

    /// The next notice; None when the connection is gone. Nothing is lost when this is dropped.
    pub async fn next(&mut self) -> Option<Notice> {
        let message = self.messages.next().await?;
        let payload: String = message.get_payload().unwrap_or_default();
        Some(payload.parse().map_or(Notice::Lease, Notice::Job))
    }
}
