//! The web monitor: one process that reads a namespace about once a second and shows it to any
//! number of viewers, as pages, as JSON and as Prometheus metrics. By itself it only looks; operators
//! may act. Nothing here is needed for tasks to run.
//!
//! ```no_run
//! use celeriac_broker_schema::{Broker, RedisConfig};
//! use celeriac_monitor::{Monitor, MonitorConfig, serve};
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = MonitorConfig::default(); // http://127.0.0.1:5555
//! let broker = Broker::new(RedisConfig::default())?;
//! let listener = config.bind().await?;
//! let shutdown = CancellationToken::new();
//! serve(listener, Monitor::new(broker, config), shutdown).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The way of a figure: `poller` reads Redis → `model` gives it the words of the glossary →
//! `observation` holds one reading, published on a watch channel → `views` renders it into
//! fragments → `routes` send them as a page, or over `/events` into a page that is open.
//! The page and its updates come from the same functions, so they cannot differ.
//!
//! The way of a request: `auth::gate` finds out who asks and what they may → `routes`. The way of an
//! action: `actions::read` → `run` in bounded calls of the engine → the audit list.

mod actions;
mod auth;
mod config;
mod error;
mod model;
mod observation;
mod outlet;
mod past;
mod poller;
mod rates;
mod read;
mod redact;
mod routes;
mod scale;
mod server;
mod state;
mod topic;
mod viewers;
mod views;

pub use auth::{Access, AccessOptions, InvalidAccess, hash_password};
pub use config::MonitorConfig;
pub use error::MonitorError;
pub use redact::{InvalidRule, Redaction, Rule};
pub use routes::router;
pub use server::serve;
pub use state::Monitor;
