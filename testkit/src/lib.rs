//! Fixtures for the tests of all crates: a private Redis, a whole dump of its state, a proxy that
//! loses connections and replies, processes that are killed and frozen, and waiting for events.
//! A dev-dependency only, and never dependent on the crates that it helps to test.
//!
//! Everything here panics when it fails: in a test, that is the report.

pub mod cluster;
pub mod dump;
pub mod eventually;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod sentinel;
mod undertaker;

pub use crate::cluster::TestCluster;
pub use crate::dump::dump;
pub use crate::eventually::eventually;
pub use crate::process::Process;
pub use crate::proxy::Proxy;
pub use crate::redis::TestRedis;
pub use crate::sentinel::TestSentinels;
