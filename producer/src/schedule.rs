//! Schedules: a [`Schedule`] says which task is enqueued when; [`Schedules`] keeps them in Redis.
//! Any worker fires them; there is no process of its own for it.

use std::time::Duration;

use celeriac_broker_schema::record::UnreadableRecord;
use celeriac_broker_schema::script::{
    Fire, Fired, PutDue, ScheduleChange, ScheduleChanged as Changed, ScheduleView,
};
use celeriac_broker_schema::time::millis;
use celeriac_broker_schema::{
    BrokerError, InvalidInput, Missed, Overlap, ScheduleName, ScheduleSpec, TaskId, TaskName,
    Timestamp, Timing,
};
use thiserror::Error;

use crate::call::NewTask;
use crate::producer::Producer;

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

    /// A schedule as it is stored, to change it and put it again.
    ///
    /// # Errors
    /// [`UnreadableRecord`]: of a newer version, or in a time zone that is not known here.
    pub fn of(view: &ScheduleView) -> Result<Self, UnreadableRecord> {
        let spec = ScheduleSpec::decode(&view.spec)?;
        let record = spec.task()?;
        let name = TaskName::new(record.task.clone().into_owned());
        let name = name.map_err(|error| UnreadableRecord::Broken(error.to_string()))?;
        let mut task = NewTask::from_raw(name, record.args.to_owned(), record.options());
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

    /// As it is stored if its intervals begin now.
    fn spec(&self, now: Timestamp) -> Result<ScheduleSpec, InvalidInput> {
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

/// Why a schedule could not be changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Something about it is not valid. Nothing was sent.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// There is no schedule of this name.
    #[error("there is no schedule {0}")]
    Unknown(ScheduleName),
    /// There is one already.
    #[error("there is a schedule {0} already")]
    Exists(ScheduleName),
    /// Somebody else changed it since it was read.
    #[error("schedule {name} was changed meanwhile: it has revision {revision}; read it again")]
    Conflict {
        /// Its name.
        name: ScheduleName,
        /// The revision that it has now.
        revision: u64,
    },
    /// There are as many schedules as there may be.
    #[error("there are {max} schedules, which is the limit: remove some", max = celeriac_broker_schema::limits::MAX_SCHEDULES)]
    Full,
    /// It cannot be done as it stands.
    #[error("schedule {name} cannot be {what}: {why}")]
    NotNow {
        /// Its name.
        name: ScheduleName,
        /// What was to be done.
        what: &'static str,
        /// Why it cannot.
        why: String,
    },
    /// Redis is away or refuses. The change may have been made.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

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
    /// # Errors
    /// [`ScheduleError`].
    pub async fn put(
        &self,
        name: &ScheduleName,
        schedule: &Schedule,
        replace: Replace,
    ) -> Result<Option<Timestamp>, ScheduleError> {
        schedule.check()?;
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
    let queue = schedule.task.clone().placed()?.options.queue;
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
