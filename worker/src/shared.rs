//! What the loops of a worker share: the lanes in, the outbox out, what runs in between.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use celeriac_broker_schema::{Broker, JobId, LeaseId, Requester, TaskId};
use tokio::sync::Notify;

use crate::attempt::{Running, release};
use crate::changes::Changes;
use crate::clock::RedisClock;
use crate::config::WorkerConfig;
use crate::events::{Event, Teller};
use crate::figures::Counted;
use crate::lanes::Lanes;
use crate::outbox::{Ended, Outbox};
use crate::scheduler::ScheduleNews;
use crate::served::Served;
use crate::shutdown::Shutdown;
use crate::task::{CancelReason, Tasks};
use crate::unit::Epoch;
use crate::unwanted::Unwanted;

pub(crate) struct Shared {
    pub(crate) broker: Broker,
    pub(crate) tasks: Tasks,
    pub(crate) config: WorkerConfig,
    pub(crate) clock: RedisClock,
    pub(crate) lanes: Lanes,
    pub(crate) outbox: Outbox,
    pub(crate) totals: Totals,
    /// What is told of it about once a second.
    pub(crate) counted: Counted,
    pub(crate) shutdown: Shutdown,
    pub(crate) events: Teller,
    pub(crate) schedules: ScheduleNews,
    lease: Mutex<(LeaseId, Epoch)>,
    /// Rung when the lease changes or is found lost.
    pub(crate) lease_news: Notify,
    /// Rung when an attempt leaves something for the courier.
    pub(crate) post_bell: Arc<Notify>,
    /// Whether jobs may be open whose chunks may be started twice.
    pub(crate) speculates: AtomicBool,
    /// Calls of the exchange that were answered.
    calls: AtomicU64,
    /// The newest epoch whose lease is known to be lost.
    lost: AtomicU64,
    /// What it holds and nobody wants any more.
    pub(crate) unwanted: Unwanted,
    /// What it was told to do differently from how it was started.
    pub(crate) changes: Changes,
    /// Whether the exchange asks for nothing more: the worker is full, paused, leaves, or has something
    /// that nothing is to be put beside.
    asks_for_nothing: AtomicBool,
    /// What each slot runs, of those that await and of those that compute.
    slots: RwLock<Vec<Slot>>,
}

/// A place where an attempt runs. Clones are the same place.
pub(crate) type Slot = Arc<Mutex<Option<Arc<Running>>>>;

/// Counts since the worker began.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) succeeded: AtomicU64,
    pub(crate) failed: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        broker: Broker,
        tasks: Tasks,
        config: WorkerConfig,
        served: Arc<Served>,
        clock: RedisClock,
        lease: LeaseId,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            broker,
            tasks,
            lanes: Lanes::new(config.concurrency, Arc::clone(&served)),
            changes: Changes::new(&config, served),
            config,
            clock,
            outbox: Outbox::default(),
            totals: Totals::default(),
            counted: Counted::default(),
            shutdown,
            events: Teller::default(),
            schedules: ScheduleNews::default(),
            lease: Mutex::new((lease, 1)),
            lease_news: Notify::new(),
            post_bell: Arc::new(Notify::new()),
            speculates: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            unwanted: Unwanted::default(),
            asks_for_nothing: AtomicBool::new(false),
            slots: RwLock::default(),
        }
    }

    pub(crate) fn lease(&self) -> (LeaseId, Epoch) {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn lease_id(&self) -> String {
        self.lease().0.as_str().to_owned()
    }

    /// The process goes on under another lease.
    pub(crate) fn set_lease(&self, lease: LeaseId) -> Epoch {
        let mut current = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        *current = (lease, current.1 + 1);
        current.1
    }

    /// The queues it serves, and how.
    pub(crate) fn served(&self) -> Arc<Served> {
        self.changes.served()
    }

    /// Whether it may be long before the exchange calls again: what others left is then looked after
    /// by calls of their own.
    pub(crate) fn asks_for_nothing(&self) -> bool {
        self.asks_for_nothing.load(Ordering::Relaxed)
    }

    pub(crate) fn tell_asks(&self, asks: bool) {
        self.asks_for_nothing.store(!asks, Ordering::Relaxed);
    }

    /// How many calls of the exchange were answered.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn count_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a lease is lost: what runs under it is to stop, and nothing of it will be taken.
    pub(crate) fn lease_lost(&self, epoch: Epoch) {
        let before = self.lost.fetch_max(u64::from(epoch), Ordering::AcqRel);
        if before < u64::from(epoch) {
            tracing::warn!("the lease was lost: its tasks are given to other workers");
            self.events.tell(|| Event::LeaseLost { lease: self.lease().0 });
            self.cancel(CancelReason::LeaseLost, |running| running.unit.epoch <= epoch);
            self.lease_news.notify_one();
        }
    }

    pub(crate) fn is_lost(&self, epoch: Epoch) -> bool {
        self.lost.load(Ordering::Acquire) >= u64::from(epoch)
    }

    /// Hears what nobody wants any more of all that is held: what of it runs is asked to stop, and
    /// the rest will not begin.
    pub(crate) fn hear_unwanted(&self, tasks: Vec<(TaskId, Requester)>, jobs: Vec<JobId>) {
        let over = jobs.clone();
        if !self.unwanted.set(tasks, jobs) {
            return;
        }
        for unit in over.into_iter().flat_map(|job| self.lanes.take_job(job)) {
            self.outbox.push(Ended::before_it_began(&unit, release(&unit, false)), true);
        }
        for running in self.running() {
            if let Some(requester) = self.unwanted.of(&running.unit) {
                running.ask(requester);
            }
        }
    }

    /// Ends the attempts that were cancelled and did not stop in time; their slots stay taken. Returns
    /// when to look again.
    pub(crate) fn end_unheeded(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut next = None;
        for running in self.running() {
            match running.must_stop_by(self.config.cancel_grace) {
                Some(by) if by <= now => running.end_unheeded(self),
                Some(by) => next = Some(next.map_or(by, |next: Instant| next.min(by))),
                None => {}
            }
        }
        next
    }

    /// Whether an attempt is not even to begin; asked when its slot is entered, so that whoever looks
    /// through the slots finds it there. It is told why.
    pub(crate) fn must_not_begin(&self, running: &Running) -> bool {
        if self.is_lost(running.unit.epoch) {
            running.ctx.cancel(CancelReason::LeaseLost);
            return true;
        }
        match self.unwanted.of(&running.unit) {
            Some(requester) => {
                running.ask(requester);
                true
            }
            None => false,
        }
    }

    pub(crate) fn cancel(&self, reason: CancelReason, which: impl Fn(&Running) -> bool) {
        for running in self.running().iter().filter(|running| which(running)) {
            running.ctx.cancel(reason);
        }
    }

    /// All attempts under way.
    pub(crate) fn running(&self) -> Vec<Arc<Running>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots
            .iter()
            .filter_map(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }

    /// A slot that was not there before.
    pub(crate) fn new_slot(&self) -> Slot {
        let slot = Slot::default();
        self.slots.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&slot));
        slot
    }
}

