//! A task that runs again and again: every second, and each morning in Berlin. Any worker fires what
//! is due; there is no process of its own for it.
//!
//! `CELERIAC_REDIS_URL=redis://127.0.0.1:6379/ cargo run -p celeriac --example schedules`

use std::error::Error;
use std::time::Duration;

use celeriac::{
    Attempt, Broker, Data, NewTask, Overlap, Producer, RedisConfig, Registry, Replace, Schedule,
    ScheduleName, Shutdown, TaskError, Worker, WorkerConfig,
};
use tokio::sync::mpsc;

/// Tells of each run.
#[celeriac::task(queue = "schedules")]
async fn report(
    kind: String,
    attempt: Attempt,
    runs: Data<mpsc::UnboundedSender<String>>,
) -> Result<(), TaskError> {
    let said = runs.send(format!("the {kind} report, attempt {}", attempt.0));
    said.map_err(|_| TaskError::new("nobody listens"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("CELERIAC_REDIS_URL");
    let config = url.map_or_else(|_| RedisConfig::default(), RedisConfig::new);
    let producer = Producer::connect(config.clone()).await?;
    let schedules = producer.schedules();

    // A program may put its schedules whenever it starts: the same timing stays due when it was.
    let (often, mornings): (ScheduleName, ScheduleName) =
        ("reports/often".parse()?, "reports/mornings".parse()?);
    let latest = NewTask::of(&report("latest".to_owned()))?.expires_after(Duration::from_secs(60));
    let every = Schedule::every(Duration::from_secs(1), latest).overlap(Overlap::Skip);
    schedules.put(&often, &every, Replace::Any).await?;
    let daily = NewTask::of(&report("daily".to_owned()))?.label("The report of the day");
    let cron = Schedule::cron("0 9 * * 1-5", daily).zone("Europe/Berlin");
    let due = schedules.put(&mornings, &cron, Replace::Any).await?;
    println!("the mornings have a time: {}", due.is_some());

    let (said, mut runs) = mpsc::unbounded_channel();
    let tasks = Registry::new(said).add::<report>().build();
    let settings = WorkerConfig { queues: vec!["schedules".parse()?], ..WorkerConfig::default() };
    let shutdown = Shutdown::new();
    let worker = Worker::new(Broker::new(config)?, tasks, settings)?;
    let running = tokio::spawn(worker.run(shutdown.clone()));
    for _ in 0..2 {
        println!("{}", runs.recv().await.ok_or("the worker is gone")?);
    }

    // Changed in place: what is not named stays, and the label is still there.
    schedules.pause(&often, "the example", "it has run often enough").await?;
    let (_, view) = schedules.get(&mornings).await?;
    let changed = Schedule::of(&view)?.by_cron("30 8 * * 1-5").with(|task| task.tag("early"));
    schedules.put(&mornings, &changed, Replace::Revision(view.revision)).await?;
    let (_, view) = schedules.get(&mornings).await?;
    println!("{}", view.spec);

    // Now, whatever the time is.
    let id = schedules.run_now(&mornings).await?;
    producer.handle(id).outcome().await?;
    while let Some(run) = runs.recv().await {
        if run.contains("daily") {
            println!("{run}");
            break;
        }
    }
    schedules.remove(&often).await?;
    schedules.remove(&mornings).await?;
    shutdown.drain();
    running.await??;
    Ok(())
}
