//! The worker process of a run.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use celeriac::{Broker, RedisConfig, Shutdown, Worker, WorkerConfig, listen_to_signals};
use clap::Args;

use crate::ledger::Ledger;
use crate::tasks::tasks;

/// What a worker process is told.
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// Where Redis is, by way of a proxy
    #[arg(long)]
    pub redis: String,
    /// The namespace
    #[arg(long)]
    pub namespace: String,
    /// Where the ledger is
    #[arg(long)]
    pub ledger: PathBuf,
    /// Slots
    #[arg(long)]
    pub concurrency: usize,
    /// Milliseconds after which its silence is noticed
    #[arg(long)]
    pub visibility_ms: u64,
}

/// Works until it is told to stop.
///
/// # Errors
/// If it cannot start.
pub async fn run(args: WorkerArgs) -> Result<(), Box<dyn Error>> {
    let config = RedisConfig::new(args.redis).namespace(args.namespace.parse()?);
    let settings = WorkerConfig {
        queues: vec!["default".parse()?, "other".parse()?],
        concurrency: args.concurrency,
        visibility: Duration::from_millis(args.visibility_ms),
        drain_timeout: Duration::from_millis(500),
        // Here workers are killed for no fault of their tasks.
        crash_limit: 1_000,
        ..WorkerConfig::default()
    };
    let worker = Worker::new(Broker::new(config)?, tasks(Ledger::open(&args.ledger)?), settings)?;
    let shutdown = Shutdown::new();
    let signals = listen_to_signals(shutdown.clone());
    let running = worker.run_and_tell(shutdown, |lease| eprintln!("ready: lease {lease}"));
    tokio::pin!(signals, running);
    let summary = tokio::select! {
        summary = &mut running => summary,
        _ = &mut signals => running.await,
    };
    eprintln!("stopped: {:?}", summary?);
    Ok(())
}
