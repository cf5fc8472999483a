//! Enqueue: tasks, jobs and workflows. Everything is looked at before anything is enqueued.

use axum::http::HeaderMap;
use celeriac_broker_schema::limits::DEFAULT_UNIQUE_MS;
use celeriac_broker_schema::{TaskId, Unique, UniqueKey, UniqueMode};
use celeriac_producer::{EnqueueError, NewTask, Producer};

use super::refusal::{Fault, Refusal};
use super::reply::Made;
use super::request::{NewJobs, NewTasks, NewWorkflow, new_job};
use super::shapes::{Enqueued, EnqueuedOne};
use super::table::{Call, Table, words};

/// Longest idempotency key of a request: the tasks of a list add their place to it.
const MAX_KEY: usize = 400;

pub(super) fn add(table: &mut Table) {
    table.post(
        "/tasks",
        words(
            "enqueueTasks",
            "tasks",
            "Enqueue one task, or a list of them",
            "All of them are looked at first: if anything is wrong, nothing is enqueued, and all that is wrong is told. With the header `Idempotency-Key` it is safe to repeat.",
        ),
        tasks,
    );
    table.post(
        "/jobs",
        words(
            "enqueueJob",
            "jobs",
            "Enqueue a job of chunks",
            "A computation cut into chunks that differ only by their index: the options of `celeriac enqueue --chunks`.",
        ),
        job,
    );
    table.post(
        "/workflows",
        words(
            "enqueueWorkflow",
            "jobs",
            "Enqueue a workflow",
            "Tasks that follow one another: chains, groups, chords and graphs as JSON, the form of `celeriac enqueue --file`. All of it is looked at first, and all that is wrong is told.",
        ),
        workflow,
    );
}

async fn tasks(call: Call<(), (), NewTasks>) -> Result<Made<Enqueued>, Refusal> {
    let NewTasks { mut tasks, several } = call.body;
    if let Some(key) = idempotency_key(&call.headers)? {
        let own = |(i, task): (usize, &NewTask)| {
            let at = if several { format!("/{i}/key") } else { "/key".to_owned() };
            task.unique.is_some().then(|| Fault::at(at, BOTH_KEYS))
        };
        let faults: Vec<Fault> = tasks.iter().enumerate().filter_map(own).collect();
        if !faults.is_empty() {
            return Err(Refusal::body(faults));
        }
        tasks = tasks
            .into_iter()
            .enumerate()
            .map(|(i, task)| {
                let key = if several { format!("{key}/{i}") } else { key.clone() };
                UniqueKey::new(key)
                    .map(|key| task.key(key))
                    .map_err(|error| Refusal::header(error.to_string()))
            })
            .collect::<Result<_, _>>()?;
    }
    let enqueued = enqueue(call.monitor.outlet().producer(), tasks).await?;
    let new = enqueued.iter().any(|one| !one.duplicate);
    Ok(match enqueued.as_slice() {
        [one] if !several => {
            let document = Enqueued::One(EnqueuedOne { ..*one });
            Made { document, new, location: Some(format!("/api/v1/tasks/{}", one.id)) }
        }
        _ => Made { document: Enqueued::Several { tasks: enqueued }, new, location: None },
    })
}

async fn job(call: Call<(), (), NewJobs>) -> Result<Made<EnqueuedOne>, Refusal> {
    let NewJobs { job, mut chunk, rest, label } = call.body;
    let key = idempotency_key(&call.headers)?;
    if key.is_some() && chunk.unique.is_some() {
        return Err(Refusal::body(vec![Fault::at("/key", BOTH_KEYS)]));
    }
    let job = if key.is_none() && rest.submitted_by.is_some() {
        job
    } else {
        if let Some(key) = key {
            let key = UniqueKey::new(key).map_err(|error| Refusal::header(error.to_string()))?;
            chunk = chunk.key(key);
        }
        let who = call
            .viewer
            .name
            .map_or_else(|| "over HTTP".to_owned(), |who| format!("{who} over HTTP"));
        new_job(&chunk, &rest, label.as_deref(), Some(rest.submitted_by.as_deref().unwrap_or(&who)))
    };
    let handle = call.monitor.outlet().producer().enqueue_job(job).await.map_err(refused)?;
    let (id, duplicate) = (handle.id(), handle.is_duplicate());
    let location = Some(format!("/api/v1/jobs/{id}"));
    Ok(Made { document: EnqueuedOne { id, duplicate }, new: !duplicate, location })
}

