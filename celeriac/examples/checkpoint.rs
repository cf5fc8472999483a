//! A long import that goes on where it was when its worker dies. Kill it in mid-run, start it again:
//!
//! `CELERIAC_REDIS_URL=redis://127.0.0.1:6379/ cargo run -p celeriac --example checkpoint`
//!
//! With the argument `worker` it only works, on what others have enqueued.

use std::error::Error;
use std::time::Duration;

use celeriac::{Broker, Context, Producer, RedisConfig, Registry, Shutdown, TaskError};
use celeriac::{Worker, WorkerConfig, listen_to_signals};
use serde::{Deserialize, Serialize};

/// Where the import is: all that the next attempt has to know.
#[derive(Default, Serialize, Deserialize)]
struct Imported {
    rows: u64,
    sum: u64,
}

/// Imports rows, ten at a time.
#[celeriac::task(name = "import", queue = "imports")]
async fn import(rows: u64, ctx: Context) -> Result<u64, TaskError> {
    let mut done: Imported = ctx.restored()?.unwrap_or_default();
    while done.rows < rows {
        let row = done.rows;
        // A real import reads and writes here; this one takes its time and adds up.
        tokio::time::sleep(Duration::from_millis(5)).await;
        println!("row {row}");
        done = Imported { rows: row + 1, sum: done.sum + row };
        ctx.progress(done.rows, rows);
        if done.rows.is_multiple_of(10) {
            // At once and surely, since each row costs something. Where doing a second's work again
            // is cheap, `ctx.checkpoint(&done)?` after each row costs nothing.
            ctx.checkpoint_now(&done).await?;
        }
    }
    Ok(done.sum)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("CELERIAC_REDIS_URL");
    let config = url.map_or_else(|_| RedisConfig::default(), RedisConfig::new);
    let namespace = std::env::var("CELERIAC_NAMESPACE").unwrap_or_else(|_| "celeriac".to_owned());
    let config = config.namespace(namespace.parse()?);
    // Machines that come and go: a loss is noticed soon, and many of them are no sign of a bad task.
    let settings = WorkerConfig {
        queues: vec!["imports".parse()?],
        visibility: Duration::from_secs(1),
        crash_limit: 100,
        ..WorkerConfig::default()
    };
    let tasks = Registry::new(()).add::<import>().build();
    let worker = Worker::new(Broker::new(config.clone())?, tasks, settings)?;
    let shutdown = Shutdown::new();
    if std::env::args().nth(1).as_deref() == Some("worker") {
        let signals = tokio::spawn(listen_to_signals(shutdown.clone()));
        worker.run(shutdown).await?;
        signals.abort();
        return Ok(());
    }

    let running = tokio::spawn(worker.run(shutdown.clone()));
    let producer = Producer::connect(config).await?;
    // The key makes a second start find the import that the first one left.
    let import = producer.enqueue(&import(200)).key("import of today").await?;
    println!("the sum of all rows is {}", import.result().await?);

    shutdown.drain();
    running.await??;
    Ok(())
}
