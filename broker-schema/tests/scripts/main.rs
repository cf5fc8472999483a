//! The protocol, verb by verb, on a single server and on a cluster: each test says what is given,
//! makes one call, and compares the whole state of its namespace before and after.
//!
//! What holds for any sequence of calls is the matter of `model`.
#![cfg(feature = "client")]

#[macro_use]
mod support;

mod audit;
mod beat;
mod cancel;
mod checkpoint;
mod claim;
mod close;
mod complete;
mod completed;
mod contents;
mod control;
mod data;
mod dead;
mod delayed;
mod delete_job;
mod discard;
mod due;
mod elements;
mod emit;
mod enqueue;
mod enqueue_range;
mod enqueue_workflow;
mod erase;
mod expel;
mod explain;
mod fair;
mod fire;
mod history;
mod inspect;
mod job;
mod job_control;
mod limit;
mod limits;
mod map_chunks;
mod memory;
mod move_queue;
mod note_audit;
mod oldest;
mod open;
mod order;
mod peek;
mod purge;
mod queued;
mod recent;
mod reclaim;
mod records;
mod release_again;
mod remember;
mod renew;
mod results;
mod retry_job;
mod revive;
mod ring;
mod sample;
mod schedule;
mod schedules;
mod settings;
mod snapshot;
mod speculate;
mod stream;
mod tally;
mod tidy;
mod together;
mod tree;
mod unsettled;
mod watch;
mod workers;
