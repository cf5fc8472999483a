//! Wait for results: all requests that wait share one subscription to Redis, and streams of partial
//! results end with the task at once.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use axum::response::sse::Event;
use celeriac_broker_schema::script::{Found, Part, StreamState};
use celeriac_broker_schema::{JobId, Outcome, TaskId};
use celeriac_producer::ResultError;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep, sleep_until, timeout};

use super::query::{Wait, query};
use super::refusal::Refusal;
use super::reply::{Awaited, Events};
use super::shapes::{Ended, Unended};
use super::table::{Call, Table, words};
use crate::error::Problem;
use crate::model::{JobDetail, raw_json};
use crate::observation::{Detail, Observation};
use crate::outlet::{Permit, WAITERS};
use crate::read;
use crate::redact::Redaction;
use crate::state::Monitor;
use crate::topic::Topic;
use crate::viewers::Viewer;

/// How long a stream waits before it looks again, at first and at most, while nothing comes.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

pub(super) fn add(table: &mut Table) {
    table.get(
        "/tasks/{id}/result",
        words(
            "getResult",
            "tasks",
            "The result of a task or job",
            "With `wait` the answer comes when it ends, or after that time. Ask as often as you like: waiting costs Redis nothing.",
        ),
        result,
    );
    table.get(
        "/tasks/{id}/stream",
        words(
            "streamTask",
            "tasks",
            "Partial results as they come",
            "Server-sent events: `part` with `{\"attempt\": 1, \"value\": …}`, whose id can be sent as `Last-Event-ID` to go on behind it, then `end` with `{\"state\": \"succeeded\"}` or null if that is not kept.",
        ),
        parts,
    );
    table.get(
        "/jobs/{id}/events",
        words(
            "streamJob",
            "jobs",
            "A job as it moves",
            "Server-sent events: `job` with the job as `GET /jobs/{id}` tells it, once a second at most and when it has changed; the last one is followed by `end`.",
        ),
        job,
    );
}

query! {
    struct ResultQuery {
        /// How long to wait for the end, 55 seconds at most.
        wait: Wait,
    }
}

async fn result(call: Call<TaskId, ResultQuery>) -> Result<Awaited<Ended, Unended>, Refusal> {
    let (monitor, id) = (&call.monitor, call.path);
    if id.chunk().is_some() {
        let detail = "a chunk has no result of its own: ask for that of its job";
        return Err(Refusal::not_found("urn:celeriac:problem:no-result", "No result", detail));
    }
    let wait = call.query.wait.map_or(Duration::ZERO, |Wait(wait)| wait);
    let outcome = wait_for(monitor, id, wait).await?;
    Ok(match outcome {
        Some(outcome) => Awaited::Here(Ended::of(id, outcome, &monitor.config().redaction)),
        None => Awaited::NotYet(Unended { id, has_ended: false }),
    })
}

/// How a task or job ended; None if it has not ended in this time.
///
/// # Errors
/// It is not known, too many wait, or Redis is away.
pub(in crate::routes) async fn wait_for(
    monitor: &Monitor,
    id: TaskId,
    wait: Duration,
) -> Result<Option<Outcome>, Refusal> {
    // While Redis is away, nobody is to wait for it.
    monitor.latest().await.current()?;
    match monitor.broker().inspect(id).await? {
        Found::Ended(outcome) => return read_outcome(id, &outcome).map(Some),
        Found::Unknown if monitor.broker().job(id.job()).await?.1.is_none() => {
            return Err(Problem::unknown_task(id).into());
        }
        _ if wait.is_zero() => return Ok(None),
        _ => {}
    }
    let _permit = monitor.outlet().wait().ok_or_else(|| {
        Refusal::later(
            "urn:celeriac:problem:too-many-waiters",
            "Too many wait",
            format!("{WAITERS} requests wait for results already: try again later"),
        )
    })?;
    let handle = monitor.outlet().producer().handle(id);
    let closing = monitor.closing().clone();
    let ended = tokio::select! {
        ended = timeout(wait, handle.outcome()) => ended,
        () = closing.cancelled() => return Ok(None),
    };
    match ended {
        Ok(Ok(outcome)) => Ok(Some(outcome)),
        Ok(Err(ResultError::Unknown(_))) => Err(Problem::unknown_task(id).into()),
        Ok(Err(error)) => Err(unreadable(error.to_string())),
        Err(_) => Ok(None),
    }
}

