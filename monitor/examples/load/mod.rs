//! Work of all sorts, and workers that do it: what the pictures of the docs show, and what the
//! browser tests look at.

use std::error::Error;
use std::time::Duration;

use celeriac::{
    Attempt, Broker, Chunk, Context, Control, Handle, JobId, Limit, NewJob, NewTask, Priority,
    Producer, Rate, RedisConfig, Registry, Requester, Schedule, Shutdown, TaskError, TaskId,
    Worker, WorkerConfig,
};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What was enqueued, for those who want to look at it closely.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// A job that takes a while.
    pub(crate) job: JobId,
    /// A job that fails.
    pub(crate) failed_job: JobId,
    /// A task that fails for good after some attempts.
    pub(crate) failed: TaskId,
    /// A task that waits in a queue without a worker.
    pub(crate) stuck: TaskId,
    /// A task that succeeds.
    pub(crate) succeeded: TaskId,
    /// A task that tells how far it is, for a minute.
    pub(crate) long: TaskId,
}

/// Mails to some addresses never arrive, and to some others at the second attempt.
#[celeriac::task(name = "mail/send", queue = "mail", retries = 2)]
async fn send(to: String, order: u64, attempt: Attempt) -> std::result::Result<u64, TaskError> {
    sleep(Duration::from_millis(15 + order % 40)).await;
    match order {
        _ if order % 61 == 7 => Err(TaskError::retry_after(
            Duration::from_millis(150),
            format!("no such address: {to}"),
        )),
        _ if order % 17 == 3 && attempt.0 == 1 => {
            Err(TaskError::retry_after(Duration::from_millis(300), "connection reset by peer"))
        }
        _ if order % 157 == 5 => Err(TaskError::fatal(format!("order {order} has no lines"))),
        _ => Ok(order),
    }
}

#[derive(Serialize, Deserialize)]
struct Sizes {
    images: u64,
    bytes: u64,
}

/// One chunk in a while takes far longer than the others.
#[celeriac::task(name = "thumbnail", queue = "media", retries = 2)]
async fn thumbnail(
    images: u64,
    chunk: Chunk,
    attempt: Attempt,
    ctx: Context,
) -> std::result::Result<Sizes, TaskError> {
    let steps = if chunk.index % 211 == 40 { 400 } else { 4 + chunk.index % 5 };
    for step in 0..steps {
        ctx.progress(step, steps);
        sleep(Duration::from_millis(25)).await;
    }
    if chunk.index % 97 == 30 && attempt.0 == 1 {
        return Err(TaskError::retry_after(Duration::from_secs(20), "the image server is busy"));
    }
    Ok(Sizes { images, bytes: images * 18_411 })
}

#[celeriac::task(name = "gallery", queue = "media")]
async fn gallery(images: u64, bytes: u64) -> std::result::Result<Sizes, TaskError> {
    Ok(Sizes { images, bytes })
}

#[celeriac::task(name = "import", queue = "etl")]
async fn import(rows: u64, chunk: Chunk) -> std::result::Result<u64, TaskError> {
    sleep(Duration::from_millis(40)).await;
    match chunk.index {
        23 => Err(TaskError::fatal("shard 7, row 1 417: the date is not readable")),
        _ => Ok(rows),
    }
}

#[celeriac::task(name = "warehouse/export", queue = "etl")]
async fn export(tables: u64, ctx: Context) -> std::result::Result<u64, TaskError> {
    for done in 0..600 {
        ctx.progress_with(done, 600, format!("table {} of {tables}", done * tables / 600 + 1));
        sleep(Duration::from_millis(100)).await;
    }
    Ok(tables)
}

#[celeriac::task(name = "report", queue = "default")]
async fn report(kind: String) -> std::result::Result<String, TaskError> {
    sleep(Duration::from_millis(120)).await;
    Ok(format!("the {kind} report"))
}

/// Workers that stop when this is dropped.
pub(crate) struct Workers(Vec<Shutdown>);

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.iter().for_each(Shutdown::now);
    }
}

