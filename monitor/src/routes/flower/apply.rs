//! Enqueue and revoke. The gate in front of all routes lets in operators only, and asks browsers for
//! the proof that it is one of our pages that wants it.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use celeriac_broker_schema::text::{Due, due};
use celeriac_broker_schema::{Priority, QueueName, TaskId, TaskName};
use celeriac_producer::NewTask;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Duration;

use super::tasks::{LONGEST_WAIT, ended, known};
use super::{Plain, id};
use crate::actions::{Actor, Fields, Kind, perform};
use crate::auth::{Peer, Viewer};
use crate::routes::api::{enqueue, may_write, wait_for};
use crate::state::Monitor;

/// What may stand in the body: arguments, and those of Celery's options that we have.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    args: Option<Box<RawValue>>,
    kwargs: Option<Box<RawValue>>,
    queue: Option<QueueName>,
    priority: Option<Priority>,
    /// Seconds from now.
    countdown: Option<f64>,
    /// `2030-01-31 12:00:00.000000`, in UTC.
    eta: Option<String>,
    /// Seconds from now, or a time.
    expires: Option<Value>,
}

/// Enqueues a task that a worker knows, and waits for its end.
pub(super) async fn apply(
    State(monitor): State<Monitor>,
    viewer: Viewer,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Plain> {
    must_be_known(&monitor, &name).await?;
    let id = send(&monitor, &viewer, &name, &body).await?;
    match wait_for(&monitor, id, LONGEST_WAIT).await? {
        Some(outcome) => Ok(Json(ended(&monitor, id, outcome))),
        None => Ok(Json(pending(id))),
    }
}

/// Enqueues a task that a worker knows.
pub(super) async fn async_apply(
    State(monitor): State<Monitor>,
    viewer: Viewer,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Plain> {
    must_be_known(&monitor, &name).await?;
    Ok(Json(pending(send(&monitor, &viewer, &name, &body).await?)))
}

/// Enqueues any task.
pub(super) async fn send_task(
    State(monitor): State<Monitor>,
    viewer: Viewer,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Plain> {
    Ok(Json(pending(send(&monitor, &viewer, &name, &body).await?)))
}

fn pending(id: TaskId) -> Value {
    json!({ "task-id": id, "state": "PENDING" })
}

async fn must_be_known(monitor: &Monitor, name: &str) -> Result<(), Plain> {
    let observation = monitor.latest().await;
    if known(observation.current()?).contains(name) {
        return Ok(());
    }
    Err(Plain::unknown_task(name.chars().take(200).collect::<String>()))
}

async fn send(
    monitor: &Monitor,
    viewer: &Viewer,
    name: &str,
    body: &[u8],
) -> Result<TaskId, Plain> {
    may_write(viewer)?;
    let task = new_task(name, body)?;
    let enqueued = enqueue(monitor.outlet().producer(), vec![task]).await?;
    let first = enqueued.first().map(|one| one.id);
    first.ok_or_else(|| Plain(StatusCode::INTERNAL_SERVER_ERROR, "nothing was enqueued".to_owned()))
}

fn new_task(name: &str, body: &[u8]) -> Result<NewTask, Plain> {
    let name: TaskName = name
        .parse()
        .map_err(|error: celeriac_broker_schema::InvalidInput| Plain::bad(error.to_string()))?;
    let body: Body = match body.trim_ascii() {
        b"" => Body::default(),
        text => serde_json::from_slice(text)
            .map_err(|error| Plain::bad(format!("the body cannot be used: {error}")))?,
    };
    let mut task = NewTask::from_raw(name, arguments(body.args, body.kwargs)?, Default::default());
    task = body.queue.into_iter().fold(task, NewTask::queue);
    task = body.priority.into_iter().fold(task, NewTask::priority);
    if let Some(seconds) = body.countdown {
        task = task
            .delay(after(seconds).ok_or_else(|| Plain::bad("countdown is a number of seconds"))?);
    }
    if let Some(text) = body.eta {
        task = match moment(&text) {
            Some(Due::At(at)) => task.at(at),
            _ => {
                return Err(Plain::bad("eta is a time such as 2030-01-31 12:00:00.000000, in UTC"));
            }
        };
    }
    task = match body.expires {
        None | Some(Value::Null) => task,
        Some(when) => match (when.as_f64().and_then(after), when.as_str().and_then(moment)) {
            (Some(wait), _) => task.expires_after(wait),
            (_, Some(Due::At(at))) => task.expires_at(at),
            _ => {
                return Err(Plain::bad(
                    "expires is a number of seconds, or a time such as 2030-01-31 12:00:00.000000, in UTC",
                ));
            }
        },
    };
    task.check().map_err(|error| Plain::bad(error.to_string()))?;
    Ok(task)
}

fn after(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// As Flower writes times.
fn moment(text: &str) -> Option<Due> {
    let at = due(&format!("{}Z", text.trim_end_matches('Z').replacen(' ', "T", 1))).ok()?;
    matches!(at, Due::At(_)).then_some(at)
}

/// One document of both kinds of arguments: a task of ours has either, not both.
fn arguments(
    args: Option<Box<RawValue>>,
    kwargs: Option<Box<RawValue>>,
) -> Result<Box<RawValue>, Plain> {
    let given = |json: Option<Box<RawValue>>, open: char, empty: &str, words: &str| match json {
        None => Ok(None),
        Some(json) if json.get() == "null" => Ok(None),
        Some(json) if !json.get().starts_with(open) => Err(Plain::bad(words)),
        Some(json) => {
            let bare: String = json.get().chars().filter(|c| !c.is_ascii_whitespace()).collect();
            Ok(Some(json).filter(|_| bare != empty))
        }
    };
    let args = given(args, '[', "[]", "args must be an array")?;
    let kwargs = given(kwargs, '{', "{}", "kwargs must be an object")?;
    match (args, kwargs) {
        (Some(_), Some(_)) => {
            Err(Plain::bad("a task has either args or kwargs: its arguments are one JSON document"))
        }
        (Some(one), None) | (None, Some(one)) => Ok(one),
        (None, None) => Ok(RawValue::from_string("{}".to_owned()).unwrap_or_default()),
    }
}

/// Cancels a task, also one that runs; as the action does, so that it is noted who did.
pub(super) async fn revoke(
    State(monitor): State<Monitor>,
    viewer: Viewer,
    Extension(peer): Extension<Peer>,
    Path(text): Path<String>,
) -> Result<Json<Value>, Plain> {
    let id = id(&text)?;
    let fields = Fields::of_form(format!("id={id}").as_bytes());
    let actor = Actor { viewer: &viewer, peer: &peer };
    let done = perform(&monitor, Kind::Cancel, &fields, &actor).await?;
    if done.changed == 0 && done.left.iter().any(|left| left.why.contains("not known")) {
        return Err(Plain::unknown_task(id));
    }
    Ok(Json(json!({ "message": format!("Revoked '{text}'") })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(body: &str) -> Result<String, String> {
        let task = new_task("t", body.as_bytes()).map_err(|Plain(_, words)| words)?;
        Ok(task.args().get().to_owned())
    }

    #[test]
    fn arguments_are_one_document() {
        assert_eq!(args("").as_deref(), Ok("{}"));
        assert_eq!(args(r#"{"args": [1, 2], "kwargs": {}}"#).as_deref(), Ok("[1, 2]"));
        assert_eq!(args(r#"{"args": [ ], "kwargs": {"x": 1}}"#).as_deref(), Ok(r#"{"x": 1}"#));
        for (body, part) in [
            (r#"{"args": 7}"#, "array"),
            (r#"{"kwargs": []}"#, "object"),
            ("{", "EOF"),
            (r#"{"args": [1], "kwargs": {"x": 1}}"#, "either"),
            (r#"{"countdown": -1}"#, "seconds"),
            (r#"{"eta": "soon"}"#, "eta"),
            (r#"{"eta": "10m"}"#, "eta"),
            (r#"{"expires": []}"#, "expires"),
            (r#"{"priority": 11}"#, "priority"),
        ] {
            let refused = args(body).expect_err(body);
            assert!(refused.contains(part), "{body}: {refused}");
        }
    }

    #[test]
    fn times_are_read_as_flower_writes_them() {
        let task = new_task("t", br#"{"eta": "2025-11-21 12:00:00.000000", "expires": 5.5}"#)
            .expect("a task");
        assert_eq!(task.start.at.map(|at| at.0), Some(1_763_726_400_000));
        assert_eq!(task.start.expires_after_ms, Some(5_500));
    }
}
