//! The past: figures over time, tasks that are searched for, what the backlog needs.

use std::collections::BTreeSet;
use std::time::Duration;

use celeriac_broker_schema::find::{TaskCursor, TaskFilter};
use celeriac_broker_schema::history::{By, HistoryQuery, Step};
use celeriac_broker_schema::time::millis;
use celeriac_broker_schema::{ErrorKind, QueueName, State, TaskFailure, TaskName, Timestamp, text};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::cursor::Cursor;
use super::query::{Limit, Parameter, query};
use super::refusal::{Fault, Refusal};
use super::reply::Told;
use super::table::{Call, Table, words};
use crate::model::{History, RecentTasks};
use crate::routes::scale::scale;
use crate::scale::{Advice, Wanted};

pub(super) fn add(table: &mut Table) {
    table.get(
        "/history",
        words(
            "getHistory",
            "overview",
            "Figures over time",
            "Counts, rates, and how long tasks waited and ran. An answer is read once and kept for two seconds, whoever asks.",
        ),
        history,
    );
    table.get(
        "/tasks",
        words(
            "findTasks",
            "tasks",
            "Find tasks",
            "What runs, what is ready, delayed, dead, and what succeeded or was cancelled lately, those that all that is set holds for. A page may be empty before the end.",
        ),
        tasks,
    );
    table.get(
        "/scale",
        words(
            "getScale",
            "workers",
            "How many workers queues need",
            "For autoscalers: KEDA's metrics-api reads `workers`.",
        ),
        advice,
    );
}

/// A span of time.
pub(super) struct Span(Duration);

impl Parameter for Span {
    fn read(text: &str) -> Result<Self, String> {
        text::duration(text).map(Self)
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["90s", "6h", "7d"] })
    }
}

/// One of a few words.
fn word<T: DeserializeOwned>(text: &str, words: &[&str]) -> Result<T, String> {
    let parsed = serde_json::from_value(Value::from(text));
    parsed.map_err(|_| format!("it is one of {}", words.join(", ")))
}

const STEPS: [&str; 3] = ["minute", "ten_minutes", "hour"];
const BYS: [&str; 3] = ["all", "queue", "task"];

impl Parameter for Step {
    fn read(text: &str) -> Result<Self, String> {
        word(text, &STEPS)
    }

    fn schema() -> Value {
        json!({ "type": "string", "enum": STEPS })
    }
}

impl Parameter for By {
    fn read(text: &str) -> Result<Self, String> {
        word(text, &BYS)
    }

    fn schema() -> Value {
        json!({ "type": "string", "enum": BYS, "default": "all" })
    }
}

query! {
    struct HistoryParameters {
        /// How far back; `1h` unless given, two weeks at most.
        back: Span,
        /// How far the points are apart; the shortest that is kept so long unless given.
        step: Step,
        /// Of what there is a series each.
        by: By,
        /// Only tasks of this queue.
        queue: QueueName,
        /// Only tasks of this name.
        task: TaskName,
    }
}

async fn history(call: Call<(), HistoryParameters>) -> Result<Told<History>, Refusal> {
    let HistoryParameters { back, step, by, queue, task } = call.query;
    let back_ms = back.map_or(3_600_000, |Span(back)| millis(back));
    let of = HistoryQuery::back(back_ms);
    let query = HistoryQuery {
        step: step.unwrap_or(of.step),
        by: by.unwrap_or_default(),
        queue: queue.map(|queue| queue.to_string()),
        task: task.map(|task| task.to_string()),
        ..of
    };
    Ok(Told::new(History::clone(&*call.monitor.history(&query).await?)))
}

query! {
    struct TasksQuery {
        /// In this state: `running`, `ready`, `delayed`, `failed`, `succeeded` or `cancelled`. Others are in
        /// no list.
        state: State,
        /// Of this queue.
        queue: QueueName,
        /// Of this name.
        task: TaskName,
        /// That runs, or ran at last, on the worker with this lease, or whose lease begins so.
        worker: String,
        /// That ended, began or, if it has not begun, was enqueued at this time or later.
        since: Timestamp,
        /// The same: before this time.
        until: Timestamp,
        /// About so many tasks of a page.
        limit: Limit<50, 500>,
        /// `next` of the page before.
        cursor: Cursor,
    }
}

async fn tasks(call: Call<(), TasksQuery>) -> Result<Told<RecentTasks>, Refusal> {
    let TasksQuery { state, queue, task, worker, since, until, limit, cursor } = call.query;
    let task = task.map(|task| task.to_string());
    let filter = TaskFilter { state, queue, task, worker, since, until };
    let after = Cursor::read(cursor.as_ref(), "tasks", |at| at.parse::<TaskCursor>().ok())?;
    let limit = Limit::of(limit) as usize;
    let mut found = call.monitor.broker().find_tasks(&filter, after.as_ref(), limit).await?;
    let hidden = &call.monitor.config().redaction;
    for row in &mut found.tasks {
        if let Some(error) = &mut row.error {
            let mut failure = TaskFailure::new(ErrorKind::Error, std::mem::take(error));
            hidden.failure(row.task.as_deref(), &mut failure);
            *error = failure.message;
        }
    }
    let next = found.next.take().map(|next| Cursor::new("tasks", next));
    Ok(Told::new(RecentTasks { next: next.map(Into::into), ..RecentTasks::from(found) }))
}

query! {
    struct ScaleQuery {
        /// The queues that the workers serve, with commas between them. Required.
        queue: String,
        /// In what time what is ready is to be done; `60s` unless given.
        target: Span,
        /// Fewest workers; 0 unless given.
        min: Number,
        /// Most workers; 100 unless given.
        max: Number,
        /// Slots of a worker, if none of them may be there to tell.
        slots: Number,
    }
}

/// A whole number.
pub(super) struct Number(u32);

impl Parameter for Number {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| "it is a whole number".to_owned())
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0 })
    }
}

async fn advice(call: Call<(), ScaleQuery>) -> Result<Told<Advice>, Refusal> {
    let ScaleQuery { queue, target, min, max, slots } = call.query;
    let Some(queue) = queue else {
        let fault =
            Fault::of("queue", "say which queues the workers serve, with commas between them");
        return Err(Refusal::query(vec![fault]));
    };
    let queues: BTreeSet<&str> = queue.split(',').map(str::trim).collect();
    let wanted = Wanted {
        target_ms: target.map_or(60_000, |Span(target)| millis(target)),
        min: min.map_or(0, |Number(min)| min.into()),
        max: max.map_or(100, |Number(max)| max.into()),
    };
    let slots = slots.map(|Number(slots)| slots.into());
    Ok(Told::new(scale(&call.monitor, &queues, slots, &wanted).await?))
}
