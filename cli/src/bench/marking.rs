//! A worker of this process whose one task tells when it begins: it has a runtime and threads of its
//! own, as in another process, and yet its times come from the clocks of whoever measures.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use celeriac_broker_schema::{Broker, QueueName};
use celeriac_producer::Task;
use celeriac_worker::task::{Registry, TaskError};
use celeriac_worker::{Shutdown, Worker, WorkerConfig};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::error::CliError;

/// Notes when it begins.
#[derive(Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) number: u64,
}

impl Task for Mark {
    const NAME: &'static str = "bench.mark";
    type Output = ();
}

/// Does nothing, beside those that are measured.
#[derive(Serialize, Deserialize)]
pub(super) struct Fill {}

impl Task for Fill {
    const NAME: &'static str = "bench.fill";
    type Output = ();
}

/// The first line of a task, by two clocks.
pub(super) struct Begun {
    pub(super) number: u64,
    pub(super) at: Instant,
    /// Milliseconds since the epoch.
    pub(super) clock_ms: f64,
}

/// The worker. Dropping it ends it.
pub(super) struct Marking {
    shutdown: Shutdown,
    thread: Option<std::thread::JoinHandle<()>>,
    begins: mpsc::UnboundedReceiver<Begun>,
}

impl Marking {
    pub(super) fn start(broker: &Broker, queue: QueueName) -> Result<Self, CliError> {
        let (begun, begins) = mpsc::unbounded_channel();
        let mark = move |Mark { number }: Mark| {
            let at = Instant::now();
            // Nobody listens any more when the measurement is over.
            let _ = begun.send(Begun { number, at, clock_ms: clock_ms() });
            async { Ok::<_, TaskError>(()) }
        };
        let fill = async |_: Fill| Ok::<_, TaskError>(());
        let tasks = Registry::new(()).task(mark).task(fill).build();
        let config =
            WorkerConfig { concurrency: 2, queues: vec![queue], ..WorkerConfig::default() };
        let worker = Worker::new(broker.separate()?, tasks, config)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(CliError::System)?;
        let shutdown = Shutdown::new();
        let told = shutdown.clone();
        let thread = std::thread::spawn(move || {
            if let Err(error) = runtime.block_on(worker.run(told)) {
                tracing::error!(%error, "the measured worker ended");
            }
        });
        Ok(Self { shutdown, thread: Some(thread), begins })
    }

    /// Waits for the next beginning.
    pub(super) async fn begun(&mut self) -> Result<Begun, CliError> {
        self.begins.recv().await.ok_or(CliError::NoWorkerLeft)
    }
}

/// Also if the measurement is interrupted: it is not to write where others clean up.
impl Drop for Marking {
    fn drop(&mut self) {
        self.shutdown.now();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Milliseconds since the epoch.
pub(super) fn clock_ms() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since: Duration| since.as_secs_f64() * 1e3)
}
