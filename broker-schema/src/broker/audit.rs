//! What people did.

use super::Broker;
use crate::audit::{AuditPage, Deed};
use crate::error::BrokerError;
use crate::script;

impl Broker {
    /// Notes what somebody did. About the newest 10,000 are kept.
    ///
    /// # Errors
    /// Whatever keeps us from the server. To repeat it may note it twice.
    pub async fn note_audit(&self, deed: &Deed) -> Result<(), BrokerError> {
        script::note_audit(&self.inner.connections, &self.inner.keys, deed).await
    }

    /// A page of what people did, the newest first, `limit` of it and at most 500, that comes behind
    /// `after`.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn audit(&self, after: Option<&str>, limit: u32) -> Result<AuditPage, BrokerError> {
        script::audit(&self.inner.connections, &self.inner.keys, after, limit).await
    }
}
