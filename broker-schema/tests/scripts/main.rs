//! The protocol, verb by verb, on a single server and on a cluster: each test says what is given,
//! makes one call, and compares the whole state of its namespace before and after.
//!
//! What holds for any sequence of calls is the matter of `model`.
#![cfg(feature = "client")]

#[macro_use]
mod support;

mod beat;
mod checkpoint;
mod claim;
mod close;
mod complete;
mod emit;
mod enqueue;
mod enqueue_range;
mod inspect;
mod job;
mod memory;
mod open;
mod reclaim;
mod renew;
mod ring;
mod snapshot;
mod speculate;
mod stream;
mod watch;
mod workers;
