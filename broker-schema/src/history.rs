//! The history of a namespace in figures: series over time, of all tasks or by queue or by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::figures::{Counts, Figures, Percentiles};
use crate::time::Timestamp;

/// The name under which figures of queues and tasks go that are too many to be told apart.
pub const OTHER: &str = "(other)";

/// How far the points of a series are apart, and how far back it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A minute, kept for six hours.
    Minute,
    /// Ten minutes, kept for two days.
    TenMinutes,
    /// An hour, kept for two weeks.
    Hour,
}

/// What a series is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// One series, of all together.
    #[default]
    All,
    /// One for each queue.
    Queue,
    /// One for each name of tasks.
    Task,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HistoryQuery {
    /// How long before now it begins, in milliseconds. Not more than is kept is told.
    pub back_ms: u64,
    /// How far its points are apart.
    pub step: Step,
    /// How it is divided.
    pub by: By,
    /// Only tasks from this queue.
    pub queue: Option<String>,
    /// Only tasks of this name.
    pub task: Option<String>,
}

/// Series over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct History {
    /// Redis time.
    pub now: Timestamp,
    /// When the first point begins.
    pub from: Timestamp,
    /// How far the points are apart, in milliseconds.
    pub step_ms: u64,
    /// Since when anything is known; None: nothing is known yet.
    pub since: Option<Timestamp>,
    /// The series, those with most attempts first. Each has all points.
    pub series: Vec<Series>,
}

/// One series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// The queue or the name of the tasks ([`OTHER`]: of the rest); None: of all.
    pub name: Option<String>,
    /// Its points, the oldest first, without gaps. The last one is not over yet.
    pub points: Vec<Point>,
}

/// The figures of one step.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Point {
    /// When it begins.
    pub at: Timestamp,
    /// Whether anything is known of it. If not, its zeros mean nothing.
    pub known: bool,
    /// Some of what is counted here happened up to so long before it could be told, in milliseconds;
    /// 0: nobody had trouble.
    pub late_ms: u64,
    /// Tasks and chunks that were ready when the step began, of a queue or of all.
    pub ready: Option<u64>,
    /// The figures.
    #[serde(flatten, serialize_with = "with_percentiles")]
    pub figures: Figures,
}

/// Figures as people read them.
#[derive(Serialize)]
struct Told<'a> {
    counts: &'a Counts,
    wait: Option<Percentiles>,
    run: Option<Percentiles>,
}

fn with_percentiles<S: serde::Serializer>(figures: &Figures, to: S) -> Result<S::Ok, S::Error> {
    let Figures { counts, wait, run } = figures;
    Told { counts, wait: wait.percentiles(), run: run.percentiles() }.serialize(to)
}

impl Step {
    /// How long it is, in milliseconds.
    pub const fn ms(self) -> u64 {
        match self {
            Self::Minute => 60_000,
            Self::TenMinutes => 600_000,
            Self::Hour => 3_600_000,
        }
    }

    /// How long such steps are kept, in milliseconds.
    pub const fn kept_ms(self) -> u64 {
        match self {
            Self::Minute => 21_600_000,
            Self::TenMinutes => 172_800_000,
            Self::Hour => 1_209_600_000,
        }
    }

    /// The shortest step that is kept for so long.
    pub fn fitting(back_ms: u64) -> Self {
        let steps = [Self::Minute, Self::TenMinutes];
        steps.into_iter().find(|step| back_ms <= step.kept_ms()).unwrap_or(Self::Hour)
    }
}

impl HistoryQuery {
    /// All tasks together, from so long ago on, in the step that fits.
    pub fn back(back_ms: u64) -> Self {
        let step = Step::fitting(back_ms);
        Self { back_ms, step, by: By::All, queue: None, task: None }
    }

    /// The same, divided.
    #[must_use]
    pub fn by(self, by: By) -> Self {
        Self { by, ..self }
    }

    fn is_whole(&self) -> bool {
        self.by == By::All && self.queue.is_none() && self.task.is_none()
    }

