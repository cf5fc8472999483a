//! What there is to say of a task, as values and as sentences.

use std::fmt;

use serde::Serialize;

use crate::name::{Priority, QueueName};
use crate::outcome::TaskFailure;
use crate::state::State;
use crate::time::Timestamp;
use crate::worker_info::Progress;

/// One reason why a task is where it is. Its `Display` is a sentence; in JSON, `reason` is its name.
/// All times are Redis time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Nothing is known of it. Not the same as waiting.
    Unknown,
    /// What is stored of it cannot be read by this version. Workers of this version fail it.
    Unreadable,
    /// It moved from one place to another whenever it was looked at. Ask again.
    Moves,
    /// It is not to start before a time.
    Due {
        /// When.
        at: Timestamp,
        /// How long until then.
        in_ms: u64,
        /// Whether that is the pause after a failed attempt.
        retry: bool,
    },
    /// Its time has come, and no worker has looked since then.
    Overdue {
        /// When it was due.
        at: Timestamp,
        /// How long ago.
        for_ms: u64,
    },
    /// It waits for the chunks of its job.
    WaitsForChunks {
        /// Those that are left.
        left: u64,
        /// All of them.
        total: u64,
    },
    /// The chunks of the job are under way, or wait to be.
    ChunksUnderWay {
        /// Those that succeeded.
        done: u64,
        /// All of them.
        total: u64,
        /// Whether any was ever taken by a worker.
        begun: bool,
    },
    /// Others go first.
    Behind {
        /// Its queue.
        queue: QueueName,
        /// Its priority there.
        priority: Priority,
        /// Tasks and chunks before it at the same priority.
        ahead: u64,
        /// Whether there are more of them than were counted.
        more: bool,
        /// Tasks and chunks of higher priority.
        higher: u64,
    },
    /// It is the next of its queue.
    Next {
        /// Its queue.
        queue: QueueName,
    },
    /// It lost its worker so often that it runs alone: a worker takes it only with nothing beside it.
    Suspect {
        /// How often.
        crashes: u32,
        /// Suspects of the queue that are before it.
        ahead: u64,
    },
    /// Its worker was lost, and it is just being put back.
    ComesBack {
        /// The lost lease.
        lease: String,
    },
    /// Nobody serves its queue.
    NoWorkerForQueue {
        /// The queue.
        queue: QueueName,
    },
    /// Some, or all, of the workers that serve its queue do not know its name: whoever takes it there
    /// fails the attempt.
    NotKnownToWorkers {
        /// The name.
        task: String,
        /// Workers of the queue that do not know it.
        unknowing: u64,
        /// All workers of the queue.
        workers: u64,
    },
    /// All workers that could take it are about to leave.
    WorkersLeave {
        /// The queue.
        queue: QueueName,
        /// How many.
        workers: u64,
    },
    /// All slots of those that could take it are taken.
    WorkersBusy {
        /// The queue.
        queue: QueueName,
        /// How many workers.
        workers: u64,
        /// Their slots together.
        slots: u64,
    },
    /// It is not started any more after a time.
    Expires {
        /// When.
        at: Timestamp,
        /// How long until then; 0: it is over and will be ended by the next worker that looks.
        in_ms: u64,
    },
    /// A worker runs it.
    Runs {
        /// The number of the attempt.
        attempt: u32,
        /// The lease.
        lease: String,
        /// The machine, if the worker is heard of.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// The process there.
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
        /// Since when.
        since: Timestamp,
        /// For how long.
        for_ms: u64,
        /// How far it is, if it tells.
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<Progress>,
    },
    /// A worker has taken it and runs others first.
    Buffered {
        /// The number of the attempt.
        attempt: u32,
        /// The lease.
        lease: String,
        /// How long ago it was taken.
        for_ms: u64,
    },
    /// Until when the worker that holds it must be heard of.
    LeaseUntil {
        /// The deadline.
        at: Timestamp,
        /// How long until then.
        in_ms: u64,
    },
    /// The worker that holds it was not heard of in time: others give it back now.
    LeaseOver {
        /// The lease.
        lease: String,
    },
    /// It ended with a result.
    Succeeded {
        /// The number of the attempt that did.
        #[serde(skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
        /// How long ago.
        #[serde(skip_serializing_if = "Option::is_none")]
        ago_ms: Option<u64>,
        /// How long that attempt ran.
        #[serde(skip_serializing_if = "Option::is_none")]
        took_ms: Option<u64>,
    },
    /// It ended with an error, for good.
    Failed {
        /// The number of the last attempt.
        #[serde(skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
        /// How long ago.
        #[serde(skip_serializing_if = "Option::is_none")]
        ago_ms: Option<u64>,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<TaskFailure>,
        /// The task or chunk whose failure it was, if it was another one.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// It ended in another way: cancelled, or expired before it was started.
    Ended {
        /// How.
        state: State,
        /// How long ago.
        #[serde(skip_serializing_if = "Option::is_none")]
        ago_ms: Option<u64>,
        /// The task or chunk whose failure ended its job.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// It is kept among the dead tasks, with its arguments and attempts.
    Dead,
    /// For how long its outcome is kept.
    Kept {
        /// Milliseconds from now.
        for_ms: u64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown
            | Self::Unreadable
            | Self::Moves
            | Self::Due { .. }
            | Self::Overdue { .. }
            | Self::WaitsForChunks { .. }
            | Self::ChunksUnderWay { .. }
            | Self::Behind { .. }
            | Self::Next { .. }
            | Self::Suspect { .. }
            | Self::ComesBack { .. }
            | Self::Expires { .. } => self.waiting(f),
            Self::NoWorkerForQueue { .. }
            | Self::NotKnownToWorkers { .. }
            | Self::WorkersLeave { .. }
            | Self::WorkersBusy { .. } => self.workers(f),
            Self::Runs { .. }
            | Self::Buffered { .. }
            | Self::LeaseUntil { .. }
            | Self::LeaseOver { .. } => self.running(f),
            Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::Ended { .. }
            | Self::Dead
            | Self::Kept { .. } => self.ended(f),
        }
    }
}

