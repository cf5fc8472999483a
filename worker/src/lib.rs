//! Claim tasks and run them.
//!
//! [`task`] is what users write: handlers, extractors, the registry. [`Worker`] runs them: the
//! exchange takes tasks from Redis and gives endings back, slots run attempts, the keeper holds
//! the lease, the courier saves states, the housekeeper cleans up after lost workers. `worker.rs` puts them together.

pub mod builtin;
pub mod layers;
pub mod process;
pub mod task;

mod attempt;
mod bell;
mod changes;
mod clock;
mod config;
mod courier;
mod ear;
mod events;
mod exchange;
mod figures;
mod housekeeper;
mod keeper;
mod lanes;
mod merge;
mod outbox;
mod pace;
mod panics;
mod scheduler;
mod served;
mod shared;
mod shutdown;
mod slots;
mod unit;
mod unwanted;
mod worker;

pub use config::{ConfigError, WorkerConfig};
pub use events::{Event, Events};
pub use shutdown::{Shutdown, listen_to_signals};
pub use worker::{Summary, Worker, WorkerError};
