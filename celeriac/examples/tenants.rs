//! One tenant enqueues very many tasks, and then another one enqueues ten: how long do the ten take,
//! first come, first served, and when the tenants of the queue take turns?
//!
//! `CELERIAC_REDIS_URL=redis://127.0.0.1:6379/ cargo run --release -p celeriac --example tenants -- 1000000`

use std::error::Error;
use std::time::{Duration, Instant};

use celeriac::{Broker, NewTask, Producer, QueueName, RedisConfig, Registry, Requester, Shutdown};
use celeriac::{TaskError, Tenant, Worker, WorkerConfig};

#[celeriac::task(name = "serve")]
async fn serve(order: u64) -> Result<u64, TaskError> {
    Ok(order)
}

/// A task of a tenant; what it returns is kept for those who wait for it.
fn order(queue: &QueueName, tenant: &Tenant, number: u64) -> NewTask {
    let task = NewTask::of(&serve(number)).expect("a number is JSON");
    task.queue(queue.clone()).tenant(tenant.clone()).keep_result(Duration::from_secs(60))
}

/// How long the ten tasks of `small` take after `big` has enqueued so many, and how long all take.
async fn measure(
    config: &RedisConfig,
    fair: bool,
    many: u64,
) -> Result<(Duration, Duration), Box<dyn Error>> {
    let queue: QueueName = if fair { "tenants.fair" } else { "tenants.first-come" }.parse()?;
    let broker = Broker::new(config.clone())?;
    broker.fair(&queue, fair, &Requester::new("example")).await?;

    let producer = Producer::connect(config.clone()).await?;
    let (big, small): (Tenant, Tenant) = ("big".parse()?, "small".parse()?);
    let silent = |number| order(&queue, &big, number).keep_result(Duration::ZERO);
    producer.enqueue_many((0..many).map(silent)).await?;
    let last = producer.enqueue_task(order(&queue, &big, many)).await?;
    let mut ten = Vec::new();
    for number in 0..10 {
        ten.push(producer.enqueue_task(order(&queue, &small, number)).await?);
    }

    let tasks = Registry::new(()).add::<serve>().build();
    let settings = WorkerConfig { queues: vec![queue], concurrency: 2, ..WorkerConfig::default() };
    let shutdown = Shutdown::new();
    let begun = Instant::now();
    let running = tokio::spawn(Worker::new(broker, tasks, settings)?.run(shutdown.clone()));
    for handle in &ten {
        handle.outcome().await?;
    }
    let ten_took = begun.elapsed();
    last.outcome().await?;
    let all_took = begun.elapsed();
    shutdown.drain();
    running.await??;
    Ok((ten_took, all_took))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("CELERIAC_REDIS_URL");
    let config = url.map_or_else(|_| RedisConfig::default(), RedisConfig::new);
    let many: u64 = std::env::args().nth(1).map_or(Ok(20_000), |text| text.parse())?;
    println!("| order | ten tasks behind {many} of another tenant | all of them |");
    println!("| --- | --- | --- |");
    for (name, fair) in [("first come, first served", false), ("tenants take turns", true)] {
        let (ten, all) = measure(&config, fair, many).await?;
        println!("| {name} | {:.3} s | {:.1} s |", ten.as_secs_f64(), all.as_secs_f64());
    }
    Ok(())
}