/// Notes what a slot runs now.
pub(crate) fn enter(slot: &Slot, running: Option<Arc<Running>>) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = running;
}

#[cfg(test)]
mod tests {
    use celeriac_broker_schema::script::{Delivery, Ending, Run, RunField};
    use celeriac_broker_schema::{RedisConfig, TaskId, Timestamp};

    use super::*;
    use crate::outbox::How;
    use crate::task::Registry;
    use crate::unit::{ChunkRun, JobPlan, Unit, Work};

    fn shared() -> Shared {
        // Nothing here speaks to it.
        let broker = Broker::new(RedisConfig::new("redis://127.0.0.1:1")).expect("a URL");
        let clock = RedisClock::new(Timestamp(1));
        let tasks = Registry::new(()).build();
        let config = WorkerConfig::default();
        let served = Arc::new(Served::new(&config).expect("valid"));
        Shared::new(broker, tasks, config, served, clock, LeaseId::new(), Shutdown::new())
    }

    fn run(job: JobId) -> ChunkRun {
        let spec = r#"{"v":1,"chunk":{"v":1,"task":"t","args":null},"chunks":4}"#;
        let plan = JobPlan::read(spec).expect("a description");
        let run = Run {
            field: RunField::of(job, 0, 4),
            job,
            lo: 0,
            hi: 4,
            attempt: 1,
            queue: "default".into(),
            priority: 5,
            spec: spec.into(),
            history: String::new(),
            checkpoints: Vec::new(),
            records: Vec::new(),
        };
        ChunkRun { run, job: Arc::new(plan) }
    }

    /// A task that is no chunk, and chunks of both jobs.
    fn buffer(shared: &Shared, jobs: [JobId; 2]) {
        let task = Delivery {
            id: TaskId::new(Timestamp(1)),
            record: Vec::new(),
            queue: "default".into(),
            priority: 5,
            history: String::new(),
            input: None,
            checkpoint: None,
        };
        let unit = |work| Unit { epoch: 1, cost: 1, work, input: None, data: Vec::new() };
        let chunk = |job, index| unit(Work::Chunk { run: Arc::new(run(job)), index });
        let [over, other] = jobs;
        shared.lanes.push_to_await(vec![
            chunk(over, 0),
            unit(Work::Task(Box::new(task))),
            chunk(other, 0),
            chunk(over, 1),
        ]);
        shared.lanes.push_to_compute(vec![chunk(over, 2), chunk(other, 1), chunk(over, 3)]);
    }

    #[test]
    fn chunks_of_a_job_that_is_over_are_not_begun() {
        let shared = shared();
        let jobs = [TaskId::new(Timestamp(1)).job(), TaskId::new(Timestamp(1)).job()];
        buffer(&shared, jobs);

        shared.hear_unwanted(Vec::new(), vec![jobs[0]]);

        assert_eq!(shared.lanes.jobs(), [jobs[1]].into());
        assert_eq!((shared.lanes.buffered(), shared.outbox.len()), (3, 4));
        let given_up: Vec<u64> = shared.outbox.take().iter().map(index_of).collect();
        assert_eq!(given_up, [3, 2, 1, 0], "neighbours follow each other and are told as one");
    }

    fn index_of(ended: &Ended) -> u64 {
        assert_eq!(ended.frees, 1);
        match &ended.how {
            How::Told(_, ending) => match &**ending {
                Ending::ChunksReleased { lo, .. } => *lo,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
}
