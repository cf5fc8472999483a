//! Faults of whole processes: real workers and a real Redis that are killed, frozen and restarted in
//! mid-run. Each test is named after the guarantee that it is about.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

#[path = "../suite/common.rs"]
#[expect(dead_code, reason = "the tests of the command use the rest")]
mod common;
mod freeze;
mod kill;
mod pi_job;
mod poison;
mod restart;
mod rolling;
mod schedule;
mod site;
