//! The reads of what single pages are about: a bounded number of calls each.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use celeriac_broker_schema::find::{TaskCursor, TaskFilter};
use celeriac_broker_schema::health::{self, Memory};
use celeriac_broker_schema::history::{By, HistoryQuery};
use celeriac_broker_schema::script::{Found, JobView, Place};
use celeriac_broker_schema::{
    Broker, BrokerError, DeadFilter, DeadGroups, ErrorKind, JobId, Outcome, Priority, QueueName,
    State, TaskFailure, TaskId, Timestamp, WorkerInfo,
};

use crate::error::Problem;
use crate::model::{Dead, Health, Job, JobDetail, Map, QueueDetail, Schedule, Schedules, Task};
use crate::observation::{Detail, Reading};
use crate::redact::Redaction;
use crate::state::Monitor;
use crate::topic::{DeadPlace, Peek, Span, TaskPlace, Topic};

/// How far back the rates of queues are looked at.
const RATES_MS: u64 = 3_600_000;
/// Lines of a list that is read a page at a time.
pub(crate) const LINES: u32 = 50;
/// Jobs of the list: so many open ones, and as many that ended.
const JOBS: u32 = 100;
/// Cells of the map of a job.
const CELLS: u64 = 400;
/// Pages of dead letters that are grouped, the newest.
const DEAD_PAGES: usize = 4;
/// Schedules and limits of a list.
pub(crate) const MOST: u32 = 200;

/// The result of a workflow with more members is not put together.
const MOST_ASSEMBLED: u64 = 1_000;

/// What a page is about, beyond the reading; None for those that are the reading. What is not to be
/// shown is not in it.
///
/// # Errors
/// Redis is away. What is wrong with the one thing alone is a [`Detail::None`].
pub(crate) async fn detail(
    monitor: &Monitor,
    topic: &Topic,
    reading: Option<&Reading>,
) -> Result<Option<Detail>, BrokerError> {
    let (broker, hidden) = (monitor.broker(), &monitor.config().redaction);
    let detail = match topic {
        Topic::Workers => return Ok(None),
        Topic::Overview(span) => {
            let query = HistoryQuery::back(span.ms());
            monitor.history(&query).await.map(Detail::Overview)
        }
        Topic::Queues => queues(monitor).await,
        Topic::Queue(name, peek) => queue(monitor, name, peek).await,
        Topic::Tasks(place) => tasks(broker, place, reading).await,
        Topic::Jobs => jobs(broker, reading).await,
        Topic::Job(id) => job(broker, *id, reading).await,
        Topic::Task(id) => task(broker, *id, reading).await,
        Topic::Dead(place) => dead(broker, place).await,
        Topic::Schedules => schedules(broker).await,
        Topic::Limits => Ok(Detail::Limits(Box::new(broker.limits(MOST).await?))),
        Topic::Health => health(broker, reading).await,
    };
    match detail {
        Ok(mut detail) => {
            hide(hidden, &mut detail);
            Ok(Some(detail))
        }
        Err(error @ (BrokerError::Script { .. } | BrokerError::Protocol { .. })) => {
            Ok(Some(Detail::None(error.into())))
        }
        Err(error) => Err(error),
    }
}

/// Takes out what is not to be shown.
fn hide(hidden: &Redaction, detail: &mut Detail) {
    match detail {
        Detail::Job(job, _) => hidden.job(job),
        Detail::Task(task, _) => hidden.task(task),
        Detail::Queue(queue, _) => {
            for line in &mut queue.lines {
                hidden.args(line.task.as_deref(), &mut line.args);
            }
        }
        Detail::Dead(dead) => {
            for letter in &mut dead.letters {
                let task = Some(&*letter.task);
                hidden.args(task, &mut letter.args);
                hidden.failure(task, &mut letter.error);
            }
            for group in &mut dead.groups {
                let mut failure = TaskFailure::new(group.kind, &group.message);
                hidden.failure(Some(&group.task), &mut failure);
                group.message = failure.message;
            }
        }
        Detail::Tasks(found) => {
            for row in &mut found.tasks {
                let Some(message) = &row.error else { continue };
                let mut failure = TaskFailure::new(ErrorKind::Error, message);
                hidden.failure(row.task.as_deref(), &mut failure);
                row.error = Some(failure.message);
            }
        }
        _ => {}
    }
}

/// What happened in each queue lately.
async fn queues(monitor: &Monitor) -> Result<Detail, BrokerError> {
    let query = HistoryQuery { by: By::Queue, ..HistoryQuery::back(RATES_MS) };
    Ok(Detail::Queues(monitor.history(&query).await?))
}