fn read_outcome(id: TaskId, stored: &str) -> Result<Outcome, Refusal> {
    let outcome = serde_json::from_str(stored);
    outcome.map_err(|error| unreadable(format!("the outcome of task {id} cannot be read: {error}")))
}

fn unreadable(detail: String) -> Refusal {
    let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
    Problem {
        kind: "urn:celeriac:problem:unreadable",
        title: "Unreadable data in Redis",
        status,
        detail,
    }
    .into()
}

impl Ended {
    fn of(id: TaskId, mut outcome: Outcome, hidden: &Redaction) -> Self {
        let task = outcome.task.clone();
        hidden.result(task.as_deref(), &mut outcome.result);
        let of_attempts = outcome.attempts.iter_mut().filter_map(|attempt| attempt.error.as_mut());
        for failure in outcome.error.iter_mut().chain(of_attempts) {
            hidden.failure(task.as_deref(), failure);
        }
        let queue = outcome.queue().map(str::to_owned);
        Self {
            id,
            state: outcome.state,
            task,
            queue,
            result: outcome.result,
            error: outcome.error,
            failed_task: outcome.failed_task,
            attempt: outcome.attempt,
            worker: outcome.worker,
            started: outcome.started,
            ended: outcome.ended,
            by: outcome.by,
            why: outcome.why,
            attempts: outcome.attempts,
        }
    }
}

/// The partial results of a task for one client.
struct Parts {
    monitor: Monitor,
    id: TaskId,
    after: Option<String>,
    pause: Duration,
    over: bool,
    /// The name of the task: some of it may not be shown.
    task: Option<String>,
    _permit: Permit,
}

async fn parts(call: Call<TaskId>) -> Result<Events, Refusal> {
    let (monitor, id) = (call.monitor, call.path);
    let after = last_event(call.headers.get("last-event-id"))?;
    let page = monitor.broker().stream(id, after.as_deref()).await?;
    if page.state == StreamState::Unknown {
        return Err(Problem::unknown_task(id).into());
    }
    let most = monitor.config().max_viewers;
    let permit = monitor.outlet().stream().ok_or_else(|| Problem::too_many_viewers(most))?;
    let task = name_of(&monitor, id).await?;
    let until = call.viewer.until;
    let parts = Parts { monitor, id, after, pause: PAUSE, over: false, task, _permit: permit };
    let pages = stream::unfold(parts, move |mut parts| async move {
        let closing = parts.monitor.closing().clone();
        let page = tokio::select! {
            page = parts.next() => page?,
            () = over(until) => return None,
            () = closing.cancelled() => return None,
        };
        Some((stream::iter(page.into_iter().map(Ok::<_, Infallible>)), parts))
    });
    Ok(Events(Box::pin(pages.flatten())))
}

/// The place behind which a client goes on: two numbers.
fn last_event(header: Option<&axum::http::HeaderValue>) -> Result<Option<String>, Refusal> {
    let Some(text) = header.and_then(|text| text.to_str().ok()).filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    let is_number = |part: &str| part.parse::<u64>().is_ok();
    match text.split_once('-') {
        Some((time, number)) if is_number(time) && is_number(number) => Ok(Some(text.to_owned())),
        _ => Err(Refusal::header("the header Last-Event-ID is no id of an event of this stream")),
    }
}

/// The name of a task.
async fn name_of(monitor: &Monitor, id: TaskId) -> Result<Option<String>, Refusal> {
    Ok(match read::detail(monitor, &Topic::Task(id), None).await? {
        Some(Detail::Task(task, _)) => task.task,
        _ => None,
    })
}

/// Returns when a session has ended.
async fn over(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}

impl Parts {
    /// The next events; None at the end.
    async fn next(&mut self) -> Option<Vec<Event>> {
        while !self.over {
            match self.monitor.broker().stream(self.id, self.after.as_deref()).await {
                Ok(page) if !page.parts.is_empty() => {
                    self.pause = PAUSE;
                    self.after = page.parts.last().map(|part| part.at.clone());
                    return Some(page.parts.into_iter().map(|part| self.event(part)).collect());
                }
                Ok(page) if page.state != StreamState::Open => {
                    self.over = true;
                    return Some(vec![self.end().await]);
                }
                Ok(_) => self.rest().await,
                Err(error) => {
                    tracing::debug!(%error, "a stream of partial results is interrupted");
                    self.rest().await;
                }
            }
        }
        None
    }

