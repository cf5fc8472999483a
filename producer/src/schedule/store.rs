//! The schedules of a namespace, as they are kept in Redis: put, read, changed, run at once, removed.

use celeriac_broker_schema::script::{
    Fire, Fired, PutDue, ScheduleChange, ScheduleChanged as Changed, ScheduleView,
};
use celeriac_broker_schema::{
    InvalidInput, Overlap, ScheduleName, ScheduleSpec, TaskId, Timestamp, Timing,
};

use super::error::ScheduleError;
use super::rule::Schedule;
use crate::producer::Producer;

/// The schedules of a namespace.
#[derive(Debug, Clone)]
pub struct Schedules {
    producer: Producer,
}

/// What a change is based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// Whatever is there is replaced.
    Any,
    /// There must be no schedule of this name.
    Nothing,
    /// This revision, as it was read.
    Revision(u64),
}

impl Replace {
    fn seen(self) -> Option<u64> {
        match self {
            Self::Any => None,
            Self::Nothing => Some(0),
            Self::Revision(revision) => Some(revision),
        }
    }
}

impl Schedules {
    pub(crate) fn new(producer: Producer) -> Self {
        Self { producer }
    }

    /// Makes a schedule, or replaces the one of this name, at whose counts nothing changes. Programs
    /// may do so each time that they start. Returns when it is due; `None` if it is paused.
    ///
    /// The layers of the producer see its task here, once ([`EnqueueLayer::schedule`]), and not at each
    /// run. So they see the task of one that was read with [`Schedule::of`] a second time.
    ///
    /// [`EnqueueLayer::schedule`]: crate::EnqueueLayer::schedule
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn put(
        &self,
        name: &ScheduleName,
        schedule: &Schedule,
        replace: Replace,
    ) -> Result<Option<Timestamp>, ScheduleError> {
        let schedule = &self.layered(schedule)?;
        for _ in 0..ATTEMPTS {
            let (now, there) = self.look(name).await?;
            let revision = there.as_ref().map_or(0, |view| view.revision);
            // What is decided here about its next run holds for what was read.
            let seen = replace.seen().unwrap_or(revision);
            let (change, due) = put(schedule, now, there.as_ref())?;
            match self.change(name, Some(seen), &change).await {
                Err(error) if replace != Replace::Any || !is_conflict(&error) => return Err(error),
                Err(_) => {}
                Ok(()) => return Ok(due),
            }
        }
        Err(not_now(name, "put", "others change it all the time"))
    }