impl Reason {
    fn waiting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("what is stored of it cannot be read by this version"),
            Self::Moves => f.write_str("it is just moving from one place to another: ask again"),
            Self::Due { in_ms, retry: false, .. } => {
                write!(f, "it is not to start for another {}", span(*in_ms))
            }
            Self::Due { in_ms, retry: true, .. } => {
                write!(f, "its last attempt failed; the next one may begin in {}", span(*in_ms))
            }
            Self::Overdue { for_ms, .. } => write!(
                f,
                "it has been due for {}, and goes to its queue when the next worker looks",
                span(*for_ms)
            ),
            Self::WaitsForChunks { left, total } => {
                write!(f, "it waits for {left} of the {total} chunks of its job")
            }
            Self::ChunksUnderWay { done, total, begun: true } => {
                write!(f, "{done} of its {total} chunks are done")
            }
            Self::ChunksUnderWay { total, begun: false, .. } => {
                write!(f, "no worker has taken any of its {total} chunks yet")
            }
            Self::Behind { queue, priority, ahead, more, higher } => {
                let than = if *more { "more than " } else { "" };
                write!(f, "{than}{ahead} go first in queue {queue} at priority {priority}")?;
                match higher {
                    0 => Ok(()),
                    higher => write!(f, ", and {higher} of higher priority"),
                }
            }
            Self::Next { queue } => write!(f, "it is the next in queue {queue}"),
            Self::Suspect { crashes, ahead } => {
                write!(f, "its workers were lost {crashes} times, so it has to run alone")?;
                match ahead {
                    0 => Ok(()),
                    ahead => write!(f, ", after {ahead} others like it"),
                }
            }
            Self::ComesBack { lease } => {
                write!(f, "its worker {lease} was lost, and it is being put back")
            }
            Self::Expires { in_ms: 0, .. } => {
                f.write_str("its time to start is over: the next worker that looks ends it")
            }
            Self::Expires { in_ms, .. } => {
                write!(f, "it is not started any more in {}", span(*in_ms))
            }
            _ => f.write_str(
                "nothing is known of it: it was never enqueued here, or its outcome is not kept any more",
            ),
        }
    }

    fn workers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotKnownToWorkers { task, unknowing, workers } if unknowing == workers => write!(
                f,
                "none of the {workers} workers of its queue knows {task}: its attempts will fail"
            ),
            Self::NotKnownToWorkers { task, unknowing, workers } => write!(
                f,
                "{unknowing} of the {workers} workers of its queue do not know {task}: an attempt there fails"
            ),
            Self::WorkersLeave { queue, workers } => {
                write!(f, "all {workers} workers of queue {queue} are about to leave")
            }
            Self::WorkersBusy { queue, workers, slots } => {
                write!(f, "all {slots} slots of the {workers} workers of queue {queue} are taken")
            }
            Self::NoWorkerForQueue { queue } => write!(f, "no worker serves queue {queue}"),
            _ => Ok(()),
        }
    }

    fn running(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runs { attempt, lease, host, pid, for_ms, progress, .. } => {
                write!(f, "attempt {attempt} has been running for {}", span(*for_ms))?;
                write!(f, " on worker {lease}")?;
                if let (Some(host), Some(pid)) = (host, pid) {
                    write!(f, " ({host}, process {pid})")?;
                }
                progress.iter().try_for_each(|progress| write_progress(f, progress))
            }
            Self::Buffered { attempt, lease, for_ms } => write!(
                f,
                "worker {lease} took it {} ago, and runs others before attempt {attempt}",
                span(*for_ms)
            ),
            Self::LeaseUntil { in_ms, .. } => {
                write!(f, "if that worker is not heard of within {}, others get it", span(*in_ms))
            }
            Self::LeaseOver { lease } => {
                write!(f, "its worker {lease} was not heard of in time: others get it now")
            }
            _ => Ok(()),
        }
    }

    fn ended(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded { attempt, ago_ms, took_ms } => {
                f.write_str("it succeeded")?;
                attempt.iter().try_for_each(|attempt| write!(f, " in attempt {attempt}"))?;
                took_ms.iter().try_for_each(|took| write!(f, ", which took {}", span(*took)))?;
                write_ago(f, *ago_ms)
            }
            Self::Failed { attempt, ago_ms, error, by } => {
                f.write_str("it failed for good")?;
                attempt.iter().try_for_each(|attempt| write!(f, " in attempt {attempt}"))?;
                write_ago(f, *ago_ms)?;
                by.iter().try_for_each(|by| write!(f, ", because {by} did"))?;
                error.iter().try_for_each(|error| write!(f, ": {error}"))
            }
            Self::Ended { state: State::Expired, ago_ms, .. } => {
                f.write_str("it expired before a worker started it")?;
                write_ago(f, *ago_ms)
            }
            Self::Ended { state, ago_ms, by } => {
                write!(f, "it is {state}")?;
                write_ago(f, *ago_ms)?;
                by.iter().try_for_each(|by| write!(f, ", because {by} failed"))
            }
            Self::Dead => {
                f.write_str("it is among the dead tasks, with its arguments and attempts")
            }
            Self::Kept { for_ms } => write!(f, "its outcome is kept for another {}", span(*for_ms)),
            _ => Ok(()),
        }
    }
}

