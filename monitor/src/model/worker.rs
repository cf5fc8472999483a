//! One worker, as it tells of itself.

use celeriac_broker_schema::script::WorkerView;
use celeriac_broker_schema::{JobId, RunningTask, TaskId, Timestamp, WorkerInfo};
use schemars::JsonSchema;
use serde::Serialize;

/// A worker that shows signs of life.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Worker {
    /// Its lease.
    pub(crate) lease: String,
    /// When it was heard of last, once this monitor has noticed a heartbeat.
    pub(crate) heard: Option<Timestamp>,
    /// When it is forgotten unless it is heard of again.
    pub(crate) expires: Timestamp,
    /// What it tells of itself; None if that is not readable.
    #[serde(flatten)]
    pub(crate) info: Option<WorkerInfo>,
}

impl Worker {
    pub(crate) fn new(view: &WorkerView, heard: Option<Timestamp>) -> Self {
        Self {
            lease: view.lease.clone(),
            heard,
            expires: view.expires,
            info: serde_json::from_str(&view.description).ok(),
        }
    }

    /// Its tasks that run.
    pub(crate) fn busy(&self) -> u64 {
        self.info.as_ref().map_or(0, |info| info.busy.into())
    }

    /// How many it can run at once.
    pub(crate) fn slots(&self) -> u64 {
        self.info.as_ref().map_or(0, |info| info.slots.into())
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.info.as_ref().is_some_and(|info| info.draining)
    }

    pub(crate) fn serves(&self, queue: &str) -> bool {
        let serves = |info: &WorkerInfo| info.queues.iter().any(|served| served == queue);
        self.info.as_ref().is_some_and(serves)
    }

    /// What it runs, the longest first.
    pub(crate) fn running(&self) -> &[RunningTask] {
        self.info.as_ref().map_or(&[], |info| &info.running)
    }

    /// For how long nothing was heard of it, if that is longer than half of the time after which
    /// its tasks are given to others.
    pub(crate) fn silent_ms(&self, now: Timestamp) -> Option<u64> {
        let (info, heard) = (self.info.as_ref()?, self.heard?);
        Some(now.since(heard)).filter(|ms| *ms > info.visibility_ms / 2)
    }
}

/// What runs of a job: the worker and its task.
pub(crate) fn running_of(workers: &[Worker], job: JobId) -> Vec<(&Worker, &RunningTask)> {
    let of_job = |task: &&RunningTask| task.id.parse::<TaskId>().is_ok_and(|id| id.job() == job);
    let of_worker =
        |worker| Worker::running(worker).iter().filter(of_job).map(move |task| (worker, task));
    workers.iter().flat_map(of_worker).collect()
}
