//! `/api/tasks` and what is told of single tasks.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Path, Query, State};
use celeriac_broker_schema::find::TaskFilter;
use celeriac_broker_schema::script::{Place, Waiting};
use celeriac_broker_schema::{
    DeadFilter, Outcome, Priority, QueueName, State as TaskState, TaskId,
};
use serde_json::{Value, json};
use tokio::time::Duration;

use super::shapes::{ById, FlowerTask, state};
use super::{Plain, id};
use crate::model::{Task, Worker};
use crate::observation::{Detail, Reading};
use crate::read;
use crate::routes::api::wait_for;
use crate::state::Monitor;
use crate::topic::Topic;

/// Tasks of an answer without `limit`, and at most.
const MOST: usize = 10_000;
/// Queues whose first tasks are listed.
const QUEUES: usize = 10;
/// Tasks of each of them.
const OF_QUEUE: u32 = 50;
/// Tasks that ended lately, of each state.
const LATELY: usize = 200;
/// The longest wait for a result.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(55);

/// Names of all tasks that workers know.
pub(super) async fn types(State(monitor): State<Monitor>) -> Result<Json<Value>, Plain> {
    let observation = monitor.latest().await;
    Ok(Json(json!({ "task-types": known(observation.current()?) })))
}

/// The names, sorted.
pub(super) fn known(reading: &Reading) -> BTreeSet<&str> {
    let infos = reading.workers.iter().filter_map(|worker| worker.info.as_ref());
    infos.flat_map(|info| info.tasks.iter().map(String::as_str)).collect()
}

pub(super) async fn info(
    State(monitor): State<Monitor>,
    Path(text): Path<String>,
) -> Result<Json<FlowerTask>, Plain> {
    let id = id(&text)?;
    let observation = monitor.latest().await;
    let reading = observation.current()?;
    let task = one(&monitor, id, reading).await?.ok_or_else(|| Plain::unknown_task(&text))?;
    Ok(Json(FlowerTask::new(&task, &reading.workers)))
}

async fn one(monitor: &Monitor, id: TaskId, reading: &Reading) -> Result<Option<Task>, Plain> {
    Ok(match read::detail(monitor, &Topic::Task(id), Some(reading)).await? {
        Some(Detail::Task(task, _)) => Some(*task),
        _ => None,
    })
}

/// The result, for which is waited as many seconds as `timeout` says.
pub(super) async fn result(
    State(monitor): State<Monitor>,
    Path(text): Path<String>,
    Query(parameters): Query<BTreeMap<String, String>>,
) -> Result<Json<Value>, Plain> {
    let id = id(&text)?;
    let wait = match parameters.get("timeout").filter(|text| !text.is_empty()) {
        None => Duration::ZERO,
        Some(text) => {
            let seconds =
                text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            seconds.ok_or_else(|| Plain::bad("timeout is a number of seconds"))?.min(LONGEST_WAIT)
        }
    };
    match wait_for(&monitor, id, wait).await {
        Ok(Some(outcome)) => Ok(Json(ended(&monitor, id, outcome))),
        Ok(None) => {
            let observation = monitor.latest().await;
            let task = one(&monitor, id, observation.current()?).await?;
            let word = task.map_or("PENDING", |task| state(task.state, task.failures));
            Ok(Json(json!({ "task-id": id, "state": word })))
        }
        Err(refusal) if refusal.problem.status == 404 => Err(Plain::unknown_task(id)),
        Err(refusal) => Err(refusal.into()),
    }
}

/// A result as Flower tells it.
pub(super) fn ended(monitor: &Monitor, id: TaskId, mut outcome: Outcome) -> Value {
    let hidden = &monitor.config().redaction;
    let task = outcome.task.take();
    hidden.result(task.as_deref(), &mut outcome.result);
    let word = state(Some(outcome.state), 0);
    match outcome.error {
        Some(mut error) if outcome.state == TaskState::Failed => {
            hidden.failure(task.as_deref(), &mut error);
            json!({ "task-id": id, "state": word, "result": error.message, "traceback": error.trace })
        }
        _ => json!({ "task-id": id, "state": word, "result": outcome.result }),
    }
}

/// What is asked of a list.
struct Filter {
    limit: usize,
    offset: usize,
    name: Option<String>,
    worker: Option<String>,
    state: Option<String>,
    search: Option<String>,
    /// The field to sort by, and whether the largest comes first.
    sort: (String, bool),
    received: [Option<f64>; 2],
}

