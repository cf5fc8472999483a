//! The past: figures over time, tasks that are searched for, and what runs longer than its like.

use std::time::Duration;

use celeriac_broker_schema::find::{TaskCursor, TaskFilter};
use celeriac_broker_schema::history::{By, HistoryQuery, Step};
use celeriac_broker_schema::text;
use celeriac_broker_schema::time::millis;
use celeriac_broker_schema::{QueueName, State, Timestamp};
use serde_json::{Value, json};

use super::cursor::Cursor;
use super::query::{Limit, Parameter, query};
use super::refusal::Refusal;
use super::reply::Told;
use super::table::{Call, Table, words};
use crate::model::{History, RecentTasks, Stragglers, stragglers};

/// How far back is looked unless the query says otherwise.
const BACK_MS: u64 = 3_600_000;
/// How long ago tasks may have ended that others are compared with.
const LATELY_MS: u64 = 21_600_000;
/// The name of the list, in cursors.
const LIST: &str = "tasks";

pub(super) fn add(table: &mut Table) {
    table.get(
        "/history",
        words(
            "getHistory",
            "figures",
            "Figures over time",
            "Counts, waits and run times by time, of all tasks, or by queue or by name. What nobody knows has `known: false`; what was told late says so.",
        ),
        history,
    );
    table.get(
        "/tasks",
        words(
            "findTasks",
            "tasks",
            "Tasks by state, queue, name, worker and time",
            "State after state: what runs, is ready, is delayed, failed for good, succeeded lately, was cancelled lately. A page may be empty, and yet not the last one. Of very many that succeed some are listed, and `untold` says how many are not.",
        ),
        tasks,
    );
    table.get(
        "/stragglers",
        words(
            "listStragglers",
            "tasks",
            "What runs far longer than its like",
            "Three times as long as 95 of a hundred of its name in the last six hours, and longer than ten seconds.",
        ),
        slow,
    );
}

query! {
    struct HistoryParameters {
        /// How far back.
        back: Span,
        /// How far the points are apart; the shortest step that is kept so long, unless it is said.
        step: Step,
        /// Whether all together, each queue or each name is told.
        by: By,
        /// Only tasks from this queue.
        queue: QueueName,
        /// Only tasks of this name.
        task: String,
    }
}

async fn history(call: Call<(), HistoryParameters>) -> Result<Told<History>, Refusal> {
    let HistoryParameters { back, step, by, queue, task } = call.query;
    let of = HistoryQuery::back(back.map_or(BACK_MS, |Span(back)| millis(back)));
    let query = HistoryQuery {
        step: step.unwrap_or(of.step),
        by: by.unwrap_or_default(),
        queue: queue.map(|queue| queue.as_str().to_owned()),
        task,
        ..of
    };
    Ok(Told::new(History::clone(&*call.monitor.history(&query).await?)))
}

query! {
    struct TasksQuery {
        /// In this state.
        state: State,
        /// Of this queue.
        queue: QueueName,
        /// Of this name.
        task: String,
        /// Of the worker with this lease, or whose lease begins so.
        worker: String,
        /// That ended, began or, if they have not begun, were enqueued at this time or later.
        since: Timestamp,
        /// The same, before this time.
        until: Timestamp,
        /// About so many; there may be up to 200 more.
        limit: Limit<50, 500>,
        /// `next` of the page before.
        cursor: Cursor,
    }
}

async fn tasks(call: Call<(), TasksQuery>) -> Result<Told<RecentTasks>, Refusal> {
    let TasksQuery { state, queue, task, worker, since, until, limit, cursor } = call.query;
    let limit = usize::try_from(Limit::of(limit)).unwrap_or(usize::MAX);
    let after: Option<TaskCursor> = Cursor::read(cursor.as_ref(), LIST, |at| at.parse().ok())?;
    let filter = TaskFilter { state, queue, task, worker, since, until };
    let found = call.monitor.broker().find_tasks(&filter, after.as_ref(), limit).await?;
    let hidden = &call.monitor.config().redaction;
    let next = found.next.as_ref().map(|next| Cursor::new(LIST, next));
    Ok(Told::new(RecentTasks::new(found, next, hidden)))
}

async fn slow(call: Call) -> Result<Told<Stragglers>, Refusal> {
    let history = call.monitor.history(&HistoryQuery::back(LATELY_MS).by(By::Task)).await?;
    let observation = call.monitor.latest().await;
    let reading = observation.current()?;
    let (now, stragglers) = (reading.now, stragglers(&reading.workers, &history, reading.now));
    Ok(Told::seen(Stragglers { now, stragglers }, &observation))
}

/// A span of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(pub(super) Duration);

impl Parameter for Span {
    fn read(text: &str) -> Result<Self, String> {
        text::duration(text).map(Self)
    }

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["15m", "6h", "7d"] })
    }
}

macro_rules! words_of {
    ($($type:ty: $($word:literal => $value:expr),*;)*) => { $(
        impl Parameter for $type {
            fn read(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($value),)*
                    _ => Err(format!("there is no such word: there are {}", [$($word),*].join(", "))),
                }
            }

            fn schema() -> Value {
                json!({ "type": "string", "enum": [$($word),*] })
            }
        }
    )* };
}

words_of! {
    Step: "minute" => Step::Minute, "ten_minutes" => Step::TenMinutes, "hour" => Step::Hour;
    By: "all" => By::All, "queue" => By::Queue, "task" => By::Task;
}
