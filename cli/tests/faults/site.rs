//! Where faults happen: a namespace on a Redis, workers as processes, and what is known of both.

use std::fmt::Display;
use std::ops::Deref;

use celeriac_broker_schema::script::{JobView, Snapshot};
use celeriac_broker_schema::{Broker, JobId, RedisConfig};
use celeriac_producer::Producer;
use celeriac_testkit::dump::dump;
use celeriac_testkit::{Process, eventually};
use serde_json::Value;

use crate::common::{Celeriac, SOON};

/// A fresh namespace, and the ways into it.
pub(crate) struct Site {
    celeriac: Celeriac,
    pub(crate) broker: Broker,
    pub(crate) producer: Producer,
}

/// A worker process, known by its first lease.
pub(crate) struct Worker {
    process: Process,
    pub(crate) lease: String,
}

impl Deref for Worker {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Site {
    pub(crate) fn new(celeriac: Celeriac) -> Self {
        let namespace = celeriac.namespace.parse().unwrap();
        let broker = Broker::new(RedisConfig::new(&*celeriac.url).namespace(namespace)).unwrap();
        Self { celeriac, producer: Producer::new(broker.clone()), broker }
    }

    /// Starts a worker whose silence is noticed after a second, and waits until it is ready. On a busy
    /// machine any worker may be silent for so long: none is suspected for that.
    pub(crate) async fn worker(&self, slots: usize) -> Worker {
        self.worker_with(slots, "--visibility-timeout 1s --crash-limit 100").await
    }

    pub(crate) async fn worker_with(&self, slots: usize, options: &str) -> Worker {
        let process = self.celeriac.worker(&format!("--concurrency {slots} {options}")).await;
        let lines = process.lines();
        let ready = lines.iter().find_map(|line| line.strip_prefix("ready: lease ")).unwrap();
        let lease = ready.split(' ').next().unwrap().to_owned();
        Worker { process, lease }
    }

    /// What `celeriac status` says of a task, a chunk or a job.
    pub(crate) fn status(&self, id: impl Display) -> Value {
        self.celeriac.json(&format!("status {id}"))
    }

    /// Waits for a state of the namespace.
    #[track_caller]
    pub(crate) fn until(
        &self,
        condition: impl Fn(&Snapshot) -> bool,
    ) -> impl Future<Output = Snapshot> {
        // An error is what a server that has just come back is good for.
        eventually(SOON, async move || match self.broker.snapshot(10, 10).await {
            Ok(snapshot) if condition(&snapshot) => Ok(snapshot),
            other => Err(format!("{other:?}")),
        })
    }

    /// A job as it is stored.
    pub(crate) async fn job(&self, id: JobId) -> JobView {
        let found = async || match self.broker.job(id).await {
            Ok((_, Some(view))) => Ok(view),
            other => Err(format!("{other:?}")),
        };
        eventually(SOON, found).await
    }

    /// Waits until so many chunks of a job are done.
    #[track_caller]
    pub(crate) fn until_done(&self, id: JobId, chunks: u64) -> impl Future<Output = ()> {
        eventually(SOON, async move || match self.job(id).await.done {
            done if done >= chunks => Ok(()),
            done => Err(format!("{done} of {chunks} chunks are done")),
        })
    }

    /// What a lease holds: names in flight.
    pub(crate) async fn held_by(&self, lease: &str) -> Vec<String> {
        let key = format!("{}inflight:{lease}", self.broker.keys().prefix());
        let found = dump(&self.celeriac.url, &key).await;
        let Some(Value::Object(fields)) = found.get(&key).map(|key| &key["value"]) else {
            return Vec::new();
        };
        fields.keys().filter(|name| *name != "#").cloned().collect()
    }

    /// Freezes a worker in the middle of something: it holds what it has not finished.
    pub(crate) async fn freeze_busy(&self, worker: &Worker) {
        eventually(SOON, async || {
            worker.freeze();
            if !self.held_by(&worker.lease).await.is_empty() {
                return Ok(());
            }
            worker.thaw();
            Err("it holds nothing".to_owned())
        })
        .await;
    }

    /// Waits until a lease is no more.
    pub(crate) async fn until_lost(&self, lease: &str) {
        let key = format!("{}leases", self.broker.keys().prefix());
        eventually(SOON, async || match dump(&self.celeriac.url, &key).await.get(&key) {
            Some(leases) if leases["value"].get(lease).is_some() => Err(leases.to_string()),
            _ => Ok(()),
        })
        .await;
    }

    /// Stops workers in good order, and asserts that they leave so, with nothing in flight.
    pub(crate) async fn drain(&self, workers: impl IntoIterator<Item = Worker>) {
        let workers: Vec<Worker> = workers.into_iter().collect();
        workers.iter().for_each(|worker| worker.terminate());
        for worker in workers {
            assert_eq!(worker.wait(SOON).await.code(), Some(0), "{}", *worker);
        }
        let left = self.until(|snapshot| snapshot.leases == 0).await;
        assert_eq!((left.orphans, left.tasks), (0, 0));
        let pattern = format!("{}inflight:*", self.broker.keys().prefix());
        assert!(dump(&self.celeriac.url, &pattern).await.is_empty());
    }
}
