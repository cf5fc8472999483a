//! Dead letters, and how many of them are kept.

use std::collections::BTreeMap;

use super::Broker;
use crate::dead::DeadLetter;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::requester::Requester;
use crate::script::{self, DeadPage, Revived};
use crate::settings::Setting;
use crate::time::Timestamp;

impl Broker {
    /// A page of at most `limit` (up to 500) dead letters, the newest first, that come after `after`.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn dead(
        &self,
        after: Option<(Timestamp, TaskId)>,
        limit: u32,
    ) -> Result<DeadPage, BrokerError> {
        script::dead(&self.inner.connections, &self.inner.keys, after, limit).await
    }

    /// One dead letter.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn dead_letter(&self, id: TaskId) -> Result<Option<DeadLetter>, BrokerError> {
        let found = script::dead_letters(&self.inner.connections, &self.inner.keys, &[id]).await?;
        Ok(found.into_iter().next())
    }

    /// Lets dead tasks run again: ready, with no failure counted. Each is done or refused by
    /// itself; to repeat the call is safe. Who revived it is kept among its attempts.
    ///
    /// # Errors
    /// Whatever keeps us from the server; some of them may have been revived.
    pub async fn revive(
        &self,
        ids: &[TaskId],
        who: &Requester,
    ) -> Result<Vec<(TaskId, Revived)>, BrokerError> {
        script::revive(&self.inner.connections, &self.inner.keys, ids, who).await
    }

    /// Throws dead letters away. Says of each, in the order of the ids, whether it was there.
    ///
    /// # Errors
    /// Whatever keeps us from the server; some of them may be gone.
    pub async fn discard(&self, ids: &[TaskId]) -> Result<Vec<bool>, BrokerError> {
        script::discard(&self.inner.connections, &self.inner.keys, ids).await
    }

    /// Changes settings (None: back to the default) and tells what is set; what is not has its
    /// default.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn settings(
        &self,
        changes: &[(Setting, Option<u64>)],
    ) -> Result<BTreeMap<Setting, u64>, BrokerError> {
        script::settings(&self.inner.connections, &self.inner.keys, changes).await
    }
}
