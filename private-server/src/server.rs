//! The life of a private server: start, wait until it is ready, faults on request, stop.

use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use crate::address::Address;
use crate::child::{Launch, LeashedChild, STOP_GRACE};
use crate::config;
use crate::data_dir::DataDir;
use crate::error::StartError;
use crate::find::{Product, ServerBinary, Version, find};
use crate::options::{Options, Role};
use crate::ready::{Readiness, probe};

/// How long a started server may take to answer; the time that it takes to load data comes on top.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// How often a starting server is asked. It takes about 40 ms.
const READY_POLL: Duration = Duration::from_millis(5);

/// Tries to find a port, in case another process takes it before the server does.
const PORT_ATTEMPTS: usize = 5;

/// A running Redis or Valkey server that belongs to this value: it is stopped when the value is
/// dropped, and killed when the process dies without dropping it.
///
/// All methods block, most of them for milliseconds.
#[derive(Debug)]
pub struct PrivateServer {
    // Dropped in this order: first the server, then its directories.
    child: LeashedChild,
    address: Address,
    data: DataDir,
    binary: ServerBinary,
    options: Options,
}

impl PrivateServer {
    /// Finds a server program, starts it and waits until it answers.
    ///
    /// # Errors
    /// [`StartError`] tells what is missing, or carries the end of the server's log.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let binary = find()?;
        let data = DataDir::open(options.data_dir.as_deref())?;
        let mut attempts = PORT_ATTEMPTS;
        loop {
            attempts -= 1;
            let address = Address::choose(&options)?;
            match launch(&binary, &data, &address, &options) {
                Err(StartError::Exited { log, .. }) if attempts > 0 && port_was_taken(&log) => {}
                Err(error) => return Err(error),
                Ok(child) => {
                    return Ok(Self { child, address, data, binary, options });
                }
            }
        }
    }

    /// Where to connect, with the password if there is one: `redis+unix:///run/…/redis.sock`
    /// or `redis://127.0.0.1:10123/`. The same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        self.address.url(self.options.password.as_deref())
    }

    /// The port, unless it listens on a socket.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.address.port()
    }

    /// The port of the cluster bus, in a cluster.
    #[must_use]
    pub fn bus_port(&self) -> Option<u16> {
        self.address.bus_port()
    }

    /// The id of the server's process; another one after a restart.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where the server keeps its data.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Redis or Valkey.
    #[must_use]
    pub fn product(&self) -> Product {
        self.binary.product()
    }

    /// The version of the server, in the product's own counting.
    #[must_use]
    pub fn version(&self) -> Version {
        self.binary.version()
    }

    /// Stops the server in good order (`SIGTERM`), or with force when that takes longer than five
    /// seconds. Dropping the value does the same, but tells nobody how it went.
    ///
    /// # Errors
    /// If the process cannot be signalled or waited for.
    pub fn stop(mut self) -> io::Result<ExitStatus> {
        self.child.stop(STOP_GRACE)
    }

    /// Crashes the server (`SIGKILL`); [`restart`](Self::restart) brings it back.
    ///
    /// With [`Options::append_only`], what it had acknowledged is still there afterwards, but for
    /// writes that waited for a slow disk: `appendfsync always` leaves no such doubt.
    ///
    /// # Errors
    /// If the process cannot be signalled or waited for.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()
    }

    /// Starts the server again, with the same data and under the same URL. One that still runs is
    /// stopped first.
    ///
    /// # Errors
    /// As [`start`](Self::start), except for what start has found or made already. The server is
    /// then down, and restart may be tried again.
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.child.stop(STOP_GRACE).map_err(|source| spawn_error(&self.binary, source))?;
        self.child = launch(&self.binary, &self.data, &self.address, &self.options)?;
        Ok(())
    }

    /// Freezes the server (`SIGSTOP`): connections stay open, nothing is answered. Returns when it
    /// stands still.
    ///
    /// # Errors
    /// If the server has ended.
    pub fn freeze(&mut self) -> io::Result<()> {
        self.child.freeze()
    }

    /// Lets a frozen server run on (`SIGCONT`).
    ///
    /// # Errors
    /// If the server has ended.
    pub fn thaw(&mut self) -> io::Result<()> {
        self.child.thaw()
    }

    /// Waits for the server to end by itself, or by somebody else's hand. `None` if it still runs
    /// after `within`; with a duration of zero, this asks whether it runs.
    ///
    /// # Errors
    /// If the process cannot be waited for.
    pub fn wait_exit(&mut self, within: Duration) -> io::Result<Option<ExitStatus>> {
        self.child.wait(within)
    }
}

fn launch(
    binary: &ServerBinary,
    data: &DataDir,
    address: &Address,
    options: &Options,
) -> Result<LeashedChild, StartError> {
    let config = config::render(options, data, address)?;
    let dir_error = |source| StartError::DataDir { path: data.path().to_owned(), source };
    let config = data.write_config(&config).map_err(dir_error)?;
    let (log, log_start) = data.open_log().map_err(dir_error)?;
    let mut scratch = Vec::from_iter(address.scratch());
    if data.is_scratch() {
        scratch.push(data.path());
    }
    let mut child = LeashedChild::spawn(Launch {
        program: binary.path(),
        config: &config,
        sentinel: options.role == Role::Sentinel,
        scratch,
        lock: data.share_lock().map_err(dir_error)?,
        log,
    })
    .map_err(|source| spawn_error(binary, source))?;
    data.note_server(child.id()).map_err(dir_error)?;
    wait_until_ready(&mut child, binary, address, options, || data.log_since(log_start))?;
    Ok(child)
}

fn wait_until_ready(
    child: &mut LeashedChild,
    binary: &ServerBinary,
    address: &Address,
    options: &Options,
    log: impl Fn() -> String,
) -> Result<(), StartError> {
    let mut since = Instant::now();
    loop {
        let ended = child.exited().map_err(|source| spawn_error(binary, source))?;
        if let Some(status) = ended {
            return Err(StartError::Exited {
                binary: binary.path().to_owned(),
                status,
                log: log(),
            });
        }
        match probe(address, options.password.as_deref(), options.cluster_mode) {
            Readiness::Ready => return Ok(()),
            Readiness::Loading => since = Instant::now(),
            Readiness::NotYet(answer) if since.elapsed() > READY_WITHIN => {
                return Err(StartError::NotReady {
                    binary: binary.path().to_owned(),
                    waited: READY_WITHIN,
                    answer,
                    log: log(),
                });
            }
            Readiness::NotYet(_) => {}
        }
        thread::sleep(READY_POLL);
    }
}

fn spawn_error(binary: &ServerBinary, source: io::Error) -> StartError {
    StartError::Spawn { binary: binary.path().to_owned(), source }
}

fn port_was_taken(log: &str) -> bool {
    log.contains("Address already in use")
}
