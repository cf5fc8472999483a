//! Queues, and a look at what waits in one.

use std::collections::HashMap;
use std::str::FromStr;

use celeriac_broker_schema::script::{self, Place};
use celeriac_broker_schema::{Priority, QueueName, Record, TaskId, Timestamp};

use super::cursor::Cursor;
use super::query::{Limit, Parameter, query};
use super::refusal::Refusal;
use super::reply::Told;
use super::shapes::{OneQueue, QueuePage, QueuedTask, Queues, Waiting};
use super::table::{Call, Table, words};
use crate::model::Queue;
use crate::observation::Reading;
use crate::poller::QUEUES;
use crate::redact::Redaction;
use crate::state::Monitor;

/// Most queues that are looked through for one.
const MANY: u32 = 1_000;
/// The longest arguments in a list.
const SHORT_ARGS: usize = 2 << 10;

pub(super) fn add(table: &mut Table) {
    table.get("/queues", words("listQueues", "queues", "All queues", ""), list);
    table.get("/queues/{name}", words("getQueue", "queues", "One queue", ""), one);
    table.get(
        "/queues/{name}/tasks",
        words(
            "peekQueue",
            "queues",
            "What waits in a queue",
            "One place of the queue, page by page: what goes first comes first, except behind turns and limits. Without `place` the highest priority at which something is ready.",
        ),
        peek,
    );
}

async fn list(call: Call) -> Result<Told<Queues>, Refusal> {
    let observation = call.monitor.latest().await;
    let Reading { now, queues, .. } = observation.current()?.clone();
    let complete = queues.len() < QUEUES as usize;
    Ok(Told::seen(Queues { now, queues, complete }, &observation))
}

async fn one(call: Call<QueueName>) -> Result<Told<OneQueue>, Refusal> {
    let observation = call.monitor.latest().await;
    let reading = observation.current()?;
    let queue = find(&call.monitor, reading, &call.path).await?;
    let serves = reading.workers.iter().filter(|worker| worker.serves(&queue.name));
    let served_by = serves.map(|worker| worker.lease.clone()).collect();
    Ok(Told::seen(OneQueue { now: reading.now, queue, served_by }, &observation))
}

/// A queue of the last look. If that did not see all of them, it is looked for.
async fn find(monitor: &Monitor, reading: &Reading, name: &QueueName) -> Result<Queue, Refusal> {
    let seen = reading.queues.iter().find(|queue| queue.name == name.as_str());
    if let Some(queue) = seen {
        return Ok(queue.clone());
    }
    if reading.queues.len() >= QUEUES as usize {
        let snapshot = monitor.broker().snapshot(MANY, 0).await?;
        if let Some(view) = snapshot.queues.iter().find(|queue| queue.name == name.as_str()) {
            return Ok(Queue::new(view));
        }
    }
    Err(Refusal::not_found(
        "urn:celeriac:problem:unknown-queue",
        "Unknown queue",
        format!("nothing was ever enqueued into queue {name}, or not lately"),
    ))
}

query! {
    struct PeekQuery {
        /// The place: a priority (`0` to `9`), `suspects`, `delayed`, `parked:<subject>` or
        /// `turn:<priority>:<tenant>`.
        place: PlaceName,
        /// Most elements that are looked at.
        limit: Limit<50, 500>,
        /// `next` of the page before.
        cursor: Cursor,
    }
}

/// A place as it is written.
pub(super) struct PlaceName(Place);

impl Parameter for PlaceName {
    fn read(text: &str) -> Result<Self, String> {
        place(text).map(Self).ok_or_else(|| {
            "it is a priority from 0 to 9, suspects, delayed, parked:SUBJECT or turn:PRIORITY:TENANT".to_owned()
        })
    }

    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "examples": ["5", "delayed"] })
    }
}

/// The place of this text, as its `Display` writes it.
fn place(text: &str) -> Option<Place> {
    match text.split_once(':').unwrap_or((text, "")) {
        ("suspects", "") => Some(Place::Suspects),
        ("delayed", "") => Some(Place::Delayed),
        ("parked", subject) => subject.parse().ok().map(Place::Parked),
        ("turn", rest) => {
            let (priority, tenant) = rest.split_once(':')?;
            Some(Place::Turn(Priority::from_str(priority).ok()?, tenant.parse().ok()?))
        }
        (priority, "") => Priority::from_str(priority).ok().map(Place::Ready),
        _ => None,
    }
}

/// `<at> <place>`
fn read_cursor(text: &str) -> Option<(u64, Place)> {
    let (at, name) = text.split_once(' ')?;
    Some((at.parse().ok()?, place(name)?))
}

