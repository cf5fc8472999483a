//! The smallest whole: two tasks, a producer and a worker, here in one process. Not how a service
//! is laid out: there they are processes of their own, on any number of machines.
//!
//! `CELERIAC_REDIS_URL=redis://127.0.0.1:6379/ cargo run -p celeriac --example hello`

use std::error::Error;

use celeriac::{Broker, Context, Data, Producer, RedisConfig, Registry, Shutdown, TaskError};
use celeriac::{Worker, WorkerConfig};

/// Waits for others most of the time: an async task. `greeting` is filled in by the worker.
#[celeriac::task(name = "greet", queue = "hello", retries = 5, timeout = "30s")]
async fn greet(name: String, greeting: Data<String>) -> Result<String, TaskError> {
    if name.is_empty() {
        return Err(TaskError::fatal("there is nobody to greet"));
    }
    Ok(format!("{}, {name}!", *greeting))
}

/// Computes: it gets a thread to itself, and asks from time to time whether it should stop.
#[celeriac::task(name = "count_primes", queue = "hello", cpu)]
fn count_primes(below: u64, ctx: Context) -> Result<u64, TaskError> {
    let mut primes = 0;
    for n in 2..below {
        if ctx.is_cancelled() {
            return Err(TaskError::cancelled());
        }
        let has_divisor = (2..).take_while(|d| d * d <= n).any(|d| n % d == 0);
        primes += u64::from(!has_divisor);
    }
    Ok(primes)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("CELERIAC_REDIS_URL");
    let config = url.map_or_else(|_| RedisConfig::default(), RedisConfig::new);

    let tasks = Registry::new("Hello".to_owned()).add::<greet>().add::<count_primes>().build();
    // A queue of its own: the stock worker of `celeriac up` serves `default` and knows none of these.
    let settings = WorkerConfig { queues: vec!["hello".parse()?], ..WorkerConfig::default() };
    let worker = Worker::new(Broker::new(config.clone())?, tasks, settings)?;
    let shutdown = Shutdown::new();
    let running = tokio::spawn(worker.run(shutdown.clone()));

    let producer = Producer::connect(config).await?;
    let greeting = producer.enqueue(&greet("Ada".to_owned())).await?;
    let primes = producer.enqueue(&count_primes(100_000)).priority(7).await?;
    println!("{}", greeting.result().await?);
    println!("{} primes below 100,000", primes.result().await?);

    shutdown.drain();
    println!("the worker ran {} tasks", running.await??.succeeded);
    Ok(())
}
