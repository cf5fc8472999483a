//! A parameter sweep: many tries side by side, their results as they come; once one is good enough, the
//! others are cancelled, those that run included.
//!
//! `CELERIAC_REDIS_URL=redis://127.0.0.1:6379/ cargo run -p celeriac --example sweep`

use std::error::Error;
use std::time::Duration;

use celeriac::{Broker, Producer, RedisConfig, Registry, Requester, State, as_completed};
use celeriac::{Shutdown, TaskError, Worker, WorkerConfig};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Tried {
    rate: f64,
    steps: u32,
}

/// Looks for the minimum of (x - 3)² downhill. With a small rate that takes long; each step costs time.
#[celeriac::task(name = "sweep/descend", queue = "sweep")]
async fn descend(rate: f64) -> Result<Tried, TaskError> {
    let (mut x, mut steps) = (0.0_f64, 0);
    while (x - 3.0).abs() > 1e-6 {
        x -= rate * 2.0 * (x - 3.0);
        steps += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(Tried { rate, steps })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("CELERIAC_REDIS_URL");
    let config = url.map_or_else(|_| RedisConfig::default(), RedisConfig::new);
    let tasks = Registry::new(()).add::<descend>().build();
    let queues = vec!["sweep".parse()?];
    let settings = WorkerConfig { queues, concurrency: 4, ..WorkerConfig::default() };
    let worker = Worker::new(Broker::new(config.clone())?, tasks, settings)?;
    let shutdown = Shutdown::new();
    let running = tokio::spawn(worker.run(shutdown.clone()));

    let producer = Producer::connect(config).await?;
    let mut tries = Vec::new();
    for rate in [0.0001, 0.0002, 0.5, 0.0003, 0.0004, 0.0005, 0.0006, 0.0007] {
        tries.push(producer.enqueue(&descend(rate)).await?);
    }
    let mut results = as_completed(tries.clone());
    while let Some((_, result)) = results.next().await {
        let Tried { rate, steps } = result?;
        if steps <= 10 {
            println!("rate {rate} is good enough: {steps} steps");
            break;
        }
        println!("rate {rate} takes {steps} steps");
    }
    let enough = Requester::new("sweep").because("one is good enough");
    for handle in &tries {
        handle.cancel_as(&enough).await?;
    }
    let mut cancelled = 0;
    for handle in &tries {
        cancelled += u32::from(handle.outcome().await?.state == State::Cancelled);
    }
    println!("{cancelled} others are cancelled");

    shutdown.drain();
    running.await??;
    Ok(())
}
