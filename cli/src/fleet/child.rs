//! One process of a fleet: this same program with other arguments, on a leash.

use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use celeriac_broker_schema::RedisConfig;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{self, ChildStderr, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::error::CliError;
use crate::output;

/// How long a process may take to get ready.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Lines that are kept for the case that it dies.
const LOG_LINES: usize = 10;
/// How a process says that it is ready; the rest of the line says more.
const READY: &str = "ready: ";

/// What to start.
pub(crate) struct Start<'a> {
    /// What people call it.
    pub(crate) name: String,
    pub(crate) args: &'a [&'a str],
    pub(crate) redis: &'a RedisConfig,
    /// Whether all that it says is passed on to standard error.
    pub(crate) verbose: bool,
}

/// How a process ended.
pub(crate) struct Ended {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) status: ExitStatus,
    /// Its last words.
    pub(crate) log: Vec<String>,
}

/// A process. Dropping it kills the process.
pub(crate) struct Child {
    id: u32,
    name: String,
    signals: mpsc::UnboundedSender<Signal>,
    status: watch::Receiver<Option<ExitStatus>>,
    voice: Voice,
}

/// What a process says.
#[derive(Clone)]
struct Voice {
    /// The rest of the line with which it said that it is ready.
    ready: watch::Receiver<Option<String>>,
    log: Arc<Mutex<VecDeque<String>>>,
}

impl Child {
    /// Starts a process that reports its end.
    pub(crate) fn spawn(
        start: Start<'_>,
        ended: mpsc::UnboundedSender<Ended>,
    ) -> Result<Self, CliError> {
        let Start { name, args, redis, verbose } = start;
        let failed = |source| CliError::Spawn { name: name.clone(), source };
        let mut process = command(args, redis).map_err(failed)?.spawn().map_err(failed)?;
        let id = process.id().expect("it has not been waited for");
        let stderr = process.stderr.take().expect("it is piped");
        let voice = Voice::listen(stderr, verbose.then(|| name.clone()));
        let (signals, received) = mpsc::unbounded_channel();
        let (end, status) = watch::channel(None);
        let child = Self { id, name: name.clone(), signals, status, voice: voice.clone() };
        tokio::spawn(async move {
            if let Some(status) = keep(process, received).await {
                let _ = end.send(Some(status));
                voice.ended().await;
                // Nobody may be interested any more.
                let _ = ended.send(Ended { id, name, status, log: voice.log() });
            }
        });
        Ok(child)
    }

    /// The process id, also when it has ended.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Waits until it says that it is ready. Returns what else it says in that line.
    pub(crate) async fn ready(&mut self) -> Result<String, CliError> {
        let mut ready = self.voice.ready.clone();
        let waiting =
            async { ready.wait_for(Option::is_some).await.ok().and_then(|line| line.clone()) };
        let name = || self.name.clone();
        match timeout(READY_WITHIN, waiting).await {
            Ok(Some(line)) => Ok(line),
            Err(_) => Err(CliError::ChildNotReady {
                name: name(),
                waited: READY_WITHIN,
                log: self.voice.log(),
            }),
            // It has closed its standard error, so it has ended, or is about to.
            Ok(None) => match self.ended_within(READY_WITHIN).await {
                Some(status) => {
                    Err(CliError::ChildEnded { name: name(), status, log: self.voice.log() })
                }
                None => Err(CliError::ChildNotReady {
                    name: name(),
                    waited: READY_WITHIN,
                    log: self.voice.log(),
                }),
            },
        }
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        // If it cannot be told, it has ended.
        let _ = self.signals.send(Signal::TERM);
    }

    /// Ends it with force, if it still runs, and waits until it is gone.
    pub(crate) async fn kill(&self) {
        let _ = self.signals.send(Signal::KILL);
        self.ended_within(READY_WITHIN).await;
    }

    /// Waits for its end.
    pub(crate) async fn ended_within(&self, limit: Duration) -> Option<ExitStatus> {
        let mut status = self.status.clone();
        let ended = timeout(limit, status.wait_for(Option::is_some)).await;
        ended.ok()?.ok()?.to_owned()
    }
}

fn command(args: &[&str], redis: &RedisConfig) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    // What holds for this process by the environment need not hold for that one.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CELERIAC_") {
            command.env_remove(name);
        }
    }
    lead_to(redis, &mut command);
    command
        .args(args)
        // The leash: see `parent`.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Ctrl-C in a terminal reaches us alone, and we stop the others in good order.
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

/// Tells another process of this program where Redis is. Not as arguments: everybody can read those.
pub(crate) fn lead_to(redis: &RedisConfig, command: &mut Command) {
    command.env("CELERIAC_REDIS_URL", redis.url_with_secret());
    command.env("CELERIAC_NAMESPACE", redis.namespace.as_str());
    let tls = &redis.tls;
    let files = [
        ("CELERIAC_REDIS_CA", &tls.ca),
        ("CELERIAC_REDIS_CERT", &tls.cert),
        ("CELERIAC_REDIS_KEY", &tls.key),
    ];
    for (name, file) in files {
        match file {
            Some(file) => command.env(name, file),
            None => command.env_remove(name),
        };
    }
}

/// Owns the process until its end. None if its [`Child`] was dropped before.
async fn keep(
    mut process: process::Child,
    mut signals: mpsc::UnboundedReceiver<Signal>,
) -> Option<ExitStatus> {
    // Kept open; `wait` would close it.
    let _leash = process.stdin.take();
    loop {
        tokio::select! {
            status = process.wait() => return status.ok(),
            signal = signals.recv() => {
                let signal = signal?;
                // As long as it was not waited for, the id is still its own.
                if let Some(pid) = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
                    // It fails only if the process has just ended.
                    let _ = kill_process(pid, signal);
                }
            }
        }
    }
}

impl Voice {
    /// Listens until the process closes its standard error. `speaker`: passes it on in this name.
    fn listen(stderr: ChildStderr, speaker: Option<String>) -> Self {
        let (tell_ready, ready) = watch::channel(None);
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let lines = Arc::clone(&log);
        tokio::spawn(async move {
            let mut stderr = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = stderr.next_line().await {
                if let Some(speaker) = &speaker {
                    output::talk(format_args!("{speaker}: {line}"));
                }
                if let Some(rest) = line.strip_prefix(READY) {
                    tell_ready.send_replace(Some(rest.to_owned()));
                }
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push_back(line);
                if lines.len() > LOG_LINES {
                    lines.pop_front();
                }
            }
        });
        Self { ready, log }
    }

    /// Waits for its last words; not for long, because a process of its own may have the same
    /// standard error.
    async fn ended(&self) {
        let mut ready = self.ready.clone();
        // An error tells that the listener has come to the end.
        let _ = timeout(Duration::from_secs(1), ready.wait_for(|_| false)).await;
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
