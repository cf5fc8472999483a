//! What operators do while everything runs, from a program: pause a queue and say why, bound its
//! length, see why a task waits, limit how many run at once, tell a worker to change, purge, cancel.
//! The command does the same: `celeriac queues`, `limits`, `explain`, `workers`, `cancel`.
//!
//! `CELERIAC_REDIS_URL=redis://127.0.0.1:6379/ cargo run -p celeriac --example operate`

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use celeriac::{Broker, Cancelled, Control, Data, EnqueueError, Event, Limit, Order, OrderSeen};
use celeriac::{Place, Priority, Producer, QueueName, Reason, RedisConfig, Registry, Requester};
use celeriac::{Shutdown, Subject, TaskError, Worker, WorkerConfig};

/// How many run at once, and how many did at most.
#[derive(Clone, Default)]
struct AtOnce {
    now: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
}

/// Takes a moment.
#[celeriac::task(name = "operate/export", queue = "operate")]
async fn export(table: String, at_once: Data<AtOnce>) -> Result<String, TaskError> {
    let now = at_once.now.fetch_add(1, Ordering::Relaxed) + 1;
    at_once.most.fetch_max(now, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(20)).await;
    at_once.now.fetch_sub(1, Ordering::Relaxed);
    Ok(format!("{table} is exported"))
}

/// Nothing runs yet: what happens to a queue whose workers must not go on.
async fn before_there_are_workers(
    broker: &Broker,
    producer: &Producer,
    queue: &QueueName,
) -> Result<(), Box<dyn Error>> {
    let ada = Requester::new("ada").because("the disk is full");
    broker.control_queue(queue, Control::Pause, &ada).await?;
    broker.control_queue(queue, Control::Limit(2.try_into()?), &ada).await?;

    let users = producer.enqueue(&export("users".to_owned())).await?;
    producer.enqueue(&export("orders".to_owned())).await?;
    match producer.enqueue(&export("logs".to_owned())).await {
        Err(EnqueueError::QueueFull { limit, note, .. }) => {
            let Requester { by, why } = note.who;
            let (by, why) = (by.unwrap_or_default(), why.unwrap_or_default());
            println!("no more than {limit} may wait, says {by}: {why}");
        }
        other => println!("it should be full: {other:?}"),
    }
    let place = Place::Ready(Priority::default());
    let waiting = broker.queued(queue, &place, 0, 10).await?.tasks;
    println!("{} wait, the users among them: {}", waiting.len(), waiting.contains(&users.id()));
    for reason in broker.explain(users.id()).await?.reasons {
        if let Reason::QueuePaused { by, why, .. } = reason {
            println!("paused by {}: {}", by.unwrap_or_default(), why.unwrap_or_default());
        }
    }
    // Whoever cancels one task is told what became of it; a purge takes all that wait.
    println!("cancelled: {}", users.cancel().await? == Cancelled::Done);
    let keep = Duration::from_secs(60);
    println!("purged: {}", broker.purge_queue(queue, false, keep, &ada).await?.tasks);
    broker.control_queue(queue, Control::Unlimit, &ada).await?;
    broker.control_queue(queue, Control::Resume, &ada).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("CELERIAC_REDIS_URL");
    let config = url.map_or_else(|_| RedisConfig::default(), RedisConfig::new);
    let broker = Broker::new(config.clone())?;
    let producer = Producer::connect(config).await?;
    let queue: QueueName = "operate".parse()?;
    before_there_are_workers(&broker, &producer, &queue).await?;

    let at_once = AtOnce::default();
    let tasks = Registry::new(at_once.clone()).add::<export>().build();
    let settings = WorkerConfig { queues: vec![queue], concurrency: 4, ..WorkerConfig::default() };
    let mut worker = Worker::new(broker.clone(), tasks, settings)?;
    let mut events = worker.events();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(worker.run(shutdown));

    // One export at once, whatever the workers could do. It holds for all of them, from now on.
    let one: Limit = Limit::new(None, Some(1))?;
    let exports: Subject = "task:operate/export".parse()?;
    let ada = Requester::new("ada").because("one disk");
    broker.limit(&exports, Some(&one), &ada).await?;
    let mut handles = Vec::new();
    for table in ["users", "orders", "logs", "bills"] {
        handles.push(producer.enqueue(&export(table.to_owned())).await?);
    }
    for handle in &handles {
        println!("{}", handle.result().await?);
    }
    println!("at once: {}", at_once.most.load(Ordering::Relaxed));
    broker.limit(&exports, None, &ada).await?;

    // A worker is named by its lease. This one is told to leave; people find leases with `Broker::workers`.
    let Some(Event::Opened { lease }) = events.next().await else { return Err("no lease".into()) };
    let ada = Requester::new("ada").because("a new machine");
    let seen = broker.order(&lease, &Order::Drain, &ada).await?;
    println!("told: {}", matches!(seen, OrderSeen::Kept(_)));
    println!("it ran {} tasks and has left", running.await??.succeeded);
    Ok(())
}
