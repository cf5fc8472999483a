//! The JSON API, version 1. Fields have the names of the glossary; times are milliseconds since
//! the Unix epoch by the clock of Redis, `_ms` are milliseconds, `_per_s` is per second. What is
//! not known is null. Errors are problem documents (RFC 9457).

use axum::Json;
use axum::extract::State;
use celeriac_broker_schema::{JobId, TaskId, Timestamp};
use serde::Serialize;

use crate::error::Problem;
use crate::model::{Job, JobDetail, Notice, Queue, Task, Totals, Worker};
use crate::observation::{Detail, Reading};
use crate::rates::Rates;
use crate::read;
use crate::routes::id::Id;
use crate::state::Monitor;
use crate::topic::Topic;

#[derive(Serialize)]
pub(super) struct Overview {
    namespace: String,
    server: Server,
    now: Timestamp,
    totals: Totals,
    rates: Option<Rates>,
    notices: Vec<Notice>,
}

#[derive(Serialize)]
struct Server {
    /// Without user and password.
    address: String,
    product: String,
    version: String,
}

#[derive(Serialize)]
pub(super) struct Queues {
    now: Timestamp,
    queues: Vec<Queue>,
}

#[derive(Serialize)]
pub(super) struct Jobs {
    now: Timestamp,
    /// Jobs that have not ended, also those that are not listed.
    open: u64,
    jobs: Vec<Job>,
}

#[derive(Serialize)]
pub(super) struct Workers {
    now: Timestamp,
    /// All workers, also those that are not listed.
    total: u64,
    workers: Vec<Worker>,
}

pub(super) async fn overview(State(monitor): State<Monitor>) -> Result<Json<Overview>, Problem> {
    let observation = monitor.latest().await;
    let reading = observation.current()?;
    Ok(Json(Overview {
        namespace: monitor.namespace().to_owned(),
        server: Server {
            address: monitor.broker().server().to_owned(),
            product: reading.server.product.clone(),
            version: reading.server.version.clone(),
        },
        now: reading.now,
        totals: reading.totals.clone(),
        rates: reading.rates,
        notices: reading.notices.clone(),
    }))
}

pub(super) async fn queues(State(monitor): State<Monitor>) -> Result<Json<Queues>, Problem> {
    let Reading { now, queues, .. } = monitor.latest().await.current()?.clone();
    Ok(Json(Queues { now, queues }))
}

pub(super) async fn jobs(State(monitor): State<Monitor>) -> Result<Json<Jobs>, Problem> {
    let Reading { now, jobs, totals, .. } = monitor.latest().await.current()?.clone();
    Ok(Json(Jobs { now, open: totals.open_jobs, jobs }))
}

pub(super) async fn workers(State(monitor): State<Monitor>) -> Result<Json<Workers>, Problem> {
    let Reading { now, workers, totals, .. } = monitor.latest().await.current()?.clone();
    Ok(Json(Workers { now, total: totals.workers, workers }))
}

pub(super) async fn job(
    State(monitor): State<Monitor>,
    Id(id): Id<JobId>,
) -> Result<Json<JobDetail>, Problem> {
    match detail(&monitor, Topic::Job(id)).await? {
        Detail::Job(job, _) => Ok(Json(*job)),
        _ => Err(Problem::unknown_job(id)),
    }
}

pub(super) async fn task(
    State(monitor): State<Monitor>,
    Id(id): Id<TaskId>,
) -> Result<Json<Task>, Problem> {
    match detail(&monitor, Topic::Task(id)).await? {
        Detail::Task(task, _) => Ok(Json(*task)),
        _ => Err(Problem::unknown_task(id)),
    }
}

async fn detail(monitor: &Monitor, topic: Topic) -> Result<Detail, Problem> {
    let observation = monitor.latest().await;
    let reading = observation.current()?;
    match read::detail(monitor, &topic, Some(reading)).await? {
        Some(Detail::None(problem)) => Err(problem),
        Some(detail) => Ok(detail),
        None => Err(Problem::no_such_page(&topic.to_string())),
    }
}
