//! Schedules: changed, listed, fired.

use super::Broker;
use crate::error::BrokerError;
use crate::id::LeaseId;
use crate::name::ScheduleName;
use crate::script::{self, Due, Fire, Fired, ScheduleChange, ScheduleChanged, Schedules};
use crate::time::Timestamp;

impl Broker {
    /// Changes a schedule. `seen`: the revision that the change is based on, 0 if there must be no
    /// such schedule yet; None: whatever it is.
    ///
    /// # Errors
    /// Whatever keeps us from the server; the change may have been made.
    pub async fn schedule(
        &self,
        name: &ScheduleName,
        seen: Option<u64>,
        change: &ScheduleChange,
    ) -> Result<ScheduleChanged, BrokerError> {
        script::schedule(&self.inner.connections, &self.inner.keys, name, seen, change).await
    }

    /// A page of the schedules, at most 200; with a name that one alone.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn schedules(
        &self,
        name: Option<&ScheduleName>,
        offset: u64,
        limit: u32,
    ) -> Result<Schedules, BrokerError> {
        script::schedules(&self.inner.connections, &self.inner.keys, name, offset, limit).await
    }

    /// Which schedules are due, at most 100, and when the next one will be.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn due(&self, lease: &LeaseId, most: u32) -> Result<Due, BrokerError> {
        script::due(&self.inner.connections, &self.inner.keys, lease, most).await
    }

    /// Fires a schedule. However many do so at once, it is fired once for a time due.
    ///
    /// # Errors
    /// Whatever keeps us from the server. With a time due it is safe to repeat.
    pub async fn fire(&self, fire: &Fire<'_>) -> Result<(Timestamp, Fired), BrokerError> {
        script::fire(&self.inner.connections, &self.inner.keys, fire).await
    }
}
