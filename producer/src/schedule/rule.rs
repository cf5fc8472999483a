//! What a schedule says: when which task is enqueued, and what becomes of runs that were missed or
//! overlap. Nothing here speaks to Redis.

use std::time::Duration;

use celeriac_broker_schema::record::UnreadableRecord;
use celeriac_broker_schema::script::ScheduleView;
use celeriac_broker_schema::time::millis;
use celeriac_broker_schema::{
    InvalidInput, Missed, Overlap, QueueName, ScheduleSpec, TaskName, Timestamp, Timing,
};

use crate::call::NewTask;

/// A task that is enqueued again and again.
///
/// ```
/// use celeriac_producer::{Missed, NewTask, Schedule};
/// let report = NewTask::new("report", &serde_json::json!({ "kind": "daily" }))?;
/// let schedule = Schedule::cron("0 9 * * 1-5", report).zone("Europe/Berlin").missed(Missed::Skip);
/// assert!(schedule.check().is_ok());
/// # Ok::<(), celeriac_broker_schema::InvalidInput>(())
/// ```
#[derive(Debug, Clone)]
pub struct Schedule {
    when: When,
    task: NewTask,
    missed: Missed,
    overlap: Overlap,
}

#[derive(Debug, Clone)]
enum When {
    Cron { expression: String, zone: String },
    Every(Duration),
}

impl Schedule {
    /// Enqueues the task by a cron expression (see [`Timing::cron`]), in UTC unless a zone is set.
    ///
    /// Of the task's own options, a delay, a time and an idempotency key have no meaning here.
    pub fn cron(expression: &str, task: NewTask) -> Self {
        Self::new(When::Cron { expression: expression.to_owned(), zone: "UTC".to_owned() }, task)
    }

    /// Enqueues the task in equal intervals, from a second on; the first time one interval after
    /// the schedule is put.
    pub fn every(interval: Duration, task: NewTask) -> Self {
        Self::new(When::Every(interval), task)
    }

    fn new(when: When, task: NewTask) -> Self {
        Self { when, task, missed: Missed::default(), overlap: Overlap::default() }
    }

    /// A schedule as it is stored, to change it and put it again: the whole task, with its label, tags
    /// and headers. What stands behind the `@` of its queue is what it needs ([`NewTask::needs`]),
    /// so that another queue leaves that as it is.
    ///
    /// # Errors
    /// [`UnreadableRecord`]: of a newer version, or in a time zone that is not known here.
    pub fn of(view: &ScheduleView) -> Result<Self, UnreadableRecord> {
        Self::read(&ScheduleSpec::decode(&view.spec)?)
    }

    fn read(spec: &ScheduleSpec) -> Result<Self, UnreadableRecord> {
        let mut record = spec.task()?;
        let meta = record.take_meta();
        let name = TaskName::new(record.task.clone().into_owned());
        let name = name.map_err(|error| UnreadableRecord::Broken(error.to_string()))?;
        let mut task = NewTask::from_raw(name, record.args.to_owned(), record.options());
        (task.options.queue, task.needs) = task.options.queue.split_label();
        task.meta = meta;
        task.start.expires_after_ms = spec.expires_after_ms;
        let when = match &spec.timing {
            Timing::Cron(timing) => When::Cron {
                expression: timing.expression().to_owned(),
                zone: timing.zone().to_owned(),
            },
            Timing::Every { every_ms, .. } => When::Every(Duration::from_millis(*every_ms)),
        };
        Ok(Self { when, task, missed: spec.missed, overlap: spec.overlap })
    }

    /// Changes when it runs: by this cron expression, in the zone that it has.
    #[must_use]
    pub fn by_cron(mut self, new: &str) -> Self {
        let expression = new.to_owned();
        self.when = match self.when {
            When::Cron { zone, .. } => When::Cron { expression, zone },
            When::Every(_) => When::Cron { expression, zone: "UTC".to_owned() },
        };
        self
    }

    /// Changes when it runs: in equal intervals.
    #[must_use]
    pub fn by_interval(mut self, interval: Duration) -> Self {
        self.when = When::Every(interval);
        self
    }

