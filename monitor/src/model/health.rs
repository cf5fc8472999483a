//! How the namespace and its Redis are: what `celeriac doctor` says, and what is set.

use std::collections::BTreeMap;
use std::time::Duration;

use celeriac_broker_schema::Setting;
use celeriac_broker_schema::health::{Finding, Memory};

/// What is known of the health of a namespace.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    /// What is not as it should be, the worst first.
    pub(crate) findings: Vec<Finding>,
    pub(crate) round_trip: Duration,
    pub(crate) memory: Memory,
    /// What is set; what is missing has its default.
    pub(crate) settings: BTreeMap<Setting, u64>,
}
