//! Fixtures: a served monitor, what it shows, and who looks at it.

pub(crate) mod browser_like;
pub(crate) mod chromium;
pub(crate) mod fleet;
pub(crate) mod http;
#[path = "../../../examples/load/mod.rs"]
pub(crate) mod load;
pub(crate) mod seed;
pub(crate) mod site;

use std::time::Duration;

/// Longer than anything takes that is going to happen, also on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);
