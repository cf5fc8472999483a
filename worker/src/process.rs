//! Tasks in any language: a task whose attempts are child processes.
//!
//! The arguments go in as JSON by standard input, the result comes out as JSON by standard output,
//! and how the process exits says how the attempt ended. What is executed is fixed when the worker
//! starts: a message can only name a task, and nothing of it becomes a program, an argument or the
//! name of a variable. There is no shell.
//!
//! `group` owns the process and everything it starts, `pipes` speaks with it, `verdict` judges its
//! end, `guard` ends it when the worker is killed.

mod group;
mod guard;
mod pipes;
mod verdict;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use celeriac_broker_schema::TaskName;
use celeriac_broker_schema::limits::MAX_RESULT_BYTES;
use serde_json::value::RawValue;

use crate::process::group::Group;
pub use crate::process::guard::Guard;
use crate::process::pipes::Heard;
use crate::process::verdict::{Exit, cannot_start, judge};
use crate::task::{CancelReason, Context, ErasedTask, RunResult, TaskError};

/// Between `SIGTERM` and `SIGKILL`, unless the task says otherwise.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);

/// Variables of the worker that a command does not inherit: they may hold secrets, and are about
/// the worker.
const OWN_VARIABLES: &str = "CELERIAC_";

/// A command that runs as a task.
///
/// ```
/// use std::time::Duration;
/// use celeriac_worker::process::{Guard, ProcessTask};
/// use celeriac_worker::task::Registry;
///
/// let resize = ProcessTask::new("/usr/bin/python3", ["resize.py"])
///     .dir("/srv/images")
///     .timeout(Duration::from_secs(30));
/// let name = "resize".parse()?;
/// let tasks = Registry::new(()).erased(&name, resize.into_task(&name, &Guard::new())).build();
/// assert_eq!(tasks.names(), ["resize"]);
/// # Ok::<(), celeriac_broker_schema::InvalidInput>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessTask {
    program: PathBuf,
    args: Vec<String>,
    dir: Option<PathBuf>,
    env: BTreeMap<String, String>,
    timeout: Option<Duration>,
    grace: Duration,
    max_output: usize,
}

impl ProcessTask {
    /// A program and its arguments. A program without a slash is looked up in `PATH` at each run.
    pub fn new<S: Into<String>>(
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            dir: None,
            env: BTreeMap::new(),
            timeout: None,
            grace: DEFAULT_GRACE,
            max_output: MAX_RESULT_BYTES,
        }
    }

    /// The directory in which it runs. Default: that of the worker. If the path of the program is
    /// relative and has a slash, give an absolute one instead.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// A variable of its environment, besides those of the worker that do not begin with
    /// `CELERIAC_`.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// The longest that an attempt may take; that of the task as it was enqueued counts as well.
    /// Default: only that.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The time between `SIGTERM` and `SIGKILL`. Default: 5 s.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The most that it may write to standard output, in bytes, at most 1 MiB (which is the
    /// default): a process that writes more is killed.
    #[must_use]
    pub fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes.min(MAX_RESULT_BYTES);
        self
    }

    /// The task of this name, to be registered with [`Registry::erased`].
    ///
    /// [`Registry::erased`]: crate::task::Registry::erased
    pub fn into_task(self, name: &TaskName, guard: &Guard) -> ErasedTask {
        let (spec, name) = (Arc::new(self), Arc::<str>::from(name.as_str()));
        let guard = guard.clone();
        ErasedTask::Async(Arc::new(move |ctx, args| {
            let (spec, name, guard) = (Arc::clone(&spec), Arc::clone(&name), guard.clone());
            let (ctx, args) = (ctx.clone(), args.to_owned());
            Box::pin(async move { run(&spec, &name, &guard, &ctx, &args).await })
        }))
    }

    fn command(&self, name: &str, ctx: &Context) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        for (variable, _) in std::env::vars_os() {
            if variable.as_encoded_bytes().starts_with(OWN_VARIABLES.as_bytes()) {
                command.env_remove(variable);
            }
        }
        command.envs(&self.env);
        command.env("CELERIAC_TASK", name).env("CELERIAC_TASK_ID", ctx.id().to_string());
        command.env("CELERIAC_ATTEMPT", ctx.attempt().to_string());
        command.env("CELERIAC_QUEUE", ctx.queue().as_str());
        if let Some(tenant) = ctx.tenant() {
            command.env("CELERIAC_TENANT", tenant.as_str());
        }
        // One variable of ours, and no names from a message: a header called PATH stays a header.
        let headers = serde_json::to_string(ctx.headers()).unwrap_or_else(|_| "{}".to_owned());
        command.env("CELERIAC_HEADERS", headers);
        if let Some(chunk) = ctx.chunk() {
            command.env("CELERIAC_CHUNK_INDEX", chunk.index.to_string());
            command.env("CELERIAC_CHUNK_COUNT", chunk.count.to_string());
        }
        command
    }
}

/// One attempt.
async fn run(
    spec: &ProcessTask,
    name: &str,
    guard: &Guard,
    ctx: &Context,
    args: &RawValue,
) -> RunResult {
    let (mut group, pipes) = Group::start(spec.command(name, ctx), spec.grace, guard, ctx)
        .map_err(|error| cannot_start(name, &spec.program, &error))?;
    let mut heard = Heard::default();
    let tail = heard.stderr.clone();
    let (end, told) = {
        let mut talk = pin!(pipes.talk(args.get(), spec.max_output, &mut heard));
        let mut over = pin!(over(spec.timeout));
        let mut hinted = false;
        loop {
            tokio::select! {
                biased;
                end = group.end(talk.as_mut()) => break (end, false),
                _ = ctx.interrupted() => break (group.stop(talk.as_mut()).await, true),
                limit = over.as_mut() => {
                    group.stop(talk.as_mut()).await;
                    return Err(TaskError::timeout(limit).with_trace(tail.text()));
                }
                reason = ctx.cancelled(), if !hinted => {
                    hinted = reason == CancelReason::SoftTimeout;
                    if hinted {
                        group.hint();
                    }
                }
            }
        }
    };
    judge(Exit { name, end, told, heard: &heard, max_output: spec.max_output })
}

/// Waits until the time-out is over, and returns it.
async fn over(timeout: Option<Duration>) -> Duration {
    match timeout {
        Some(timeout) => {
            tokio::time::sleep(timeout).await;
            timeout
        }
        None => std::future::pending().await,
    }
}
