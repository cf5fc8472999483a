//! Ends the processes of a worker that is killed (`SIGKILL`, out of memory) and can end nothing
//! itself.
//!
//! The guard is one shell per worker with a pipe as its standard input, whose other end only the
//! worker has. It is told which process groups run, by number. End of file means that the worker is
//! gone, however it went: the guard kills the groups that are left, and leaves. Nothing but numbers
//! ever reaches it.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::write;
use rustix::process::Pid;

const SHELL_SCRIPT: &str = r#"
trap '' HUP INT TERM
groups=' '
while read -r what id; do
    case $what in
    watch) groups="$groups$id " ;;
    forget)
        case $groups in
        *" $id "*) groups="${groups%%" $id "*} ${groups#*" $id "}" ;;
        esac
        ;;
    esac
done
for id in $groups; do
    kill -s KILL -- "-$id" 2>/dev/null
done
"#;

/// Ends the processes of tasks when the worker itself is killed. One for all tasks of a worker;
/// clones are the same guard. It starts with the first process; where it cannot, in a container
/// without a shell, a warning says so, and processes may outlive a killed worker.
#[derive(Debug, Clone, Default)]
pub struct Guard(Arc<OnceLock<Option<Shell>>>);

impl Guard {
    /// A guard that is not needed yet.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn start(&self) {
        self.0.get_or_init(Shell::start_or_warn);
    }

    pub(super) fn watch(&self, group: Pid) {
        self.tell("watch", group);
    }

    pub(super) fn forget(&self, group: Pid) {
        self.tell("forget", group);
    }

    fn tell(&self, what: &str, group: Pid) {
        if let Some(shell) = self.0.get_or_init(Shell::start_or_warn) {
            let line = format!("{what} {}\n", group.as_raw_nonzero());
            // As short as it is, it is written as a whole or, if nobody reads, not at all.
            let _ = write(&shell.leash, line.as_bytes());
        }
    }
}

#[derive(Debug)]
struct Shell {
    child: Child,
    leash: OwnedFd,
}

impl Shell {
    fn start_or_warn() -> Option<Self> {
        let started = Self::start();
        if let Err(error) = &started {
            tracing::warn!(%error, "no guard: should this worker be killed, commands that it runs go on");
        }
        started.ok()
    }

    fn start() -> std::io::Result<Self> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", SHELL_SCRIPT, "celeriac-guard"])
            .current_dir("/")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for the worker.
            .process_group(0)
            .spawn()?;
        let leash = child.stdin.take().ok_or_else(|| std::io::Error::other("it has no pipe"))?;
        let leash = OwnedFd::from(leash);
        // A guard that is stopped must not stop the worker.
        fcntl_setfl(&leash, fcntl_getfl(&leash)? | OFlags::NONBLOCK)?;
        Ok(Self { child, leash })
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The worker ends in good order, and so have its processes: it is reaped when it sees that.
        let _ = self.child.try_wait();
    }
}
