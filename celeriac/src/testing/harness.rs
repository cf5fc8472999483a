//! A whole queue in the process of a test: a private Redis, workers, and the wait for the end.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use celeriac_broker_schema::WorkerInfo;
use celeriac_broker_schema::script::Snapshot;
use celeriac_private_server::{Options, PrivateServer, StartError};
use celeriac_producer::Recorder;
use thiserror::Error;
use tokio::task::JoinHandle;

use crate::{
    Broker, BrokerError, ConfigError, Event, Events, Producer, QueueName, RedisConfig, Shutdown,
    Summary, TaskFailure, TaskId, Tasks, Worker, WorkerConfig, WorkerError,
};

/// How often it is looked whether the end has come. A look takes a fraction of a millisecond.
const LOOK: Duration = Duration::from_millis(5);

/// The queues that are looked at; more than any test has.
const QUEUES: u32 = 1_000;

/// A queue in the process of a test. It ends with this value: workers are aborted, the server stops.
///
/// ```
/// use celeriac::testing::{Harness, HarnessError};
/// use celeriac::{Registry, TaskError};
///
/// #[celeriac::task(name = "greet")]
/// async fn greet(name: String) -> Result<String, TaskError> {
///     Ok(format!("Hello, {name}!"))
/// }
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let harness = Harness::start().await?;
/// harness.work(Registry::new(()).add::<greet>().build());
/// let greeting = harness.producer().enqueue(&greet("Ada".to_owned())).await?;
///
/// let ran = harness.run_to_the_end().await?;
/// assert_eq!((ran.succeeded, ran.failed), (1, 0));
/// assert_eq!(greeting.result().await?, "Hello, Ada!");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Harness {
    broker: Broker,
    producer: Producer,
    recorder: Recorder,
    patience: Duration,
    crew: Arc<Mutex<Crew>>,
    /// Adds workers for queues that come up.
    foreman: Mutex<Option<JoinHandle<()>>>,
    /// Stops last.
    _server: Option<PrivateServer>,
}

/// The workers of a harness.
#[derive(Debug, Default)]
struct Crew {
    served: BTreeSet<QueueName>,
    workers: Vec<Hand>,
    failures: Vec<Failure>,
    problem: Option<String>,
}

#[derive(Debug)]
struct Hand {
    events: Events,
    shutdown: Shutdown,
    running: JoinHandle<Result<Summary, WorkerError>>,
}

/// What has run since the harness was started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ran {
    /// Tasks and chunks that succeeded.
    pub succeeded: u64,
    /// Tasks and jobs that failed for good.
    pub failed: u64,
    /// Attempts after which there was another one.
    pub retried: u64,
    /// Tasks that expired before they were started.
    pub expired: u64,
    /// Why those failed that failed for good, in that order.
    pub failures: Vec<Failure>,
}

/// A task or chunk that failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The task or chunk.
    pub id: TaskId,
    /// Why.
    pub failure: TaskFailure,
}

