//! One attempt: what a slot runs, and how its result becomes an ending. The result is settled
//! once, by whoever is first: the task itself, or its time-out.

mod failed;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use celeriac_broker_schema::job::deltas;
use celeriac_broker_schema::outcome::attempts_of;
use celeriac_broker_schema::retry::Wish;
use celeriac_broker_schema::script::{Ending, Spawned};
use celeriac_broker_schema::workflow::MemberTerms;
use celeriac_broker_schema::{
    Accumulate, Delta, Meta, Outcome, QueueName, Requester, RetryPolicy, State, Tenant, Timestamp,
};
use celeriac_producer::workflow::Spawn;
use serde_json::value::RawValue;

use crate::events::Event;
use crate::figures::{Attempted, event_of, ready_at};
use crate::outbox::{Ended, How};
use crate::shared::Shared;
use crate::task::{CancelReason, Context, ContextParts, Post, TaskError};
use crate::unit::{Order, Unit, Work};
use failed::Failed;
pub(crate) use failed::{refuse, release};

/// An attempt under way.
pub(crate) struct Running {
    pub(crate) unit: Unit,
    pub(crate) ctx: Context,
    pub(crate) task: String,
    pub(crate) since: Timestamp,
    pub(crate) timeout: Option<Duration>,
    pub(crate) soft_timeout: Option<Duration>,
    pub(crate) begun: Instant,
    /// How long after its enqueue it might begin.
    delay_ms: Option<u64>,
    /// Whether it has a thread of its own.
    computes: bool,
    retry: RetryPolicy,
    keep_ms: u64,
    keep_failed_ms: u64,
    member: Option<MemberTerms>,
    settled: AtomicBool,
    /// When it was told that somebody cancelled it.
    asked: OnceLock<Instant>,
    /// Since when it goes on although it is settled (Redis time); 0 if it does not.
    wedged: AtomicU64,
}

/// How much later than its grace ends a task that awaits is taken for one that blocks its thread:
/// otherwise its slot ends it.
const BLOCKED: Duration = Duration::from_secs(1);

/// What an attempt came to, before it is told.
type Result = std::result::Result<Box<RawValue>, TaskError>;

impl Running {
    pub(crate) fn begin(shared: &Shared, unit: Unit, order: Terms, computes: bool) -> Arc<Self> {
        let post = Post::new(unit.restored(), Some(Arc::clone(&shared.post_bell)));
        shared.events.tell(|| Event::Started {
            id: unit.id(),
            task: order.task.clone(),
            attempt: unit.attempt(),
        });
        let (queue, tenant, meta) = (order.queue, order.tenant, order.meta);
        let parts = ContextParts { queue, tenant, meta, ..unit.context_parts() };
        let ctx = Context::with_post(parts, post);
        Arc::new(Self {
            ctx,
            task: order.task,
            since: shared.clock.now(),
            timeout: order.timeout_ms.map(Duration::from_millis),
            soft_timeout: order.soft_timeout_ms.map(Duration::from_millis),
            begun: Instant::now(),
            delay_ms: order.delay_ms,
            computes,
            retry: order.retry,
            keep_ms: order.keep_ms,
            keep_failed_ms: order.keep_failed_ms,
            member: order.member,
            settled: AtomicBool::new(false),
            asked: OnceLock::new(),
            wedged: AtomicU64::new(0),
            unit,
        })
    }

    /// Tells how the attempt ended and frees its slot.
    pub(crate) fn end(&self, shared: &Shared, result: Result) {
        let how = if self.settled.swap(true, Ordering::AcqRel) {
            How::Silent
        } else {
            self.settle(shared, result)
        };
        self.tell(shared, how, true);
    }

    /// Ends the attempt while its thread goes on: it did not stop when its time was over. The slot
    /// stays taken until it does.
    pub(crate) fn end_overdue(&self, shared: &Shared) {
        if let Some(limit) = self.timeout {
            self.end_as_it_goes_on(shared, CancelReason::Timeout, TaskError::timeout(limit));
        }
    }

