//! The server as a child process on a leash: it dies when its owner dies, however that happens,
//! and it is signalled only while its process id is certainly still its own.
//!
//! How the leash works. A shell is started with a pipe as its standard input, whose other end
//! only the owner has. The shell leaves a watchdog in the background and then becomes the server
//! (`exec`), so that the server is our direct child, and no instant exists at which it runs
//! unwatched. The watchdog reads from the pipe: end of file means that the owner is gone, even by
//! `SIGKILL`, and it kills the server and removes what was to be removed; a line means that the
//! server has ended, and it leaves. `SIGKILL` is harsh but safe: what the server has acknowledged
//! has already been handed to the operating system.
//!
//! The server has a process group of its own: Ctrl-C in a terminal reaches its owner, which then
//! stops it in good order.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// Arguments: the server program, its configuration file, `--sentinel` or nothing, the directories to
/// remove if the owner dies. Standard output is the lock of the data directory, standard error the log. The server gets
/// the lock as its standard input, where it rests undisturbed; the watchdog must not keep it.
const SHELL_SCRIPT: &str = r#"
server=$$ program=$1 config=$2 mode=$3
shift 3
exec 3<&0
(
    trap '' HUP INT TERM
    read -r ended && exit
    kill -KILL "$server"
    rm -rf -- "$@" || { sleep 1; rm -rf -- "$@"; }
) <&3 3<&- >/dev/null 2>&1 &
exec "$program" "$config" ${mode:+"$mode"} <&1 >&2 3<&-
"#;

/// Often enough to make tests quick, seldom enough not to be seen in a profile.
const POLL: Duration = Duration::from_millis(2);

/// How long the kernel may take to carry out a `SIGKILL`.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// What to start.
pub(crate) struct Launch<'a> {
    pub(crate) program: &'a Path,
    pub(crate) config: &'a Path,
    /// Whether it is a Sentinel.
    pub(crate) sentinel: bool,
    /// Directories that the watchdog removes if the owner dies.
    pub(crate) scratch: Vec<&'a Path>,
    /// Stays open as long as the server lives.
    pub(crate) lock: File,
    /// Takes what the server says before it opens its log.
    pub(crate) log: File,
}

/// A server process. Dropping it stops the server.
#[derive(Debug)]
pub(crate) struct LeashedChild {
    child: Child,
    pid: Pid,
    /// `None` from the moment the watchdog was sent away.
    leash: Option<ChildStdin>,
    /// Known from the moment the process was reaped. From then on its id may belong to another.
    status: Option<ExitStatus>,
}

impl LeashedChild {
    pub(crate) fn spawn(launch: Launch<'_>) -> io::Result<Self> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", SHELL_SCRIPT, "celeriac-watchdog"])
            .args([launch.program, launch.config])
            .arg(if launch.sentinel { "--sentinel" } else { "" })
            .args(launch.scratch)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(launch.lock)
            .stderr(launch.log)
            .process_group(0)
            .spawn()?;
        Ok(Self {
            pid: Pid::from_child(&child),
            // Taken out, because `Child::wait` closes the pipe before it waits.
            leash: child.stdin.take(),
            child,
            status: None,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, if it has.
    pub(crate) fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() && self.has_ended()? {
            // The watchdog goes first: once the process is reaped, its id may be given to another
            // process, and the watchdog must not kill that one.
            self.dismiss_watchdog();
            self.status = Some(self.child.wait()?);
        }
        Ok(self.status)
    }

    /// Waits for the end of the process. `None` if it still runs after `within`.
    pub(crate) fn wait(&mut self, within: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + within;
        loop {
            let status = self.exited()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
    }

    /// Ends the process in good order; if that takes longer than `grace`, with force.
    pub(crate) fn stop(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        if let Some(status) = self.exited()? {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        // A frozen process acts on SIGTERM only when it runs again.
        self.signal(Signal::CONT)?;
        match self.wait(grace)? {
            Some(status) => Ok(status),
            None => self.kill(),
        }
    }

    /// Ends the process with force.
    pub(crate) fn kill(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.exited()? {
            return Ok(status);
        }
        self.signal(Signal::KILL)?;
        self.wait(KILL_GRACE)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "the server survives SIGKILL"))
    }

    /// Stops the process where it is; returns when it stands still.
    pub(crate) fn freeze(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        retry_on_intr(|| waitid(WaitId::Pid(self.pid), stopped))?;
        Ok(())
    }

    /// Lets a frozen process run on.
    pub(crate) fn thaw(&mut self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.exited()?.is_some() {
            return Err(io::Error::other("the server is not running"));
        }
        Ok(kill_process(self.pid, signal)?)
    }

    /// Looks whether the process has ended, and leaves it in the process table.
    fn has_ended(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let ended = retry_on_intr(|| waitid(WaitId::Pid(self.pid), options))?;
        Ok(ended.is_some())
    }

    fn dismiss_watchdog(&mut self) {
        if let Some(mut leash) = self.leash.take() {
            // It may be gone already, which is as good.
            let _ = leash.write_all(b"ended\n");
        }
    }
}

/// How long a server may take to close its files in good order.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(5);

impl Drop for LeashedChild {
    fn drop(&mut self) {
        // A failure leaves the process to the watchdog: the leash is let go right after this.
        let _ = self.stop(STOP_GRACE);
    }
}