/// Why a harness cannot start or does not come to an end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// There is no Redis to start.
    #[error("no Redis for the harness: {0}")]
    Server(#[from] StartError),
    /// Redis is away or refuses.
    #[error("the harness cannot reach its Redis: {0}")]
    Broker(#[from] BrokerError),
    /// Nobody works.
    #[error("the harness has no worker: call `harness.work(tasks)` first")]
    NoWorker,
    /// A worker of the harness came to an end.
    #[error("a worker of the harness ended: {0}")]
    WorkerEnded(String),
    /// Tasks are left.
    #[error("the queue did not come to its end within {waited:?}: {left}")]
    Stuck {
        /// How long it was waited.
        waited: Duration,
        /// What is left, in words.
        left: String,
    },
}

impl Harness {
    /// Starts a private Redis, which takes a moment; needs a `redis-server` or `valkey-server` on this
    /// machine.
    ///
    /// # Errors
    /// [`HarnessError::Server`] if there is none.
    pub async fn start() -> Result<Self, HarnessError> {
        let start = || PrivateServer::start(Options { append_only: false, ..Options::default() });
        let server = tokio::task::spawn_blocking(start).await;
        let server =
            server.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let mut harness = Self::on(&server.url())?;
        harness._server = Some(server);
        Ok(harness)
    }

    /// Uses a Redis that is there, such as a service of a CI system, in a namespace of its own. What a
    /// test leaves in it stays there.
    ///
    /// # Errors
    /// [`HarnessError::Broker`] if the URL cannot be used.
    pub fn on(url: &str) -> Result<Self, HarnessError> {
        let name = format!("test-{}", uuid::Uuid::now_v7().simple());
        let namespace = name.parse().expect("letters, digits and a dash");
        let broker = Broker::new(RedisConfig::new(url).namespace(namespace))?;
        let (producer, recorder) = Producer::new(broker.clone()).recorded();
        Ok(Self {
            broker,
            producer,
            recorder,
            patience: Duration::from_secs(60),
            crew: Arc::default(),
            foreman: Mutex::default(),
            _server: None,
        })
    }

    /// How long [`Harness::run_to_the_end`] waits; 60 s unless set.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// A producer for the queue, for the code under test.
    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    /// The broker behind it.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// How other clients reach the queue: for code under test that makes its own.
    pub fn config(&self) -> &RedisConfig {
        self.broker.config()
    }

    /// What [`Harness::producer`] and its clones were told to enqueue.
    pub fn enqueued(&self) -> &Recorder {
        &self.recorder
    }

    /// Lets workers run these tasks from now on: one for each queue, as soon as something waits in it.
    /// If it is called again, the tasks of the first call stay in charge of the queues they have.
    pub fn work(&self, tasks: Tasks) {
        let (broker, crew) = (self.broker.clone(), Arc::clone(&self.crew));
        self.lock().hire(&broker, &tasks, [QueueName::default()]);
        let foreman = tokio::spawn(async move {
            loop {
                if let Ok(snapshot) = broker.snapshot(QUEUES, 0).await {
                    let queues =
                        snapshot.queues.into_iter().filter_map(|queue| queue.name.parse().ok());
                    lock(&crew).hire(&broker, &tasks, queues);
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        let before = self.foreman.lock().unwrap_or_else(PoisonError::into_inner).replace(foreman);
        if let Some(before) = before {
            before.abort();
        }
    }

    /// Waits until no task and no job is left in the queue, however many others they enqueue. Delayed
    /// tasks and retries are waited for in real time.
    ///
    /// # Errors
    /// [`HarnessError`]; in [`HarnessError::Stuck`] stands what is left.
    pub async fn run_to_the_end(&self) -> Result<Ran, HarnessError> {
        let begun = Instant::now();
        loop {
            let snapshot = self.broker.snapshot(QUEUES, 0).await?;
            let failures = self.lock().report()?;
            if snapshot.tasks == 0 && snapshot.open_jobs == 0 {
                return Ok(Ran::new(&snapshot, failures));
            }
            if begun.elapsed() >= self.patience {
                let left = self.left(&snapshot).await;
                return Err(HarnessError::Stuck { waited: self.patience, left });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Stops the workers in good order, and waits for that.
    ///
    /// # Errors
    /// [`HarnessError::WorkerEnded`] if one did not leave in good order.
    pub async fn stop(self) -> Result<(), HarnessError> {
        self.stop_foreman();
        let workers = std::mem::take(&mut self.lock().workers);
        for worker in &workers {
            worker.shutdown.drain();
        }
        for worker in workers {
            match worker.running.await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(HarnessError::WorkerEnded(error.to_string())),
                Err(error) => return Err(HarnessError::WorkerEnded(error.to_string())),
            }
        }
        Ok(())
    }

    fn stop_foreman(&self) {
        let foreman = self.foreman.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(foreman) = foreman {
            foreman.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Crew> {
        lock(&self.crew)
    }

    /// What is left, in words.
    async fn left(&self, snapshot: &Snapshot) -> String {
        let Snapshot { tasks, delayed, waiting, open_jobs, .. } = snapshot;
        let mut left = vec![format!(
            "{tasks} tasks ({delayed} delayed, {waiting} waiting for others), {open_jobs} jobs"
        )];
        for queue in snapshot.queues.iter().filter(|queue| queue.ready > 0) {
            left.push(format!("{} ready in queue {}", queue.ready, queue.name));
        }
        let workers = self.broker.workers(0, 100).await.map(|workers| workers.page);
        for worker in workers.unwrap_or_default() {
            let info: Option<WorkerInfo> = serde_json::from_str(&worker.description).ok();
            for running in info.into_iter().flat_map(|info| info.running) {
                let for_ms = snapshot.now.since(running.since);
                left.push(format!(
                    "{} {} runs for {:?} in attempt {}",
                    running.task,
                    running.id,
                    Duration::from_millis(for_ms),
                    running.attempt
                ));
            }
        }
        left.join("; ")
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.stop_foreman();
        for worker in &self.lock().workers {
            worker.running.abort();
        }
    }
}

fn lock(crew: &Mutex<Crew>) -> MutexGuard<'_, Crew> {
    crew.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crew {
    /// Starts workers for the queues that have none.
    fn hire(
        &mut self,
        broker: &Broker,
        tasks: &Tasks,
        queues: impl IntoIterator<Item = QueueName>,
    ) {
        for queue in queues {
            if self.served.insert(queue.clone()) {
                match Hand::start(broker, tasks.clone(), queue) {
                    Ok(hand) => self.workers.push(hand),
                    Err(problem) => self.problem = Some(problem),
                }
            }
        }
    }

    /// Collects the failures so far.
    fn report(&mut self) -> Result<Vec<Failure>, HarnessError> {
        if let Some(problem) = self.problem.take() {
            return Err(HarnessError::WorkerEnded(problem));
        }
        if self.workers.is_empty() {
            return Err(HarnessError::NoWorker);
        }
        for worker in &mut self.workers {
            while let Some(event) = worker.events.try_next() {
                if let Event::Failed { id, failure, .. } = event {
                    self.failures.push(Failure { id, failure });
                }
            }
            if worker.running.is_finished() {
                return Err(HarnessError::WorkerEnded("see its log".to_owned()));
            }
        }
        Ok(self.failures.clone())
    }
}

impl Hand {
    fn start(broker: &Broker, tasks: Tasks, queue: QueueName) -> Result<Self, String> {
        let settings = WorkerConfig { queues: vec![queue], ..WorkerConfig::default() };
        let broker = broker.separate().map_err(|error| error.to_string())?;
        let made: Result<Worker, ConfigError> = Worker::new(broker, tasks, settings);
        let mut worker = made.map_err(|error| error.to_string())?;
        let (events, shutdown) = (worker.events(), Shutdown::new());
        let running = tokio::spawn(worker.run(shutdown.clone()));
        Ok(Self { events, shutdown, running })
    }
}

impl Ran {
    fn new(snapshot: &Snapshot, failures: Vec<Failure>) -> Self {
        let count = |name: &str| snapshot.stats.get(name).copied().unwrap_or(0);
        Self {
            succeeded: count("succeeded"),
            failed: count("failed"),
            retried: count("retried"),
            expired: count("expired"),
            failures,
        }
    }

    /// Asserts that something ran, and that nothing failed or expired.
    ///
    /// # Panics
    /// With what failed and why.
    #[track_caller]
    pub fn assert_all_succeeded(&self) {
        assert!(self.failed == 0 && self.expired == 0 && self.succeeded > 0, "{self}");
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { succeeded, failed, retried, expired, failures } = self;
        write!(f, "{succeeded} succeeded, {failed} failed, {expired} expired, {retried} retries")?;
        failures.iter().try_for_each(|Failure { id, failure }| write!(f, "\n  {id}: {failure}"))
    }
}