async fn workflow(call: Call<(), (), NewWorkflow>) -> Result<Made<EnqueuedOne>, Refusal> {
    let NewWorkflow(mut workflow) = call.body;
    if let Some(key) = idempotency_key(&call.headers)? {
        if workflow.unique.is_some() {
            return Err(Refusal::body(vec![Fault::at("/key", BOTH_KEYS)]));
        }
        let key = UniqueKey::new(key).map_err(|error| Refusal::header(error.to_string()))?;
        workflow.unique = Some(Unique { key, mode: UniqueMode::For { ms: DEFAULT_UNIQUE_MS } });
    }
    let who = || {
        call.viewer.name.map_or_else(|| "over HTTP".to_owned(), |who| format!("{who} over HTTP"))
    };
    workflow.submitted_by = Some(workflow.submitted_by.take().unwrap_or_else(who));
    let producer = call.monitor.outlet().producer();
    let handle = producer.enqueue_workflow(*workflow).await.map_err(refused)?;
    let (id, duplicate) = (handle.id(), handle.is_duplicate());
    let location = Some(format!("/api/v1/jobs/{id}"));
    Ok(Made { document: EnqueuedOne { id, duplicate }, new: !duplicate, location })
}

const BOTH_KEYS: &str = "the request has the header `Idempotency-Key`: use one of both";

/// The idempotency key of the request.
///
/// # Errors
/// It is empty, too long, or not plain text.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let plain = key.to_str().ok().filter(|key| (1..=MAX_KEY).contains(&key.len()));
    plain.map(|key| Some(key.to_owned())).ok_or_else(|| {
        Refusal::header(format!(
            "the header Idempotency-Key has 1 to {MAX_KEY} printable characters of ASCII"
        ))
    })
}

/// Enqueues them in one batch, and tells what became of each, in their order.
pub(in crate::routes) async fn enqueue(
    producer: &Producer,
    tasks: Vec<NewTask>,
) -> Result<Vec<EnqueuedOne>, Refusal> {
    let all = tasks.len();
    let mut many = producer.many();
    let mut ids: Vec<TaskId> = Vec::with_capacity(all);
    for task in tasks {
        ids.push(many.push(task).await.map_err(refused)?);
    }
    if let Err(error) = many.flush().await {
        let done = many.enqueued();
        let told = done.count as usize + done.duplicates.len();
        let mut refusal = refused(error);
        if told > 0 {
            refusal.problem.detail += &format!(
                "; {told} of {all} were enqueued: with an Idempotency-Key the request can be repeated as it is"
            );
        }
        return Err(refusal);
    }
    let duplicates = &many.enqueued().duplicates;
    Ok(ids
        .into_iter()
        .map(|id| match duplicates.iter().find(|duplicate| duplicate.id == id) {
            Some(duplicate) => EnqueuedOne { id: duplicate.first, duplicate: true },
            None => EnqueuedOne { id, duplicate: false },
        })
        .collect())
}

/// Why nothing was enqueued, or not all of it.
pub(in crate::routes) fn refused(error: EnqueueError) -> Refusal {
    let detail = error.to_string();
    match error {
        EnqueueError::QueueClosed { .. } => {
            Refusal::conflict("urn:celeriac:problem:queue-closed", "The queue is closed", detail)
        }
        EnqueueError::QueueFull { .. } => {
            Refusal::later("urn:celeriac:problem:queue-full", "The queue is full", detail)
        }
        EnqueueError::Invalid(_) | EnqueueError::Layer(_) | EnqueueError::Workflow(_) => {
            Refusal::body(vec![Fault::at("", detail)])
        }
        _ => crate::error::Problem::redis_unavailable(detail).into(),
    }
}
