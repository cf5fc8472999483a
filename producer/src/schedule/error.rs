//! What can go wrong when schedules are read and changed ([`ScheduleError`]).

use celeriac_broker_schema::{BrokerError, InvalidInput, ScheduleName};
use thiserror::Error;

/// Why a schedule could not be changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Something about it is not valid. Nothing was sent.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// A layer of the producer refuses its task. Nothing was sent.
    #[error("the schedule was not put: {0}")]
    Layer(std::sync::Arc<dyn std::error::Error + Send + Sync>),
    /// There is no schedule of this name.
    #[error("there is no schedule {0}")]
    Unknown(ScheduleName),
    /// There is one already.
    #[error("there is a schedule {0} already")]
    Exists(ScheduleName),
    /// Somebody else changed it since it was read.
    #[error("schedule {name} was changed meanwhile: it has revision {revision}; read it again")]
    Conflict {
        /// Its name.
        name: ScheduleName,
        /// The revision that it has now.
        revision: u64,
    },
    /// There are as many schedules as there may be.
    #[error("there are {max} schedules, which is the limit: remove some", max = celeriac_broker_schema::limits::MAX_SCHEDULES)]
    Full,
    /// It cannot be done as it stands.
    #[error("schedule {name} cannot be {what}: {why}")]
    NotNow {
        /// Its name.
        name: ScheduleName,
        /// What was to be done.
        what: &'static str,
        /// Why it cannot.
        why: String,
    },
    /// Redis is away or refuses. The change may have been made.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}
