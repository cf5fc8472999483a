//! The workers of a namespace as they describe themselves, for the commands that show or count
//! them.

use celeriac_broker_schema::{Broker, Timestamp, WorkerInfo};
use serde::Serialize;

use crate::error::CliError;

/// Workers asked for in one call.
const PAGE: u32 = 500;

/// The workers of a namespace.
#[derive(Debug, Serialize)]
pub(crate) struct FleetView {
    /// Redis time.
    pub(crate) now: Timestamp,
    pub(crate) workers: Vec<WorkerLine>,
    /// Workers whose description cannot be read: of another version.
    pub(crate) unreadable: u64,
}

/// One worker.
#[derive(Debug, Serialize)]
pub(crate) struct WorkerLine {
    pub(crate) lease: String,
    /// When it is forgotten unless it is heard of again (Redis time).
    pub(crate) expires: Timestamp,
    #[serde(flatten)]
    pub(crate) info: WorkerInfo,
}

impl FleetView {
    /// Asks for all workers.
    pub(crate) async fn read(broker: &Broker) -> Result<Self, CliError> {
        let mut fleet = Self { now: Timestamp(0), workers: Vec::new(), unreadable: 0 };
        let mut offset: u64 = 0;
        loop {
            let page = broker.workers(offset, PAGE).await?;
            fleet.now = page.now;
            for worker in page.page {
                match serde_json::from_str(&worker.description) {
                    // One that has expired is gone, whether it was swept away already or not.
                    Ok(info) if worker.expires >= page.now => {
                        let (lease, expires) = (worker.lease, worker.expires);
                        fleet.workers.push(WorkerLine { lease, expires, info });
                    }
                    Ok(_) => {}
                    Err(_) => fleet.unreadable += 1,
                }
            }
            offset += u64::from(PAGE);
            if offset >= page.total {
                return Ok(fleet);
            }
        }
    }

    /// Whether any worker serves this queue.
    pub(crate) fn serves(&self, queue: &str) -> bool {
        self.workers.iter().any(|worker| worker.info.queues.iter().any(|name| name == queue))
    }

    /// As the checks of a namespace take them.
    pub(crate) fn by_lease(&self) -> Vec<(String, WorkerInfo)> {
        self.workers.iter().map(|worker| (worker.lease.clone(), worker.info.clone())).collect()
    }

    /// Whether any worker knows this task.
    pub(crate) fn knows(&self, task: &str) -> bool {
        self.workers.iter().any(|worker| worker.info.tasks.iter().any(|name| name == task))
    }

    /// How many workers serve this queue.
    pub(crate) fn serving(&self, queue: &str) -> usize {
        let serves = |worker: &&WorkerLine| worker.info.queues.iter().any(|name| name == queue);
        self.workers.iter().filter(serves).count()
    }
}

/// The name of this machine, as workers give it.
pub(crate) fn this_host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
