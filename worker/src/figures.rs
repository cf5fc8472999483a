//! What this worker counts: attempts that ended, by queue and task, with how long they waited and ran,
//! and a sample of tasks that succeeded. Told about once a second in one call; a worker that is
//! lost takes what it has counted since with it. Figures decide nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use celeriac_broker_schema::figures::{Event, Figures};
use celeriac_broker_schema::outcome::attempts_of;
use celeriac_broker_schema::script::{Ending, Tally};
use celeriac_broker_schema::{BrokerError, RecentTask, State, Timestamp};
use tokio::time::{sleep, timeout};

use crate::outbox::How;
use crate::shared::Shared;
use crate::unit::Unit;

/// How often they are told, in a fleet of up to a hundred workers.
const PERIOD: Duration = Duration::from_secs(1);
/// The same in the largest fleet: all workers together make about a hundred such calls a second.
const LONGEST_PERIOD: Duration = Duration::from_secs(10);
const CALLS_PER_SECOND: u32 = 100;
/// An idle worker tells nothing so often: somebody must look how much waits.
const IDLE_PERIOD: Duration = Duration::from_secs(60);
/// Tasks that succeeded of which is told by name in one call, here and in the whole fleet.
const MOST_RECENT: usize = 20;
const MOST_RECENT_OF_FLEET: usize = 200;
/// How long a worker that leaves tries to tell what it has counted.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What was counted since it was told last.
#[derive(Debug)]
pub(crate) struct Counted(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    since: Instant,
    tally: Tally,
    most_recent: usize,
    /// Tasks that ended and are not in the sample.
    others: u64,
}

/// An attempt that ended.
pub(crate) struct Attempted<'a> {
    pub(crate) unit: &'a Unit,
    pub(crate) task: &'a str,
    /// How it ended; `None`: it is as if it had not been.
    pub(crate) event: Option<Event>,
    /// When it might have begun, if that is known.
    pub(crate) ready: Option<Timestamp>,
    pub(crate) started: Timestamp,
    pub(crate) ran: Duration,
}

impl Default for Counted {
    fn default() -> Self {
        Self(Mutex::new(Inner {
            since: Instant::now(),
            tally: Tally::default(),
            most_recent: MOST_RECENT,
            others: 0,
        }))
    }
}

/// What an ending counts as.
pub(crate) fn event_of(how: &How) -> Option<Event> {
    match how {
        How::Chunk(..) | How::Spawned(..) => Some(Event::Succeeded),
        How::Told(_, ending) => match &**ending {
            Ending::Succeeded { .. } => Some(Event::Succeeded),
            Ending::Failed { .. } | Ending::ChunkFailed { .. } => Some(Event::Failed),
            Ending::Retry { .. } | Ending::ChunkRetry { .. } => Some(Event::Retried),
            Ending::Snoozed { .. } | Ending::ChunkSnoozed { .. } => Some(Event::Snoozed),
            Ending::Cancelled { .. } => Some(Event::Cancelled),
            _ => None,
        },
        How::Silent => None,
    }
}

/// When an attempt might have begun, as far as it is known here: when the task was enqueued, or its
/// delay was over, or that after the attempt before.
pub(crate) fn ready_at(unit: &Unit, delay_ms: Option<u64>) -> Timestamp {
    let enqueued = unit.id().time();
    let history = unit.history();
    let last = if history.is_empty() { None } else { attempts_of(history).pop() };
    match last {
        Some(last) => last.ended.plus_ms(last.retry_in_ms.unwrap_or(0)),
        None => enqueued.plus_ms(delay_ms.unwrap_or(0)),
    }
}

impl Counted {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an attempt that has run.
    pub(crate) fn attempt(&self, shared: &Shared, attempted: &Attempted<'_>) {
        let Some(event) = attempted.event else { return };
        let ran_us = u64::try_from(attempted.ran.as_micros()).unwrap_or(u64::MAX);
        let wait_ms = attempted.ready.map(|ready| attempted.started.since(ready));
        let mut inner = self.lock();
        let figures = inner.figures(attempted.unit.place().0, attempted.task);
        figures.counts.add(event, 1);
        if let Some(wait_ms) = wait_ms {
            figures.wait.add_us(wait_ms.saturating_mul(1000));
        }
        figures.run.add_us(ran_us);
        let state = match event {
            Event::Succeeded => State::Succeeded,
            Event::Cancelled => State::Cancelled,
            _ => return,
        };
        if inner.tally.recent.len() < inner.most_recent {
            inner.tally.recent.push(recent(shared, attempted, state, wait_ms, ran_us));
        } else {
            inner.others += 1;
        }
    }

    /// Counts something that took no time.
    pub(crate) fn event(&self, queue: &str, task: &str, event: Event, n: u64) {
        self.lock().figures(queue, task).counts.add(event, n);
    }

