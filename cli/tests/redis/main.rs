//! Redis as it is run in earnest: with Sentinels, as a cluster, under TLS, for users with few rights. All
//! servers are real processes, and so are the workers.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod acl;
mod cluster;
#[path = "../suite/common.rs"]
#[expect(dead_code, reason = "the tests of the command use the rest")]
mod common;
mod durable;
mod load;
#[path = "../faults/pi_job.rs"]
mod pi_job;
mod secrets;
mod sentinel;
#[path = "../faults/site.rs"]
#[expect(dead_code, reason = "the tests of faults use the rest")]
mod site;
mod tls;
