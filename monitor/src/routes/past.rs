//! The past as JSON: figures over time, and tasks that are searched for.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use celeriac_broker_schema::find::{TaskCursor, TaskFilter};
use celeriac_broker_schema::history::{By, HistoryQuery, Step};
use celeriac_broker_schema::{State as TaskState, Timestamp};
use serde::Deserialize;

use crate::error::Problem;
use crate::model::{History, RecentTasks, Straggler, stragglers};
use crate::state::Monitor;

/// Tasks of a page, unless told otherwise, and at most.
const PAGE: usize = 50;
const MOST: usize = 500;
/// How long ago tasks may have ended that others are compared with.
const LATELY_MS: u64 = 21_600_000;

/// Which figures are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Figures {
    /// How far back, as `90s`, `15m`, `6h` or `7d`. Default: one hour.
    back: Option<String>,
    /// `minute`, `ten_minutes` or `hour`. Default: the shortest that is kept so long.
    step: Option<Step>,
    /// `all`, `queue` or `task`.
    #[serde(default)]
    by: By,
    queue: Option<String>,
    task: Option<String>,
}

pub(super) async fn history(
    State(monitor): State<Monitor>,
    query: Result<Query<Figures>, QueryRejection>,
) -> Result<Json<History>, Problem> {
    let Figures { back, step, by, queue, task } = read(query)?;
    let back_ms = match back {
        Some(text) => span_ms(&text)?,
        None => 3_600_000,
    };
    let of = HistoryQuery::back(back_ms);
    let query = HistoryQuery { step: step.unwrap_or(of.step), by, queue, task, ..of };
    Ok(Json(History::clone(&*monitor.history(&query).await?)))
}

/// What of the running tasks and chunks takes far longer than others of its name lately.
pub(super) async fn slow(State(monitor): State<Monitor>) -> Result<Json<Vec<Straggler>>, Problem> {
    let history = monitor.history(&HistoryQuery::back(LATELY_MS).by(By::Task)).await?;
    let observation = monitor.latest().await;
    let reading = observation.current()?;
    Ok(Json(stragglers(&reading.workers, &history, reading.now)))
}

/// Which tasks are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tasks {
    state: Option<TaskState>,
    queue: Option<String>,
    task: Option<String>,
    worker: Option<String>,
    since: Option<u64>,
    until: Option<u64>,
    after: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn tasks(
    State(monitor): State<Monitor>,
    query: Result<Query<Tasks>, QueryRejection>,
) -> Result<Json<RecentTasks>, Problem> {
    let Tasks { state, queue, task, worker, since, until, after, limit } = read(query)?;
    let queue = queue.map(|name| name.parse()).transpose();
    let filter = TaskFilter {
        state,
        queue: queue.map_err(|error| Problem::bad_query(&error))?,
        task,
        worker,
        since: since.map(Timestamp),
        until: until.map(Timestamp),
    };
    let after = after.map(|text| text.parse::<TaskCursor>()).transpose();
    let after = after.map_err(|error| Problem::bad_query(&error))?;
    let limit = limit.unwrap_or(PAGE).clamp(1, MOST);
    let found = monitor.broker().find_tasks(&filter, after.as_ref(), limit).await?;
    Ok(Json(found.into()))
}

pub(super) fn read<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|error| Problem::bad_query(&error.body_text()))
}

/// A span such as `90s`, `15m`, `6h` or `7d`, in milliseconds.
pub(super) fn span_ms(text: &str) -> Result<u64, Problem> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let parsed = units.into_iter().find_map(|(unit, ms)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        (number.is_finite() && number >= 0.0).then_some((number * f64::from(ms)) as u64)
    });
    parsed.ok_or_else(|| {
        Problem::bad_query(&format!("{text:?} is no span of time such as 90s, 15m, 6h or 7d"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        for (text, ms) in [("90s", 90_000), ("1.5h", 5_400_000), ("7d", 604_800_000), ("5ms", 5)] {
            assert_eq!(span_ms(text).ok(), Some(ms), "{text}");
        }
        for wrong in ["", "1", "-1s", "s", "1 w"] {
            assert!(span_ms(wrong).is_err(), "{wrong}");
        }
    }
}
