//! The protocol of Celeriac: what is stored in Redis, how it changes, and [`Broker`], the one
//! way to change it.
//!
//! The pure part (ids, records, states, keys, retry decisions) compiles without Redis and
//! without an async runtime; the feature `client` (on by default) adds the scripts and the
//! [`Broker`]. Users of the queue want the crate `celeriac` instead of this one.

pub mod audit;
mod bytes;
pub mod check;
pub mod dead;
mod durable;
pub mod error;
pub mod explain;
pub mod figures;
#[cfg(feature = "client")]
pub mod find;
pub mod gate;
pub mod history;
pub mod id;
pub mod job;
pub mod keys;
pub mod limits;
pub mod meta;
pub mod name;
pub mod outcome;
mod packed;
pub mod recent;
pub mod record;
mod requester;
pub mod retry;
pub mod schedule;
#[cfg(feature = "schema")]
mod schema;
pub mod settings;
pub mod state;
pub mod text;
pub mod time;
pub mod unique;
pub mod words;
pub mod worker_info;
pub mod workflow;

#[cfg(feature = "client")]
mod address;
#[cfg(feature = "client")]
mod broker;
#[cfg(feature = "client")]
pub mod config;
#[cfg(feature = "client")]
mod connection;
#[cfg(feature = "client")]
pub mod health;
#[cfg(feature = "client")]
mod node;
#[cfg(feature = "client")]
mod reply;
#[cfg(feature = "client")]
mod route;
#[cfg(feature = "client")]
pub mod script;
#[cfg(feature = "client")]
mod subscription;
#[cfg(feature = "client")]
mod tls;

#[cfg(feature = "client")]
pub use broker::{
    Bell, Broker, CancelFilter, CancelledPage, DeadActPage, DeadCursor, DeadGroupsPage,
    FiguresInAll, QueueCursor, TasksPage,
};
#[cfg(feature = "client")]
pub use config::{RedisConfig, ServerReport};
#[cfg(feature = "client")]
pub use subscription::{Notice, Notices, Subscription};
#[cfg(feature = "client")]
pub use tls::TlsFiles;

pub use audit::{AuditLine, AuditPage, Deed};
pub use bytes::Bytes;
pub use dead::{DeadFilter, DeadGroup, DeadGroups, DeadLetter};
pub use durable::Durable;
pub use error::{BrokerError, InvalidInput};
pub use explain::{Explanation, Reason};
pub use gate::{Limit, Rate, Subject};
pub use history::{History, HistoryQuery};
pub use id::{ChunkIndex, ClientId, JobId, LeaseId, TaskId};
pub use job::{Accumulate, Delta, JobSpec, Split};
pub use keys::Keys;
pub use meta::{Headers, Meta};
pub use name::{Label, Namespace, Priority, QueueName, TaskName, Tenant, UniqueKey};
pub use outcome::{Attempt, ErrorKind, Outcome, TaskFailure};
pub use recent::RecentTask;
pub use record::{Record, TaskOptions};
pub use requester::{Note, Requester};
pub use retry::{Backoff, Decision, RetryPolicy};
pub use schedule::{Missed, Overlap, ScheduleName, ScheduleSpec, Timing};
pub use settings::Setting;
pub use state::State;
pub use time::Timestamp;
pub use unique::{Unique, UniqueMode};
pub use worker_info::{Progress, RunningTask, WorkerInfo};
