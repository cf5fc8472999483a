//! What a producer has enqueued, by queue and task: told about once a second, for charts, by a loop of
//! its own, so that nobody who enqueues waits for it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use celeriac_broker_schema::figures::Event;
use celeriac_broker_schema::script::{Answered, Entry, RangeJob, Tally};
use celeriac_broker_schema::{Broker, Record, TaskId};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// How often it is told.
const PERIOD: Duration = Duration::from_secs(1);
/// How long one telling may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was enqueued since it was told last.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    tally: Mutex<Tally>,
    /// Rung when there is something to tell, and when there will be nothing more.
    news: Notify,
    closed: AtomicBool,
}

impl Counted {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what was taken of a batch.
    pub(crate) fn tasks(&self, entries: &[Entry], answered: &Answered) {
        let refused = |at: usize| {
            answered.refused.iter().any(|refused| {
                (refused.first..refused.first.saturating_add(refused.count)).contains(&at)
            })
        };
        let twins: HashSet<TaskId> = answered.duplicates.iter().map(|twin| twin.id).collect();
        let mut tally = self.tally();
        for (at, entry) in entries.iter().enumerate() {
            if !refused(at) && !twins.contains(&entry.id) {
                add(&mut tally, entry.queue.as_str(), Record::name_in(&entry.record), 1);
            }
        }
        drop(tally);
        self.news.notify_one();
    }

    /// Counts the chunks of a job that was taken.
    pub(crate) fn job(&self, job: &RangeJob, answered: &Answered) {
        if answered.refused.is_empty() && answered.duplicates.is_empty() {
            let name = job.spec.strip_prefix(r#"{"v":1,"chunk":"#).and_then(Record::name_in);
            add(&mut self.tally(), job.queue.as_str(), name, job.chunks);
            self.news.notify_one();
        }
    }

    /// Nothing more will be counted.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.news.notify_one();
    }

    /// Tells what was counted. What is lost on the way is lost: nothing is decided by it.
    async fn tell(&self, broker: &Broker) {
        let tally = std::mem::take(&mut *self.tally());
        if tally.is_empty() {
            return;
        }
        match timeout(PATIENCE, broker.tally(&tally)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.is_temporary() && !error.may_have_happened() => {
                let mut newer = self.tally();
                for (queue, task, figures) in tally.pairs {
                    newer.of(&queue, &task).merge(&figures);
                }
                drop(newer);
                self.news.notify_one();
            }
            Ok(Err(error)) => tracing::debug!(%error, "figures of enqueued tasks are lost"),
            Err(_) => tracing::debug!("figures of enqueued tasks are lost: no answer"),
        }
    }
}

fn add(tally: &mut Tally, queue: &str, task: Option<&str>, n: u64) {
    if let Some(task) = task {
        tally.of(queue, task).counts.add(Event::Enqueued, n);
    }
}

/// Tells what is counted, until nothing more will be.
pub(crate) async fn run(counted: Arc<Counted>, broker: Broker) {
    loop {
        counted.news.notified().await;
        counted.tell(&broker).await;
        if counted.closed.load(Ordering::Acquire) {
            return;
        }
        tokio::select! {
            () = sleep(PERIOD) => counted.news.notify_one(),
            // Of those that come to an end at once nothing is lost.
            () = closed(&counted) => return counted.tell(&broker).await,
        }
    }
}

async fn closed(counted: &Counted) {
    while !counted.closed.load(Ordering::Acquire) {
        counted.news.notified().await;
    }
}