    /// Ends the attempt while it goes on: it was cancelled, and did not stop in time.
    pub(crate) fn end_unheeded(&self, shared: &Shared) {
        self.end_as_it_goes_on(shared, CancelReason::Requested, TaskError::cancelled());
    }

    fn end_as_it_goes_on(&self, shared: &Shared, reason: CancelReason, error: TaskError) {
        if !self.settled.swap(true, Ordering::AcqRel) {
            self.ctx.cancel(reason);
            self.wedged.store(shared.clock.now().0, Ordering::Relaxed);
            let how = self.settle(shared, Err(error));
            self.tell(shared, how, false);
        }
    }

    /// Asks it to stop because somebody cancelled it or its job.
    pub(crate) fn ask(&self, requester: Requester) {
        let _ = self.asked.set(Instant::now());
        self.ctx.cancel_for(requester);
    }

    /// When it must have stopped, if it was asked to and has not.
    pub(crate) fn must_stop_by(&self, grace: Duration) -> Option<Instant> {
        let asked = self.asked.get().filter(|_| !self.settled.load(Ordering::Acquire))?;
        Some(*asked + grace + if self.computes { Duration::ZERO } else { BLOCKED })
    }

    /// Since when it goes on although it is settled.
    pub(crate) fn wedged(&self) -> Option<Timestamp> {
        Some(Timestamp(self.wedged.load(Ordering::Relaxed))).filter(|since| since.0 > 0)
    }

    /// Hands the attempt back although it goes on: it did not stop when the worker left. None if
    /// it has ended meanwhile.
    pub(crate) fn give_up(&self, shared: &Shared) -> Option<How> {
        let first = !self.settled.swap(true, Ordering::AcqRel);
        first.then(|| self.release(shared))
    }

    /// The newest state, if it has not been saved and an attempt may come that goes on from it. To be
    /// told before the ending.
    pub(crate) fn last_state(&self, how: &How) -> Option<Ended> {
        let state = self.ctx.post().close()?;
        let goes_on = |ending: &Ending| {
            matches!(
                ending,
                Ending::Retry { .. }
                    | Ending::Released { .. }
                    | Ending::ChunkRetry { .. }
                    | Ending::ChunksReleased { .. }
            )
        };
        match how {
            How::Told(id, ending) if goes_on(ending) => {
                let checkpoint = Box::new(Ending::Checkpoint(self.unit.checkpoint(&state)));
                Some(Ended::besides(self.unit.epoch, How::Told(*id, checkpoint)))
            }
            _ => None,
        }
    }

    fn release(&self, shared: &Shared) -> How {
        let (id, reason) = (self.unit.id(), self.ctx.cancel_reason());
        shared.events.tell(|| Event::Released { id, attempt: self.ctx.attempt(), reason });
        How::Told(id, Box::new(release(&self.unit, true)))
    }

    fn tell(&self, shared: &Shared, how: How, frees: bool) {
        if !matches!(how, How::Silent)
            && let Some(state) = self.last_state(&how)
        {
            shared.outbox.push(state, false);
        }
        let took = self.begun.elapsed();
        self.count(shared, &how, took);
        let ended = Ended {
            epoch: self.unit.epoch,
            how,
            took,
            frees: if frees { self.unit.cost } else { 0 },
            suspect: self.unit.is_suspect(),
        };
        shared.outbox.push(ended, shared.lanes.buffered() == 0);
    }

    fn count(&self, shared: &Shared, how: &How, ran: Duration) {
        let attempted = Attempted {
            unit: &self.unit,
            task: &self.task,
            event: event_of(how),
            // Members of a workflow wait for others; since when they might begin is not known here.
            ready: (self.member.is_none()).then(|| ready_at(&self.unit, self.delay_ms)),
            started: self.since,
            ran,
        };
        shared.counted.attempt(shared, &attempted);
    }

