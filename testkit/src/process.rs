//! Real processes for tests of real faults: killed, frozen, stopped in good order, and their
//! output read as events.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, kill_process_group, waitid,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::undertaker;

/// How often is looked whether a process has ended.
const POLL: Duration = Duration::from_millis(5);
/// How long the last lines of a process that has ended may take to arrive.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A child process in a process group of its own. Dropping it kills the whole group, also what the
/// process has left behind in there; so does the death of the test.
///
/// ```no_run
/// # use std::{process::Command, time::Duration};
/// # use celeriac_testkit::Process;
/// # async fn test() {
/// let mut worker = Process::spawn(Command::new("celeriac").arg("worker"));
/// worker.wait_for_line(|line| line.contains("ready"), Duration::from_secs(10)).await;
/// worker.kill();
/// # }
/// ```
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: Pid,
    /// What the process has printed on both outputs, in the order in which it arrived.
    lines: watch::Receiver<Vec<String>>,
}

impl Process {
    /// Starts `command`, with its outputs captured and nothing to read.
    ///
    /// # Panics
    /// If the program cannot be executed.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        undertaker::watch(child.id());
        let (sender, lines) = watch::channel(Vec::new());
        collect_lines(child.stdout.take().expect("it is piped"), sender.clone());
        collect_lines(child.stderr.take().expect("it is piped"), sender);
        Self { pid: Pid::from_child(&child), child, lines }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process (`SIGKILL`), but not its children: as a crash does. Returns when it is dead.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        self.wait_id(WaitIdOptions::EXITED);
    }

    /// Asks the process to end (`SIGTERM`).
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Freezes the process (`SIGSTOP`), but not its children. Returns when it stands still.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        self.wait_id(WaitIdOptions::STOPPED | WaitIdOptions::EXITED);
    }

    /// Lets a frozen process run on (`SIGCONT`).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends any other signal. One to a process that has ended is lost.
    pub fn signal(&self, signal: Signal) {
        // The process is reaped only when this value is dropped, so the id is still its own.
        kill_process(self.pid, signal).expect("a child that is not reaped can be signalled");
    }

    /// Waits for the end of the process, and of its outputs unless its children keep them open.
    ///
    /// # Panics
    /// If it still runs after `deadline`, with its output.
    pub async fn wait(&self, deadline: Duration) -> ExitStatus {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.exited() {
                let mut lines = self.lines.clone();
                let closed = async { while lines.changed().await.is_ok() {} };
                let _ = timeout(LAST_LINES, closed).await;
                return status;
            }
            assert!(Instant::now() < end, "still running after {deadline:?}: {self}");
            sleep(POLL).await;
        }
    }

    /// Waits for a line on either output, and returns it; one that came earlier counts, too.
    ///
    /// # Panics
    /// If there is no such line within `deadline`, or the outputs are closed without it.
    pub async fn wait_for_line(&self, wanted: impl Fn(&str) -> bool, deadline: Duration) -> String {
        let find = |lines: &Vec<String>| lines.iter().find(|line| wanted(line)).cloned();
        let mut lines = self.lines.clone();
        match timeout(deadline, lines.wait_for(|lines| find(lines).is_some())).await {
            Ok(Ok(lines)) => find(&lines).expect("it was found a moment ago"),
            Ok(Err(_)) => {
                panic!("it ended its output without the line that was waited for: {self}")
            }
            Err(_) => panic!("no such line within {deadline:?}: {self}"),
        }
    }

    /// All lines so far, of both outputs, in the order in which they arrived.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// How the process ended, if it has.
    #[must_use]
    pub fn exited(&self) -> Option<ExitStatus> {
        let ended = self.wait_id(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)?;
        // As `wait(2)` encodes it: a signal in the low bits, an exit code above them.
        let code = ended.exit_status().map(|code| code << 8);
        code.or(ended.terminating_signal()).map(ExitStatus::from_raw)
    }

    fn wait_id(&self, options: WaitIdOptions) -> Option<WaitIdStatus> {
        retry_on_intr(|| waitid(WaitId::Pid(self.pid), options | WaitIdOptions::NOWAIT))
            .expect("a child that is not reaped can be waited for")
    }
}

/// The program's id and output, for the message of a failed test.
impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} printed:\n{}", self.id(), self.lines().join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Neither can fail in a way that a test could do something about.
        let _ = kill_process_group(self.pid, Signal::KILL);
        undertaker::forget(self.id());
        let _ = self.child.wait();
    }
}

/// Reads until the last process that has the output open is gone.
fn collect_lines(output: impl Read + Send + 'static, lines: watch::Sender<Vec<String>>) {
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            lines.send_modify(|lines| lines.push(text));
            line.clear();
        }
    });
}
