//! What the tests share: a namespace of their own on a real Redis, workers in it, and its state.

use std::collections::BTreeMap;
use std::time::Duration;

use celeriac_broker_schema::script::{Snapshot, WorkerView};
use celeriac_broker_schema::{Backoff, Broker, RedisConfig, WorkerInfo};
use celeriac_producer::{NewTask, Producer};
use celeriac_testkit::dump::dump;
use celeriac_testkit::redis::{connect, fresh_namespace};
use celeriac_testkit::{TestRedis, eventually};
use celeriac_worker::task::Tasks;
use celeriac_worker::{Shutdown, Summary, Worker, WorkerConfig, WorkerError, builtin};
use redis::aio::MultiplexedConnection;
use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinHandle;

/// Longer than anything takes that works.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A fresh namespace on the server that all tests share.
pub(crate) async fn broker() -> Broker {
    broker_on(TestRedis::shared().await.url())
}

/// A fresh namespace on some server.
pub(crate) fn broker_on(url: &str) -> Broker {
    let namespace = fresh_namespace().parse().expect("a namespace");
    Broker::new(RedisConfig::new(url).namespace(namespace)).expect("a URL")
}

/// The same namespace by another way.
pub(crate) fn by_way_of(url: &str, broker: &Broker) -> Broker {
    let namespace = broker.config().namespace.clone();
    Broker::new(RedisConfig::new(url).namespace(namespace)).expect("a URL")
}

pub(crate) fn producer(broker: &Broker) -> Producer {
    Producer::new(broker.clone())
}

/// A task by name, that is not tried again.
pub(crate) fn task(name: &str, args: &impl Serialize) -> NewTask {
    NewTask::new(name, args).expect("a task").retries(0)
}

/// The same, tried again at once and so often.
pub(crate) fn with_retries(task: NewTask, retries: u32) -> NewTask {
    task.retries(retries).backoff(Backoff { base_ms: 0, cap_ms: 0, ..Default::default() })
}

/// Two slots, and a lease that no busy machine loses.
pub(crate) fn config() -> WorkerConfig {
    WorkerConfig { concurrency: 2, ..WorkerConfig::default() }
}

/// One slot.
pub(crate) fn one_slot() -> WorkerConfig {
    WorkerConfig { concurrency: 1, ..config() }
}

/// Two slots, and a lease that is soon noticed to be lost.
pub(crate) fn short_lease() -> WorkerConfig {
    WorkerConfig { visibility: Duration::from_secs(1), ..config() }
}

/// A worker in this process.
pub(crate) struct Running {
    pub(crate) shutdown: Shutdown,
    pub(crate) ended: JoinHandle<Result<Summary, WorkerError>>,
}

impl Running {
    pub(crate) fn start(broker: &Broker, tasks: Tasks, config: WorkerConfig) -> Self {
        let worker =
            Worker::new(broker.separate().expect("a URL"), tasks, config).expect("settings");
        let shutdown = Shutdown::new();
        let ended = tokio::spawn(worker.run(shutdown.clone()));
        Self { shutdown, ended }
    }

    /// A stock worker.
    pub(crate) fn stock(broker: &Broker) -> Self {
        Self::start(broker, builtin::tasks(), config())
    }

    /// Stops it in good order.
    pub(crate) async fn drain(self) -> Summary {
        self.shutdown.drain();
        self.left().await
    }

    /// Waits until it has left.
    pub(crate) async fn left(self) -> Summary {
        let ended = tokio::time::timeout(LONG, self.ended).await.expect("the worker leaves");
        ended.expect("no panic").expect("the worker ran")
    }

    /// Ends it as a crash would, within this process: nothing is told to anybody.
    pub(crate) fn abandon(self) {
        self.ended.abort();
    }
}

/// A connection for raw commands.
pub(crate) async fn raw(broker: &Broker) -> MultiplexedConnection {
    connect(broker.config().url_with_secret()).await
}

/// A key of the shard.
pub(crate) fn key(broker: &Broker, name: &str) -> String {
    format!("{}{name}", broker.keys().prefix())
}

/// All keys of the shard by their names without prefix, with their values.
pub(crate) async fn state(broker: &Broker) -> BTreeMap<String, Value> {
    let prefix = broker.keys().prefix();
    let all = dump(broker.config().url_with_secret(), &format!("{prefix}*")).await;
    all.into_iter()
        .map(|(key, mut entry)| (key[prefix.len()..].to_owned(), entry["value"].take()))
        .collect()
}

