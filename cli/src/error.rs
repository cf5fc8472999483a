//! Why a command failed, which exit code that is, and what to do next.
//!
//! Each layer below has its own error; here they only meet. A message says what happened to what;
//! [`CliError::hint`] says what to do, where the message does not.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use celeriac_broker_schema::{BrokerError, InvalidInput, Subject, TaskId};
use celeriac_monitor::MonitorError;
use celeriac_private_server::StartError;
use celeriac_producer::{EnqueueError, ResultError, ScheduleError};
use celeriac_worker::{ConfigError, WorkerError};
use thiserror::Error;

use crate::exit::Exit;
use crate::format::counted;

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    #[error(transparent)]
    NoResult(#[from] ResultError),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    #[error(transparent)]
    WorkerConfig(#[from] ConfigError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(transparent)]
    Monitor(#[from] MonitorError),
    #[error("no private Redis: {}", with_source(.0))]
    PrivateServer(#[from] StartError),
    #[error("{0}")]
    Arguments(String),
    /// A stream of tasks that ended early; what came before is enqueued.
    #[error("{source}; {} enqueued before that", counted(*.enqueued, "task"))]
    Stream {
        enqueued: u64,
        #[source]
        source: Box<CliError>,
    },
    #[error("line {line} of {input} is not valid: {reason}")]
    Line { input: String, line: u64, reason: String },
    #[error("{} of {input} not valid, and skipped", counted(*.skipped, "line"))]
    Skipped { input: String, skipped: u64 },
    #[error("{0} was never enqueued here, or nothing of it is kept any more")]
    Unknown(TaskId),
    #[error("there is no limit on {0}")]
    NoLimit(Subject),
    #[error("{0} is not among the dead letters")]
    NotDead(TaskId),
    #[error("{} not revived: the job has ended, another task has the key, or what is stored cannot be read", counted(*.0, "dead letter"))]
    NotRevived(u64),
    #[error("{id} has not ended: it is {state}")]
    NotEnded { id: TaskId, state: String },
    #[error("chunk {0} has no result of its own: chunks add to the accumulators of their job")]
    ChunkResult(TaskId),
    #[error("{0}")]
    Check(String),
    #[error("{problems} found", problems = counted(*.0, "problem"))]
    Doctor(u64),
    #[error("{name} ended unexpectedly ({status}){}", log_text(.log))]
    ChildEnded { name: String, status: ExitStatus, log: Vec<String> },
    #[error("{name} was not ready within {waited:?}{}", log_text(.log))]
    ChildNotReady { name: String, waited: Duration, log: Vec<String> },
    #[error("{name} cannot be started: {source}")]
    Spawn {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("the private Redis ended unexpectedly{}", .0.map(|status| format!(" ({status})")).unwrap_or_default())]
    ServerEnded(Option<ExitStatus>),
    #[error("all workers have ended")]
    NoWorkerLeft,
    #[error("{} cannot be read: {source}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not valid:{}", path.display(), log_text(.problems))]
    TasksFile { path: PathBuf, problems: Vec<String> },
    #[error("the workflow in {input} is not valid, and nothing was enqueued:{}", log_text(.problems))]
    WorkflowFile { input: String, problems: Vec<String> },
    #[error("the system does not permit it: {0}")]
    System(#[source] io::Error),
    #[error("the output cannot be written: {0}")]
    Output(#[source] io::Error),
    #[error("interrupted")]
    Interrupted,
    /// A signal ended a wait. One id, or None for many.
    #[error("no longer waiting: {} on", .id.map_or("the tasks go".to_owned(), |id| format!("{id} goes")))]
    StoppedWaiting { id: Option<TaskId>, exit: Exit },
    /// Of many tasks that were waited for, each was told of before.
    #[error("{} of {} did not succeed", counted(*.failed, "task"), .total)]
    SomeFailed { failed: u64, total: u64, exit: Exit },
    #[error("{0}; this is a bug")]
    Bug(String),
}

impl CliError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Broker(error) | Self::Worker(WorkerError::Broker(error)) => broker_exit(error),
            Self::Enqueue(error) => enqueue_exit(error),
            Self::NoResult(error) => result_exit(error),
            Self::Schedule(error) => schedule_exit(error),
            Self::Stream { source, .. } => source.exit(),
            Self::Invalid(_)
            | Self::WorkerConfig(_)
            | Self::Arguments(_)
            | Self::Line { .. }
            | Self::TasksFile { .. }
            | Self::WorkflowFile { .. }
            | Self::Skipped { .. }
            | Self::NotRevived(_)
            | Self::Monitor(MonitorError::Open { .. })
            | Self::ChunkResult(_) => Exit::InvalidInput,
            Self::Unknown(_) | Self::NotDead(_) | Self::NoLimit(_) => Exit::Unknown,
            Self::NotEnded { .. } => Exit::NotEnded,
            Self::Check(_) | Self::Doctor(_) => Exit::ProblemsFound,
            Self::Worker(WorkerError::Thread(_))
            | Self::Monitor(MonitorError::Bind { .. } | MonitorError::Server(_))
            | Self::PrivateServer(_)
            | Self::ChildEnded { .. }
            | Self::ChildNotReady { .. }
            | Self::Spawn { .. }
            | Self::ServerEnded(_)
            | Self::NoWorkerLeft
            | Self::File { .. }
            | Self::System(_)
            | Self::Output(_) => Exit::ThisMachine,
            Self::Interrupted => Exit::Interrupted,
            Self::StoppedWaiting { exit, .. } | Self::SomeFailed { exit, .. } => *exit,
            Self::Worker(_) | Self::Monitor(_) | Self::Bug(_) => Exit::Internal,
        }
    }

    /// What to do next, where the message does not say so itself.
    pub(crate) fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Broker(error) | Self::Worker(WorkerError::Broker(error)) => broker_hint(error)?,
            Self::Enqueue(EnqueueError::Unavailable { may_exist: true, .. }) => {
                "repeat it with --key: the same key enqueues it once, whatever happened before"
            }
            Self::Enqueue(
                EnqueueError::Unavailable { source, .. } | EnqueueError::Refused(source),
            ) => broker_hint(source)?,
            Self::Stream { source, .. } => return source.hint(),
            Self::Line { .. } => {
                "mend the line and enqueue it and the lines after it, or pass --skip-bad"
            }
            Self::Schedule(ScheduleError::Exists(_)) => {
                "choose another name, change it with `celeriac schedule edit`, or pass --replace"
            }
            Self::Schedule(ScheduleError::Unknown(_)) => {
                "see `celeriac schedule list`; check --redis and --namespace"
            }
            Self::Schedule(ScheduleError::Broker(error)) => broker_hint(error)?,
            Self::NoResult(ResultError::Failed { id, failed_task, .. }) => {
                let failed = failed_task.clone().unwrap_or_else(|| id.to_string());
                return Some(format!("its attempts: celeriac status {failed}"));
            }
            Self::NoResult(ResultError::Timeout { id, .. })
            | Self::NotEnded { id, .. }
            | Self::StoppedWaiting { id: Some(id), .. } => {
                return Some(format!(
                    "wait for it: celeriac result {id} --wait; or see where it is: celeriac status {id}"
                ));
            }
            Self::NoResult(ResultError::Unknown(_)) | Self::Unknown(_) => {
                "check the id, --redis and --namespace; results are kept for a day unless --keep says otherwise"
            }
            Self::NoLimit(_) => "see `celeriac limits`; check --redis and --namespace",
            Self::ChunkResult(id) => {
                return Some(format!("ask for the job: celeriac result {}", id.job()));
            }
            Self::PrivateServer(StartError::DataDirInUse { .. }) => {
                "is another `celeriac up` running here? Use its Redis (CELERIAC_REDIS_URL), or start this one in another directory"
            }
            Self::Monitor(MonitorError::Bind { .. }) => {
                "choose another one with --listen ADDRESS:PORT"
            }
            Self::NoWorkerLeft => "their last words are shown with --verbose",
            Self::ServerEnded(_) => "what it said is in server.log in its data directory",
            _ => return None,
        };
        Some(text.to_owned())
    }
}