    /// Changes anything about its task.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(NewTask) -> NewTask) -> Self {
        self.task = change(self.task);
        self
    }

    /// The time zone of the cron expression: a name of the IANA database, such as
    /// `Europe/Berlin`. An interval has none.
    #[must_use]
    pub fn zone(mut self, name: &str) -> Self {
        if let When::Cron { zone, .. } = &mut self.when {
            *zone = name.to_owned();
        }
        self
    }

    /// What happens to runs for whose times no worker was there. Default: one run makes up for them.
    #[must_use]
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    /// What happens when a run is due and the last one has not ended. Default: both run.
    #[must_use]
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// Whether it can be put.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), InvalidInput> {
        self.spec(Timestamp(0)).map(|_| ())
    }

    /// Its task, for layers.
    pub(super) fn task_mut(&mut self) -> &mut NewTask {
        &mut self.task
    }

    /// The queue in which its task waits.
    pub(super) fn queue(&self) -> Result<QueueName, InvalidInput> {
        let queue = &self.task.options.queue;
        self.task.needs.as_ref().map_or_else(|| Ok(queue.clone()), |label| queue.labelled(label))
    }

    /// As it is stored if its intervals begin now.
    pub(super) fn spec(&self, now: Timestamp) -> Result<ScheduleSpec, InvalidInput> {
        let timing = match &self.when {
            When::Cron { expression, zone } => Timing::cron(expression, zone)?,
            When::Every(interval) => Timing::every(millis(*interval), now)?,
        };
        if let Missed::All { most: 0 } = self.missed {
            return Err(InvalidInput::OutOfBounds {
                what: "number of runs to catch up on",
                value: "0".to_owned(),
                expected: "use 1 to 1,000, or skip what was missed",
            });
        }
        let start = self.task.start;
        if start.delay_ms.is_some()
            || start.at.is_some()
            || start.expires_at.is_some()
            || self.task.unique.is_some()
        {
            return Err(InvalidInput::OutOfBounds {
                what: "task of a schedule",
                value: self.task.name().as_str().to_owned(),
                expected: "a delay, a time and an idempotency key cannot be set for every run",
            });
        }
        Ok(ScheduleSpec {
            timing,
            record: self.task.clone().placed()?.record()?.encode()?,
            expires_after_ms: start.expires_after_ms,
            missed: self.missed,
            overlap: self.overlap,
        })
    }
}

#[cfg(test)]
mod tests {
    use celeriac_broker_schema::{Backoff, Priority};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A task that has everything that the task of a schedule may have.
    fn task() -> NewTask {
        let mut task = NewTask::new("report", &serde_json::json!({ "kind": "daily" }))
            .expect("a task")
            .queue("slow".parse().expect("a queue"))
            .needs("gpu".parse().expect("a label"))
            .priority(Priority::LOWEST)
            .retries(7)
            .backoff(Backoff::fixed(SECOND))
            .timeout(9 * SECOND)
            .soft_timeout(8 * SECOND)
            .keep_result(60 * SECOND)
            .tenant("acme".parse().expect("a tenant"))
            .cost(2)
            .label("The report")
            .tag("a")
            .tag("b")
            .header("traceparent", "x")
            .expires_after(30 * SECOND);
        task.options.keep_failed_ms = Some(70_000);
        task
    }

    fn stored(schedule: &Schedule) -> ScheduleSpec {
        schedule.spec(Timestamp(0)).expect("a schedule")
    }

    #[test]
    fn what_is_read_is_what_was_put() {
        let daily = Schedule::cron("@daily", task()).zone("Europe/Berlin").missed(Missed::Skip);
        for schedule in [daily, Schedule::every(SECOND, task()).overlap(Overlap::Skip)] {
            let spec = stored(&schedule);
            assert_eq!(stored(&Schedule::read(&spec).expect("readable")), spec);
        }
    }

    #[test]
    fn another_queue_leaves_what_the_task_needs() {
        let spec = stored(&Schedule::every(SECOND, task()));
        let queue = "fast".parse().expect("a queue");
        let moved = Schedule::read(&spec).expect("readable").with(|task| task.queue(queue));
        let record = stored(&moved).record;
        assert_eq!(record, spec.record.replace("slow@gpu", "fast@gpu"));
        assert_eq!(moved.queue().expect("a queue").as_str(), "fast@gpu");
    }
}