    fn wants(&self, queue: &str, task: &str) -> bool {
        self.queue.as_deref().is_none_or(|name| name == queue)
            && self.task.as_deref().is_none_or(|name| name == task)
    }

    /// When the first point begins.
    pub(crate) fn from(&self, now: Timestamp) -> Timestamp {
        let step = self.step.ms();
        let back = self.back_ms.min(self.step.kept_ms()).max(step);
        Timestamp(now.0.saturating_sub(back - 1) / step * step)
    }
}

/// What was told of a stretch of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) at: Timestamp,
    /// By queue and task.
    pub(crate) pairs: Vec<(String, String, Figures)>,
    /// What was counted whoever did it.
    pub(crate) all: Counts,
    pub(crate) late_ms: u64,
    pub(crate) ready: Option<BTreeMap<String, u64>>,
}

impl History {
    /// Puts the buckets of a query into series.
    pub(crate) fn of(
        query: &HistoryQuery,
        now: Timestamp,
        since: Option<Timestamp>,
        buckets: &[Bucket],
    ) -> Self {
        let (from, step_ms) = (query.from(now), query.step.ms());
        let mut frame: Vec<Point> = Vec::new();
        let mut at = from;
        while at <= now {
            let known = since.is_some_and(|since| at.plus_ms(step_ms) > since);
            frame.push(Point { at, known, ..Point::default() });
            at = at.plus_ms(step_ms);
        }
        let mut series: BTreeMap<Option<String>, Vec<Point>> = BTreeMap::new();
        if query.by == By::All {
            series.insert(None, frame.clone());
        }
        let place = |at: Timestamp| usize::try_from(at.since(from) / step_ms).unwrap_or(usize::MAX);
        for bucket in buckets.iter().filter(|bucket| bucket.at >= from && bucket.at <= now) {
            let at = place(bucket.at);
            query.add(bucket, &mut |name, change| {
                let points = series.entry(name).or_insert_with(|| frame.clone());
                change(&mut points[at]);
            });
        }
        for points in series.values_mut() {
            for bucket in buckets.iter().filter(|bucket| bucket.at >= from && bucket.at <= now) {
                let point = &mut points[place(bucket.at)];
                point.late_ms = point.late_ms.max(bucket.late_ms);
            }
        }
        let mut series: Vec<Series> =
            series.into_iter().map(|(name, points)| Series { name, points }).collect();
        let weight = |series: &Series| -> u64 {
            series.points.iter().map(|point| point.figures.run.count()).sum()
        };
        series.sort_by_key(|series| std::cmp::Reverse(weight(series)));
        Self { now, from, step_ms, since, series }
    }
}

/// Changes the point of the series with this name.
type Change<'a> = dyn FnMut(Option<String>, &dyn Fn(&mut Point)) + 'a;

impl HistoryQuery {
    /// Adds a bucket to the points of the series that it belongs to.
    fn add(&self, bucket: &Bucket, to: &mut Change<'_>) {
        for (queue, task, figures) in &bucket.pairs {
            if !self.wants(queue, task) {
                continue;
            }
            let name = match self.by {
                By::All => None,
                By::Queue => Some(queue.clone()),
                By::Task => Some(task.clone()),
            };
            let whole = self.is_whole();
            to(name, &|point| {
                let counts = point.figures.counts;
                point.figures.merge(figures);
                if whole {
                    point.figures.counts = counts;
                }
            });
        }
        if self.is_whole() {
            to(None, &|point| point.figures.counts.merge(&bucket.all));
        }
        let Some(ready) = bucket.ready.as_ref().filter(|_| self.task.is_none()) else { return };
        for (queue, n) in ready.iter().filter(|(queue, _)| self.wants(queue, "")) {
            match self.by {
                By::All => to(None, &|point| *point.ready.get_or_insert(0) += n),
                By::Queue => to(Some(queue.clone()), &|point| point.ready = Some(*n)),
                By::Task => {}
            }
        }
    }
}
