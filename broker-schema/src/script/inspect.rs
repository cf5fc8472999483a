//! `inspect`: what is known of one task or chunk.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::keys::Keys;
use crate::name::QueueName;
use crate::reply::Reply;
use crate::script::script;

script!(INSPECT, "inspect", " flags=no-writes", ["base", "ready", "losses", "states"]);

/// What is stored of a task or chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It ended; this is its [`crate::Outcome`], in JSON.
    Ended(String),
    /// A task that has not ended.
    Task {
        /// Where it is.
        whereabouts: Whereabouts,
        /// Its stored record.
        record: String,
        /// Its counts and earlier attempts.
        history: String,
        /// The queue to which it was moved; None: it is that of its record.
        moved: Option<QueueName>,
    },
    /// A chunk of a job that is kept.
    Chunk {
        /// Where it is.
        whereabouts: Whereabouts,
        /// The description of its job.
        spec: String,
        /// Its counts and earlier attempts.
        history: String,
        /// The queue to which chunks of its job were moved last; None: none was.
        moved: Option<QueueName>,
    },
    /// Never enqueued, or nothing was kept.
    Unknown,
}

/// Where a task or chunk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whereabouts {
    /// Waits for other tasks.
    Waiting,
    /// Waits until this time (ms).
    Delayed(u64),
    /// In the ready list, or delayed in another place than the one asked for.
    Queued,
    /// A worker holds it.
    Running {
        /// Under this lease.
        lease: String,
        /// The number of the attempt.
        attempt: u32,
        /// Since this Redis time (ms).
        claimed: u64,
    },
    /// A chunk that has a result.
    Succeeded,
    /// A chunk that failed for good: its [`crate::TaskFailure`], in JSON.
    Failed(String),
    /// A chunk whose job ended before it.
    Cancelled,
}

/// `delayed_in` is `<priority>:<queue>`: the place to which the task goes when it is due.
pub(crate) async fn inspect(
    connections: &Connections,
    keys: &Keys,
    id: TaskId,
    delayed_in: Option<&str>,
) -> Result<Found, BrokerError> {
    let member = delayed_in.map(|place| format!("{place}:{id}")).unwrap_or_default();
    // One call looks at a page of leases; the search for the holder goes on from there.
    let mut search = vec!["0".to_owned()];
    loop {
        let mut command = INSPECT.command(keys.prefix());
        command.arg(id.to_string()).arg(&member).arg(&search);
        let mut reply = Reply::new(INSPECT.name, connections.run(&INSPECT, &command).await?)?;
        let kind = reply.text("kind")?;
        if kind != "searching" {
            return read_found(&kind, reply);
        }
        search = reply.array("where to go on")?.texts("cursor or lease")?;
    }
}

fn read_found(kind: &str, mut reply: Reply) -> Result<Found, BrokerError> {
    match kind {
        "unknown" => Ok(Found::Unknown),
        "ended" => Ok(Found::Ended(reply.text("outcome")?)),
        "task" | "chunk" => {
            let word = reply.text("where")?;
            let document = reply.text("document")?;
            let history = reply.text("history")?;
            let detail = reply.text("detail")?;
            let whereabouts = read_whereabouts(&reply, &word, detail)?;
            let moved = reply.text("moved")?.parse().ok();
            Ok(if kind == "task" {
                Found::Task { whereabouts, record: document, history, moved }
            } else {
                Found::Chunk { whereabouts, spec: document, history, moved }
            })
        }
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}

fn read_whereabouts(reply: &Reply, word: &str, detail: String) -> Result<Whereabouts, BrokerError> {
    match word {
        "waiting" => Ok(Whereabouts::Waiting),
        "delayed" => Ok(Whereabouts::Delayed(detail.parse::<f64>().unwrap_or(0.0) as u64)),
        "queued" => Ok(Whereabouts::Queued),
        "succeeded" => Ok(Whereabouts::Succeeded),
        "failed" => Ok(Whereabouts::Failed(detail)),
        "cancelled" => Ok(Whereabouts::Cancelled),
        "running" => {
            let (lease, value) = detail.split_once(' ').unwrap_or_default();
            let mut parts = value.split(':');
            let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok()).unwrap_or(0);
            let attempt = u32::try_from(number()).unwrap_or(u32::MAX);
            Ok(Whereabouts::Running { lease: lease.to_owned(), attempt, claimed: number() })
        }
        other => Err(reply.error(format!("unknown whereabouts {other:?}"))),
    }
}