    fn settle(&self, shared: &Shared, result: Result) -> How {
        // An attempt that was told to stop because somebody cancelled it, or the worker stops, or its
        // lease is lost, was interrupted and did not fail.
        if result.is_err() {
            match self.ctx.cancel_reason() {
                Some(CancelReason::Requested) => {
                    shared.events.tell(|| self.told_cancelled());
                    return How::Told(self.unit.id(), Box::new(self.cancelled(shared)));
                }
                Some(CancelReason::Stopping | CancelReason::LeaseLost) => {
                    return self.release(shared);
                }
                _ => {}
            }
        }
        let accumulated = result.and_then(|json| match &self.unit.work {
            Work::Chunk { run, .. } if run.is_member() && !self.accumulates() => {
                Ok((json, Vec::new()))
            }
            Work::Chunk { run, .. } => match deltas(&self.accumulators(&run.job.accumulate), &json)
            {
                Ok(deltas) => Ok((json, deltas)),
                Err(reason) => Err(TaskError::bad_accumulator(&self.task, reason)),
            },
            Work::Task(_) => Ok((json, Vec::new())),
        });
        let accumulated = accumulated.and_then(|(json, deltas)| {
            let spawn = self.spawned()?;
            Ok((json, deltas, spawn))
        });
        match accumulated {
            Ok((json, deltas, spawn)) => {
                shared.totals.succeeded.fetch_add(1, Ordering::Relaxed);
                shared.events.tell(|| Event::Succeeded {
                    id: self.unit.id(),
                    task: self.task.clone(),
                    attempt: self.ctx.attempt(),
                    took: self.begun.elapsed(),
                });
                match spawn {
                    Some(spawn) => self.succeed_and_spawn(&json, deltas, spawn),
                    None => self.succeed(shared, json, deltas),
                }
            }
            Err(error) => {
                let (failure, wish) = error.into_failure();
                if !matches!(wish, Wish::Snooze(_)) {
                    shared.totals.failed.fetch_add(1, Ordering::Relaxed);
                }
                let terms = Failed {
                    task: Some(self.task.clone()),
                    failure,
                    wish,
                    retry: self.retry.clone(),
                    keep_ms: self.keep_failed_ms,
                    since: Some(self.since),
                };
                How::Told(self.unit.id(), Box::new(terms.ending(shared, &self.unit)))
            }
        }
    }

    /// What it adds to its job.
    fn spawned(&self) -> std::result::Result<Option<Spawn>, TaskError> {
        let Some(spawns) = self.ctx.take_spawns() else { return Ok(None) };
        let no = |reason: String| Err(TaskError::bad_spawn(&self.task, reason));
        match &self.unit.work {
            Work::Chunk { run, .. } if run.is_member() => {
                let member = self.member.clone().unwrap_or_default();
                spawns.into_spawn(&member).map(Some).or_else(|error| no(error.to_string()))
            }
            _ => no("it is not part of a workflow: enqueue it as one".to_owned()),
        }
    }

    fn succeed_and_spawn(&self, json: &RawValue, deltas: Vec<Delta>, spawn: Spawn) -> How {
        let Work::Chunk { run, index } = &self.unit.work else { return How::Silent };
        let keeps = self.member.as_ref().is_some_and(|member| member.keep);
        let result = (keeps && spawn.instead.is_none()).then(|| json.get().to_owned());
        let depth = self.member.as_ref().map_or(0, |member| member.depth) + 1;
        let Spawn { edits, ends, joined, instead } = spawn;
        let spawn = Box::new(Spawned { depth, ends, joined, instead, edits });
        let (field, index) = (run.run.field.clone(), *index);
        let ending = Ending::MemberSpawned { run: field, index, result, deltas, spawn };
        How::Spawned(Arc::clone(run), Box::new(ending))
    }

