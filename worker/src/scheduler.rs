//! The scheduler: fires schedules that are due. Every worker has one and none is special: which of
//! them enqueues a run is decided by the script.
//!
//! It sleeps until the next schedule is due. That a schedule has come to be due earlier is heard by
//! the claims of idle workers; a worker that is always busy hears nothing, and asks now and then. In
//! a namespace without schedules, an idle worker asks nothing at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use celeriac_broker_schema::limits::MAX_BATCH_BYTES;
use celeriac_broker_schema::record::UnreadableRecord;
use celeriac_broker_schema::schedule::Plan;
use celeriac_broker_schema::script::{Due, DueSchedule, Fire, Fired};
use celeriac_broker_schema::{BrokerError, Overlap, ScheduleName, ScheduleSpec, TaskId, Timestamp};
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::shared::Shared;

/// How often a worker asks that hears nothing.
const ASK_ANYWAY: Duration = Duration::from_secs(5);
/// How long to wait when something that is due could not be fired.
const AGAIN: Duration = Duration::from_secs(1);
/// Schedules that are fired in one round.
const BITE: u32 = 100;

/// What claims tell of schedules.
#[derive(Debug, Default)]
pub(crate) struct ScheduleNews {
    /// When the next one is due, in milliseconds; 0: there is none.
    next: AtomicU64,
    /// Claims that told.
    told: AtomicU64,
    changed: Notify,
}

impl ScheduleNews {
    /// An idle worker's claim tells when the next schedule is due.
    pub(crate) fn tell(&self, next: Option<Timestamp>) {
        let next = next.map_or(0, |at| at.0);
        self.told.fetch_add(1, Ordering::Relaxed);
        if self.next.swap(next, Ordering::Relaxed) != next {
            self.changed.notify_one();
        }
    }

    fn next(&self) -> Option<Timestamp> {
        Some(Timestamp(self.next.load(Ordering::Relaxed))).filter(|at| at.0 > 0)
    }
}

/// Runs until it is dropped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut complained = Complained::new();
    let mut known = None;
    loop {
        wait(&shared, known).await;
        known = match round(&shared, &mut complained).await {
            Ok(due) => {
                // What is told from now on is news if it differs from this.
                let next = due.next.map_or(0, |at| at.0);
                shared.schedules.next.store(next, Ordering::Relaxed);
                due.next.map(|at| wake_at(&shared, &due, at))
            }
            Err(error) => {
                tracing::debug!(%error, "schedules wait for Redis");
                Some(Wake { due: Timestamp(0), at: Instant::now() + AGAIN })
            }
        };
    }
}

/// Schedules with the revision that could not be fired: each is told of once.
type Complained = HashMap<ScheduleName, u64>;

/// When to look at what is due then.
#[derive(Debug, Clone, Copy)]
struct Wake {
    due: Timestamp,
    at: Instant,
}

/// One worker watches the next time; the others come a little later, and not as a herd.
fn wake_at(shared: &Shared, due: &Due, at: Timestamp) -> Wake {
    let now = shared.clock.now().max(due.now);
    let until = match at.since(now) {
        // Something is due that cannot be fired, here at least.
        0 if due.schedules.iter().any(|schedule| schedule.due == at) => AGAIN,
        ms => Duration::from_millis(ms),
    };
    let later = if due.watching { 0.0 } else { 0.05 + rand::random::<f64>() / 4.0 };
    Wake { due: at, at: Instant::now() + until + Duration::from_secs_f64(later) }
}

/// Waits until it is time to look.
async fn wait(shared: &Shared, known: Option<Wake>) {
    let news = &shared.schedules;
    loop {
        let told = news.told.load(Ordering::Relaxed);
        let anyway = ASK_ANYWAY.mul_f64(0.75 + rand::random::<f64>() / 2.0);
        tokio::select! {
            () = sleep_until(known.map_or_else(Instant::now, |wake| wake.at)), if known.is_some() => return,
            () = news.changed.notified() => {
                let is_news = |at: Timestamp| known.is_none_or(|wake| at < wake.due);
                if news.next().is_some_and(is_news) {
                    return;
                }
            }
            () = sleep(anyway) => {
                // An idle worker hears by its claims, at the latest when it looks anyway; with
                // nothing to do but wait for work it has made one, or is waiting for a bell.
                if shared.asks_for_nothing() && news.told.load(Ordering::Relaxed) == told {
                    return;
                }
            }
        }
    }
}

/// Fires what is due, and looks when the next one will be.
async fn round(shared: &Shared, complained: &mut Complained) -> Result<Due, BrokerError> {
    let lease = shared.lease().0;
    loop {
        let due = shared.broker.due(&lease, BITE).await?;
        shared.clock.set(due.now);
        let mut moved = false;
        for schedule in &due.schedules {
            match fire(shared, schedule, due.now).await {
                Ok(()) => moved = true,
                Err(NotFired::Broker(error)) if error.is_temporary() => return Err(error),
                // The others must not suffer from it.
                Err(error) => {
                    let DueSchedule { name, revision, .. } = schedule;
                    if complained.insert(name.clone(), *revision) != Some(*revision) {
                        tracing::error!(schedule = %name, %error, "a schedule cannot be fired");
                    }
                }
            }
        }
        if !moved {
            return Ok(due);
        }
    }
}

/// Why a schedule is still due as it was.
#[derive(Debug, Error)]
enum NotFired {
    #[error("its description or its task cannot be read: {0}")]
    Unreadable(#[from] UnreadableRecord),
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// Fires one schedule, unless somebody else did.
async fn fire(shared: &Shared, schedule: &DueSchedule, now: Timestamp) -> Result<(), NotFired> {
    let spec = ScheduleSpec::decode(&schedule.spec)?;
    let options = spec.task()?.options();
    let unless_running = spec.overlap == Overlap::Skip;
    let plan = plan(&spec, schedule.due, now);
    let ids: Vec<TaskId> = (0..plan.runs).map(|_| TaskId::new(now)).collect();
    let fire = Fire {
        name: &schedule.name,
        revision: schedule.revision,
        due: Some(schedule.due),
        next: plan.next,
        missed: plan.missed,
        unless_running,
        queue: options.queue,
        priority: options.priority,
        expires_after_ms: spec.expires_after_ms,
        record: &spec.record,
        ids: &ids,
    };
    let (_, fired) = shared.broker.fire(&fire).await?;
    let name = schedule.name.as_str();
    match fired {
        Fired::Overlapped(last) => {
            tracing::warn!(name, %last, "a run of a schedule is left out: the last one has not ended");
        }
        Fired::Refused(why) => {
            tracing::warn!(name, %why, "a run of a schedule is left out: its queue takes no task");
        }
        Fired::Enqueued(_) if plan.missed > 0 => {
            tracing::warn!(name, missed = plan.missed, "runs of a schedule were missed");
        }
        Fired::Enqueued(tasks) => tracing::debug!(name, tasks, "a schedule was fired"),
        Fired::Early | Fired::Moved => {}
    }
    Ok(())
}

/// The plan, cut down to what may be enqueued at once.
fn plan(spec: &ScheduleSpec, due: Timestamp, now: Timestamp) -> Plan {
    let mut plan = Plan::new(&spec.timing, spec.missed, due, now);
    let fits = u32::try_from(MAX_BATCH_BYTES / spec.record.len().max(1)).unwrap_or(u32::MAX);
    // Without overlap, those of one moment would run side by side.
    let most = if spec.overlap == Overlap::Skip { 1 } else { fits.max(1) };
    let over = plan.runs.saturating_sub(most);
    plan.missed += over;
    plan.runs -= over;
    plan
}