fn write_progress(f: &mut fmt::Formatter<'_>, progress: &Progress) -> fmt::Result {
    match progress {
        Progress { done, total: 0, .. } => write!(f, ", {done} done")?,
        Progress { done, total, .. } => write!(f, ", {done} of {total} done")?,
    }
    progress.note.iter().try_for_each(|note| write!(f, " ({note})"))
}

fn write_ago(f: &mut fmt::Formatter<'_>, ago_ms: Option<u64>) -> fmt::Result {
    ago_ms.iter().try_for_each(|ago| write!(f, ", {} ago", span(*ago)))
}

/// A time span in its two largest units: `340 ms`, `2.5 s`, `3 min 20 s`, `2 d 3 h`.
fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    let two = |large: u64, small: u64, units: [&str; 2]| match small {
        0 => format!("{large} {}", units[0]),
        small => format!("{large} {} {small} {}", units[0], units[1]),
    };
    match seconds {
        0 => format!("{ms} ms"),
        1..=9 => format!("{seconds}.{} s", ms % 1_000 / 100),
        10..=59 => format!("{seconds} s"),
        60..=3_599 => two(seconds / 60, seconds % 60, ["min", "s"]),
        3_600..=86_399 => two(seconds / 3_600, seconds % 3_600 / 60, ["h", "min"]),
        _ => two(seconds / 86_400, seconds % 86_400 / 3_600, ["d", "h"]),
    }
}
