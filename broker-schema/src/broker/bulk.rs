//! What is done to all that a filter means, page by page. A call is bounded and tells where the next
//! page begins, so that a command, a program or a page in a browser can go on as long as it wants.
//!
//! ```no_run
//! # async fn example(broker: celeriac_broker_schema::Broker) -> Result<(), Box<dyn std::error::Error>> {
//! use celeriac_broker_schema::{CancelFilter, Requester};
//!
//! let filter = CancelFilter { task: Some("mail.send".parse()?), ..CancelFilter::of("mail".parse()?) };
//! let who = Requester::new("ada").because("wrong recipients");
//! let mut after = None;
//! loop {
//!     let page = broker.cancel_where(&filter, after, &who).await?;
//!     println!("{} more", page.answers.len());
//!     after = page.next;
//!     if after.is_none() {
//!         break;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use super::Broker;
use crate::dead::{DeadFilter, DeadGroups};
use crate::error::BrokerError;
use crate::id::{JobId, TaskId};
use crate::name::{Priority, QueueName, TaskName, Tenant};
use crate::record::Record;
use crate::requester::Requester;
use crate::script::{self, Cancelled, DeadPage, Place, Revived};
use crate::state::State;
use crate::time::{Timestamp, millis};

/// Elements of a queue looked at in one call.
const QUEUED: u32 = 500;

/// Dead letters looked at in one call; they carry their arguments.
const DEAD: u32 = 200;

/// Which of the tasks that wait in a queue are meant: those that all that is set holds for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelFilter {
    /// The queue.
    pub queue: QueueName,
    /// Tasks of this name.
    pub task: Option<TaskName>,
    /// Tasks of this tenant.
    pub tenant: Option<Tenant>,
    /// Tasks with this tag.
    pub tag: Option<String>,
    /// Tasks in this state, [`State::Ready`] or [`State::Delayed`]. No other is met in a queue.
    pub state: Option<State>,
    /// Tasks that were enqueued so long ago, or longer.
    pub older_than: Duration,
}

/// Where the next page of what waits in a queue begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueCursor {
    /// The places that are left, the next one last.
    places: Vec<Place>,
    /// How far it was looked at.
    at: u64,
}

/// A page of tasks that are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TasksPage {
    /// Those of this page; there may be none before the end.
    pub tasks: Vec<TaskId>,
    /// Jobs of which chunks wait here: they are no tasks, and left alone.
    pub jobs: BTreeSet<JobId>,
    /// Where the next page begins; None: there is none.
    pub next: Option<QueueCursor>,
}

/// A page of tasks that were cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelledPage {
    /// What became of each of this page.
    pub answers: Vec<(TaskId, Cancelled)>,
    /// Jobs of which chunks wait here: they are no tasks, and left alone.
    pub jobs: BTreeSet<JobId>,
    /// Where the next page begins; None: there is none.
    pub next: Option<QueueCursor>,
}

/// Where the next page of dead letters begins: behind this one.
pub type DeadCursor = (Timestamp, TaskId);

/// A page of dead letters that were revived or thrown away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadActPage<T> {
    /// What became of each of this page that was meant.
    pub done: Vec<(TaskId, T)>,
    /// Where the next page begins; None: there is none.
    pub next: Option<DeadCursor>,
}

/// The groups of a page of dead letters.
#[derive(Debug, Clone)]
pub struct DeadGroupsPage {
    /// Redis time.
    pub now: Timestamp,
    /// How many dead letters there are in all.
    pub total: u64,
    /// Those of this page that are meant. Add up the pages with [`DeadGroups::merge`].
    pub groups: DeadGroups,
    /// Where the next page begins; None: there is none.
    pub next: Option<DeadCursor>,
}

impl QueueCursor {
    /// After a page: to its next one, or to the next place. The turns that were met are places, too;
    /// one may be met in several pages.
    fn go_on(&mut self, next: Option<u64>, turns: Vec<Place>) {
        self.at = next.unwrap_or(0);
        let current = self.places.pop();
        for turn in turns {
            if !self.places.contains(&turn) {
                self.places.push(turn);
            }
        }
        if next.is_some() {
            self.places.extend(current);
        }
    }
}