async fn tasks(
    broker: &Broker,
    place: &TaskPlace,
    reading: Option<&Reading>,
) -> Result<Detail, BrokerError> {
    let now = reading.map_or(Timestamp(0), |reading| reading.now);
    let filter = TaskFilter {
        state: place.state,
        queue: place.queue.clone(),
        task: place.task.clone(),
        worker: place.worker.clone(),
        since: place.within.map(|within| Timestamp(now.0.saturating_sub(within.ms()))),
        until: None,
    };
    let after = match place.after.as_deref().map(str::parse::<TaskCursor>) {
        Some(Err(_)) => return Ok(Detail::None(Problem::invalid_field("after"))),
        Some(Ok(after)) => Some(after),
        None => None,
    };
    let found = broker.find_tasks(&filter, after.as_ref(), LINES as usize).await?;
    Ok(Detail::Tasks(Box::new(found)))
}

async fn queue(monitor: &Monitor, name: &QueueName, peek: &Peek) -> Result<Detail, BrokerError> {
    let broker = monitor.broker();
    let query =
        HistoryQuery { queue: Some(name.to_string()), ..HistoryQuery::back(Span::Hour.ms()) };
    let history = monitor.history(&query).await?;
    let mut detail = QueueDetail::new(name.clone(), Timestamp(0));
    match peek {
        Peek::Next => {
            for number in (0..=9).rev() {
                let left = (LINES as usize).saturating_sub(detail.lines.len());
                let Ok(priority) = Priority::new(number) else { continue };
                if left > 0 {
                    let place = Place::Ready(priority);
                    let page = broker.peek(name, &place, 0, left as u32).await?;
                    detail.add(page, Some(number));
                }
            }
            detail.next = None;
        }
        Peek::Priority(number, from) => {
            let priority = Priority::new(*number).unwrap_or_default();
            let page = broker.peek(name, &Place::Ready(priority), *from, LINES).await?;
            detail.add(page, Some(*number));
        }
        Peek::Delayed(from) => {
            detail.add(broker.peek(name, &Place::Delayed, *from, LINES).await?, None);
        }
        Peek::Suspects(from) => {
            detail.add(broker.peek(name, &Place::Suspects, *from, LINES).await?, None);
        }
    }
    let tasks = detail.tasks();
    let records = broker.records(&tasks).await?;
    let read = tasks.into_iter().zip(records).filter_map(|(id, record)| Some((id, record?)));
    detail.describe(&read.collect());
    Ok(Detail::Queue(Box::new(detail), history))
}

async fn jobs(broker: &Broker, reading: Option<&Reading>) -> Result<Detail, BrokerError> {
    let snapshot = broker.snapshot(1, JOBS).await?;
    let job = |view: &JobView| Job::new(view, snapshot.now, rate_of(view.id, reading));
    Ok(Detail::Jobs(snapshot.jobs.iter().map(job).collect()))
}

/// Chunks per second, as the poller saw it.
fn rate_of(id: JobId, reading: Option<&Reading>) -> Option<f64> {
    let listed = reading.and_then(|reading| reading.jobs.iter().find(|job| job.id == id));
    listed.and_then(|job| job.done_per_s)
}

async fn job(broker: &Broker, id: JobId, reading: Option<&Reading>) -> Result<Detail, BrokerError> {
    let (now, view) = broker.job(id).await?;
    let Some(view) = view else {
        return Ok(Detail::None(Problem::unknown_job(id)));
    };
    let outcome = match view.ended {
        Some(_) => outcome(broker, &view).await?,
        None => None,
    };
    let map = broker.map_chunks(id, view.total, CELLS).await?;
    let workers = reading.map_or(&[][..], |reading| &reading.workers);
    let map = map.map(|map| Map::new(&map, id, view.failed_task.as_deref(), workers));
    let detail = JobDetail::new(&view, now, rate_of(id, reading), outcome);
    Ok(Detail::Job(Box::new(detail), map))
}

async fn outcome(broker: &Broker, view: &JobView) -> Result<Option<Outcome>, BrokerError> {
    let found = broker.inspect(view.id.task()).await?;
    Ok(match found {
        // A result of many parts is not fetched anew for each look at a page.
        Found::Ended(outcome) if view.total <= MOST_ASSEMBLED => {
            broker.read_outcome(view.id.task(), &outcome).await?.ok()
        }
        Found::Ended(outcome) => serde_json::from_str(&outcome).ok(),
        _ => None,
    })
}

