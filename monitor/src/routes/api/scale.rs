//! How many workers a queue needs, for autoscalers (KEDA's metrics-api, or an HPA by way of it).

use std::collections::BTreeSet;

use celeriac_broker_schema::figures::Event;
use celeriac_broker_schema::history::{By, HistoryQuery};
use celeriac_broker_schema::time::millis;
use serde_json::{Value, json};

use super::past::Span;
use super::query::{Parameter, query};
use super::refusal::Refusal;
use super::reply::Told;
use super::table::{Call, Table, words};
use crate::model::{History, Series, Worker};
use crate::observation::Reading;
use crate::scale::{Advice, Known, Wanted, advise};

/// What comes in, and how long tasks run, is taken from so long, if there are so many attempts in it;
/// or else run times from longer ago.
const LATELY_MS: u64 = 600_000;
const ENOUGH: u64 = 20;
const LONGER_MS: u64 = 21_600_000;
/// In what time a backlog is to be done, and the most workers, unless the query says otherwise.
const TARGET_MS: u64 = 60_000;
const MAX: u64 = 100;

pub(super) fn add(table: &mut Table) {
    table.get(
        "/scale",
        words(
            "adviseScale",
            "figures",
            "How many workers some queues need",
            "From what is ready, what comes in and how long tasks run: for autoscalers, with `workers` as the value. `because` says what it follows from.",
        ),
        scale,
    );
}

query! {
    struct ScaleQuery {
        /// The queues that the workers serve, with commas between them; `default` unless it is said.
        queue: String,
        /// In what time what is ready is to be done; 60 s unless it is said.
        target: Span,
        /// Fewest workers; none unless it is said.
        min: Number,
        /// Most workers; 100 unless it is said.
        max: Number,
        /// Slots of a worker, if none of them may be there to tell.
        slots: Number,
    }
}

async fn scale(call: Call<(), ScaleQuery>) -> Result<Told<Advice>, Refusal> {
    let ScaleQuery { queue, target, min, max, slots } = call.query;
    let queue = queue.unwrap_or_else(|| "default".to_owned());
    let queues: BTreeSet<&str> = queue.split(',').map(str::trim).collect();
    let of = |back_ms| HistoryQuery::back(back_ms).by(By::Queue);
    let lately = call.monitor.history(&of(LATELY_MS)).await?;
    let longer = call.monitor.history(&of(LONGER_MS)).await?;
    let observation = call.monitor.latest().await;
    let reading = observation.current()?;
    let known = Known {
        in_per_s: in_per_s(&lately, &queues),
        run_ms: run_ms(&lately, &queues, ENOUGH).or_else(|| run_ms(&longer, &queues, 1)),
        ..present(reading, &queues, slots.map(|Number(slots)| slots as f64))
    };
    let wanted = Wanted {
        target_ms: target.map_or(TARGET_MS, |Span(target)| millis(target)),
        min: min.map_or(0, |Number(min)| min),
        max: max.map_or(MAX, |Number(max)| max),
    };
    Ok(Told::new(advise(&known, &wanted)))
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

/// A whole number up to a million.
pub(super) struct Number(u64);

impl Parameter for Number {
    fn read(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| *number <= 1_000_000);
        number.map(Self).ok_or_else(|| "it is a whole number up to 1,000,000".to_owned())
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0, "maximum": 1_000_000 })
    }
}