/// Starts workers. Each has a shutdown of its own: one that is drained drains no other.
pub(crate) fn workers(config: &RedisConfig) -> Result<Workers> {
    let mut workers = Workers(Vec::new());
    for (queues, concurrency) in
        [("mail default", 4), ("media default", 8), ("media mail", 6), ("etl default", 3)]
    {
        let tasks = Registry::new(())
            .add::<send>()
            .add::<thumbnail>()
            .add::<gallery>()
            .add::<import>()
            .add::<export>()
            .add::<report>()
            .build();
        let queues = queues.split(' ').map(str::parse).collect::<std::result::Result<_, _>>()?;
        let settings = WorkerConfig { queues, concurrency, ..WorkerConfig::default() };
        let worker = Worker::new(Broker::new(config.clone())?, tasks, settings)?;
        let shutdown = Shutdown::new();
        tokio::spawn(worker.run(shutdown.clone()));
        workers.0.push(shutdown);
    }
    Ok(workers)
}

/// Enqueues one of everything, and `mails` mails.
pub(crate) async fn enqueue(config: &RedisConfig, mails: u64) -> Result<Load> {
    let producer = Producer::connect(config.clone()).await?;
    settle_terms(&Broker::new(config.clone())?, &producer).await?;
    // Of many mails there is much to see, and a job that goes on while it is looked at.
    let chunks = if mails > 1_000 { 8_000 } else { 2_000 };
    let job = NewJob::of(&thumbnail(0), chunks)?
        .split("images", 24 * chunks)
        .sum("images")
        .sum("bytes")
        .reduce(NewTask::of(&gallery(0, 0))?)
        .label("Thumbnails of the autumn catalogue");
    let job = producer.enqueue_job(job).await?;
    let failing =
        NewJob::of(&import(0), 40)?.split("rows", 80_000).label("Import of the third quarter");
    let failing = producer.enqueue_job(failing).await?;
    let long = producer.enqueue_task(NewTask::of(&export(12))?.label("Nightly export")).await?;
    let done = producer.enqueue(&report("weekly".to_owned())).await?;
    let failed = producer.enqueue(&send("nobody@example.org".to_owned(), 68)).await?;
    let stuck = NewTask::of(&report("video".to_owned()))?.queue("video".parse()?);
    let stuck = producer.enqueue_task(stuck).await?;
    for hours in 1..6 {
        let later = NewTask::of(&report(format!("hour {hours}")))?;
        producer.enqueue_task(later.delay(Duration::from_secs(3_600 * hours))).await?;
    }
    for number in 0..3 {
        let task = NewTask::of(&report(format!("closing {number}")))?.queue("reports".parse()?);
        producer.enqueue_task(task.priority(Priority::new(4 + number)?)).await?;
    }
    let mail = |order: u64| {
        let to = format!("customer-{}@example.org", order % 900);
        NewTask::of(&send(to, order)).map(|mail| mail.tenant(tenant(order)))
    };
    producer
        .enqueue_many((0..mails).map(mail).collect::<std::result::Result<Vec<_>, _>>()?)
        .await?;
    Ok(Load {
        job: job.id().job(),
        failed_job: failing.id().job(),
        failed: id(&failed),
        stuck: id(&stuck),
        succeeded: id(&done),
        long: id(&long),
    })
}

fn id<T>(handle: &Handle<T>) -> TaskId {
    handle.id()
}

fn tenant(order: u64) -> celeriac::Tenant {
    let name = ["acme", "globex", "initech"][(order % 3) as usize];
    name.parse().expect("a tenant")
}

/// What people set before anything runs.
async fn settle_terms(broker: &Broker, producer: &Producer) -> Result<()> {
    let ana = Requester::new("ana").because("the warehouse is down");
    broker.control_queue(&"reports".parse()?, Control::Pause, &ana).await?;
    let rate = Rate { tasks: 40, per_ms: 1_000, burst: 10 };
    let slow = Limit::new(Some(rate), Some(6))?;
    broker.limit(&"task:mail/send".parse()?, Some(&slow), &Requester::new("ben")).await?;
    let schedules = producer.schedules();
    let daily = Schedule::cron("0 9 * * 1-5", NewTask::of(&report("daily".to_owned()))?);
    let often = Schedule::every(Duration::from_secs(5), NewTask::of(&report("pulse".to_owned()))?);
    let yearly = Schedule::cron("@yearly", NewTask::of(&report("yearly".to_owned()))?);
    for (name, schedule) in [
        ("reports/daily", daily.zone("Europe/Berlin")),
        ("pulse", often),
        ("reports/yearly", yearly),
    ] {
        schedules.put(&name.parse()?, &schedule, celeriac::Replace::Any).await?;
    }
    schedules.pause(&"reports/yearly".parse()?, "ana", "nobody reads it").await?;
    Ok(())
}