async fn task(
    broker: &Broker,
    id: TaskId,
    reading: Option<&Reading>,
) -> Result<Detail, BrokerError> {
    let found = broker.inspect(id).await?;
    // Also tells the time, and whether the id is that of a job.
    let (now, job) = broker.job(id.job()).await?;
    let Some(mut task) = Task::new(id, &found, now, job.is_some()) else {
        return Ok(Detail::None(Problem::unknown_task(id)));
    };
    task.add_progress(reading.map_or(&[][..], |reading| &reading.workers));
    if task.state == Some(State::Failed)
        && let Some(letter) = broker.dead_letter(id).await?
    {
        task.add_letter(&letter);
    }
    let waits = matches!(task.state, Some(State::Waiting | State::Delayed | State::Ready));
    let why = if waits { Some(broker.explain(id).await?) } else { None };
    Ok(Detail::Task(Box::new(task), why))
}

async fn dead(broker: &Broker, place: &DeadPlace) -> Result<Detail, BrokerError> {
    let filter = DeadFilter {
        queue: place.queue.clone(),
        task: place.task.clone(),
        error: place.error.clone(),
        fingerprint: place.fingerprint.clone(),
        ..DeadFilter::default()
    };
    let mut after = place.after;
    if place.fingerprint.is_some() {
        // What is looked for may stand behind many others.
        let mut page = broker.dead_where(&filter, after).await?;
        for _ in 1..DEAD_PAGES {
            if !page.letters.is_empty() || page.next.is_none() {
                break;
            }
            page = broker.dead_where(&filter, page.next).await?;
        }
        if page.letters.len() > LINES as usize {
            page.letters.truncate(LINES as usize);
            page.next = page.letters.last().map(|letter| (letter.at, letter.id));
        }
        return Ok(Detail::Dead(Box::new(Dead::letters(page))));
    }
    let mut groups = DeadGroups::default();
    let (mut now, mut total) = (Timestamp(0), 0);
    for _ in 0..DEAD_PAGES {
        let page = broker.dead_groups(&filter, after).await?;
        (now, total, after) = (page.now, page.total, page.next);
        groups.merge(page.groups);
        if after.is_none() {
            break;
        }
    }
    let groups = groups.sorted();
    let counted = groups.iter().map(|group| group.count).sum();
    let dead = Dead { now, total, looked_at: counted, groups, letters: Vec::new(), next: after };
    Ok(Detail::Dead(Box::new(dead)))
}

async fn schedules(broker: &Broker) -> Result<Detail, BrokerError> {
    let found = broker.schedules(None, 0, MOST).await?;
    let page = found.page.iter().map(Schedule::new).collect();
    Ok(Detail::Schedules(Box::new(Schedules { now: found.now, total: found.total, page })))
}

async fn health(broker: &Broker, reading: Option<&Reading>) -> Result<Detail, BrokerError> {
    let round_trip = round_trip(broker).await?;
    let memory = Memory::of_info(&broker.info("memory").await?);
    let settings = broker.settings(&[]).await?;
    let snapshot = broker.snapshot(MOST, MOST).await?;
    let workers = reading.map_or(&[][..], |reading| &reading.workers);
    let known = workers.iter().filter_map(|worker| Some((&worker.lease, worker.info.as_ref()?)));
    let known: Vec<(String, WorkerInfo)> =
        known.map(|(lease, info)| (lease.clone(), info.clone())).collect();
    let local = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let local = Timestamp(u64::try_from(local.as_millis()).unwrap_or(u64::MAX));
    let mut findings = Vec::new();
    if let Some(reading) = reading {
        findings.extend(health::server_findings(&reading.server, round_trip, snapshot.now, local));
    }
    findings.extend(health::memory_finding(memory));
    // Of a fleet that was read in part nothing can be said that holds for all of it.
    if reading.is_some_and(|reading| reading.totals.workers_read == reading.totals.workers) {
        let unreadable = (workers.len() - known.len()) as u64;
        findings.extend(health::findings(&snapshot, &known, unreadable));
    }
    findings.sort_by_key(|finding| finding.severity);
    Ok(Detail::Health(Box::new(Health { findings, round_trip, memory, settings })))
}

/// The quickest of a few, so that one hiccup is no finding.
async fn round_trip(broker: &Broker) -> Result<Duration, BrokerError> {
    let mut quickest = Duration::MAX;
    for _ in 0..3 {
        let begin = Instant::now();
        broker.ping().await?;
        quickest = quickest.min(begin.elapsed());
    }
    Ok(quickest)
}
