//! Searching for tasks, page by page. Each source has its own way to go on; all of them are
//! read in bounded calls, a few for a page.

use super::{Broker, Inner};
use crate::error::BrokerError;
use crate::find::{SEARCHED, TaskCursor, TaskFilter, TaskRow, TasksFound};
use crate::id::TaskId;
use crate::name::{Priority, QueueName};
use crate::script::{self, DelayedPage, DelayedTask, Place, WorkerView};
use crate::state::State;
use crate::time::Timestamp;
use crate::worker_info::WorkerInfo;

/// Pages of a source that are read for one page of tasks.
const READS: usize = 12;
/// Tasks that are looked at in one of them.
const BITE: usize = 200;
/// Queues that are searched, if none is named.
const QUEUES: u32 = 100;
/// Workers that are read in one call, and in all.
const WORKERS: u32 = 200;
const MOST_WORKERS: u64 = 2_000;
/// Whoever tells late of what ended is expected within this time.
const TOLD_LATE_MS: u64 = 60_000;

/// A part of a page, and where its source goes on.
#[derive(Default)]
struct Part {
    now: Timestamp,
    rows: Vec<TaskRow>,
    searched: usize,
    untold: u64,
    next: Option<String>,
}

impl Broker {
    /// A page of the tasks that are meant: about `limit` of them, at most 200 more. `after`: where the page
    /// before says. States are searched one after the other: what runs (as workers tell), what is ready,
    /// delayed, failed for good (dead letters), what succeeded and what was cancelled lately. Of
    /// those that succeed, workers tell by name only some if there are many; and tasks that expired,
    /// wait for others, or are kept back by limits are in no list. To find one by its id, see
    /// [`Broker::inspect`].
    ///
    /// ```no_run
    /// # async fn example(broker: celeriac_broker_schema::Broker) -> Result<(), Box<dyn std::error::Error>> {
    /// use celeriac_broker_schema::State;
    /// use celeriac_broker_schema::find::TaskFilter;
    ///
    /// let filter = TaskFilter { task: Some("mail.send".to_owned()), ..TaskFilter::of(State::Failed) };
    /// let mut page = broker.find_tasks(&filter, None, 50).await?;
    /// println!("{:?}", page.tasks);
    /// while let Some(next) = page.next {
    ///     page = broker.find_tasks(&filter, Some(&next), 50).await?;
    ///     println!("{:?}", page.tasks);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn find_tasks(
        &self,
        filter: &TaskFilter,
        after: Option<&TaskCursor>,
        limit: usize,
    ) -> Result<TasksFound, BrokerError> {
        let mut found =
            TasksFound { now: Timestamp(0), tasks: Vec::new(), searched: 0, untold: 0, next: None };
        let mut place = after.cloned().or_else(|| first(filter));
        for _ in 0..READS {
            let Some(TaskCursor { state, at }) = place else { break };
            let left = limit.saturating_sub(found.tasks.len());
            let part = self.part(filter, state, &at, left.clamp(1, BITE)).await?;
            found.now = found.now.max(part.now);
            found.searched += part.searched as u64;
            found.untold += part.untold;
            found.tasks.extend(part.rows.into_iter().filter(|row| filter.matches(row)));
            place = match part.next {
                Some(at) => Some(TaskCursor { state, at }),
                None => following(filter, state),
            };
            if found.tasks.len() >= limit {
                break;
            }
        }
        found.next = place;
        Ok(found)
    }

    /// A page of what waits for a time, in all queues, the earliest first: at most 500.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn delayed(
        &self,
        after: Option<&DelayedTask>,
        limit: usize,
    ) -> Result<DelayedPage, BrokerError> {
        script::delayed(&self.inner.connections, &self.inner.keys, after, limit).await
    }

    async fn part(
        &self,
        filter: &TaskFilter,
        state: State,
        at: &str,
        left: usize,
    ) -> Result<Part, BrokerError> {
        // With conditions, few of those that are looked at may be meant.
        let bite = if filter.reads() || filter.queue.is_some() { BITE } else { left };
        match state {
            State::Running => self.running_part(at, left).await,
            State::Ready => self.ready_part(filter, at, bite).await,
            State::Delayed => self.delayed_part(at, bite).await,
            State::Failed => self.failed_part(filter, at, bite).await,
            _ => self.recent_part(filter, state, at, left, bite).await,
        }
    }

    /// What workers say that they run, one worker after the other in the order of their leases: that of
    /// their signs of life changes all the time.
    async fn running_part(&self, after: &str, left: usize) -> Result<Part, BrokerError> {
        let mut part = Part::default();
        let mut workers: Vec<WorkerView> = Vec::new();
        let mut offset = 0;
        while offset < MOST_WORKERS {
            let page = self.workers(offset, WORKERS).await?;
            part.now = page.now;
            offset += u64::from(WORKERS);
            workers.extend(page.page);
            if offset >= page.total {
                break;
            }
        }
        workers.retain(|worker| worker.lease.as_str() > after);
        workers.sort_by(|a, b| a.lease.cmp(&b.lease));
        workers.dedup_by(|a, b| a.lease == b.lease);
        let mut workers = workers.into_iter().peekable();
        while let Some(WorkerView { lease, description, .. }) = workers.next() {
            let Ok(info) = serde_json::from_str::<WorkerInfo>(&description) else { continue };
            part.searched += info.running.len();
            part.rows.extend(info.running.iter().filter_map(|task| TaskRow::running(task, &lease)));
            if part.rows.len() >= left && workers.peek().is_some() {
                part.next = Some(lease);
                break;
            }
        }
        Ok(part)
    }

    /// What is ready: `<queue>:<place>:<cursor>`.
    async fn ready_part(
        &self,
        filter: &TaskFilter,
        at: &str,
        bite: usize,
    ) -> Result<Part, BrokerError> {
        let mut words = at.split(':');
        let queue: Option<QueueName> = words.next().and_then(|name| name.parse().ok());
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        let (nth, cursor) = (number(), number());
        let places = self.ready_places(filter).await?;
        let from =
            queue.map_or(0, |queue| places.partition_point(|place| *place < (queue.clone(), nth)));
        let Some((queue, place)) = places.get(from) else { return Ok(Part::default()) };
        // If what stood there is gone, the next place begins.
        let goes_on = at == format!("{queue}:{place}:{cursor}");
        let cursor = if goes_on { cursor } else { 0 };
        let limit = u32::try_from(bite).unwrap_or(u32::MAX);
        let page = self.queued(queue, &ready_place(*place), cursor, limit).await?;
        let mut part = self.rows_of(page.now, queue, page.tasks).await?;
        let next = places.get(from + 1).map(|(queue, place)| format!("{queue}:{place}:0"));
        part.next = page.next.map(|cursor| format!("{queue}:{place}:{cursor}")).or(next);
        Ok(part)
    }

    /// The lists with something in them, in the order in which they are searched.
    async fn ready_places(
        &self,
        filter: &TaskFilter,
    ) -> Result<Vec<(QueueName, u64)>, BrokerError> {
        let mut places = Vec::new();
        for view in self.snapshot(QUEUES, 0).await?.queues {
            let Ok(name) = view.name.parse::<QueueName>() else { continue };
            if filter.queue.as_ref().is_some_and(|queue| *queue != name) {
                continue;
            }
            let lists = view.elements.iter().rev().zip(0..).filter(|(elements, _)| **elements > 0);
            places.extend(lists.map(|(_, nth)| (name.clone(), nth)));
            if view.suspects > 0 {
                places.push((name, LAST_PLACE));
            }
        }
        // One of very many queues, perhaps.
        if let (Some(queue), true) = (&filter.queue, places.is_empty()) {
            places.extend((0..=LAST_PLACE).map(|nth| (queue.clone(), nth)));
        }
        places.sort();
        Ok(places)
    }

    async fn rows_of(
        &self,
        now: Timestamp,
        queue: &QueueName,
        ids: Vec<TaskId>,
    ) -> Result<Part, BrokerError> {
        let records = self.records(&ids).await?;
        let searched = ids.len();
        let row = |(id, record): (TaskId, Option<String>)| {
            // Without a record it has ended meanwhile.
            Some(TaskRow::queued(id, State::Ready, queue.as_str(), &record?))
        };
        let rows = ids.into_iter().zip(records).filter_map(row).collect();
        Ok(Part { now, rows, searched, ..Part::default() })
    }

    /// What waits for a time: `<due>:<priority>:<queue>:<id>`.
    async fn delayed_part(&self, at: &str, bite: usize) -> Result<Part, BrokerError> {
        let after = read_delayed(at);
        let page = self.delayed(after.as_ref(), bite).await?;
        let ids: Vec<TaskId> = page.tasks.iter().map(|task| task.id).collect();
        let records = self.records(&ids).await?;
        let mut part = Part { now: page.now, searched: ids.len(), ..Part::default() };
        for (task, record) in page.tasks.iter().zip(records) {
            let record = record.unwrap_or_default();
            let row = TaskRow::queued(task.id, State::Delayed, &task.queue, &record);
            part.rows.push(TaskRow { due: Some(task.due), ..row });
        }
        if page.tasks.len() == bite {
            part.next = page.tasks.last().map(write_delayed);
        }
        Ok(part)
    }

    /// Dead letters: `<time>:<id>`.
    async fn failed_part(
        &self,
        filter: &TaskFilter,
        at: &str,
        bite: usize,
    ) -> Result<Part, BrokerError> {
        let after = at
            .split_once(':')
            .and_then(|(at, id)| Some((Timestamp(at.parse().ok()?), id.parse::<TaskId>().ok()?)));
        // What died too late comes before all that is meant.
        let newest = filter.until.map(|until| (until, TaskId::first()));
        let page = self.dead(after.or(newest), u32::try_from(bite).unwrap_or(u32::MAX)).await?;
        let rows: Vec<TaskRow> = page.letters.iter().map(TaskRow::dead).collect();
        let is_over = |row: &TaskRow| filter.since.is_some_and(|since| row.ended < Some(since));
        let next = page.next.filter(|_| !rows.last().is_some_and(is_over));
        let next = next.map(|(at, id)| format!("{at}:{id}"));
        Ok(Part { now: page.now, searched: rows.len(), rows, untold: 0, next })
    }

    /// What ended lately, as workers told: the place of the last one.
    async fn recent_part(
        &self,
        filter: &TaskFilter,
        state: State,
        at: &str,
        left: usize,
        bite: usize,
    ) -> Result<Part, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        let newest = filter.until.map(|until| until.plus_ms(TOLD_LATE_MS).to_string());
        let before = Some(at).filter(|at| !at.is_empty()).or(newest.as_deref());
        let since = filter.since.unwrap_or_default();
        let page = script::recent(connections, keys, state, before, since, bite).await?;
        let mut part = Part { now: page.now, ..Part::default() };
        let is_full = page.tasks.len() == bite;
        let mut meant = 0;
        for (place, task) in page.tasks {
            part.searched += 1;
            if let Some(task) = task {
                part.untold += task.others;
                let row = TaskRow::recent(task);
                meant += usize::from(filter.matches(&row));
                part.rows.push(row);
            }
            part.next = Some(place);
            if meant >= left {
                return Ok(part);
            }
        }
        if !is_full {
            part.next = None;
        }
        Ok(part)
    }
}

