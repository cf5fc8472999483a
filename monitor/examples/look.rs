//! Something to look at while one works on the pages: a private Redis, jobs and tasks of all
//! sorts, workers that only pretend to work, and the monitor on a free port.
//!
//! `cargo run -p celeriac-monitor --example look`, then Ctrl-C.

use std::error::Error;
use std::time::Duration;

use celeriac_broker_schema::script::{Claim, Claimed, Ending, Entry, Opened, RangeJob, Run, Start};
use celeriac_broker_schema::{
    Accumulate, Attempt, Broker, ClientId, Delta, ErrorKind, JobSpec, LeaseId, Outcome, Priority,
    Progress, QueueName, Record, RedisConfig, RunningTask, Split, State, TaskFailure, TaskId,
    TaskOptions, Timestamp, WorkerInfo,
};
use celeriac_monitor::{Monitor, MonitorConfig, serve};
use celeriac_private_server::{Options, PrivateServer};
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

const LIVE: Duration = Duration::from_secs(10);
const VISIBILITY: Duration = Duration::from_secs(10);

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let redis = PrivateServer::start(Options::default())?;
    let broker = Broker::new(RedisConfig::new(redis.url()))?;
    seed(&broker).await?;
    for (host, slots, queues) in
        [("render-1", 4, "default mail"), ("render-2", 8, "default"), ("etl-7", 2, "etl default")]
    {
        tokio::spawn(pretend(broker.clone(), host, slots, queues));
    }
    let listen = std::env::args().nth(1).unwrap_or("127.0.0.1:0".to_owned());
    let config = MonitorConfig { listen: listen.parse()?, ..MonitorConfig::default() };
    let listener = config.bind().await?;
    println!("http://{}", listener.local_addr()?);
    let shutdown = CancellationToken::new();
    let serving = serve(listener, Monitor::new(broker, config), shutdown.clone());
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => ended?,
        _ = tokio::signal::ctrl_c() => {
            shutdown.cancel();
            serving.await?;
        }
    }
    Ok(())
}

async fn seed(broker: &Broker) -> Result<()> {
    let producer = ClientId::new();
    let now = broker.snapshot(1, 1).await?.now;
    let jobs = [
        ("pi", "Pi, 2 billion samples", 4_000, "default", Some("pi-reduce")),
        ("thumbnail", "Nightly thumbnails", 900, "default", None),
        ("import", "Import 2026-Q3 <b>eu</b>", 1_000_000, "etl", Some("merge")),
        ("score", "", 25, "default", None),
    ];
    let mut number = 0;
    for (task, label, chunks, queue, reduce) in jobs {
        number += 1;
        let job = job(now, task, label, chunks, queue, reduce)?;
        broker.enqueue_range(&producer, number, &job).await?;
    }
    let mut entries = Vec::new();
    for i in 0..400 {
        let delay_ms = (i % 10 == 0).then_some(3_600_000);
        entries.push(entry(now, "mail/send", if i % 7 == 0 { 9 } else { 3 }, "mail", delay_ms)?);
    }
    entries.push(entry(now, "transcode", 5, "video", None)?);
    broker.enqueue(&producer, number + 1, &entries).await?;
    Ok(())
}

fn job(
    now: Timestamp,
    task: &str,
    label: &str,
    chunks: u64,
    queue: &str,
    reduce: Option<&str>,
) -> Result<RangeJob> {
    let args = to_raw_value(&serde_json::json!({"seed": 7, "samples": 0, "region": "eu"}))?;
    let (task, queue): (_, QueueName) = (task.parse()?, queue.parse()?);
    let options = TaskOptions { queue: queue.clone(), ..TaskOptions::default() };
    let spec = JobSpec {
        v: 1,
        chunk: Record::new(&task, &args, &options),
        chunks,
        split: Some(Split { field: "samples".to_owned(), total: 2_000_000_000 }),
        accumulate: [("hits".to_owned(), Accumulate::Sum), ("slowest".to_owned(), Accumulate::Max)]
            .into(),
        reduce: reduce.map(Into::into),
        label: (!label.is_empty()).then(|| label.into()),
        submitted_by: Some("ana@web-3".into()),
        workflow: None,
        speculate: None,
    };
    let reducer = reduce.map(|name| -> Result<_> {
        let name = name.parse()?;
        Ok((Record::new(&name, &args, &options).encode()?, queue.clone(), Priority::default()))
    });
    Ok(RangeJob {
        id: TaskId::new(now).job(),
        spec: spec.encode()?,
        chunks,
        queue: queue.clone(),
        priority: Priority::default(),
        keep_ms: 86_400_000,
        reducer: reducer.transpose()?,
        unique: None,
        speculate: None,
    })
}

fn entry(
    now: Timestamp,
    task: &str,
    priority: u8,
    queue: &str,
    delay_ms: Option<u64>,
) -> Result<Entry> {
    let args = to_raw_value(&serde_json::json!({"to": "ana@example.org", "order": 4711}))?;
    let (task, queue, priority) = (task.parse()?, queue.parse()?, Priority::new(priority)?);
    let options = TaskOptions { queue, priority, ..TaskOptions::default() };
    Ok(Entry {
        id: TaskId::new(now),
        record: Record::new(&task, &args, &options).encode()?,
        queue: options.queue.clone(),
        priority,
        start: Start { delay_ms, ..Start::default() },
        unique: None,
    })
}

/// Something that a worker holds.
enum Held {
    Task(TaskId, String),
    Chunk(Run, u64),
}

