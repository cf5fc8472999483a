//! `purge`: cancel what waits in a queue, a bite at a time.

use serde::Serialize;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::gate::Subject;
use crate::keys::Keys;
use crate::name::QueueName;
use crate::reply::Reply;
use crate::requester::Requester;
use crate::script::limits::limits;
use crate::script::{bounded, script};

script!(
    PURGE,
    "purge",
    " flags=allow-oom",
    ["base", "ready", "gate", "locks", "totals", "settle", "workflow", "shift"]
);

/// Elements of one call: about a millisecond of Redis time.
const BITE: u64 = 100;

/// What a purge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Purged {
    /// Tasks that were cancelled.
    pub tasks: u64,
    /// Jobs that lost chunks or their reducer, and were cancelled as a whole.
    pub jobs: u64,
    /// Elements that were taken out of the queue. A range of chunks is one; so is what is left of
    /// a job that had ended before, or a task that was cancelled.
    pub elements: u64,
}

impl Purged {
    /// How many elements there are with those of a bite.
    fn add(&mut self, bite: Self) -> u64 {
        self.elements += bite.elements;
        self.tasks += bite.tasks;
        self.jobs += bite.jobs;
        self.elements
    }
}

/// Which part of a queue, and how far.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Ready,
    Delayed(String),
    Parked(Subject, String),
}

impl Part {
    pub(crate) fn words(&self) -> (String, &str) {
        match self {
            Self::Ready => ("ready".to_owned(), "0"),
            Self::Delayed(cursor) => ("delayed".to_owned(), cursor),
            Self::Parked(subject, cursor) => (format!("parked:{subject}"), cursor),
        }
    }

    /// Where to go on: here, if something is left of it, or at the next cursor, if there is one.
    pub(crate) fn after(self, left: u64, next: String) -> Option<Self> {
        let ended = next == "0";
        match self {
            _ if left > 0 => Some(self),
            Self::Delayed(_) if !ended => Some(Self::Delayed(next)),
            Self::Parked(subject, _) if !ended => Some(Self::Parked(subject, next)),
            _ => None,
        }
    }
}

/// The subjects whose limits let tasks wait beside their queues, at most a thousand.
pub(crate) async fn parking(
    connections: &Connections,
    keys: &Keys,
) -> Result<Vec<Subject>, BrokerError> {
    let busy = limits(connections, keys, 1_000).await?.busy;
    Ok(busy.into_iter().filter(|view| view.waiting > 0).map(|view| view.subject).collect())
}

/// Goes on until what waited when it began is gone: those who go on to enqueue do not make it
/// endless. Or until about `most` elements are gone; then it is true that there may be more.
pub(crate) async fn purge(
    connections: &Connections,
    keys: &Keys,
    queue: &QueueName,
    delayed: bool,
    keep_ms: u64,
    most: u64,
    who: &Requester,
) -> Result<(Purged, bool), BrokerError> {
    let error = failure(queue, who) + &who.as_rest();
    let call = async |part: &Part, most: u64| {
        let (word, cursor) = part.words();
        let mut command = PURGE.command(keys.prefix());
        command.arg(queue.as_str()).arg(word).arg(cursor).arg(most);
        command.arg(bounded(keep_ms)).arg(&error);
        let mut reply = Reply::new(PURGE.name, connections.run(&PURGE, &command).await?)?;
        reply.text("state")?;
        reply.number("now")?;
        let bite = Purged {
            elements: reply.number("elements")?,
            tasks: reply.number("tasks")?,
            jobs: reply.number("jobs")?,
        };
        Ok::<_, BrokerError>((bite, reply.number("left")?, reply.text("cursor")?))
    };
    let mut purged = Purged::default();
    // First: what it lets go meanwhile is met in the lists.
    for subject in parking(connections, keys).await? {
        let mut part = Some(Part::Parked(subject, "0".to_owned()));
        while let Some(at) = part.take() {
            let (bite, left, next) = call(&at, BITE).await?;
            part = at.after(left, next);
            if purged.add(bite) >= most {
                return Ok((purged, true));
            }
        }
    }
    let mut rest = None;
    while rest != Some(0) {
        let (bite, left, _) = call(&Part::Ready, rest.unwrap_or(BITE).min(BITE)).await?;
        let before = rest.unwrap_or(left + bite.elements);
        let taken = bite.elements;
        if purged.add(bite) >= most {
            return Ok((purged, true));
        }
        rest = Some(if taken == 0 { 0 } else { before - taken.min(before) });
    }
    let mut part = delayed.then(|| Part::Delayed("0".to_owned()));
    while let Some(at) = part.take() {
        let (bite, _, next) = call(&at, BITE).await?;
        part = at.after(0, next);
        if purged.add(bite) >= most && part.is_some() {
            return Ok((purged, true));
        }
    }
    Ok((purged, false))
}

/// The error of the outcomes, in JSON.
fn failure(queue: &QueueName, who: &Requester) -> String {
    let message = format!("queue {queue} was purged{}{}", who.by_whom(), who.and_why());
    serde_json::json!({ "kind": "cancelled", "message": message, "fingerprint": "purged" })
        .to_string()
}