/// The places of ready tasks: priorities from the highest on, then suspects.
const LAST_PLACE: u64 = 10;

fn ready_place(nth: u64) -> Place {
    let priority = u8::try_from(9_u64.saturating_sub(nth)).ok();
    match priority.and_then(|priority| Priority::new(priority).ok()) {
        Some(priority) if nth < LAST_PLACE => Place::Ready(priority),
        _ => Place::Suspects,
    }
}

fn write_delayed(task: &DelayedTask) -> String {
    let DelayedTask { id, queue, priority, due } = task;
    format!("{due}:{priority}:{queue}:{id}")
}

fn read_delayed(at: &str) -> Option<DelayedTask> {
    let mut words = at.splitn(4, ':');
    let due = Timestamp(words.next()?.parse().ok()?);
    let priority = words.next()?.parse().ok()?;
    let queue = words.next()?.to_owned();
    Some(DelayedTask { id: words.next()?.parse().ok()?, queue, priority, due })
}

fn first(filter: &TaskFilter) -> Option<TaskCursor> {
    let states = || SEARCHED.into_iter();
    let state = match filter.state {
        Some(state) => states().find(|searched| *searched == state),
        None => states().next(),
    };
    state.map(|state| TaskCursor { state, at: String::new() })
}

fn following(filter: &TaskFilter, state: State) -> Option<TaskCursor> {
    if filter.state.is_some() {
        return None;
    }
    let next = SEARCHED.into_iter().skip_while(|searched| *searched != state).nth(1)?;
    Some(TaskCursor { state: next, at: String::new() })
}
