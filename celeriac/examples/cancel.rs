//! Ending what nobody wants any more, and a task that saves what it has when its time is nearly over.
//!
//! `CELERIAC_REDIS_URL=redis://127.0.0.1:6379/ cargo run -p celeriac --example cancel`

use std::error::Error;
use std::time::Duration;

use celeriac::{Broker, CancelReason, Context, Producer, RedisConfig, Registry, Requester};
use celeriac::{Shutdown, TaskError, Worker, WorkerConfig};

/// Would go on for ever. It learns of its end at the next `.await`, and may clean up.
#[celeriac::task(name = "crawl", queue = "cancel")]
async fn crawl(site: String, ctx: Context) -> Result<u64, TaskError> {
    let reason = ctx.cancelled().await;
    let who = ctx.cancelled_by().and_then(|who| who.by.as_deref()).unwrap_or("somebody");
    println!("the crawl of {site} stops: {reason:?} by {who}");
    Err(TaskError::cancelled())
}

/// The longer the better: it is told when to stop, and returns the best that it has.
#[celeriac::task(name = "improve", queue = "cancel", soft_timeout = "200ms", timeout = "1m", cpu)]
fn improve(start: u64, ctx: Context) -> Result<u64, TaskError> {
    let mut best = start;
    while !ctx.is_cancelled() {
        best = best.wrapping_add(1).max(best);
    }
    match ctx.cancel_reason() {
        Some(CancelReason::SoftTimeout) => Ok(best),
        _ => Err(TaskError::cancelled()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("CELERIAC_REDIS_URL");
    let config = url.map_or_else(|_| RedisConfig::default(), RedisConfig::new);

    let producer = Producer::connect(config.clone()).await?;
    let ada = Requester::new("ada").because("the wrong site");
    let waiting = producer.enqueue(&crawl("example.net".to_owned())).await?;
    println!("{:?}", waiting.cancel_as(&ada).await?);

    let tasks = Registry::new(()).add::<crawl>().add::<improve>().build();
    let settings = WorkerConfig { queues: vec!["cancel".parse()?], ..WorkerConfig::default() };
    let worker = Worker::new(Broker::new(config)?, tasks, settings)?;
    let shutdown = Shutdown::new();
    let running = tokio::spawn(worker.run(shutdown.clone()));

    let crawling = producer.enqueue(&crawl("example.org".to_owned())).await?;
    let improving = producer.enqueue(&improve(1)).await?;
    println!("improved: {}", improving.result().await? > 1);
    // What runs is told; the outcome says how it ended.
    while crawling.cancel_as(&ada).await? != celeriac::Cancelled::Ended {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{}", crawling.outcome().await?.state);

    shutdown.drain();
    running.await??;
    Ok(())
}
