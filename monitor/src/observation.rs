//! What the monitor knows at one moment: the state of its link to Redis, and the last reading.
//! An outage keeps the last reading, so that people see how things stood.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use celeriac_broker_schema::find::TasksFound;
use celeriac_broker_schema::script::Limits;
use celeriac_broker_schema::{Explanation, ServerReport, Timestamp};
use tokio::time::Instant;

use crate::auth::Role;
use crate::error::Problem;
use crate::model::{
    Dead, Health, History, Job, JobDetail, Map, Notice, Queue, QueueDetail, Schedules, Task,
    Totals, Worker,
};
use crate::rates::Rates;
use crate::topic::Topic;
use crate::views::Fragment;

/// Whether Redis answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// It was not asked yet.
    Connecting,
    Connected,
    Away(Outage),
}

/// A time without contact to Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outage {
    /// When it was noticed, by the clock of this machine: there is no other just now.
    pub(crate) since: SystemTime,
    pub(crate) error: String,
}

/// A namespace at one instant.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// Redis time.
    pub(crate) now: Timestamp,
    pub(crate) server: Arc<ServerReport>,
    pub(crate) totals: Totals,
    pub(crate) rates: Option<Rates>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) jobs: Vec<Job>,
    /// The first page of them; [`Totals::workers`] counts all.
    pub(crate) workers: Vec<Worker>,
}

/// What is known of the one thing that a page is about.
#[derive(Debug, Clone)]
pub(crate) enum Detail {
    /// What happened lately, of all together.
    Overview(Arc<History>),
    /// The same by queue.
    Queues(Arc<History>),
    /// And of one queue.
    Queue(Box<QueueDetail>, Arc<History>),
    Tasks(Box<TasksFound>),
    Jobs(Vec<Job>),
    Job(Box<JobDetail>, Option<Map>),
    Task(Box<Task>, Option<Explanation>),
    Dead(Box<Dead>),
    Schedules(Box<Schedules>),
    Limits(Box<Limits>),
    Health(Box<Health>),
    /// It is not known, or not readable.
    None(Problem),
}

/// The fragments that were rendered, by what they are about and who may see them.
type Rendered = BTreeMap<(Topic, Role), Arc<[Fragment]>>;

/// One look at Redis, successful or not.
#[derive(Debug)]
pub(crate) struct Observation {
    /// Counts the observations, from 0.
    pub(crate) number: u64,
    pub(crate) link: Link,
    pub(crate) reading: Option<Arc<Reading>>,
    /// What is looked at closely; empty during an outage.
    pub(crate) details: BTreeMap<Topic, Detail>,
    at: Instant,
    /// Each topic is rendered once for each role, however many look at it.
    rendered: Mutex<Rendered>,
}

impl Observation {
    pub(crate) fn new(
        number: u64,
        link: Link,
        reading: Option<Arc<Reading>>,
        details: BTreeMap<Topic, Detail>,
    ) -> Self {
        Self { number, link, reading, details, at: Instant::now(), rendered: Mutex::default() }
    }

    /// Before the first look.
    pub(crate) fn nothing_yet() -> Self {
        Self::new(0, Link::Connecting, None, BTreeMap::new())
    }

    /// How long ago it was made.
    pub(crate) fn age(&self) -> Duration {
        if self.link == Link::Connecting {
            return Duration::MAX;
        }
        self.at.elapsed()
    }

    /// The reading, if it is not history.
    ///
    /// # Errors
    /// The problem to answer with while there is no contact to Redis.
    pub(crate) fn current(&self) -> Result<&Reading, Problem> {
        match (&self.link, &self.reading) {
            (Link::Connected, Some(reading)) => Ok(reading),
            (Link::Away(outage), _) => Err(Problem::redis_unavailable(outage.error.clone())),
            _ => Err(Problem::redis_unavailable("Redis has not answered yet: try again")),
        }
    }

    /// The fragments for a topic and a role, rendered at the first call.
    pub(crate) fn fragments(
        &self,
        topic: &Topic,
        role: Role,
        render: impl FnOnce() -> Vec<Fragment>,
    ) -> Arc<[Fragment]> {
        let mut rendered = self.rendered.lock().expect("no panic while the lock is held");
        Arc::clone(rendered.entry((topic.clone(), role)).or_insert_with(|| render().into()))
    }
}