impl CancelFilter {
    /// All tasks of a queue.
    pub fn of(queue: QueueName) -> Self {
        let older_than = Duration::ZERO;
        Self { queue, task: None, tenant: None, tag: None, state: None, older_than }
    }

    /// Whether it must be known what is in the record.
    fn reads(&self) -> bool {
        self.task.is_some() || self.tenant.is_some() || self.tag.is_some()
    }

    /// Whether the task with this stored record is meant. One that cannot be read has neither name
    /// nor tenant nor tags.
    fn matches(&self, stored: &str) -> bool {
        if !self.reads() {
            return true;
        }
        let Ok(record) = Record::decode(stored) else { return false };
        self.task.as_ref().is_none_or(|task| record.task == task.as_str())
            && self.tenant.as_ref().is_none_or(|t| record.tenant.as_deref() == Some(t.as_str()))
            && self.tag.as_ref().is_none_or(|tag| record.tags.contains(tag))
    }

    fn is_old(&self, id: TaskId, now: Timestamp) -> bool {
        now.since(id.time()) >= millis(self.older_than)
    }
}

impl Broker {
    /// A page of the tasks that wait in a queue and are meant: in its lists, behind turns, delayed, kept
    /// back by limits (on a thousand subjects at most). Nothing is done to them. A task that goes from
    /// one place to another meanwhile may be missed, or told twice.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn tasks_where(
        &self,
        filter: &CancelFilter,
        after: Option<QueueCursor>,
    ) -> Result<TasksPage, BrokerError> {
        let mut cursor = match after {
            Some(cursor) => cursor,
            None => QueueCursor { places: self.places(filter).await?, at: 0 },
        };
        let Some(place) = cursor.places.last() else {
            return Ok(TasksPage { tasks: Vec::new(), jobs: BTreeSet::new(), next: None });
        };
        let page = self.queued(&filter.queue, place, cursor.at, QUEUED).await?;
        cursor.go_on(page.next, page.turns);
        let old = page.tasks.into_iter().filter(|id| filter.is_old(*id, page.now));
        let tasks = self.that_match(filter, old.collect()).await?;
        let next = (!cursor.places.is_empty()).then_some(cursor);
        Ok(TasksPage { tasks, jobs: page.jobs.into_iter().collect(), next })
    }

    /// Where tasks of this filter may wait, the first place last. What becomes due meanwhile, or is let
    /// go by a limit, is met in the lists, which come afterwards.
    async fn places(&self, filter: &CancelFilter) -> Result<Vec<Place>, BrokerError> {
        let mut places = Vec::new();
        if filter.state.is_none_or(|state| state == State::Ready) {
            let lists = (0..=9).filter_map(|number| Priority::new(number).ok()).map(Place::Ready);
            places.extend([Place::Suspects].into_iter().chain(lists));
            let subjects = script::parking(&self.inner.connections, &self.inner.keys).await?;
            places.extend(subjects.into_iter().map(Place::Parked));
        }
        if filter.state.is_none_or(|state| state == State::Delayed) {
            places.push(Place::Delayed);
        }
        Ok(places)
    }

    async fn that_match(
        &self,
        filter: &CancelFilter,
        ids: Vec<TaskId>,
    ) -> Result<Vec<TaskId>, BrokerError> {
        let records = self.records(&ids).await?;
        let meant =
            |record: &Option<String>| record.as_ref().is_some_and(|record| filter.matches(record));
        let found = ids.into_iter().zip(&records).filter(|(_, record)| meant(record));
        Ok(found.map(|(id, _)| id).collect())
    }

    /// Cancels a page of the tasks that wait in a queue and are meant; see [`Broker::tasks_where`].
    /// One that has begun meanwhile is told to stop.
    ///
    /// # Errors
    /// Whatever keeps us from the server; a part may have been cancelled. It is safe to repeat.
    pub async fn cancel_where(
        &self,
        filter: &CancelFilter,
        after: Option<QueueCursor>,
        who: &Requester,
    ) -> Result<CancelledPage, BrokerError> {
        let TasksPage { tasks, jobs, next } = self.tasks_where(filter, after).await?;
        let answers = self.cancel(&tasks, who).await?;
        Ok(CancelledPage { answers: tasks.into_iter().zip(answers).collect(), jobs, next })
    }

    /// A page of the dead letters that are meant, the newest first; there may be none before the end.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn dead_where(
        &self,
        filter: &DeadFilter,
        after: Option<DeadCursor>,
    ) -> Result<DeadPage, BrokerError> {
        // What died too late comes before all that is meant.
        let newest = filter.until.map(|until| (until, TaskId::first()));
        let mut page = self.dead(after.or(newest), DEAD).await?;
        if page.letters.last().is_some_and(|last| filter.is_over(last)) {
            page.next = None;
        }
        page.letters.retain(|letter| filter.matches(letter));
        Ok(page)
    }

    /// How many dead letters of a page are of which task and sort of error.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn dead_groups(
        &self,
        filter: &DeadFilter,
        after: Option<DeadCursor>,
    ) -> Result<DeadGroupsPage, BrokerError> {
        let DeadPage { now, total, letters, next } = self.dead_where(filter, after).await?;
        let mut groups = DeadGroups::default();
        for letter in letters {
            groups.add(letter);
        }
        Ok(DeadGroupsPage { now, total, groups, next })
    }

    /// Lets a page of dead tasks run again, those that are meant; see [`Broker::revive`].
    ///
    /// # Errors
    /// Whatever keeps us from the server; a part may have been revived.
    pub async fn revive_where(
        &self,
        filter: &DeadFilter,
        after: Option<DeadCursor>,
        who: &Requester,
    ) -> Result<DeadActPage<Revived>, BrokerError> {
        let (ids, next) = self.dead_ids(filter, after).await?;
        Ok(DeadActPage { done: self.revive(&ids, who).await?, next })
    }

    /// Throws a page of dead letters away, those that are meant. Says of each whether it was still
    /// there.
    ///
    /// # Errors
    /// Whatever keeps us from the server; a part may be gone.
    pub async fn discard_where(
        &self,
        filter: &DeadFilter,
        after: Option<DeadCursor>,
    ) -> Result<DeadActPage<bool>, BrokerError> {
        let (ids, next) = self.dead_ids(filter, after).await?;
        let gone = self.discard(&ids).await?;
        Ok(DeadActPage { done: ids.into_iter().zip(gone).collect(), next })
    }

    async fn dead_ids(
        &self,
        filter: &DeadFilter,
        after: Option<DeadCursor>,
    ) -> Result<(Vec<TaskId>, Option<DeadCursor>), BrokerError> {
        let page = self.dead_where(filter, after).await?;
        Ok((page.letters.iter().map(|letter| letter.id).collect(), page.next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_set_must_hold() {
        let stored = r#"{"v":1,"task":"t","tenant":"acme","args":1,"tags":["blue","red"]}"#;
        let all = CancelFilter::of(QueueName::default());
        let filter = |change: fn(&mut CancelFilter)| {
            let mut filter = all.clone();
            change(&mut filter);
            filter
        };
        assert!(all.matches(stored) && all.matches("no record"));
        for hold in [
            filter(|f| f.task = "t".parse().ok()),
            filter(|f| f.tenant = "acme".parse().ok()),
            filter(|f| f.tag = Some("red".to_owned())),
        ] {
            assert!(hold.matches(stored) && !hold.matches("no record"), "{hold:?}");
        }
        for fail in [
            filter(|f| f.task = "u".parse().ok()),
            filter(|f| f.tenant = "other".parse().ok()),
            filter(|f| f.tag = Some("re".to_owned())),
            filter(|f| (f.task, f.tag) = ("t".parse().ok(), Some("green".to_owned()))),
        ] {
            assert!(!fail.matches(stored), "{fail:?}");
        }
    }
}