async fn peek(call: Call<QueueName, PeekQuery>) -> Result<Told<QueuePage>, Refusal> {
    let queue = &call.path;
    let list = format!("queue/{queue}");
    let limit = Limit::of(call.query.limit);
    let (at, place) = match Cursor::read(call.query.cursor.as_ref(), &list, read_cursor)? {
        Some(cursor) => cursor,
        None => (
            0,
            match call.query.place {
                Some(PlaceName(place)) => place,
                None => Place::Ready(first_priority(&call.monitor, queue).await?),
            },
        ),
    };
    let (now, waiting, next) = match &place {
        Place::Parked(_) | Place::Turn(..) => {
            behind(&call.monitor, queue, &place, at, limit).await?
        }
        _ => in_order(&call.monitor, queue, &place, at, limit).await?,
    };
    let next = next.map(|at| Cursor::new(&list, format_args!("{at} {place}")));
    Ok(Told::new(QueuePage { now, place: place.to_string(), waiting, next }))
}

type Page = (Timestamp, Vec<Waiting>, Option<u64>);

/// What goes first comes first.
async fn in_order(
    monitor: &Monitor,
    queue: &QueueName,
    place: &Place,
    at: u64,
    limit: u32,
) -> Result<Page, Refusal> {
    let page = monitor.broker().peek(queue, place, at, limit).await?;
    let id_of = |waiting: &script::Waiting| match waiting {
        script::Waiting::Task(id, _) => id.chunk().is_none().then_some(*id),
        _ => None,
    };
    let ids: Vec<TaskId> = page.waiting.iter().filter_map(id_of).collect();
    let hidden = &monitor.config().redaction;
    let mut records = records(monitor, &ids).await?;
    let waiting = page.waiting.into_iter().filter_map(|waiting| match waiting {
        script::Waiting::Task(id, due) if id.chunk().is_some() => Some(Waiting::Chunk { id, due }),
        script::Waiting::Task(id, due) => {
            Some(Waiting::Task(told(id, &records.remove(&id)?, due, hidden)))
        }
        script::Waiting::Range(job, lo, hi) => {
            Some(Waiting::Range { job, first: lo, chunks: hi.saturating_sub(lo) })
        }
        script::Waiting::Turn(tenant, tasks) => Some(Waiting::Turn {
            place: format!("turn:{place}:{tenant}"),
            tenant: Some(tenant),
            tasks: Some(tasks),
        }),
    });
    Ok((page.now, waiting.collect(), page.next))
}

/// What waits behind a turn or a limit, in no particular order.
async fn behind(
    monitor: &Monitor,
    queue: &QueueName,
    place: &Place,
    at: u64,
    limit: u32,
) -> Result<Page, Refusal> {
    let page = monitor.broker().queued(queue, place, at, limit).await?;
    let hidden = &monitor.config().redaction;
    let mut records = records(monitor, &page.tasks).await?;
    let tasks = page
        .tasks
        .iter()
        .filter_map(|id| Some(Waiting::Task(told(*id, &records.remove(id)?, None, hidden))));
    let jobs = page.jobs.iter().map(|job| Waiting::Job { job: *job });
    let turns = page.turns.iter().map(|turn| Waiting::Turn {
        place: turn.to_string(),
        tenant: None,
        tasks: None,
    });
    Ok((page.now, tasks.chain(jobs).chain(turns).collect(), page.next))
}

/// The records of those that have not ended meanwhile.
async fn records(monitor: &Monitor, ids: &[TaskId]) -> Result<HashMap<TaskId, String>, Refusal> {
    let records = monitor.broker().records(ids).await?;
    Ok(ids.iter().zip(records).filter_map(|(id, record)| Some((*id, record?))).collect())
}

/// The highest priority at which something is ready.
async fn first_priority(monitor: &Monitor, queue: &QueueName) -> Result<Priority, Refusal> {
    let observation = monitor.latest().await;
    let found = find(monitor, observation.current()?, queue).await?;
    let first = found.priorities.first().and_then(|ready| Priority::new(ready.priority).ok());
    Ok(first.unwrap_or_default())
}

fn told(id: TaskId, record: &str, due: Option<Timestamp>, hidden: &Redaction) -> QueuedTask {
    let mut task = QueuedTask {
        id,
        due,
        task: None,
        enqueued: id.time(),
        label: None,
        tags: Vec::new(),
        tenant: None,
        args: None,
    };
    if let Ok(mut record) = Record::decode(record) {
        let meta = record.take_meta();
        task.task = Some(record.task.to_string());
        task.label = meta.label;
        task.tags = meta.tags.into_iter().collect();
        task.tenant = record.tenant.as_ref().map(ToString::to_string);
        task.args = (record.args.get().len() <= SHORT_ARGS).then(|| record.args.to_owned());
        hidden.args(task.task.as_deref(), &mut task.args);
    }
    task
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in ["0", "9", "suspects", "delayed", "parked:task:mail.send", "turn:5:acme"] {
            assert_eq!(place(text).map(|place| place.to_string()).as_deref(), Some(text));
        }
        for text in [
            "",
            "10",
            "-1",
            "ready",
            "delayed:1",
            "parked:",
            "parked:x",
            "turn:5",
            "turn:x:y",
            "5:5",
        ] {
            assert_eq!(place(text), None, "{text}");
        }
    }
}
