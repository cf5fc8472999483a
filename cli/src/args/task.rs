//! How a task is run: the options of `celeriac enqueue` and `celeriac schedule` alike.

use std::time::Duration;

use celeriac_broker_schema::Backoff;
use clap::Args;
use serde_json::Value;

use super::values::{backoff, duration, header, named_value};

/// How a task is run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Task")]
pub(crate) struct TaskArgs {
    /// Arguments of the task, as JSON [default: {}]
    #[arg(long, value_name = "JSON", conflicts_with = "arg")]
    pub(crate) args: Option<String>,
    /// One argument of the task; the value is JSON if it can be read as such, and text if not
    #[arg(long, value_name = "NAME=VALUE", value_parser = named_value)]
    pub(crate) arg: Vec<(String, Value)>,
    /// Queue to wait in [default: default]
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// Run it only on workers that have this label (celeriac worker --label)
    #[arg(long, value_name = "LABEL")]
    pub(crate) needs: Option<String>,
    /// 0 to 9; 9 runs first [default: 5]
    #[arg(long)]
    pub(crate) priority: Option<u8>,
    /// How often a failed attempt is tried again [default: 3]
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,
    /// How long to wait before each retry: growing, 1s..10m; always the same, 30s; or listed,
    /// 1s,10s,5m. With " jitter" or " exact" behind it [default: 1s..10m]
    #[arg(long, value_name = "TIMES", value_parser = backoff)]
    pub(crate) backoff: Option<Backoff>,
    /// How long an attempt may run [default: as long as it takes]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// When an attempt is told to save what it has and end [default: never]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) soft_timeout: Option<Duration>,
    /// How long its outcome is kept; 0s: not at all [default: 1d]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) keep: Option<Duration>,
    /// Keep its outcome only if it fails for good, and for so long
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "keep")]
    pub(crate) keep_failed: Option<Duration>,
    /// For whom it is run: limits of tenants and fair turns go by it
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    /// How many slots of its worker it takes [default: 1]
    #[arg(long, value_name = "SLOTS")]
    pub(crate) cost: Option<u32>,
    /// What people call the task, or the job of chunks
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,
    /// What people find it by; may be given up to 16 times
    #[arg(long, value_name = "TEXT")]
    pub(crate) tag: Vec<String>,
    /// A header that travels with it, such as traceparent; may be given up to 32 times
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,
}
