//! Workers.

use celeriac_broker_schema::QueueName;

use super::cursor::Cursor;
use super::query::{Limit, query};
use super::refusal::Refusal;
use super::reply::Told;
use super::shapes::{OneWorker, Workers};
use super::table::{Call, Lease, Table, words};
use crate::model::Worker;
use crate::poller::WORKERS;
use crate::state::Monitor;

/// Most pages that are looked through for one worker.
const PAGES: u64 = 10;

pub(super) fn add(table: &mut Table) {
    table.get(
        "/workers",
        words("listWorkers", "workers", "Workers that show signs of life", ""),
        list,
    );
    table.get(
        "/workers/{lease}",
        words("getWorker", "workers", "One worker", "What it runs is among it."),
        one,
    );
}

query! {
    struct WorkersQuery {
        /// Only those that serve this queue. A page may be empty before the end.
        queue: QueueName,
        /// Only those on this machine. A page may be empty before the end.
        host: String,
        /// Most workers that are looked at.
        limit: Limit<200, 200>,
        /// `next` of the page before.
        cursor: Cursor,
    }
}

async fn list(call: Call<(), WorkersQuery>) -> Result<Told<Workers>, Refusal> {
    let WorkersQuery { queue, host, limit, cursor } = call.query;
    let limit = Limit::of(limit);
    let wanted = |worker: &Worker| {
        let is_there = |host: &String| worker.info.as_ref().is_some_and(|info| info.host == *host);
        queue.as_ref().is_none_or(|queue| worker.serves(queue.as_str()))
            && host.as_ref().is_none_or(is_there)
    };
    let page = |total: u64, offset: u64| {
        let next = offset + u64::from(limit);
        (next < total).then(|| Cursor::new("workers", next))
    };
    let offset = Cursor::read(cursor.as_ref(), "workers", |at| at.parse::<u64>().ok())?;
    if let (None, WORKERS) = (offset, limit) {
        let observation = call.monitor.latest().await;
        let reading = observation.current()?;
        let (now, total) = (reading.now, reading.totals.workers);
        let workers = reading.workers.iter().filter(|worker| wanted(worker)).cloned().collect();
        return Ok(Told::seen(Workers { now, total, workers, next: page(total, 0) }, &observation));
    }
    let offset = offset.unwrap_or(0);
    let found = call.monitor.broker().workers(offset, limit).await?;
    let workers = found
        .page
        .iter()
        .map(|view| Worker::new(view, None))
        .filter(|worker| wanted(worker))
        .collect();
    let next = page(found.total, offset);
    Ok(Told::new(Workers { now: found.now, total: found.total, workers, next }))
}

async fn one(call: Call<Lease>) -> Result<Told<OneWorker>, Refusal> {
    let Lease(lease) = &call.path;
    let observation = call.monitor.latest().await;
    let reading = observation.current()?;
    let now = reading.now;
    if let Some(worker) = reading.workers.iter().find(|worker| worker.lease == *lease) {
        let worker = worker.clone();
        return Ok(Told::seen(OneWorker { now, worker }, &observation));
    }
    if reading.totals.workers_read < reading.totals.workers
        && let Some(found) = search(&call.monitor, lease).await?
    {
        return Ok(Told::new(found));
    }
    Err(Refusal::not_found(
        "urn:celeriac:problem:unknown-worker",
        "Unknown worker",
        format!(
            "no worker with lease {lease:?} shows signs of life: a worker that was restarted has another one"
        ),
    ))
}

/// Looks through the pages that the poller does not read.
async fn search(monitor: &Monitor, lease: &str) -> Result<Option<OneWorker>, Refusal> {
    for page in 0..PAGES {
        let found = monitor.broker().workers(page * u64::from(WORKERS), WORKERS).await?;
        if let Some(view) = found.page.iter().find(|view| view.lease == lease) {
            return Ok(Some(OneWorker { now: found.now, worker: Worker::new(view, None) }));
        }
        if (page + 1) * u64::from(WORKERS) >= found.total {
            break;
        }
    }
    Ok(None)
}