    /// What is to be told, if it is time for that.
    fn take(&self) -> Option<Tally> {
        let mut inner = self.lock();
        let nothing = inner.tally.is_empty();
        if nothing && inner.since.elapsed() < IDLE_PERIOD {
            return None;
        }
        // Of an idle time nothing comes late.
        let over = if nothing { Duration::ZERO } else { inner.since.elapsed() };
        let mut tally = std::mem::take(&mut inner.tally);
        tally.over_ms = celeriac_broker_schema::time::millis(over);
        if let Some(last) = tally.recent.last_mut() {
            last.others = inner.others;
        }
        (inner.others, inner.since) = (0, Instant::now());
        Some(tally)
    }

    /// What could not be told is told with what comes next.
    fn put_back(&self, tally: Tally) {
        let mut inner = self.lock();
        for (queue, task, figures) in tally.pairs {
            inner.figures(&queue, &task).merge(&figures);
        }
        inner.since -= Duration::from_millis(tally.over_ms).min(Duration::from_secs(3600));
    }

    fn of_fleet(&self, leases: u64) {
        let leases = usize::try_from(leases).unwrap_or(usize::MAX).max(1);
        self.lock().most_recent = (MOST_RECENT_OF_FLEET / leases).clamp(1, MOST_RECENT);
    }
}

impl Inner {
    fn figures(&mut self, queue: &str, task: &str) -> &mut Figures {
        // An idle time before it makes nothing late.
        if self.tally.pairs.is_empty() {
            self.since = Instant::now();
        }
        self.tally.of(queue, task)
    }
}

fn recent(
    shared: &Shared,
    attempted: &Attempted<'_>,
    state: State,
    wait_ms: Option<u64>,
    run_us: u64,
) -> RecentTask {
    let Attempted { unit, task, started, .. } = attempted;
    RecentTask {
        id: unit.id(),
        state,
        task: (*task).to_owned(),
        queue: unit.place().0.to_owned(),
        worker: shared.lease_id(),
        attempt: unit.attempt(),
        started: *started,
        ended: shared.clock.now(),
        wait_ms,
        run_us,
        others: 0,
    }
}

/// Tells now and then what was counted, until it is dropped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut period = PERIOD;
    loop {
        sleep(period.mul_f64(0.75 + rand::random::<f64>() / 4.0)).await;
        if let Some(leases) = tell(&shared).await {
            let share =
                PERIOD / CALLS_PER_SECOND * u32::try_from(leases).unwrap_or(u32::MAX).min(10_000);
            period = share.clamp(PERIOD, LONGEST_PERIOD);
        }
    }
}

/// Tells what is left when a worker leaves.
pub(crate) async fn last_words(shared: &Shared) {
    // It is no loss that anybody depends on.
    let _ = timeout(LAST_WORDS, tell(shared)).await;
}

/// Returns how many leases there are, if anything was told.
async fn tell(shared: &Shared) -> Option<u64> {
    let tally = shared.counted.take()?;
    match shared.broker.tally(&tally).await {
        Ok(told) => {
            shared.counted.of_fleet(told.leases);
            return Some(told.leases);
        }
        Err(error) => {
            tracing::debug!(%error, "figures wait for Redis");
            if is_untold(&error) {
                shared.counted.put_back(tally);
            }
        }
    }
    None
}

/// Whether it is certain that nothing was added: what may have been is not told twice.
fn is_untold(error: &BrokerError) -> bool {
    error.is_temporary() && !error.may_have_happened()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(history: &str) -> Unit {
        let delivery = celeriac_broker_schema::script::Delivery {
            id: celeriac_broker_schema::TaskId::new(Timestamp(1_000)),
            record: Vec::new(),
            queue: "default".into(),
            priority: 5,
            history: history.to_owned(),
            input: None,
            checkpoint: None,
        };
        Unit {
            epoch: 1,
            cost: 1,
            work: crate::unit::Work::Task(Box::new(delivery)),
            input: None,
            data: Vec::new(),
        }
    }

    #[test]
    fn a_delay_is_no_wait() {
        assert_eq!(ready_at(&unit(""), None), Timestamp(1_000));
        assert_eq!(ready_at(&unit(""), Some(500)), Timestamp(1_500));
        let history = "2 0\n{\"attempt\":1,\"outcome\":\"failed\",\"worker\":\"w\",\"ended\":2000,\"retry_in_ms\":50}\n\
            {\"attempt\":2,\"outcome\":\"failed\",\"worker\":\"w\",\"ended\":3000,\"retry_in_ms\":70}";
        assert_eq!(ready_at(&unit(history), Some(500)), Timestamp(3_070));
    }

    #[test]
    fn what_could_not_be_told_is_told_later() {
        let counted = Counted::default();
        counted.event("q", "t", Event::Retried, 1);
        let tally = counted.take().expect("there is something to tell");
        counted.event("q", "t", Event::Retried, 2);
        counted.put_back(tally);

        let tally = counted.take().expect("there is something to tell");

        assert_eq!(tally.pairs.len(), 1);
        assert_eq!(tally.pairs[0].2.counts.of(Event::Retried), 3);
        assert_eq!(counted.take(), None);
    }
}