    /// One schedule, with the Redis time.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn get(
        &self,
        name: &ScheduleName,
    ) -> Result<(Timestamp, ScheduleView), ScheduleError> {
        let (now, view) = self.look(name).await?;
        view.map(|view| (now, view)).ok_or_else(|| ScheduleError::Unknown(name.clone()))
    }

    /// Lets a schedule rest. Its description may be changed meanwhile.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn pause(
        &self,
        name: &ScheduleName,
        by: &str,
        why: &str,
    ) -> Result<(), ScheduleError> {
        let text = |text: &str| text.chars().take(500).collect::<String>();
        let change = ScheduleChange::Pause { by: text(by), why: text(why) };
        self.change(name, None, &change).await
    }

    /// Lets a schedule go on from now. What it would have run meanwhile is not made up for. Returns
    /// when it is due.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn resume(&self, name: &ScheduleName) -> Result<Option<Timestamp>, ScheduleError> {
        let (now, view) = self.get(name).await?;
        let spec = read(name, &view, "resumed")?;
        if view.paused.is_none() {
            return Ok(view.due);
        }
        let due = spec.timing.next(now);
        let change = ScheduleChange::Resume { due, queue: queue_of(name, &spec, "resumed")? };
        self.change(name, Some(view.revision), &change).await?;
        Ok(due)
    }

    /// Leaves the next run out. Returns the time that is left out, and when it is due instead.
    ///
    /// # Errors
    /// [`ScheduleError`]; a paused schedule has no next run.
    pub async fn skip(
        &self,
        name: &ScheduleName,
    ) -> Result<(Timestamp, Option<Timestamp>), ScheduleError> {
        let (now, view) = self.get(name).await?;
        let spec = read(name, &view, "skipped")?;
        let Some(due) = view.due else {
            return Err(not_now(name, "skipped", "it is paused, or will never be due again"));
        };
        let next = spec.timing.next(due.max(now));
        self.change(name, Some(view.revision), &ScheduleChange::Skip { due, next }).await?;
        Ok((due, next))
    }

    /// Enqueues its task now, paused or not, and leaves the time that it is due as it is.
    ///
    /// # Errors
    /// [`ScheduleError`]; also if its last run has not ended and runs must not overlap.
    pub async fn run_now(&self, name: &ScheduleName) -> Result<TaskId, ScheduleError> {
        let (_, view) = self.get(name).await?;
        let spec = read(name, &view, "run")?;
        let task = spec.task().map_err(|error| not_now(name, "run", &error.to_string()))?;
        let options = task.options();
        let id = self.producer.new_id();
        let fire = Fire {
            name,
            revision: view.revision,
            due: None,
            next: None,
            missed: 0,
            unless_running: spec.overlap == Overlap::Skip,
            queue: options.queue,
            priority: options.priority,
            expires_after_ms: spec.expires_after_ms,
            record: &spec.record,
            ids: &[id],
        };
        match self.producer.broker().fire(&fire).await?.1 {
            Fired::Enqueued(_) => Ok(id),
            Fired::Overlapped(last) => {
                Err(not_now(name, "run", &format!("its last run {last} has not ended")))
            }
            Fired::Refused(why) => Err(not_now(name, "run", &format!("its queue is {why}"))),
            Fired::Early | Fired::Moved => {
                Err(not_now(name, "run", "it was changed in this moment; try again"))
            }
        }
    }

    /// Removes a schedule. Tasks that it has enqueued go on.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn remove(&self, name: &ScheduleName) -> Result<(), ScheduleError> {
        self.change(name, None, &ScheduleChange::Remove).await
    }

    /// All schedules in the order of their names: at most 200 from `offset` on, with the Redis time
    /// and their number in all.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn list(
        &self,
        offset: u64,
        limit: u32,
    ) -> Result<celeriac_broker_schema::script::Schedules, ScheduleError> {
        Ok(self.producer.broker().schedules(None, offset, limit).await?)
    }

    /// The schedule as the layers of the producer leave it.
    fn layered(&self, schedule: &Schedule) -> Result<Schedule, ScheduleError> {
        let mut schedule = schedule.clone();
        for layer in self.producer.layers() {
            let seen = layer.schedule(schedule.task_mut());
            seen.map_err(|error| ScheduleError::Layer(error.into()))?;
        }
        schedule.check()?;
        Ok(schedule)
    }

    async fn look(
        &self,
        name: &ScheduleName,
    ) -> Result<(Timestamp, Option<ScheduleView>), ScheduleError> {
        let mut found = self.producer.broker().schedules(Some(name), 0, 1).await?;
        Ok((found.now, found.page.pop()))
    }

    async fn change(
        &self,
        name: &ScheduleName,
        seen: Option<u64>,
        change: &ScheduleChange,
    ) -> Result<(), ScheduleError> {
        match self.producer.broker().schedule(name, seen, change).await? {
            Changed::Done { .. } => Ok(()),
            Changed::Conflict { .. } if seen == Some(0) => Err(ScheduleError::Exists(name.clone())),
            Changed::Conflict { revision: 0 } | Changed::Missing => {
                Err(ScheduleError::Unknown(name.clone()))
            }
            Changed::Conflict { revision } => {
                Err(ScheduleError::Conflict { name: name.clone(), revision })
            }
            Changed::Full => Err(ScheduleError::Full),
        }
    }
}

/// How often a change is tried that others get in the way of.
const ATTEMPTS: u32 = 10;

fn is_conflict(error: &ScheduleError) -> bool {
    use ScheduleError::{Conflict, Exists, Unknown};
    matches!(error, Conflict { .. } | Exists(_) | Unknown(_))
}