impl Filter {
    fn read(parameters: &BTreeMap<String, String>) -> Result<Self, Plain> {
        let text = |name: &str| parameters.get(name).filter(|text| !text.is_empty()).cloned();
        let number = |name: &str, default| match text(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| Plain::bad(format!("{name} is a whole number"))),
        };
        let sort = text("sort_by").unwrap_or_else(|| "-received".to_owned());
        let (field, descending) = match sort.strip_prefix('-') {
            Some(field) => (field.to_owned(), true),
            None => (sort.trim_start_matches('+').to_owned(), false),
        };
        if !["name", "state", "received", "started"].contains(&field.as_str()) {
            return Err(Plain::bad(
                "sort_by is name, state, received or started, with - for the largest first",
            ));
        }
        let time = |name: &str| match text(name) {
            None => Ok(None),
            Some(text) => time(&text)
                .map(Some)
                .ok_or_else(|| Plain::bad(format!("{name} is a time such as 2030-01-31 12:00"))),
        };
        Ok(Self {
            limit: number("limit", MOST)?.min(MOST),
            offset: number("offset", 0)?,
            name: text("taskname"),
            worker: text("workername"),
            state: text("state"),
            search: text("search").map(|text| text.to_lowercase()),
            sort: (field, descending),
            received: [time("received_start")?, time("received_end")?],
        })
    }

    fn matches(&self, task: &FlowerTask) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| Some(wanted.as_str()) == found)
        };
        let [from, to] = self.received;
        let received = task.received.or(task.sent);
        let says = |text: &str| {
            let parts = [
                Some(&task.uuid),
                task.name.as_ref(),
                task.args.as_ref(),
                task.kwargs.as_ref(),
                task.exception.as_ref(),
            ];
            parts.into_iter().flatten().any(|part| part.to_lowercase().contains(text))
        };
        is(&self.name, task.name.as_deref())
            && is(&self.worker, task.worker.as_deref())
            && is(&self.state, Some(task.state))
            && self.search.as_deref().is_none_or(says)
            && from.is_none_or(|from| received.is_some_and(|at| at >= from))
            && to.is_none_or(|to| received.is_some_and(|at| at <= to))
    }

    fn sort(&self, tasks: &mut [FlowerTask]) {
        let (field, descending) = &self.sort;
        tasks.sort_by(|a, b| {
            let order = match field.as_str() {
                "name" => a.name.cmp(&b.name),
                "state" => a.state.cmp(b.state),
                "started" => a.started.unwrap_or(0.0).total_cmp(&b.started.unwrap_or(0.0)),
                _ => {
                    let at = |task: &FlowerTask| task.received.or(task.sent).unwrap_or(0.0);
                    at(a).total_cmp(&at(b))
                }
            };
            if *descending { order.reverse() } else { order }
        });
    }
}

/// `2030-01-31 12:00`, in UTC, as seconds.
fn time(text: &str) -> Option<f64> {
    let text = format!("{}:00Z", text.replacen(' ', "T", 1));
    celeriac_broker_schema::text::time(&text).ok().map(super::shapes::seconds)
}

/// Tasks by id: what runs, what goes next in the fullest queues, what is delayed there, what died and
/// what succeeded or was cancelled lately. Each of these is a few calls to Redis, whatever the number
/// of tasks.
pub(super) async fn list(
    State(monitor): State<Monitor>,
    Query(parameters): Query<BTreeMap<String, String>>,
) -> Result<Json<ById>, Plain> {
    let filter = Filter::read(&parameters)?;
    let observation = monitor.latest().await;
    let reading = observation.current()?;
    let mut tasks = running(reading);
    tasks.extend(waiting(&monitor, reading).await?);
    tasks.extend(dead(&monitor).await?);
    tasks.extend(ended_lately(&monitor, reading).await?);
    tasks.retain(|task| filter.matches(task));
    filter.sort(&mut tasks);
    let page = tasks.into_iter().skip(filter.offset).take(filter.limit);
    Ok(Json(ById(page.collect())))
}

fn running(reading: &Reading) -> Vec<FlowerTask> {
    let of_worker = |worker| {
        let told = Worker::running(worker).iter();
        told.filter_map(move |task| Some(FlowerTask::running(task.id.parse().ok()?, task, worker)))
    };
    reading.workers.iter().flat_map(of_worker).collect()
}

async fn waiting(monitor: &Monitor, reading: &Reading) -> Result<Vec<FlowerTask>, Plain> {
    let mut tasks = Vec::new();
    // The fullest come first.
    for queue in reading.queues.iter().take(QUEUES) {
        let Ok(name) = queue.name.parse::<QueueName>() else { continue };
        let first = queue.priorities.first().and_then(|ready| Priority::new(ready.priority).ok());
        for place in first.map(Place::Ready).into_iter().chain([Place::Delayed]) {
            tasks.extend(of_place(monitor, &name, &place).await?);
        }
    }
    Ok(tasks)
}

async fn of_place(
    monitor: &Monitor,
    queue: &QueueName,
    place: &Place,
) -> Result<Vec<FlowerTask>, Plain> {
    let hidden = &monitor.config().redaction;
    let page = monitor.broker().peek(queue, place, 0, OF_QUEUE).await?;
    let ids = page.waiting.into_iter().filter_map(|waiting| match waiting {
        Waiting::Task(id, due) if id.chunk().is_none() => Some((id, due)),
        _ => None,
    });
    let (ids, due): (Vec<TaskId>, Vec<_>) = ids.unzip();
    let records = monitor.broker().records(&ids).await?;
    let known = ids.into_iter().zip(due).zip(records);
    let told = known
        .filter_map(|((id, due), record)| Some(FlowerTask::waiting(id, &record?, due, hidden)));
    Ok(told.collect())
}

/// Of those that succeed, workers tell by name only some if there are many.
async fn ended_lately(monitor: &Monitor, reading: &Reading) -> Result<Vec<FlowerTask>, Plain> {
    let mut tasks = Vec::new();
    for state in [TaskState::Succeeded, TaskState::Cancelled] {
        let found = monitor.broker().find_tasks(&TaskFilter::of(state), None, LATELY).await?;
        tasks.extend(found.tasks.iter().map(|row| FlowerTask::row(row, &reading.workers)));
    }
    Ok(tasks)
}

async fn dead(monitor: &Monitor) -> Result<Vec<FlowerTask>, Plain> {
    let page = monitor.broker().dead_where(&DeadFilter::default(), None).await?;
    let hidden = &monitor.config().redaction;
    Ok(page.letters.into_iter().map(|letter| FlowerTask::dead(letter, hidden)).collect())
}
