//! Processes that `demo` and `up` start and stop as one: a private Redis, workers, the monitor.
//! They are this same program, run as anybody would run it.
//!
//! Architecture invariant: nothing outlives the fleet. In good order all are stopped one after the
//! other (workers, monitor, Redis); if this process is killed, each of them notices by itself
//! (`parent`, and the watchdog of the private server).

pub(crate) mod child;
mod interrupt;
pub(crate) mod parent;

use std::time::Duration;

use celeriac_broker_schema::{Namespace, RedisConfig};
use celeriac_private_server::{Options, PrivateServer};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use self::child::{Child, Ended, Start};
pub(crate) use self::interrupt::Interrupt;
use crate::error::CliError;
use crate::globals::Globals;

/// How long a worker may finish what it runs when the fleet is stopped.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// When a process that was asked to stop is killed: a worker has drained by then.
const STOP_GRACE: Duration = Duration::from_secs(8);
/// How often is looked whether the private server lives. It never dies by itself.
const SERVER_CHECK: Duration = Duration::from_millis(500);

/// Where the processes of a fleet find Redis.
pub(crate) enum Redis {
    /// Started for the fleet, and stopped with it.
    Private { server: Box<PrivateServer>, namespace: Namespace },
    /// Somebody else's; it is not touched outside of the namespace.
    Given(RedisConfig),
}

impl Redis {
    /// Starts a private server.
    pub(crate) async fn start(options: Options, namespace: Namespace) -> Result<Self, CliError> {
        let started = spawn_blocking(|| PrivateServer::start(options)).await;
        let server = Box::new(started.map_err(|error| CliError::Bug(error.to_string()))??);
        Ok(Self::Private { server, namespace })
    }

    pub(crate) fn config(&self) -> RedisConfig {
        match self {
            Self::Private { server, namespace } => {
                RedisConfig::new(server.url()).namespace(namespace.clone())
            }
            Self::Given(config) => config.clone(),
        }
    }
}

/// Processes that live and die together.
pub(crate) struct Fleet {
    redis: Redis,
    workers: Vec<Child>,
    monitor: Option<Child>,
    /// Each process reports its end here.
    endings: mpsc::UnboundedReceiver<Ended>,
    report_end: mpsc::UnboundedSender<Ended>,
    quiet: bool,
    /// Whether everything that the processes say is passed on.
    verbose: bool,
}

impl Fleet {
    pub(crate) fn new(redis: Redis, globals: &Globals) -> Self {
        let (report_end, endings) = mpsc::unbounded_channel();
        let (quiet, verbose) = (globals.quiet, globals.verbose > 0);
        Self { redis, workers: Vec::new(), monitor: None, endings, report_end, quiet, verbose }
    }

    /// How to reach its Redis.
    pub(crate) fn redis(&self) -> RedisConfig {
        self.redis.config()
    }

    /// The private server, if there is one.
    pub(crate) fn server(&self) -> Option<&PrivateServer> {
        match &self.redis {
            Redis::Private { server, .. } => Some(server),
            Redis::Given(_) => None,
        }
    }

    /// Starts so many more workers with these arguments; returns when all are ready.
    pub(crate) async fn start_workers(
        &mut self,
        number: usize,
        args: &[&str],
    ) -> Result<(), CliError> {
        let first = self.workers.len();
        for number in first..first + number {
            let args = [&["worker", "--exit-with-parent"], args].concat();
            self.workers.push(self.spawn(format!("worker {}", number + 1), &args)?);
        }
        for worker in &mut self.workers[first..] {
            worker.ready().await?;
        }
        Ok(())
    }

    /// Starts the monitor on this port of 127.0.0.1, or on another one if it is taken. Returns
    /// its URL when it listens.
    pub(crate) async fn start_monitor(&mut self, port: u16) -> Result<String, CliError> {
        let listen = format!("127.0.0.1:{port}");
        let args = ["monitor", "--exit-with-parent", "--or-any-port", "--listen", &listen];
        let monitor = self.spawn("the monitor".to_owned(), &args)?;
        self.monitor.insert(monitor).ready().await
    }

    fn spawn(&self, name: String, args: &[&str]) -> Result<Child, CliError> {
        let (redis, verbose) = (self.redis(), self.verbose);
        Child::spawn(Start { name, args, redis: &redis, verbose }, self.report_end.clone())
    }

    /// Does some work, and gives up if what it needs dies meanwhile.
    pub(crate) async fn during<T>(
        &mut self,
        work: impl Future<Output = Result<T, CliError>>,
    ) -> Result<T, CliError> {
        tokio::select! {
            result = work => result,
            error = self.fails() => Err(error),
        }
    }

    /// Waits until the fleet cannot go on: no Redis, no monitor or no worker is left.
    pub(crate) async fn fails(&mut self) -> CliError {
        let mut server_check = interval(SERVER_CHECK);
        server_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(ended) = self.endings.recv() => if let Some(error) = self.note_end(ended) {
                    return error;
                },
                _ = server_check.tick() => if let Some(error) = self.server_end() {
                    return error;
                },
            }
        }
    }

    /// A process ended although nobody stopped it. One worker of several is no disaster.
    fn note_end(&mut self, ended: Ended) -> Option<CliError> {
        let Ended { id, name, status, log } = ended;
        let before = self.workers.len();
        self.workers.retain(|worker| worker.id() != id);
        match (self.workers.len(), before) {
            (left, before) if left == before => Some(CliError::ChildEnded { name, status, log }),
            (0, _) => Some(CliError::NoWorkerLeft),
            (left, _) => {
                if !self.quiet {
                    crate::output::talk(format_args!(
                        "{name} ended ({status}); what it held goes to the other {left} when its lease has expired"
                    ));
                }
                None
            }
        }
    }

    fn server_end(&mut self) -> Option<CliError> {
        let Redis::Private { server, .. } = &mut self.redis else { return None };
        match server.wait_exit(Duration::ZERO) {
            Ok(None) => None,
            Ok(Some(status)) => Some(CliError::ServerEnded(Some(status))),
            Err(_) => Some(CliError::ServerEnded(None)),
        }
    }

    /// Stops everything in good order, or at once when the user insists.
    pub(crate) async fn stop(self, interrupt: &mut Interrupt) -> Result<(), CliError> {
        let Self { redis, workers, monitor, .. } = self;
        let insists = tokio::select! {
            () = stop_all(&workers) => false,
            () = interrupt.wait() => true,
        };
        if !insists {
            tokio::select! {
                () = stop_all(monitor.as_slice()) => {}
                () = interrupt.wait() => {}
            }
        }
        // Whatever still runs is killed, and waited for.
        for child in workers.iter().chain(&monitor) {
            child.kill().await;
        }
        if let Redis::Private { server, .. } = redis {
            let stopped = spawn_blocking(|| server.stop()).await;
            stopped.map_err(|error| CliError::Bug(error.to_string()))?.map_err(CliError::System)?;
        }
        Ok(())
    }
}

async fn stop_all(children: &[Child]) {
    for child in children {
        child.terminate();
    }
    for child in children {
        // Together they get the grace of one: they stop side by side.
        child.ended_within(STOP_GRACE).await;
    }
}
