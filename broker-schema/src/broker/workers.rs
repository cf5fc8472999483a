//! What workers do, and what is told of them and to them.

use std::time::Duration;

use redis::Value;

use super::{Broker, Inner};
use crate::connection::{Blocking, Failure, MAX_BLOCK};
use crate::error::BrokerError;
use crate::id::{JobId, LeaseId, TaskId};
use crate::name::QueueName;
use crate::requester::Requester;
use crate::script::{
    self, Checkpoint, Claim, Claimed, Closed, Emission, Ending, Kept, Opened, Order, OrderSeen,
    Reclaimed, Renewed, Speculated, Tidied, Workers,
};
use crate::subscription::Notices;
use crate::time::millis;

impl Broker {
    /// Begins a lease that lives for `visibility` unless renewed.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn open(&self, lease: &LeaseId, visibility: Duration) -> Result<Opened, BrokerError> {
        self.open_on("", lease, visibility).await
    }

    /// As [`Broker::open`], with the name of the machine: if the worker is lost, it is noted with
    /// the attempts that it cost.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn open_on(
        &self,
        host: &str,
        lease: &LeaseId,
        visibility: Duration,
    ) -> Result<Opened, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        script::open(connections, keys, lease, millis(visibility), host).await
    }

    /// Asks for tasks.
    ///
    /// # Errors
    /// Whatever keeps us from the server; repeat the call under the same number.
    pub async fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, BrokerError> {
        script::claim(&self.inner.connections, &self.inner.keys, claim).await
    }

    /// Reports endings and asks for tasks in one round trip.
    ///
    /// # Errors
    /// Whatever keeps us from the server; repeat the call under the same number.
    pub async fn complete(
        &self,
        claim: &Claim<'_>,
        endings: &[Ending],
    ) -> Result<Claimed, BrokerError> {
        script::complete(&self.inner.connections, &self.inner.keys, claim, endings).await
    }

    /// Prolongs a lease. `jobs`: those it holds chunks of.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn renew(
        &self,
        lease: &LeaseId,
        visibility: Duration,
        jobs: &[JobId],
    ) -> Result<Renewed, BrokerError> {
        script::renew(&self.inner.connections, &self.inner.keys, lease, millis(visibility), jobs)
            .await
    }

    /// Ends a lease that holds nothing.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn close(&self, lease: &LeaseId) -> Result<Closed, BrokerError> {
        script::close(&self.inner.connections, &self.inner.keys, lease).await
    }

    /// Keeps the states of attempts under way, for the attempts after them. One answer for each.
    ///
    /// # Errors
    /// Whatever keeps us from the server; [`BrokerError::OutOfMemory`] if it is full: nothing was
    /// kept then, and the older states stay.
    pub async fn checkpoint(
        &self,
        lease: &LeaseId,
        checkpoints: &[Checkpoint],
    ) -> Result<Vec<Kept>, BrokerError> {
        script::checkpoint(&self.inner.connections, &self.inner.keys, lease, checkpoints).await
    }

    /// Appends partial results of attempts under way to the streams of their tasks. One answer for each.
    ///
    /// # Errors
    /// Whatever keeps us from the server; [`BrokerError::OutOfMemory`] if it is full: nothing was
    /// appended then.
    pub async fn emit(
        &self,
        lease: &LeaseId,
        emissions: &[Emission],
    ) -> Result<Vec<Kept>, BrokerError> {
        script::emit(&self.inner.connections, &self.inner.keys, lease, emissions).await
    }

    /// Starts up to `most` chunks a second time that run far longer than those before them, in jobs that
    /// allow it; and tells which of `chunks` need not be finished.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn speculate(&self, most: u32, chunks: &[TaskId]) -> Result<Speculated, BrokerError> {
        script::speculate(&self.inner.connections, &self.inner.keys, most, chunks).await
    }

    /// The upkeep that nothing waits for, at most `limit` of each kind and at most 100: dead letters
    /// that are too old or too many leave, and names of queues that are not used any more. Workers do it
    /// once a minute.
    ///
    /// # Errors
    /// Whatever keeps us from the server. It is safe to repeat.
    pub async fn tidy(&self, limit: u32) -> Result<Tidied, BrokerError> {
        script::tidy(&self.inner.connections, &self.inner.keys, limit).await
    }

    /// Upkeep: at most `limit` of each kind.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn reclaim(
        &self,
        own: Option<&LeaseId>,
        limit: u32,
        crash_limit: u32,
    ) -> Result<Reclaimed, BrokerError> {
        script::reclaim(&self.inner.connections, &self.inner.keys, own, limit, crash_limit).await
    }

    /// Passes a bell token on.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn ring(&self, queues: &[QueueName]) -> Result<(), BrokerError> {
        script::ring(&self.inner.connections, &self.inner.keys, queues).await
    }

    /// Waits until a bell of these queues rings, at most `wait`. True if it rang.
    ///
    /// The future must be polled to its end, or the token may be lost (a lost token only delays:
    /// idle workers look again by themselves).
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn wait_for_bell(
        &self,
        bell: &mut Bell,
        wait: Duration,
    ) -> Result<bool, BrokerError> {
        let connections = &self.inner.connections;
        // Zero would mean: block for ever.
        let wait = wait.clamp(Duration::from_millis(1), MAX_BLOCK);
        let mut line = match bell.line.take() {
            Some(line) => line,
            None => connections.blocking().await?,
        };
        let mut command = redis::cmd("BLPOP");
        for queue in &bell.queues {
            command.arg(self.inner.keys.bell(queue));
        }
        command.arg(wait.as_secs_f64());
        let answer = connections.block("BLPOP", &mut line, &command).await?;
        bell.line = Some(line);
        Ok(answer != Value::Nil)
    }

    /// Hears at once that something is wanted of a lease. Only a hint: [`Broker::renew`] tells the
    /// same, and what.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn listen(&self, lease: &LeaseId) -> Result<Notices, BrokerError> {
        let connections = &self.inner.connections;
        let mut pubsub = connections.pubsub().await?;
        let channels = self.inner.keys.told(lease);
        pubsub
            .subscribe(&channels[..])
            .await
            .map_err(|error| connections.explain("SUBSCRIBE", Failure::after_sending(error)))?;
        Ok(Notices::new(pubsub))
    }

    /// Tells who a worker is; None when it leaves.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn beat(
        &self,
        lease: &LeaseId,
        live: Duration,
        description: Option<&str>,
    ) -> Result<(), BrokerError> {
        script::beat(&self.inner.connections, &self.inner.keys, lease, millis(live), description)
            .await
    }

    /// A page of the workers of the namespace.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn workers(&self, offset: u64, limit: u32) -> Result<Workers, BrokerError> {
        script::workers(&self.inner.connections, &self.inner.keys, offset, limit).await
    }

    /// Says what is wanted of the worker that has this lease. Repeating it does no harm.
    ///
    /// # Errors
    /// Whatever keeps us from the server; the order may have been given.
    pub async fn order(
        &self,
        lease: &LeaseId,
        order: &Order,
        who: &Requester,
    ) -> Result<OrderSeen, BrokerError> {
        script::order(&self.inner.connections, &self.inner.keys, lease, order, who).await
    }
}

/// What an idle worker blocks on, with a connection of its own.
pub struct Bell {
    queues: Vec<QueueName>,
    line: Option<Blocking>,
}

impl Bell {
    /// The bells of these queues.
    pub fn new(queues: Vec<QueueName>) -> Self {
        Self { queues, line: None }
    }

    /// Other bells from now on.
    pub fn listen_to(&mut self, queues: &[QueueName]) {
        if self.queues != queues {
            self.queues = queues.to_vec();
        }
    }
}

impl std::fmt::Debug for Bell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bell").field("queues", &self.queues).finish_non_exhaustive()
    }
}
