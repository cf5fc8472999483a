//! Real workers.

use celeriac_broker_schema::Broker;
use celeriac_worker::task::Tasks;
use celeriac_worker::{Shutdown, Worker, WorkerConfig};

/// A worker in this process, told to stop when it is dropped.
pub(crate) struct Fleet(Shutdown);

impl Fleet {
    /// A worker with two slots for these tasks.
    pub(crate) fn start(broker: &Broker, tasks: Tasks) -> Self {
        let config = WorkerConfig { concurrency: 2, ..WorkerConfig::default() };
        let broker = broker.separate().expect("a URL");
        let worker = Worker::new(broker, tasks, config).expect("settings");
        let shutdown = Shutdown::new();
        tokio::spawn(worker.run(shutdown.clone()));
        Self(shutdown)
    }

    /// One with the built-in tasks.
    pub(crate) fn built_in(broker: &Broker) -> Self {
        Self::start(broker, celeriac_worker::builtin::tasks())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.0.drain();
    }
}
