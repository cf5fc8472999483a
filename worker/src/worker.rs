//! A worker: the one place where its loops are put together, started and watched.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use celeriac_broker_schema::script::Opened;
use celeriac_broker_schema::{Broker, BrokerError, LeaseId, Timestamp};
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::clock::RedisClock;
use crate::config::{ConfigError, WorkerConfig};
use crate::events::{Event, Events, Teller};
use crate::exchange::Exchange;
use crate::keeper::{Keeper, host};
use crate::served::Served;
use crate::shared::Shared;
use crate::shutdown::Shutdown;
use crate::task::{CancelReason, ErasedTask, Tasks};
use crate::{bell, courier, figures, housekeeper, panics, scheduler, slots};

/// How long a worker that starts waits for Redis to come up.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the exchange may take to be seen to have ended, once another loop has, and Redis to
/// answer a worker that is told to leave before it has begun.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// A worker that has not started.
///
/// ```no_run
/// use celeriac_broker_schema::{Broker, RedisConfig};
/// use celeriac_worker::{Shutdown, Worker, WorkerConfig, builtin};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = Broker::new(RedisConfig::new("redis://127.0.0.1:6379/"))?;
/// let worker = Worker::new(broker, builtin::tasks(), WorkerConfig::default())?;
/// let summary = worker.run(Shutdown::new()).await?;
/// println!("{} tasks succeeded", summary.succeeded);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Worker {
    broker: Broker,
    tasks: Tasks,
    config: WorkerConfig,
    events: Teller,
    served: Arc<Served>,
}

/// What a worker did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Attempts that ended well.
    pub succeeded: u64,
    /// Attempts that ended with an error.
    pub failed: u64,
    /// Tasks that could not be given back, because Redis was away when the worker left. They are
    /// reclaimed when its lease ends.
    pub left_behind: usize,
}

