//! `/api/workers` and `/api/queues/length`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use celeriac_broker_schema::{RunningTask, Timestamp, WorkerInfo};
use serde_json::{Map, Value, json};

use super::shapes::{seconds, worker_name};
use super::{Plain, is_yes};
use crate::model::Worker;
use crate::state::Monitor;

type Parameters = Query<BTreeMap<String, String>>;

/// Workers by name. `refresh` is not needed: what is told is a second old at most.
pub(super) async fn list(
    State(monitor): State<Monitor>,
    Query(parameters): Parameters,
) -> Result<Json<Value>, Plain> {
    let observation = monitor.latest().await;
    let reading = observation.current()?;
    let wanted = parameters.get("workername").filter(|name| !name.is_empty());
    let named = reading.workers.iter().map(|worker| (worker_name(worker), worker));
    let found = named.filter(|(name, _)| wanted.is_none_or(|wanted| wanted == name));
    let told: Map<String, Value> = match is_yes(parameters.get("status")) {
        true => found.map(|(name, _)| (name, Value::Bool(true))).collect(),
        false => found
            .map(|(name, worker)| {
                let told = told(&name, worker, reading.now, monitor.broker().server());
                (name, told)
            })
            .collect(),
    };
    match wanted {
        Some(wanted) if told.is_empty() => {
            let wanted: String = wanted.chars().take(200).collect();
            Err(Plain(StatusCode::NOT_FOUND, format!("Unknown worker '{wanted}'")))
        }
        _ => Ok(Json(Value::Object(told))),
    }
}

fn told(name: &str, worker: &Worker, now: Timestamp, server: &str) -> Value {
    let Some(info) = &worker.info else {
        return json!({ "timestamp": seconds(now) });
    };
    let running: Vec<Value> = info.running.iter().map(|task| running(name, task, info)).collect();
    json!({
        "stats": stats(info, now, server),
        "active": running,
        // Flower lists them; our workers only tell how many they are.
        "reserved": [],
        "scheduled": [],
        "revoked": [],
        "registered": info.tasks,
        "active_queues": info.queues.iter().map(|queue| json!({
            "name": queue,
            "exchange": { "name": queue, "type": "direct" },
            "routing_key": queue,
            "durable": true,
            "auto_delete": false,
        })).collect::<Vec<_>>(),
        "conf": {},
        "timestamp": seconds(worker.heard.unwrap_or(now)),
    })
}

fn stats(info: &WorkerInfo, now: Timestamp, server: &str) -> Value {
    json!({
        "broker": { "hostname": server, "transport": "redis" },
        "clock": "0",
        "pid": info.pid,
        "pool": {
            "max-concurrency": info.slots,
            "processes": [info.pid],
            "max-tasks-per-child": "N/A",
            "timeouts": [0, 0],
        },
        "prefetch_count": info.slots,
        "rusage": { "maxrss": info.rss_bytes.map(|bytes| bytes / 1_024) },
        // By task that is not known: the sum stands under a name that no task has.
        "total": { "*": info.succeeded + info.failed },
        "uptime": now.since(info.started) / 1_000,
    })
}

fn running(name: &str, task: &RunningTask, info: &WorkerInfo) -> Value {
    json!({
        "id": task.id,
        "name": task.task,
        "type": task.task,
        "hostname": name,
        "time_start": seconds(task.since),
        "acknowledged": true,
        "worker_pid": info.pid,
        "args": null,
        "kwargs": null,
    })
}

/// What is ready in each queue.
pub(super) async fn queues(State(monitor): State<Monitor>) -> Result<Json<Value>, Plain> {
    let observation = monitor.latest().await;
    let queues = observation.current()?.queues.iter();
    let told: Vec<Value> =
        queues.map(|queue| json!({ "name": queue.name, "messages": queue.ready })).collect();
    Ok(Json(json!({ "active_queues": told })))
}
