//! What idle workers cost: the memory of one, and the share of a core that a thousand of them cost
//! Redis.

use std::time::{Duration, Instant};

use celeriac_broker_schema::{Broker, WorkerInfo};
use celeriac_worker::{Shutdown, Worker, WorkerConfig, WorkerError, builtin};
use tokio::task::JoinSet;

use crate::bench::place::{Place, info_number};
use crate::bench::report::Report;
use crate::bench::workers::Workers;
use crate::error::CliError;
use crate::format::grouped;
use crate::globals::Globals;

/// Idle workers that Redis is measured with. They share this process; Redis cannot tell.
const WORKERS: usize = 1_000;
/// How long they are watched: twice the longest time between two signs of life.
const WATCH: Duration = Duration::from_secs(25);

pub(super) async fn measure(
    place: &Place,
    report: &mut Report,
    globals: &Globals,
) -> Result<(), CliError> {
    globals.talk("  the memory of an idle worker, for 5 s");
    report.worker_rss_mib = memory_of_one(&*place.fresh().await?).await?;
    globals.talk(format_args!(
        "  the processor time of Redis with {} idle workers, for {} s",
        grouped(WORKERS as u64),
        WATCH.as_secs()
    ));
    report.idle_redis_percent = Some(load_of_many(place).await?);
    Ok(())
}

async fn memory_of_one(broker: &Broker) -> Result<Option<f64>, CliError> {
    let workers = Workers::start(broker, 1, 2).await?;
    // It tells its memory with every sign of life; the second one comes when it has settled.
    let begin = Instant::now();
    let mut rss = None;
    while begin.elapsed() < Duration::from_secs(5) {
        let page = broker.workers(0, 1).await?.page;
        let info = page
            .first()
            .and_then(|worker| serde_json::from_str::<WorkerInfo>(&worker.description).ok());
        rss = info
            .and_then(|info| info.rss_bytes)
            .map(|bytes| bytes as f64 / 1024.0 / 1024.0)
            .or(rss);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    workers.stop().await;
    Ok(rss)
}

async fn load_of_many(place: &Place) -> Result<f64, CliError> {
    allow_many_files();
    let broker = place.fresh().await?;
    let shutdown = Shutdown::new();
    let mut workers: JoinSet<Result<_, WorkerError>> = JoinSet::new();
    for _ in 0..WORKERS {
        let config = WorkerConfig { concurrency: 1, ..WorkerConfig::default() };
        let worker = Worker::new(broker.separate()?, builtin::tasks(), config)?;
        workers.spawn(worker.run(shutdown.clone()));
    }
    while broker.snapshot(1, 0).await?.leases < WORKERS as u64 {
        if let Some(ended) = workers.try_join_next() {
            let ended = ended.map_err(|error| CliError::Bug(error.to_string()))?;
            return Err(ended.map(|_| CliError::NoWorkerLeft).unwrap_or_else(CliError::from));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Starting them is not part of it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (begin, before) = (Instant::now(), cpu_seconds(&broker).await?);
    tokio::time::sleep(WATCH).await;
    let share = (cpu_seconds(&broker).await? - before) / begin.elapsed().as_secs_f64();
    shutdown.now();
    while workers.join_next().await.is_some() {}
    Ok(share * 100.0)
}

async fn cpu_seconds(broker: &Broker) -> Result<f64, CliError> {
    let user = info_number(broker, "cpu", "used_cpu_user").await?;
    Ok(user + info_number(broker, "cpu", "used_cpu_sys").await?)
}

/// A thousand workers have some thousand connections.
fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If the system refuses, the workers say so.
    let _ = setrlimit(Resource::Nofile, limit);
}
