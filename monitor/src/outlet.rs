//! What the monitor does for programs that enqueue and wait: one producer for all of them, so that
//! they share its connection and its one subscription, and bounds on how many may wait at a time.

use std::sync::Arc;

use celeriac_broker_schema::Broker;
use celeriac_producer::{Patience, Producer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Duration;

/// Requests that may wait for results at a time: each is a socket and an entry in Redis.
pub(crate) const WAITERS: usize = 1_000;

/// How long an enqueue tries while Redis is away. Proxies and people give up soon after.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shared by all requests.
#[derive(Debug)]
pub(crate) struct Outlet {
    producer: Producer,
    waiters: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

/// Held for as long as a request waits, or a stream is open.
pub(crate) type Permit = OwnedSemaphorePermit;

impl Outlet {
    pub(crate) fn new(broker: Broker, max_streams: usize) -> Self {
        Self {
            producer: Producer::with_patience(broker, Patience::Within(PATIENCE)),
            waiters: Arc::new(Semaphore::new(WAITERS)),
            streams: Arc::new(Semaphore::new(max_streams)),
        }
    }

    pub(crate) fn producer(&self) -> &Producer {
        &self.producer
    }

    /// Lets a request wait for a result; None if too many do.
    pub(crate) fn wait(&self) -> Option<Permit> {
        Arc::clone(&self.waiters).try_acquire_owned().ok()
    }

    /// Opens a stream of partial results; None if too many are open.
    pub(crate) fn stream(&self) -> Option<Permit> {
        Arc::clone(&self.streams).try_acquire_owned().ok()
    }
}
