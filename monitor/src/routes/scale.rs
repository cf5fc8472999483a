//! How many workers a queue needs, for autoscalers (KEDA's metrics-api, or an HPA by way of it).

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use celeriac_broker_schema::figures::Event;
use celeriac_broker_schema::history::{By, HistoryQuery};
use serde::Deserialize;

use super::past::{read, span_ms};
use crate::error::Problem;
use crate::model::{History, Series, Worker};
use crate::observation::Reading;
use crate::scale::{Advice, Known, Wanted, advise};
use crate::state::Monitor;

/// What comes in, and how long tasks run, is taken from so long, if there are so many attempts in it;
/// or else run times from longer ago.
const LATELY_MS: u64 = 600_000;
const ENOUGH: u64 = 20;
const LONGER_MS: u64 = 21_600_000;

/// What an autoscaler asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// The queues that the workers serve, with commas between them.
    queue: String,
    /// In what time what is ready is to be done. Default: 60 s.
    target: Option<String>,
    /// Fewest workers. Default: 0.
    min: Option<u64>,
    /// Most workers. Default: 100.
    max: Option<u64>,
    /// Slots of a worker, if none of them may be there to tell.
    slots: Option<f64>,
}

pub(super) async fn scale(
    State(monitor): State<Monitor>,
    query: Result<Query<Question>, QueryRejection>,
) -> Result<Json<Advice>, Problem> {
    let Question { queue, target, min, max, slots } = read(query)?;
    let queues: BTreeSet<&str> = queue.split(',').map(str::trim).collect();
    let target_ms = target.as_deref().map_or(Ok(60_000), span_ms)?;
    let of = |back_ms| HistoryQuery::back(back_ms).by(By::Queue);
    let lately = monitor.history(&of(LATELY_MS)).await?;
    let longer = monitor.history(&of(LONGER_MS)).await?;
    let observation = monitor.latest().await;
    let reading = observation.current()?;
    let known = Known {
        in_per_s: in_per_s(&lately, &queues),
        run_ms: run_ms(&lately, &queues, ENOUGH).or_else(|| run_ms(&longer, &queues, 1)),
        ..present(reading, &queues, slots)
    };
    let wanted = Wanted { target_ms, min: min.unwrap_or(0), max: max.unwrap_or(100) };
    Ok(Json(advise(&known, &wanted)))
}

/// What there is just now.
fn present(reading: &Reading, queues: &BTreeSet<&str>, slots: Option<f64>) -> Known {
    let meant = reading.queues.iter().filter(|queue| queues.contains(queue.name.as_str()));
    let serves =
        |worker: &&Worker| !worker.is_draining() && queues.iter().any(|queue| worker.serves(queue));
    let workers: Vec<&Worker> = reading.workers.iter().filter(serves).collect();
    let sum = |of: fn(&Worker) -> u64| workers.iter().map(|worker| of(worker)).sum::<u64>();
    let mean = (!workers.is_empty()).then(|| sum(Worker::slots) as f64 / workers.len() as f64);
    Known {
        ready: meant.map(|queue| queue.ready).sum(),
        busy: sum(Worker::busy),
        workers: workers.len() as u64,
        in_per_s: 0.0,
        run_ms: None,
        slots: slots.or(mean),
    }
}

fn of_queues<'a>(
    history: &'a History,
    queues: &'a BTreeSet<&str>,
) -> impl Iterator<Item = &'a Series> {
    let meant = |series: &&Series| series.name.as_deref().is_some_and(|name| queues.contains(name));
    history.series.iter().filter(meant)
}

fn in_per_s(history: &History, queues: &BTreeSet<&str>) -> f64 {
    let count: u64 =
        of_queues(history, queues).map(|series| series.sum.counts.of(Event::Enqueued)).sum();
    let begin = history.since.map_or(history.now, |since| since.max(history.from));
    count as f64 * 1000.0 / history.now.since(begin).max(60_000) as f64
}

fn run_ms(history: &History, queues: &BTreeSet<&str>, enough: u64) -> Option<f64> {
    let measured = || of_queues(history, queues).filter_map(|series| series.sum.run);
    let count: u64 = measured().map(|run| run.count).sum();
    let sum: f64 = measured().map(|run| run.mean_ms * run.count as f64).sum();
    (count >= enough).then(|| sum / count as f64)
}
