//! What does not succeed at once: a task that waits for something, one that fails for good and is
//! revived, and a key that stands for a task until it is done.
//!
//! `CELERIAC_REDIS_URL=redis://127.0.0.1:6379/ cargo run -p celeriac --example retries`

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use celeriac::{Broker, Data, Producer, RedisConfig, Registry, Requester, Shutdown, TaskError};
use celeriac::{UniqueMode, Worker, WorkerConfig};

/// What the tasks need and is not there at first.
#[derive(Clone, Default)]
struct Outside {
    uploaded: Arc<AtomicBool>,
    paper: Arc<AtomicBool>,
}

/// Too early is no failure.
#[celeriac::task(name = "convert", queue = "retries")]
async fn convert(name: String, outside: Data<Outside>) -> Result<String, TaskError> {
    if !outside.uploaded.swap(true, Ordering::Relaxed) {
        return Err(TaskError::snooze(Duration::from_millis(200)));
    }
    Ok(format!("{name} is converted"))
}

/// Tried again twice, after a tenth of a second and after two.
#[celeriac::task(name = "print", queue = "retries", retries = 2, backoff = "100ms,200ms")]
async fn print(name: String, outside: Data<Outside>) -> Result<String, TaskError> {
    match outside.paper.load(Ordering::Relaxed) {
        true => Ok(format!("{name} is printed")),
        false => Err(TaskError::new("there is no paper")),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("CELERIAC_REDIS_URL");
    let config = url.map_or_else(|_| RedisConfig::default(), RedisConfig::new);
    let broker = Broker::new(config.clone())?;

    let outside = Outside::default();
    let tasks = Registry::new(outside.clone()).add::<convert>().add::<print>().build();
    let settings = WorkerConfig { queues: vec!["retries".parse()?], ..WorkerConfig::default() };
    let worker = Worker::new(broker.clone(), tasks, settings)?;
    let shutdown = Shutdown::new();
    let running = tokio::spawn(worker.run(shutdown.clone()));
    let producer = Producer::connect(config).await?;

    // Whoever asks a second time, while the first is under way, is given the first.
    let until_done = UniqueMode::UntilDone;
    let film = producer.enqueue(&convert("film".to_owned())).unique("film", until_done).await?;
    let again = producer.enqueue(&convert("film".to_owned())).unique("film", until_done).await?;
    println!("one task: {}", film.id() == again.id());
    println!("{}, at attempt {:?}", film.result().await?, film.outcome().await?.attempt);

    let letter = producer.enqueue(&print("letter".to_owned())).await?;
    println!("{}", letter.result().await.expect_err("there is no paper"));
    let dead = broker.dead_letter(letter.id()).await?.ok_or("it is not among the dead letters")?;
    println!("dead after {} attempts: {}", dead.attempts.len(), dead.error);

    outside.paper.store(true, Ordering::Relaxed);
    broker.revive(&[letter.id()], &Requester::new("ada").because("there is paper")).await?;
    println!("{}", letter.result().await?);

    shutdown.drain();
    running.await??;
    Ok(())
}
