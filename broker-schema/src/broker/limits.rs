//! Limits across the fleet, and turns.

use super::Broker;
use crate::error::BrokerError;
use crate::gate::{Limit, Subject};
use crate::name::QueueName;
use crate::requester::Requester;
use crate::script::{self, LimitChanged, Limits};

impl Broker {
    /// Sets a limit across the fleet; None removes it. What it had kept back goes on if it may. Who set
    /// it, when and why is kept with it.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn limit(
        &self,
        subject: &Subject,
        limit: Option<&Limit>,
        who: &Requester,
    ) -> Result<LimitChanged, BrokerError> {
        script::limit(&self.inner.connections, &self.inner.keys, subject, limit, who).await
    }

    /// Says whether the tenants of a queue take turns. Tasks that wait already keep their place. True
    /// if that changed anything.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn fair(
        &self,
        queue: &QueueName,
        on: bool,
        who: &Requester,
    ) -> Result<bool, BrokerError> {
        script::fair(&self.inner.connections, &self.inner.keys, queue, on, who).await
    }

    /// The limits, at most `most` of each kind, and as many subjects with what they hold.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn limits(&self, most: u32) -> Result<Limits, BrokerError> {
        script::limits(&self.inner.connections, &self.inner.keys, most).await
    }
}
