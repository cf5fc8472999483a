//! The sentence of each reason.

use std::fmt;

use super::Reason;
use crate::state::State;
use crate::worker_info::Progress;

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
            | Self::Follows { .. }
            | Self::Next { .. }
            | Self::ComesBack { .. }
            | Self::Expires { .. } => self.waiting(f),
            Self::Behind { .. }
            | Self::Suspect { .. }
            | Self::QueuePaused { .. }
            | Self::JobPaused { .. }
            | Self::LimitReached { .. }
            | Self::Turn { .. } => self.kept_back(f),
            Self::NoWorkerForQueue { .. }
            | Self::NoWorkerWithLabel { .. }
            | Self::CostsTooMuch { .. }
            | Self::WorkersPaused { .. }
            | Self::NotKnownToWorkers { .. }
            | Self::WorkersLeave { .. }
            | Self::WorkersBusy { .. }
            | Self::TooFewSlotsFree { .. }
            | Self::SlotsKept { .. } => self.workers(f),
            Self::Runs { .. }
            | Self::ToldToStop { .. }
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
                write!(f, "it waits for {left} of the {} of its job", chunks(*total))
            }
            Self::ChunksUnderWay { done, total, begun: true } => {
                write!(f, "{done} of its {} {} done", chunks(*total), are(*done))
            }
            Self::ChunksUnderWay { total, begun: false, .. } => {
                write!(f, "no worker has taken any of its {} yet", chunks(*total))
            }
            Self::Follows { id } => write!(f, "it follows {id}, and begins when that has ended"),
            Self::Next { queue } => write!(f, "it is the next in queue {queue}"),
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

    fn kept_back(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind { queue, priority, ahead, more, higher } => {
                let than = if *more { "more than " } else { "" };
                write!(f, "{than}{} first in queue {queue} at priority {priority}", go(*ahead))?;
                match higher {
                    0 => Ok(()),
                    higher => write!(f, ", and {higher} of higher priority"),
                }
            }
            Self::Suspect { crashes, ahead } => {
                write!(f, "its workers were lost {crashes} times, so it has to run alone")?;
                match ahead {
                    0 => Ok(()),
                    1 => f.write_str(", after 1 other like it"),
                    ahead => write!(f, ", after {ahead} others like it"),
                }
            }
            Self::QueuePaused { queue, at, for_ms, by, why } => {
                match at.0 {
                    0 => write!(f, "queue {queue} is paused")?,
                    _ => write!(f, "queue {queue} was paused {} ago", span(*for_ms))?,
                }
                write_who(f, by.as_deref(), why.as_deref())
            }
            Self::JobPaused { job, for_ms, by, why, .. } => {
                write!(f, "job {job} was paused {} ago", span(*for_ms))?;
                write_who(f, by.as_deref(), why.as_deref())
            }
            Self::LimitReached { subject, held, concurrency, in_ms, ahead, .. } => {
                match (concurrency, in_ms) {
                    (_, Some(in_ms)) if *in_ms > 0 => {
                        write!(
                            f,
                            "the rate of {subject} lets the next one go in {}",
                            span(*in_ms)
                        )?;
                    }
                    (Some(most), _) if held >= most => {
                        write!(
                            f,
                            "{held} of {subject} {} held, and {most} may be at once",
                            are(*held)
                        )?;
                    }
                    _ => write!(f, "it waited for the limit of {subject}, which lets more go now")?,
                }
                match ahead {
                    None | Some(0) => Ok(()),
                    Some(1) => f.write_str("; 1 that waits for it goes first"),
                    Some(ahead) => write!(f, "; {ahead} that wait for it go first"),
                }
            }
            Self::Turn { tenant, ahead, more, turns, .. } => {
                let than = if *more { "more than " } else { "" };
                match ahead {
                    0 => write!(f, "it is the next of its tenant {tenant}")?,
                    1 if !more => write!(f, "1 of its tenant {tenant} goes first")?,
                    ahead => write!(f, "{than}{ahead} of its tenant {tenant} go first")?,
                }
                match turns {
                    None | Some(0) => Ok(()),
                    Some(1) => f.write_str(", whose turn comes after 1 other"),
                    Some(turns) => write!(f, ", whose turn comes after {turns} others"),
                }
            }
            _ => Ok(()),
        }
    }

    fn workers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotKnownToWorkers { task, unknowing, workers } if unknowing == workers => {
                match workers {
                    1 => write!(f, "the one worker of its queue does not know {task}")?,
                    _ => write!(f, "none of the {workers} workers of its queue knows {task}")?,
                }
                f.write_str(": its attempts will fail")
            }
            Self::NotKnownToWorkers { task, unknowing, workers } => {
                let verb = if *unknowing == 1 { "does" } else { "do" };
                write!(
                    f,
                    "{unknowing} of the {workers} workers of its queue {verb} not know {task}"
                )?;
                f.write_str(": an attempt there fails")
            }
            Self::WorkersLeave { queue, workers } => {
                write!(f, "{} of queue {queue} {} about to leave", all(*workers), are(*workers))
            }
            Self::TooFewSlotsFree { queue, cost, free } => {
                write!(
                    f,
                    "it takes {cost} slots, and the most that a worker of queue {queue} has free "
                )?;
                write!(f, "{} {free}", are(u64::from(*free)))
            }
            Self::SlotsKept { queue, free } => {
                let noun = if *free == 1 { "slot" } else { "slots" };
                write!(f, "workers of queue {queue} keep their {free} free {noun} for other queues")
            }
            Self::WorkersBusy { queue, workers, slots, wedged } => {
                match slots {
                    1 => f.write_str("the one slot")?,
                    slots => write!(f, "all {slots} slots")?,
                }
                match workers {
                    1 => f.write_str(" of the one worker")?,
                    workers => write!(f, " of the {workers} workers")?,
                }
                write!(f, " of queue {queue} {} taken", are(*slots))?;
                match wedged {
                    0 => Ok(()),
                    wedged => write!(f, ", {wedged} of them by tasks that do not stop"),
                }
            }
            Self::WorkersPaused { queue, workers, paused, by, why } => {
                if paused == workers {
                    write!(f, "{} of queue {queue} {} paused", all(*workers), are(*workers))?;
                } else {
                    let leave = workers - paused;
                    write!(f, "{paused} of the {workers} workers of queue {queue} ")?;
                    write!(f, "{} paused, and {leave} about to leave", are(*paused))?;
                }
                write_who(f, by.as_deref(), why.as_deref())
            }
            Self::CostsTooMuch { cost, slots } => {
                let noun = if *cost == 1 { "slot" } else { "slots" };
                write!(
                    f,
                    "it takes {cost} {noun}, and the workers of its queue have {slots} at most"
                )?;
                f.write_str(": its attempts will fail")
            }
            Self::NoWorkerWithLabel { queue, label, workers: 0 } => {
                write!(f, "no worker serves queue {queue}, and it needs one with the label {label}")
            }
            Self::NoWorkerWithLabel { queue, label, workers: 1 } => {
                write!(f, "the one worker of queue {queue} lacks the label {label}, which it needs")
            }
            Self::NoWorkerWithLabel { queue, label, workers } => write!(
                f,
                "none of the {workers} workers of queue {queue} has the label {label}, which it needs"
            ),
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
            Self::ToldToStop { at, for_ms, by, why } => {
                f.write_str("it is to be cancelled, and its worker was told")?;
                if at.0 > 0 {
                    write!(f, " {} ago", span(*for_ms))?;
                }
                write_who(f, by.as_deref(), why.as_deref())
            }
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
            Self::Ended { state, ago_ms, by, cancelled_by, why, error } => {
                match cancelled_by {
                    Some(who) => write!(f, "it was {state} by {who}")?,
                    None => write!(f, "it is {state}")?,
                }
                write_ago(f, *ago_ms)?;
                by.iter().try_for_each(|by| write!(f, ", because {by} failed"))?;
                match (error, why) {
                    (Some(error), _) => write!(f, ": {error}"),
                    (None, why) => why.iter().try_for_each(|why| write!(f, ": {why}")),
                }
            }
            Self::Dead => {
                f.write_str("it is among the dead tasks, with its arguments and attempts")
            }
            Self::Kept { for_ms } => write!(f, "its outcome is kept for another {}", span(*for_ms)),
            _ => Ok(()),
        }
    }
}

/// `all 3 workers`, `the one worker`
fn all(workers: u64) -> String {
    match workers {
        1 => "the one worker".to_owned(),
        workers => format!("all {workers} workers"),
    }
}

fn are(number: u64) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

/// `3 go`, `1 goes`
fn go(number: u64) -> String {
    format!("{number} {}", if number == 1 { "goes" } else { "go" })
}

fn chunks(total: u64) -> String {
    format!("{total} {}", if total == 1 { "chunk" } else { "chunks" })
}

fn write_progress(f: &mut fmt::Formatter<'_>, progress: &Progress) -> fmt::Result {
    match progress {
        Progress { done, total: 0, .. } => write!(f, ", {done} done")?,
        Progress { done, total, .. } => write!(f, ", {done} of {total} done")?,
    }
    progress.note.iter().try_for_each(|note| write!(f, " ({note})"))
}

/// ` by ada: why`
fn write_who(f: &mut fmt::Formatter<'_>, by: Option<&str>, why: Option<&str>) -> fmt::Result {
    by.iter().try_for_each(|by| write!(f, " by {by}"))?;
    why.iter().try_for_each(|why| write!(f, ": {why}"))
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
