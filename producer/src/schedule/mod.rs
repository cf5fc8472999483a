//! Schedules: a [`Schedule`] says which task is enqueued when; [`Schedules`] keeps them in Redis.
//! Any worker fires them; there is no process of its own for it.

mod error;
mod rule;
mod store;

pub use error::ScheduleError;
pub use rule::Schedule;
pub use store::{Replace, Schedules};