    /// Those of the accumulators of the job that are its own.
    fn accumulators<'a>(
        &self,
        all: &'a BTreeMap<String, Accumulate>,
    ) -> Cow<'a, BTreeMap<String, Accumulate>> {
        match self.member.as_ref().map(|member| &member.only).filter(|only| !only.is_empty()) {
            Some(only) => {
                let own = all.iter().filter(|(name, _)| only.contains(name));
                Cow::Owned(own.map(|(name, how)| (name.clone(), *how)).collect())
            }
            None => Cow::Borrowed(all),
        }
    }

    fn accumulates(&self) -> bool {
        self.member.as_ref().is_some_and(|member| member.accumulates)
    }

    fn told_cancelled(&self) -> Event {
        Event::Cancelled {
            id: self.unit.id(),
            attempt: self.ctx.attempt(),
            requester: self.ctx.cancelled_by().cloned().unwrap_or_default(),
        }
    }

    /// What a cancelled attempt comes to. A chunk goes back, and nobody takes it: its job is over.
    fn cancelled(&self, shared: &Shared) -> Ending {
        let Work::Task(delivery) = &self.unit.work else {
            return release(&self.unit, true);
        };
        let Requester { by, why } = self.ctx.cancelled_by().cloned().unwrap_or_default();
        let outcome = encode(&Outcome {
            v: 1,
            state: State::Cancelled,
            task: Some(self.task.clone()),
            queue: self.unit.queue(),
            result: None,
            members: None,
            error: None,
            failed_task: None,
            attempt: Some(self.ctx.attempt()),
            worker: Some(shared.lease_id()),
            started: Some(self.since),
            ended: shared.clock.now(),
            by,
            why,
            attempts: attempts_of(&delivery.history),
        });
        Ending::Cancelled { id: delivery.id, outcome, keep_ms: self.keep_ms }
    }

    fn succeed(&self, shared: &Shared, json: Box<RawValue>, deltas: Vec<Delta>) -> How {
        match &self.unit.work {
            Work::Chunk { run, index } => {
                let keeps = self.member.as_ref().is_some_and(|member| member.keep);
                How::Chunk(Arc::clone(run), *index, deltas, keeps.then_some(json))
            }
            Work::Task(delivery) => {
                let outcome = if self.keep_ms == 0 {
                    String::new()
                } else {
                    Outcome {
                        v: 1,
                        state: State::Succeeded,
                        task: Some(self.task.clone()),
                        queue: self.unit.queue(),
                        result: Some(json),
                        members: None,
                        error: None,
                        failed_task: None,
                        attempt: Some(self.ctx.attempt()),
                        worker: Some(shared.lease_id()),
                        started: Some(self.since),
                        ended: shared.clock.now(),
                        by: None,
                        why: None,
                        attempts: attempts_of(&delivery.history),
                    }
                    .encode()
                };
                How::Told(
                    delivery.id,
                    Box::new(Ending::Succeeded { id: delivery.id, outcome, keep_ms: self.keep_ms }),
                )
            }
        }
    }
}

/// The terms of an attempt, taken out of its order: what is needed after it has begun.
pub(crate) struct Terms {
    task: String,
    retry: RetryPolicy,
    timeout_ms: Option<u64>,
    soft_timeout_ms: Option<u64>,
    keep_ms: u64,
    delay_ms: Option<u64>,
    queue: QueueName,
    tenant: Option<Tenant>,
    meta: Option<Arc<Meta>>,
    keep_failed_ms: u64,
    member: Option<MemberTerms>,
}

impl Terms {
    pub(crate) fn of(order: &Order<'_>) -> Self {
        Self {
            task: order.task.clone().into_owned(),
            retry: order.retry.clone(),
            timeout_ms: order.timeout_ms,
            soft_timeout_ms: order.soft_timeout_ms,
            keep_ms: order.keep_ms,
            delay_ms: order.delay_ms,
            queue: order.queue.clone(),
            tenant: order.tenant.clone(),
            meta: order.meta.clone(),
            keep_failed_ms: order.keep_failed_ms,
            member: order.member.clone(),
        }
    }
}

fn encode(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("our own types are always JSON")
}
