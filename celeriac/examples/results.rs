//! A task that gives what it has while it runs, and does not begin anew when it fails: partial
//! results and checkpoints together; and a result that is bytes.
//!
//! `CELERIAC_REDIS_URL=redis://127.0.0.1:6379/ cargo run -p celeriac --example results`

use std::error::Error;

use celeriac::{Attempt, Broker, Bytes, Context, Producer, RedisConfig, Registry, Shutdown};
use celeriac::{TaskError, Worker, WorkerConfig};

/// Reads page after page. In its first attempt the connection breaks after the second one.
#[celeriac::task(name = "results/read", queue = "results", backoff = "10ms")]
async fn read(pages: u32, ctx: Context, Attempt(attempt): Attempt) -> Result<u32, TaskError> {
    let mut done: u32 = ctx.restored()?.unwrap_or_default();
    while done < pages {
        if (attempt, done) == (1, 2) {
            return Err(TaskError::new("the connection broke"));
        }
        done += 1;
        ctx.emit(&format!("page {done}")).await?;
        // The next attempt goes on behind this page.
        ctx.checkpoint(&done)?;
        ctx.progress_with(done.into(), pages.into(), format!("page {done}"));
    }
    Ok(done)
}

/// Every second byte. The result is kept for a minute, for those who wait for it.
#[celeriac::task(name = "results/thumbnail", queue = "results", keep = "1m")]
async fn thumbnail(picture: Bytes) -> Result<Bytes, TaskError> {
    Ok(Bytes(picture.0.into_iter().step_by(2).collect()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("CELERIAC_REDIS_URL");
    let config = url.map_or_else(|_| RedisConfig::default(), RedisConfig::new);
    let tasks = Registry::new(()).add::<read>().add::<thumbnail>().build();
    let settings = WorkerConfig { queues: vec!["results".parse()?], ..WorkerConfig::default() };
    let worker = Worker::new(Broker::new(config.clone())?, tasks, settings)?;
    let shutdown = Shutdown::new();
    let running = tokio::spawn(worker.run(shutdown.clone()));
    let producer = Producer::connect(config).await?;

    let reading = producer.enqueue(&read(4)).await?;
    let mut parts = reading.stream::<String>();
    while let Some(page) = parts.next().await {
        println!("{} of attempt {}", page?, parts.attempt());
    }
    println!("{} pages", reading.result().await?);

    let picture = Bytes(vec![1, 2, 3, 4]);
    println!("{:?}", producer.enqueue(&thumbnail(picture)).await?.result().await?.0);

    shutdown.drain();
    running.await??;
    Ok(())
}