/// A worker that claims, waits a moment, and reports.
async fn pretend(
    broker: Broker,
    host: &'static str,
    slots: usize,
    queues: &'static str,
) -> Result<()> {
    let lease = LeaseId::new();
    let Opened::At(mut now) = broker.open(&lease, VISIBILITY).await? else {
        return Err("two leases have the same id".into());
    };
    let queues: Vec<QueueName> =
        queues.split(' ').map(str::parse).collect::<std::result::Result<_, _>>()?;
    let (mut held, mut number, mut ended) = (Vec::<Held>::new(), 0, (0, 0));
    loop {
        number += 1;
        let endings: Vec<Ending> =
            held.drain(..).map(|held| ending(held, &lease, now, &mut ended)).collect();
        let claim = Claim {
            lease: &lease,
            number,
            want: slots,
            suspect: true,
            crash_limit: 3,
            queues: &queues,
            room: None,
        };
        let Claimed::Granted(grant) = broker.complete(&claim, &endings).await? else {
            return Err("the lease was lost".into());
        };
        now = grant.now;
        for task in grant.tasks {
            let record = String::from_utf8(task.record)?;
            held.push(Held::Task(task.id, Record::decode(&record)?.task.to_string()));
        }
        for run in grant.runs {
            held.extend((run.lo..run.hi).map(|index| Held::Chunk(run.clone(), index)));
        }
        let jobs: Vec<_> = held
            .iter()
            .filter_map(|held| match held {
                Held::Chunk(run, _) => Some(run.job),
                Held::Task(..) => None,
            })
            .collect();
        broker.renew(&lease, VISIBILITY, &jobs).await?;
        for step in 1..=4 {
            let info = describe(host, slots, &queues, &held, ended, now, step);
            broker.beat(&lease, LIVE, Some(&serde_json::to_string(&info)?)).await?;
            sleep(Duration::from_millis(80 + 40 * slots as u64)).await;
        }
    }
}

fn ending(
    held: Held,
    lease: &LeaseId,
    now: Timestamp,
    (succeeded, failed): &mut (u64, u64),
) -> Ending {
    let failure = TaskFailure::new(ErrorKind::Error, "shard 7: connection reset by peer")
        .with_trace("import::fetch\n  at src/fetch.rs:88\nimport::chunk\n  at src/chunk.rs:17");
    let attempt = |attempt| Attempt {
        attempt,
        outcome: "failed".into(),
        worker: lease.to_string(),
        host: None,
        claimed: None,
        started: Some(now),
        ended: now.plus_ms(40),
        error: Some(failure.clone()),
        retry_in_ms: Some(1_500),
        by: None,
        why: None,
    };
    let outcome = |state, error| Outcome {
        v: 1,
        state,
        task: Some("pi".to_owned()),
        queue: None,
        result: Some(RawValue::from_string("{\"pi\":3.14159265}".to_owned()).expect("JSON")),
        members: None,
        error,
        failed_task: None,
        attempt: Some(1),
        worker: Some(lease.to_string()),
        started: Some(now),
        ended: now.plus_ms(40),
        by: None,
        why: None,
        attempts: Vec::new(),
    };
    match held {
        Held::Task(id, _) => {
            *succeeded += 1;
            Ending::Succeeded {
                id,
                outcome: json(&outcome(State::Succeeded, None)),
                keep_ms: 86_400_000,
            }
        }
        Held::Chunk(run, index)
            if run.spec.contains("import") && index == 60 && run.attempt == 1 =>
        {
            Ending::ChunkRetry {
                run: run.field,
                index,
                delay_ms: 1_500,
                attempt: json(&attempt(run.attempt)),
            }
        }
        Held::Chunk(run, index) if run.spec.contains("thumbnail") && index == 150 => {
            *failed += 1;
            Ending::ChunkFailed {
                run: run.field,
                index,
                outcome: json(&outcome(State::Failed, Some(failure.clone()))),
                attempt: json(&attempt(run.attempt)),
                failure: json(&failure),
            }
        }
        Held::Chunk(run, index) => {
            *succeeded += 1;
            let delta = |op, name: &str, number: u64| Delta {
                op,
                name: name.to_owned(),
                number: number.to_string(),
            };
            let deltas = vec![
                delta("sum", "hits", 392_699 + index % 13),
                delta("max", "slowest", index % 97),
            ];
            Ending::ChunksSucceeded { run: run.field, lo: index, hi: index + 1, deltas }
        }
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data can be written as JSON")
}

fn describe(
    host: &str,
    slots: usize,
    queues: &[QueueName],
    held: &[Held],
    (succeeded, failed): (u64, u64),
    since: Timestamp,
    step: u64,
) -> WorkerInfo {
    let running = held.iter().map(|held| {
        let (id, task, attempt) = match held {
            Held::Task(id, task) => (*id, task.clone(), 1),
            Held::Chunk(run, index) => {
                let spec = JobSpec::decode(&run.spec).expect("we wrote it");
                (TaskId::of_chunk(run.job, *index), spec.chunk.task.to_string(), run.attempt)
            }
        };
        let progress = Progress {
            done: step * 25,
            total: 100,
            note: (step > 3).then(|| "writing".to_owned()),
        };
        RunningTask {
            id: id.to_string(),
            task,
            queue: Some("default".to_owned()),
            attempt,
            since,
            wedged: None,
            progress: (host != "render-2").then_some(progress),
        }
    });
    WorkerInfo {
        host: host.to_owned(),
        pid: 4242,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        queues: queues.iter().map(ToString::to_string).collect(),
        tasks: vec!["pi".to_owned()],
        slots: slots as u32,
        busy: held.len() as u32,
        open: std::collections::BTreeMap::new(),
        buffered: 0,
        draining: host == "etl-7",
        leaving: None,
        wedged: 0,
        paused: None,
        order: 0,
        started: Timestamp(0),
        succeeded,
        failed,
        visibility_ms: 10_000,
        rss_bytes: Some(19 << 20),
        running: running.collect(),
    }
}
