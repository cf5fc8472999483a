//! A process and everything that it starts: its process group, which ends with the attempt, however
//! the attempt ends.

use std::io;
use std::os::unix::process::CommandExt;
use std::pin::Pin;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::time::{Instant, timeout, timeout_at};

use crate::process::guard::Guard;
use crate::process::pipes::{Pipes, TooMuch};
use crate::task::{CancelReason, Context};

/// How long pipes are read after the process has ended. What it wrote is in them already; only a
/// process that left the group can hold them open.
const LINGER: Duration = Duration::from_secs(1);

/// How a process ended.
#[derive(Debug)]
pub(super) enum End {
    Exited(ExitStatus),
    /// Killed for it.
    TooMuch,
    /// The system does not tell.
    Unknown(io::Error),
}

/// A running process with its group. Dropped before its end, which is how a slot ends an attempt,
/// it goes on ending the group in the background: `SIGTERM`, the grace, `SIGKILL`; or at once, if
/// the task is not this worker's any more or the worker leaves.
pub(super) struct Group {
    members: Option<Members>,
    grace: Duration,
    /// When it was told to stop.
    told: Option<Instant>,
    /// Whether all was read: it may close its pipes long before its end.
    read: bool,
    ctx: Context,
}

impl Group {
    /// Must be called in a runtime.
    pub(super) fn start(
        mut command: Command,
        grace: Duration,
        guard: &Guard,
        ctx: &Context,
    ) -> io::Result<(Self, Pipes)> {
        command.process_group(0);
        let mut command = tokio::process::Command::from(command);
        // It takes longer to start than a process may take to be lost.
        guard.start();
        let mut child = command.kill_on_drop(true).spawn()?;
        let missing = || io::Error::other("it has no pipes");
        let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).ok_or_else(missing)?;
        guard.watch(id);
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let members = Some(Members { child, id, guard: guard.clone(), gone: false });
        let group = Self { members, grace, told: None, read: false, ctx: ctx.clone() };
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else { return Err(missing()) };
        Ok((group, Pipes { stdin, stdout, stderr }))
    }

    /// Waits until the process has ended and its pipes are read. What it left behind is killed. May be
    /// dropped and called again, with the same `talk`.
    pub(super) async fn end<T>(&mut self, mut talk: Pin<&mut T>) -> End
    where
        T: Future<Output = Result<(), TooMuch>>,
    {
        let Self { members: Some(members), read, .. } = self else {
            return End::Unknown(already());
        };
        let ended = tokio::select! {
            biased;
            said = talk.as_mut(), if !*read => match said {
                Ok(()) => {
                    *read = true;
                    members.child.wait().await
                }
                Err(TooMuch) => {
                    members.signal(Signal::KILL);
                    let _ = members.child.wait().await;
                    members.kill();
                    return End::TooMuch;
                }
            },
            ended = members.child.wait() => {
                members.kill();
                if !*read && let Ok(Err(TooMuch)) = timeout(LINGER, talk).await {
                    return End::TooMuch;
                }
                ended
            }
        };
        members.kill();
        ended.map_or_else(End::Unknown, End::Exited)
    }

    /// Tells the group that its soft time-out is over. By default processes ignore this signal, so
    /// that only those hear it that want to.
    pub(super) fn hint(&self) {
        self.signal(Signal::WINCH);
    }

    /// Tells the group to stop, and kills it when the grace is over.
    pub(super) async fn stop<T>(&mut self, mut talk: Pin<&mut T>) -> End
    where
        T: Future<Output = Result<(), TooMuch>>,
    {
        let told = Instant::now();
        self.told = Some(told);
        self.signal(Signal::TERM);
        if let Ok(end) = timeout_at(told + self.grace, self.end(talk.as_mut())).await {
            return end;
        }
        self.signal(Signal::KILL);
        self.end(talk).await
    }

    fn signal(&self, signal: Signal) {
        if let Some(members) = &self.members {
            members.signal(signal);
        }
    }
}

fn already() -> io::Error {
    io::Error::other("it has ended before")
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(mut members) = self.members.take().filter(|members| !members.gone) else { return };
        let reason = self.ctx.cancel_reason();
        if matches!(reason, Some(CancelReason::LeaseLost | CancelReason::Stopping)) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let until = self.told.unwrap_or_else(Instant::now) + self.grace;
        let told = self.told.is_some();
        // Should the runtime end first, this is dropped, and the members with it.
        runtime.spawn(async move {
            if !told {
                members.signal(Signal::TERM);
            }
            let _ = timeout_at(until, members.child.wait()).await;
            drop(members);
        });
    }
}

/// The processes; dropped, they are killed.
struct Members {
    child: Child,
    id: Pid,
    guard: Guard,
    /// Whether all were killed after the first one had ended. From then on the id may belong to
    /// others.
    gone: bool,
}

impl Members {
    fn signal(&self, signal: Signal) {
        if !self.gone {
            // Nobody may be left to hear it. As long as one is, the id belongs to this group; ids
            // are given out in turn, so that none returns in the instant in which its last process
            // is reaped.
            let _ = kill_process_group(self.id, signal);
        }
    }

    /// The end of all of them.
    fn kill(&mut self) {
        if !self.gone {
            self.signal(Signal::KILL);
            self.guard.forget(self.id);
            self.gone = true;
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.kill();
    }
}
