//! Enqueue tasks and wait for their results.
//!
//! [`Producer`] is the way in: [`Producer::enqueue`] for one task, [`Producer::enqueue_many`] for
//! any number, [`Producer::enqueue_job`] for a computation cut into chunks. What it returns is a
//! [`Handle`], which waits for the result.

mod call;
mod clock;
mod counted;
mod error;
mod handle;
mod job;
mod layer;
mod many;
mod parts;
mod producer;
mod progress;
mod recorder;
mod room;
mod schedule;
mod sender;
pub mod task;
pub mod trace;
mod wait;
mod waiter;
pub mod workflow;

pub use call::{Enqueue, NewTask};
pub use error::{EnqueueError, InvalidWorkflow, Problem, ResultError};
pub use handle::Handle;
pub use job::NewJob;
pub use layer::{BoxError, EnqueueLayer};
pub use many::{Enqueued, Many};
pub use parts::Parts;
pub use producer::{Patience, Producer};
pub use progress::{JobProgress, MemberResults, ProgressStream};
pub use recorder::{RecordedJob, RecordedTask, Recorder};
pub use schedule::{Replace, Schedule, ScheduleError, Schedules};
pub use task::Task;
pub use wait::{AsCompleted, as_completed, as_completed_within, wait_any, wait_any_within};

pub use celeriac_broker_schema::{Missed, Overlap, ScheduleName, Timing};