    /// Until it is time to look again, or the task has ended: all streams hear that together.
    async fn rest(&mut self) {
        let handle = self.monitor.outlet().producer().handle(self.id);
        tokio::select! {
            () = sleep(self.pause) => {}
            outcome = handle.outcome() => {
                if outcome.is_err() {
                    sleep(self.pause).await;
                }
            }
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    fn event(&self, part: Part) -> Event {
        let mut value = Some(raw_json(&part.value));
        self.monitor.config().redaction.result(self.task.as_deref(), &mut value);
        let value = value.as_ref().map_or("null", |value| value.get());
        // JSON that our workers write has no line breaks.
        let data = format!("{{\"attempt\":{},\"value\":{value}}}", part.attempt);
        Event::default().event("part").id(part.at).data(data)
    }

    async fn end(&self) -> Event {
        let state = match self.monitor.broker().inspect(self.id).await {
            Ok(Found::Ended(outcome)) => {
                read_outcome(self.id, &outcome).ok().map(|outcome| outcome.state)
            }
            _ => None,
        };
        Event::default().event("end").data(json!({ "state": state }).to_string())
    }
}

/// A job for one client: the poller reads it once for all of them.
struct Watching {
    monitor: Monitor,
    observations: watch::Receiver<Arc<Observation>>,
    viewer: Viewer,
    id: JobId,
    first: Option<Box<JobDetail>>,
    sent: String,
    over: bool,
}

async fn job(call: Call<JobId>) -> Result<Events, Refusal> {
    let (monitor, id) = (call.monitor, call.path);
    let observation = monitor.latest().await;
    let topic = Topic::Job(id);
    let first = match read::detail(&monitor, &topic, Some(observation.current()?)).await? {
        Some(Detail::Job(job, _)) => job,
        Some(Detail::None(problem)) => return Err(problem.into()),
        _ => return Err(Problem::unknown_job(id).into()),
    };
    let most = monitor.config().max_viewers;
    let viewer = monitor.join(topic).ok_or_else(|| Problem::too_many_viewers(most))?;
    let observations = monitor.observations();
    let until = call.viewer.until;
    let sent = String::new();
    let watching =
        Watching { monitor, observations, viewer, id, first: Some(first), sent, over: false };
    let events = stream::unfold(watching, move |mut watching| async move {
        let closing = watching.monitor.closing().clone();
        let event = tokio::select! {
            event = watching.next() => event?,
            () = over(until) => return None,
            () = closing.cancelled() => return None,
        };
        Some((Ok(event), watching))
    });
    Ok(Events(Box::pin(events)))
}

impl Watching {
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        if let Some(first) = self.first.take()
            && let Some(event) = self.event(&first)
        {
            return Some(event);
        }
        loop {
            if self.sent.is_empty() {
                self.over = true;
                return Some(Event::default().event("end").data("null"));
            }
            self.observations.changed().await.ok()?;
            let observation = self.observations.borrow_and_update().clone();
            match observation.details.get(self.viewer.topic()) {
                Some(Detail::Job(job, _)) => {
                    if let Some(event) = self.event(job) {
                        return Some(event);
                    }
                }
                Some(Detail::None(_)) => self.sent.clear(),
                _ => {}
            }
        }
    }

    /// An event, if something has changed. Nothing changes after the end.
    fn event(&mut self, job: &JobDetail) -> Option<Event> {
        debug_assert_eq!(job.job.id, self.id, "it watches its own job");
        let mut told = serde_json::to_value(job).ok()?;
        let data = serde_json::to_string(job).ok()?;
        // The time goes on, and with it what is reckoned from it.
        for moving in ["now", "elapsed_ms", "left_ms", "done_per_s"] {
            told[moving].take();
        }
        let told = told.to_string();
        let ended = job.job.ended.is_some();
        if told == self.sent {
            return None;
        }
        self.sent = if ended { String::new() } else { told };
        Some(Event::default().event("job").data(data))
    }
}