/// The change that puts a schedule, and when it will be due.
fn put(
    schedule: &Schedule,
    now: Timestamp,
    there: Option<&ScheduleView>,
) -> Result<(ScheduleChange, Option<Timestamp>), InvalidInput> {
    let mut spec = schedule.spec(now)?;
    let queue = schedule.queue()?;
    let next = spec.timing.next(now);
    let mut due = next.map_or(PutDue::Never, PutDue::At);
    let mut told = next.filter(|_| there.is_none_or(|view| view.paused.is_none()));
    // The same interval goes on as it began, and what is due stays due.
    if let Some(view) = there
        && let Ok(old) = ScheduleSpec::decode(&view.spec)
        && is_same_timing(&old.timing, &spec.timing)
    {
        (due, told) = (PutDue::Keep, view.due);
        spec.timing = old.timing;
    }
    Ok((ScheduleChange::Put { spec: spec.encode()?, due, queue }, told))
}

/// Whether the runs of two timings come at the same times but for where an interval begins.
fn is_same_timing(old: &Timing, new: &Timing) -> bool {
    match (old, new) {
        (Timing::Every { every_ms: old, .. }, Timing::Every { every_ms: new, .. }) => old == new,
        _ => old == new,
    }
}

fn not_now(name: &ScheduleName, what: &'static str, why: &str) -> ScheduleError {
    ScheduleError::NotNow { name: name.clone(), what, why: why.to_owned() }
}

fn read(
    name: &ScheduleName,
    view: &ScheduleView,
    what: &'static str,
) -> Result<ScheduleSpec, ScheduleError> {
    ScheduleSpec::decode(&view.spec).map_err(|error| not_now(name, what, &error.to_string()))
}

fn queue_of(
    name: &ScheduleName,
    spec: &ScheduleSpec,
    what: &'static str,
) -> Result<celeriac_broker_schema::QueueName, ScheduleError> {
    let task = spec.task().map_err(|error| not_now(name, what, &error.to_string()))?;
    Ok(task.options().queue)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use celeriac_broker_schema::{Broker, RedisConfig};
    use celeriac_testkit::TestRedis;
    use celeriac_testkit::redis::fresh_namespace;

    use super::*;
    use crate::call::NewTask;

    const HOUR_MS: u64 = 3_600_000;

    /// A program whose clock is off by so many hours does everything with a schedule.
    async fn by_a_clock_that_is_off(hours: i64) {
        let namespace = fresh_namespace().parse().expect("a namespace");
        let config = RedisConfig::new(TestRedis::shared().await.url()).namespace(namespace);
        let producer = Producer::new(Broker::new(config).expect("a URL"));
        producer.jump_clock(hours * 3_600_000);
        let schedules = producer.schedules();
        let name = "s".parse().expect("a name");
        let daily = Duration::from_millis(24 * HOUR_MS);
        let schedule = Schedule::every(daily, NewTask::new("t", &()).expect("a task"));

        let due = schedules.put(&name, &schedule, Replace::Nothing).await.expect("it is put");

        let (now, view) = schedules.get(&name).await.expect("it is there");
        let due = due.expect("it is due");
        assert_eq!(view.due, Some(due));
        // Redis has made it a moment ago, and a machine may be slow, but not by half an hour.
        let first = view.created.plus_ms(24 * HOUR_MS);
        assert!(first.0.abs_diff(due.0) < HOUR_MS / 2, "{due} is not a day after {now}");
        let next = Some(due.plus_ms(24 * HOUR_MS));
        assert_eq!(schedules.skip(&name).await.expect("it is skipped"), (due, next));
        schedules.pause(&name, "ada", "").await.expect("it is paused");
        assert_eq!(schedules.resume(&name).await.expect("it is resumed"), Some(due));
        schedules.run_now(&name).await.expect("it is run");
        let view = schedules.get(&name).await.expect("it is there").1;
        assert_eq!((view.due, view.runs, view.missed), (Some(due), 1, 0));
        assert!(view.last.expect("a run").at.0.abs_diff(now.0) < HOUR_MS / 2);
    }

    #[tokio::test]
    async fn a_clock_that_jumps_changes_nothing() {
        for hours in [-1, 0, 1] {
            by_a_clock_that_is_off(hours).await;
        }
    }
}
