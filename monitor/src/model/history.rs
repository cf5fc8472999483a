//! Figures over time, ready to be drawn: every point has its rates and percentiles.

use celeriac_broker_schema::figures::{Counts, Event, Figures, Percentiles};
use celeriac_broker_schema::{Timestamp, history};
use schemars::JsonSchema;
use serde::Serialize;

/// Series over time. All have the same points.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct History {
    /// Redis time of the look.
    pub(crate) now: Timestamp,
    /// When the first point begins.
    pub(crate) from: Timestamp,
    /// How far the points are apart.
    pub(crate) step_ms: u64,
    /// Since when anything is known; points before are not zeros but unknown.
    pub(crate) since: Option<Timestamp>,
    /// One for all, or one for each queue or name, the busiest first.
    pub(crate) series: Vec<Series>,
}

/// One series.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "HistorySeries")]
pub(crate) struct Series {
    /// The queue or the name of the tasks, `(other)` for the rest; none: of all together.
    pub(crate) name: Option<String>,
    /// Its sums over the whole time.
    pub(crate) sum: Sum,
    pub(crate) points: Vec<Point>,
}

/// What came together over a whole series.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "HistorySum")]
pub(crate) struct Sum {
    #[schemars(with = "std::collections::BTreeMap<String, u64>")]
    pub(crate) counts: Counts,
    /// How long attempts waited for a worker.
    pub(crate) wait: Option<Percentiles>,
    /// How long attempts ran.
    pub(crate) run: Option<Percentiles>,
}

/// What happened in one step.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "HistoryPoint")]
pub(crate) struct Point {
    pub(crate) at: Timestamp,
    /// Whether anything is known of it: to be drawn as a gap if not.
    pub(crate) known: bool,
    /// Some of it is counted here, but happened up to so long before it could be told: worth a mark.
    pub(crate) late_ms: u64,
    /// Over how long it counts: of the last point, only up to now.
    pub(crate) over_ms: u64,
    #[schemars(with = "std::collections::BTreeMap<String, u64>")]
    pub(crate) counts: Counts,
    pub(crate) enqueued_per_s: f64,
    pub(crate) succeeded_per_s: f64,
    pub(crate) failed_per_s: f64,
    pub(crate) retried_per_s: f64,
    /// Of the attempts of this step; none if there was none. Of few attempts they say little: see
    /// their count.
    pub(crate) wait: Option<Percentiles>,
    pub(crate) run: Option<Percentiles>,
    /// Tasks and chunks that were ready when it began.
    pub(crate) ready: Option<u64>,
}

impl History {
    pub(crate) fn new(history: &history::History) -> Self {
        let history::History { now, from, step_ms, since, series } = history;
        let point = |point| Point::new(point, *now, *step_ms, *since);
        let series = series.iter().map(|series| {
            let mut sum = Figures::default();
            series.points.iter().for_each(|point| sum.merge(&point.figures));
            let (wait, run) = (sum.wait.percentiles(), sum.run.percentiles());
            Series {
                name: series.name.clone(),
                sum: Sum { counts: sum.counts, wait, run },
                points: series.points.iter().map(point).collect(),
            }
        });
        Self { now: *now, from: *from, step_ms: *step_ms, since: *since, series: series.collect() }
    }
}

impl Point {
    fn new(point: &history::Point, now: Timestamp, step: u64, since: Option<Timestamp>) -> Self {
        let history::Point { at, known, late_ms, ready, figures } = point;
        let begin = since.map_or(*at, |since| since.max(*at));
        let over_ms = at.plus_ms(step).min(now).since(begin).max(1);
        // What has just begun has no rate yet.
        let second = over_ms.max(1000) as f64 / 1000.0;
        let per_s = |event| figures.counts.of(event) as f64 / second;
        Self {
            at: *at,
            known: *known,
            late_ms: *late_ms,
            over_ms,
            counts: figures.counts,
            enqueued_per_s: per_s(Event::Enqueued),
            succeeded_per_s: per_s(Event::Succeeded),
            failed_per_s: per_s(Event::Failed),
            retried_per_s: per_s(Event::Retried),
            wait: figures.wait.percentiles(),
            run: figures.run.percentiles(),
            ready: *ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_point_counts_up_to_now() {
        let mut figures = Figures::default();
        figures.counts.add(Event::Succeeded, 60);
        let point = |at, known| history::Point {
            at: Timestamp(at),
            known,
            figures: figures.clone(),
            ..history::Point::default()
        };
        let points = vec![point(60_000, false), point(120_000, true), point(180_000, true)];
        let history = History::new(&history::History {
            now: Timestamp(190_000),
            from: Timestamp(60_000),
            step_ms: 60_000,
            since: Some(Timestamp(120_000)),
            series: vec![history::Series { name: None, points }],
        });

        let points = &history.series[0].points;
        let rates: Vec<f64> = points.iter().map(|point| point.succeeded_per_s).collect();
        assert_eq!(rates[1..], [1.0, 6.0]);
        assert_eq!(history.series[0].sum.counts.of(Event::Succeeded), 180);
    }
}
