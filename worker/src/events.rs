//! What happens in a worker, told within its process to whoever subscribed. Hints for logs, tests and
//! metrics: they are as true as the worker knows, and what counts is what Redis says.

use std::time::Duration;

use celeriac_broker_schema::{LeaseId, Requester, TaskFailure, TaskId};
use tokio::sync::broadcast;

use crate::task::CancelReason;

/// Events that a subscriber may be behind before it misses some.
const BEHIND: usize = 4096;

/// Something that happened in a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It has a lease and takes tasks: the first one, or another after one was lost.
    Opened {
        /// The lease.
        lease: LeaseId,
    },
    /// Tasks or chunks arrived from Redis; they begin when a slot is free.
    Claimed {
        /// How many.
        units: usize,
    },
    /// An attempt begins. Exactly one event tells its end: [`Event::Succeeded`], [`Event::Retried`],
    /// [`Event::Snoozed`], [`Event::Failed`], [`Event::Cancelled`] or [`Event::Released`].
    Started {
        /// The task or chunk.
        id: TaskId,
        /// Its name.
        task: String,
        /// The number of the attempt, from 1.
        attempt: u32,
    },
    /// An attempt returned a result, which goes to Redis.
    Succeeded {
        /// The task or chunk.
        id: TaskId,
        /// Its name.
        task: String,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// How long it took.
        took: Duration,
    },
    /// An attempt failed, and there will be another one.
    Retried {
        /// The task or chunk.
        id: TaskId,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// Why it failed.
        failure: TaskFailure,
        /// When the next one may begin.
        after: Duration,
    },
    /// The task wants to be run later, as if it had not been delivered.
    Snoozed {
        /// The task or chunk.
        id: TaskId,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// When it may begin again.
        after: Duration,
    },
    /// The last attempt failed, or the task could not begin at all.
    Failed {
        /// The task or chunk.
        id: TaskId,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// Why it failed.
        failure: TaskFailure,
    },
    /// An attempt stopped because somebody cancelled the task or its job, or its job is over. It may
    /// be told while the attempt itself goes on: see `wedged` in what a worker tells of itself.
    Cancelled {
        /// The task or chunk.
        id: TaskId,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// Who cancelled it and why, if that was said. Of a chunk it is only known that its job is over.
        requester: Requester,
    },
    /// An attempt was interrupted and goes back, not counted.
    Released {
        /// The task or chunk.
        id: TaskId,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// Why it was interrupted, if it was told.
        reason: Option<CancelReason>,
    },
    /// Redis did not take the end of an attempt: the task was given to somebody else, or its job is
    /// over.
    Stale {
        /// The task, or the run of chunks, as Redis names it.
        id: String,
    },
    /// The lease is lost. What ran under it is told to stop; others have it.
    LeaseLost {
        /// The lease.
        lease: LeaseId,
    },
    /// The worker takes nothing new and finishes what runs.
    Draining,
    /// The worker has left. The last event.
    Left,
    /// This subscriber was too slow and missed events.
    Missed {
        /// How many.
        events: u64,
    },
}

/// The events of a worker from the moment of [`Worker::events`] on, in their order.
///
/// Whoever does not listen misses the oldest ones; the worker never waits.
///
/// [`Worker::events`]: crate::Worker::events
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
    left: bool,
}

impl Events {
    /// The next event; `None` when the worker has left.
    pub async fn next(&mut self) -> Option<Event> {
        if self.left {
            return None;
        }
        let event = match self.receiver.recv().await {
            Ok(event) => event,
            Err(broadcast::error::RecvError::Lagged(events)) => Event::Missed { events },
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        // What outlives the worker (a thread that did not stop) has nothing more to tell.
        self.left = event == Event::Left;
        Some(event)
    }

    /// An event that is there already.
    pub fn try_next(&mut self) -> Option<Event> {
        if self.left {
            return None;
        }
        let event = match self.receiver.try_recv() {
            Ok(event) => event,
            Err(broadcast::error::TryRecvError::Lagged(events)) => Event::Missed { events },
            Err(_) => return None,
        };
        self.left = event == Event::Left;
        Some(event)
    }
}

/// Tells events to subscribers, if there are any.
#[derive(Debug, Default)]
pub(crate) struct Teller(Option<broadcast::Sender<Event>>);

impl Teller {
    pub(crate) fn subscribe(&mut self) -> Events {
        let sender = self.0.get_or_insert_with(|| broadcast::channel(BEHIND).0);
        Events { receiver: sender.subscribe(), left: false }
    }

    /// The event is only made if somebody subscribed.
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if let Some(sender) = &self.0 {
            // An error: nobody listens any more.
            let _ = sender.send(event());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_subscriber_is_told_what_it_missed_and_the_end_is_the_end() {
        let mut teller = Teller::default();
        teller.tell(|| panic!("nobody subscribed"));
        let mut events = teller.subscribe();
        for units in 0..BEHIND + 3 {
            teller.tell(|| Event::Claimed { units });
        }
        assert_eq!(events.next().await, Some(Event::Missed { events: 3 }));
        assert_eq!(events.next().await, Some(Event::Claimed { units: 3 }));
        let mut late = teller.subscribe();
        teller.tell(|| Event::Left);
        teller.tell(|| Event::Draining);
        assert_eq!(late.next().await, Some(Event::Left));
        assert_eq!(late.next().await, None);
    }
}