/// Asserts that nothing is ready, delayed, held, leased or waited for any more, and that what
/// outlives the work is bounded or expires.
#[track_caller]
pub(crate) fn assert_finished(broker: &Broker) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let prefix = broker.keys().prefix();
        let all = dump(broker.config().url_with_secret(), &format!("{prefix}*")).await;
        let left: BTreeMap<_, _> =
            all.into_iter().filter(|(key, entry)| !may_stay(&key[prefix.len()..], entry)).collect();
        assert!(left.is_empty(), "at {caller}, there is still: {left:#?}");
        let checked = broker.check(1_000_000).await.expect("Redis is there");
        assert_eq!(checked, (Vec::new(), true), "at {caller}");
    }
}

fn may_stay(key: &str, entry: &Value) -> bool {
    let value = &entry["value"];
    match key.split(':').next() {
        Some("dead" | "stats" | "queues" | "recent") => true,
        // What is counted is either very little or expires.
        Some("figures") => {
            ["figures", "figures:total", "figures:names"].contains(&key) || entry["expires"] == true
        }
        Some("jobs") => key == "jobs:ended",
        Some("bell") => value.as_array().is_some_and(|tokens| tokens.len() <= 1),
        Some("chunks") => {
            value.as_object().is_some_and(|counts| counts.values().all(|count| count == "0"))
        }
        Some("result" | "job" | "producer" | "unique" | "watch") => entry["expires"] == true,
        _ => false,
    }
}

pub(crate) async fn snapshot(broker: &Broker) -> Snapshot {
    broker.snapshot(100, 100).await.expect("Redis is there")
}

/// One of the totals since the namespace began.
pub(crate) async fn stat(broker: &Broker, name: &str) -> u64 {
    snapshot(broker).await.stats.get(name).copied().unwrap_or(0)
}

/// Waits for a state of the namespace that announces itself by no event.
#[track_caller]
pub(crate) fn until(
    broker: &Broker,
    condition: impl Fn(&Snapshot) -> bool,
) -> impl Future<Output = Snapshot> {
    // An error is what a server that has just come back is good for.
    eventually(LONG, async move || match broker.snapshot(100, 100).await {
        Ok(snapshot) if condition(&snapshot) => Ok(snapshot),
        other => Err(format!("{other:?}")),
    })
}

/// The open leases.
pub(crate) async fn leases(broker: &Broker) -> Vec<String> {
    let mut command = redis::cmd("ZRANGE");
    command.arg(key(broker, "leases")).arg(0).arg(-1);
    command.query_async(&mut raw(broker).await).await.expect("Redis is there")
}

/// Ends a lease before its time, as if its worker had been silent for too long. What it held goes
/// back.
pub(crate) async fn lose(broker: &Broker, lease: &str) {
    let mut raw = raw(broker).await;
    let mut expire = redis::cmd("ZADD");
    expire.arg(key(broker, "leases")).arg("XX").arg(1).arg(lease);
    // The worker may renew it between the two.
    eventually(LONG, async || {
        let _: () = expire.query_async(&mut raw).await.expect("Redis is there");
        broker.reclaim(None, 1_000, 3).await.expect("Redis is there");
        match leases(broker).await {
            open if open.iter().any(|open| open == lease) => Err(format!("{open:?}")),
            _ => Ok(()),
        }
    })
    .await;
}

/// Waits until the one worker of the namespace tells this of itself.
#[track_caller]
pub(crate) fn told(
    broker: &Broker,
    condition: impl Fn(&WorkerView, &WorkerInfo) -> bool,
) -> impl Future<Output = (WorkerView, WorkerInfo)> {
    eventually(LONG, async move || match workers(broker).await.pop() {
        Some((view, info)) if condition(&view, &info) => Ok((view, info)),
        other => Err(format!("{other:?}")),
    })
}

/// The workers of the namespace, as they describe themselves.
pub(crate) async fn workers(broker: &Broker) -> Vec<(WorkerView, WorkerInfo)> {
    let page = broker.workers(0, 100).await.expect("Redis is there").page;
    let read = |view: WorkerView| {
        let info = serde_json::from_str(&view.description).expect("a description");
        (view, info)
    };
    page.into_iter().map(read).collect()
}
