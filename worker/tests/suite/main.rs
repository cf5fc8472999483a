//! The worker, and the producer beside it, on a real Redis: how attempts end, what options mean,
//! and what remains true when leases, connections and servers are lost. Tests of a guarantee have
//! its id in their name. Faults of whole processes are the matter of the command's own tests.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod bad_input;
mod buffer;
mod cancel;
mod checkpoint;
mod clock;
mod common;
mod drain;
mod endings;
mod endurance;
mod enqueue;
mod events;
mod explain;
mod figures;
mod housekeeping;
mod isolation;
mod layers;
mod lease;
mod limits;
mod options;
mod orders;
mod outage;
mod parts;
mod process;
mod queues;
mod range;
mod road;
mod schedules;
mod snooze;
mod stage;
mod unique;
mod upkeep;
mod waiting;
mod workflow;