/// Why a worker cannot start, or had to stop.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// Redis is away, refuses us, or cannot hold a queue.
    #[error("the worker cannot start: {0}")]
    Broker(#[from] BrokerError),
    /// The system gives no thread.
    #[error("a thread of the worker cannot start: {0}")]
    Thread(#[from] std::io::Error),
    /// A loop ended that must not: a bug.
    #[error("the {0} of the worker ended unexpectedly")]
    LoopEnded(&'static str),
}

impl Worker {
    /// A worker with these tasks and settings. Nothing is connected or started yet.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong with the settings.
    pub fn new(broker: Broker, tasks: Tasks, config: WorkerConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let served = Served::new(&config)
            .map_err(|error| ConfigError { problems: vec![error.to_string()] })?;
        Ok(Self { broker, tasks, config, events: Teller::default(), served: Arc::new(served) })
    }

    /// Subscribes to what happens in this worker, within this process. Without subscribers nothing is
    /// told and nothing is paid for it.
    ///
    /// ```no_run
    /// # use celeriac_worker::{Event, Shutdown, Worker};
    /// # async fn example(mut worker: Worker) {
    /// let mut events = worker.events();
    /// tokio::spawn(async move {
    ///     while let Some(event) = events.next().await {
    ///         if let Event::Failed { id, failure, .. } = event {
    ///             eprintln!("task {id} is dead: {failure}");
    ///         }
    ///     }
    /// });
    /// # let _ = worker.run(Shutdown::new()).await;
    /// # }
    /// ```
    pub fn events(&mut self) -> Events {
        self.events.subscribe()
    }

    /// Works until it is told to stop and has left in good order.
    ///
    /// # Errors
    /// [`WorkerError`] if it cannot start. Once it runs, outages are waited out.
    pub async fn run(self, shutdown: Shutdown) -> Result<Summary, WorkerError> {
        self.run_and_tell(shutdown, |_| ()).await
    }

    /// As [`Worker::run`], and tells when it is ready to take tasks.
    ///
    /// # Errors
    /// As [`Worker::run`].
    pub async fn run_and_tell(
        self,
        shutdown: Shutdown,
        ready: impl FnOnce(&LeaseId),
    ) -> Result<Summary, WorkerError> {
        panics::note_places();
        let opened =
            open_unless_told_to_leave(&self.broker, &self.config, &self.served, &shutdown).await?;
        let Some((lease, now)) = opened else {
            return Ok(Summary { succeeded: 0, failed: 0, left_behind: 0 });
        };
        let Self { broker, tasks, config, events, served } = self;
        let own = broker.separate()?;
        let clock = RedisClock::new(now);
        let mut shared = Shared::new(broker, tasks, config, served, clock, lease.clone(), shutdown);
        shared.events = events;
        let shared = Arc::new(shared);
        let stop = CancellationToken::new();
        let end = EndOnDrop { shared: Arc::clone(&shared), stop: stop.clone() };
        let (threads, keeper_ended) = start_threads(&shared, own, &stop)?;
        shared.events.tell(|| Event::Opened { lease: lease.clone() });
        ready(&lease);
        let ended = run_loops(&shared, keeper_ended).await;
        figures::last_words(&shared).await;
        drop(end);
        // The keeper says good-bye; computing threads are not waited for: what they run was given
        // up, and cannot be interrupted.
        let _ = tokio::task::spawn_blocking(move || threads.join()).await;
        Ok(Summary {
            succeeded: shared.totals.succeeded.load(Ordering::Relaxed),
            failed: shared.totals.failed.load(Ordering::Relaxed),
            left_behind: ended?,
        })
    }
}

/// Ends what goes on outside the loops, also when the future of the worker is dropped: a lease that
/// is renewed would keep tasks that nobody runs.
struct EndOnDrop {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.shared.cancel(CancelReason::Stopping, |_| true);
        self.shared.lanes.close();
        self.stop.cancel();
        self.shared.events.tell(|| Event::Left);
    }
}

/// `None` if the worker is told to leave before its lease is open.
async fn open_unless_told_to_leave(
    broker: &Broker,
    config: &WorkerConfig,
    served: &Served,
    shutdown: &Shutdown,
) -> Result<Option<(LeaseId, Timestamp)>, BrokerError> {
    let mut opening = Box::pin(open_lease(broker, config, served));
    tokio::select! {
        opened = &mut opening => opened.map(Some),
        // A lease that is just being opened must be closed again, unless Redis is away.
        () = shutdown.draining() => Ok(timeout(LAST_MOMENT, opening).await.ok().and_then(Result::ok)),
    }
}

/// Opens the first lease. A server that is still coming up is waited for.
async fn open_lease(
    broker: &Broker,
    config: &WorkerConfig,
    served: &Served,
) -> Result<(LeaseId, Timestamp), BrokerError> {
    let begin = Instant::now();
    loop {
        let lease = LeaseId::new();
        let opened = match broker.check_server().await {
            Ok(report) => {
                for warning in report.warnings {
                    tracing::warn!(server = broker.server(), "{warning}");
                }
                broker.open_on(&host(), &lease, config.visibility).await
            }
            Err(error) => Err(error),
        };
        match opened {
            Ok(Opened::At(now)) => {
                // An idle worker must come to know when this lease ends.
                broker.ring(served.names()).await?;
                return Ok((lease, now));
            }
            Ok(Opened::Taken) => {}
            // A server that loads its data answers, and will be there.
            Err(error @ BrokerError::NotReady { .. }) => {
                tracing::info!(%error, "the worker waits for Redis");
                sleep(Duration::from_millis(500)).await;
            }
            Err(error) if error.is_temporary() && begin.elapsed() < PATIENCE => {
                sleep(Duration::from_millis(200)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The lease keeper's thread. Threads that compute are not kept track of.
struct Threads {
    keeper: std::thread::JoinHandle<()>,
}

impl Threads {
    fn join(self) {
        let _ = self.keeper.join();
    }
}

/// Starts the threads with these numbers. Only tasks that compute need them; ten thousand slots that
/// wait are none.
fn start_computing(shared: &Arc<Shared>, slots: Range<usize>) -> std::io::Result<()> {
    let names = shared.tasks.names();
    let computes =
        names.iter().any(|name| matches!(shared.tasks.get(name), Some(ErasedTask::Cpu(_))));
    for slot in if computes { slots } else { 0..0 } {
        let shared = Arc::clone(shared);
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name(format!("compute-{slot}"))
            .stack_size(2 << 20)
            .spawn(move || slots::computing_slot(&shared, &runtime))?;
    }
    Ok(())
}

fn start_threads(
    shared: &Arc<Shared>,
    own: Broker,
    stop: &CancellationToken,
) -> Result<(Threads, oneshot::Receiver<()>), WorkerError> {
    start_computing(shared, 0..shared.config.concurrency)?;
    let keeper = Keeper::new(Arc::clone(shared), own);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stop = stop.clone();
    // Told when the thread ends, also by a panic: the sender is dropped with it.
    let (alive, keeper_ended) = oneshot::channel::<()>();
    let keeper = std::thread::Builder::new().name("lease-keeper".to_owned()).spawn(move || {
        let _alive = alive;
        runtime.block_on(keeper.run(&stop));
    })?;
    Ok((Threads { keeper }, keeper_ended))
}

/// Starts all loops and waits for the exchange, which ends when the worker has left.
async fn run_loops(
    shared: &Arc<Shared>,
    mut keeper_ended: oneshot::Receiver<()>,
) -> Result<usize, WorkerError> {
    let (line, listener) = bell::line();
    let mut loops: JoinSet<&'static str> = JoinSet::new();
    let bell = listener.run(Arc::clone(shared));
    loops.spawn(async move {
        bell.await;
        "bell"
    });
    let keeping = housekeeper::run(Arc::clone(shared));
    loops.spawn(async move {
        keeping.await;
        "housekeeper"
    });
    let scheduling = scheduler::run(Arc::clone(shared));
    loops.spawn(async move {
        scheduling.await;
        "scheduler"
    });
    let telling = figures::run(Arc::clone(shared));
    loops.spawn(async move {
        telling.await;
        "figures"
    });
    let courier = courier::run(Arc::clone(shared));
    loops.spawn(async move {
        courier.await;
        "courier"
    });
    let mut slots = shared.config.concurrency;
    start_awaiting(shared, slots, &mut loops);
    let exchange = Exchange::new(Arc::clone(shared), line).run();
    let mut exchange = AbortOnDropHandle::new(tokio::spawn(exchange));
    loop {
        tokio::select! {
            biased;
            () = shared.changes.grown.notified() => {
                let more = slots..shared.changes.most_slots();
                start_awaiting(shared, more.len(), &mut loops);
                slots = more.end;
                if let Err(error) = start_computing(shared, more) {
                    tracing::error!(%error, "the system gives no more threads");
                }
            }
            ended = until_one_ends(&mut exchange, &mut keeper_ended, &mut loops) => return ended,
        }
    }
}

fn start_awaiting(shared: &Arc<Shared>, slots: usize, loops: &mut JoinSet<&'static str>) {
    for _ in 0..slots {
        let slot = slots::awaiting_slot(Arc::clone(shared));
        loops.spawn(async move {
            slot.await;
            "slot"
        });
    }
}

/// Waits until the exchange ends, or a loop that must not.
async fn until_one_ends(
    exchange: &mut AbortOnDropHandle<usize>,
    keeper_ended: &mut oneshot::Receiver<()>,
    loops: &mut JoinSet<&'static str>,
) -> Result<usize, WorkerError> {
    tokio::select! {
        ended = &mut *exchange => ended.map_err(|_| WorkerError::LoopEnded("exchange")),
        // Without it the lease would end under what runs.
        _ = keeper_ended => Err(WorkerError::LoopEnded("lease keeper")),
        // None of the others ends while the exchange runs; the bell does when the exchange has.
        ended = loops.join_next() => match timeout(LAST_MOMENT, exchange).await {
            Ok(Ok(left_behind)) => Ok(left_behind),
            _ => Err(WorkerError::LoopEnded(ended.and_then(Result::ok).unwrap_or("loop"))),
        },
    }
}