fn broker_exit(error: &BrokerError) -> Exit {
    match error {
        BrokerError::Url { .. } => Exit::InvalidInput,
        BrokerError::Unavailable { .. }
        | BrokerError::NoAnswer { .. }
        | BrokerError::NotDurable { .. }
        | BrokerError::NotReady { .. } => Exit::Unreachable,
        BrokerError::Denied { .. }
        | BrokerError::OutOfMemory { .. }
        | BrokerError::Unsuitable { .. } => Exit::Refused,
        _ => Exit::Internal,
    }
}

fn broker_hint(error: &BrokerError) -> Option<&'static str> {
    Some(match error {
        BrokerError::Url { .. } => "give it with --redis or CELERIAC_REDIS_URL",
        BrokerError::Unavailable { source, .. } if source.to_string().contains("certificate") => {
            "name the authority that signed its certificate with --redis-ca, and what you show with --redis-cert and --redis-key"
        }
        BrokerError::Unavailable { .. } | BrokerError::NoAnswer { .. } => {
            "start Redis there, or name another one with --redis or CELERIAC_REDIS_URL; `celeriac up` starts a private one"
        }
        BrokerError::NotReady { .. } => "it answers, but not yet with data: try again in a moment",
        BrokerError::Denied { .. } => {
            "write the URL as redis://USER:PASSWORD@HOST:PORT/ (CELERIAC_REDIS_URL keeps it out of the process list); deploy/redis-acl.conf has the rights that are needed"
        }
        BrokerError::Script { .. } | BrokerError::Protocol { .. } => {
            "do all workers and clients of this namespace have the same version?"
        }
        _ => return None,
    })
}

fn enqueue_exit(error: &EnqueueError) -> Exit {
    match error {
        EnqueueError::Invalid(_) | EnqueueError::Workflow(_) => Exit::InvalidInput,
        EnqueueError::Refused(source) => broker_exit(source),
        EnqueueError::QueueClosed { .. } | EnqueueError::QueueFull { .. } => Exit::Refused,
        EnqueueError::Unavailable { .. } => Exit::Unreachable,
        _ => Exit::Internal,
    }
}

fn schedule_exit(error: &ScheduleError) -> Exit {
    match error {
        ScheduleError::Broker(source) => broker_exit(source),
        ScheduleError::Unknown(_) => Exit::Unknown,
        _ => Exit::InvalidInput,
    }
}

fn result_exit(error: &ResultError) -> Exit {
    match error {
        ResultError::Failed { .. } | ResultError::Cancelled(_) | ResultError::Expired(_) => {
            Exit::TaskFailed
        }
        ResultError::Unknown(_) => Exit::Unknown,
        ResultError::Timeout { .. } => Exit::NotEnded,
        _ => Exit::Internal,
    }
}

fn with_source(error: &StartError) -> String {
    match std::error::Error::source(error) {
        // A transparent error has the message of its source.
        Some(source) if source.to_string() != error.to_string() => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}

fn log_text(log: &[String]) -> String {
    log.iter().map(|line| format!("\n  {line}")).collect()
}
