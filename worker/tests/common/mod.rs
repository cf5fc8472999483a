//! What the tests of the worker share: a namespace of their own on a real Redis, and workers in it.

use std::time::Duration;

use celeriac_broker_schema::{Broker, RedisConfig};
use celeriac_producer::Producer;
use celeriac_testkit::TestRedis;
use celeriac_testkit::redis::fresh_namespace;
use celeriac_worker::task::Tasks;
use celeriac_worker::{Shutdown, Summary, Worker, WorkerConfig, WorkerError, builtin};
use tokio::task::JoinHandle;

/// Longer than anything takes that works.
pub const LONG: Duration = Duration::from_secs(30);

/// A fresh namespace on the shared server.
pub async fn broker() -> Broker {
    broker_on(TestRedis::shared().await.url())
}

/// A fresh namespace on some server.
pub fn broker_on(url: &str) -> Broker {
    let namespace = fresh_namespace().parse().expect("a namespace");
    Broker::new(RedisConfig::new(url).namespace(namespace)).expect("a URL")
}

pub fn producer(broker: &Broker) -> Producer {
    Producer::new(broker.clone())
}

/// Two slots, and a lease that is noticed soon when it ends.
pub fn config() -> WorkerConfig {
    WorkerConfig {
        concurrency: 2,
        visibility: Duration::from_secs(1),
        drain_timeout: Duration::from_secs(5),
        ..WorkerConfig::default()
    }
}

/// A worker in this process.
pub struct Running {
    pub shutdown: Shutdown,
    pub ended: JoinHandle<Result<Summary, WorkerError>>,
}

impl Running {
    pub fn start(broker: &Broker, tasks: Tasks, config: WorkerConfig) -> Self {
        let worker =
            Worker::new(broker.separate().expect("a URL"), tasks, config).expect("settings");
        let shutdown = Shutdown::new();
        let ended = tokio::spawn(worker.run(shutdown.clone()));
        Self { shutdown, ended }
    }

    /// A stock worker.
    pub fn stock(broker: &Broker) -> Self {
        Self::start(broker, builtin::tasks(), config())
    }

    /// Stops it in good order.
    pub async fn drain(self) -> Summary {
        self.shutdown.drain();
        self.ended.await.expect("no panic").expect("the worker ran")
    }
}
