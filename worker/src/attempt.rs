//! One attempt: what a slot runs, and how its result becomes an ending. The result is settled
//! once, by whoever is first: the task itself, or its time-out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use celeriac_broker_schema::job::deltas;
use celeriac_broker_schema::outcome::{attempts_of, counts_of};
use celeriac_broker_schema::retry::{Decision, Wish, decide};
use celeriac_broker_schema::script::Ending;
use celeriac_broker_schema::{
    Attempt, ErrorKind, Outcome, RetryPolicy, State, TaskFailure, Timestamp,
};
use serde_json::value::RawValue;

use crate::outbox::{Ended, How};
use crate::shared::Shared;
use crate::task::{CancelReason, Context, TaskError};
use crate::unit::{Order, Unit, Work};

/// An attempt under way.
pub(crate) struct Running {
    pub(crate) unit: Unit,
    pub(crate) ctx: Context,
    pub(crate) task: String,
    pub(crate) since: Timestamp,
    pub(crate) timeout: Option<Duration>,
    begun: Instant,
    retry: RetryPolicy,
    keep_ms: u64,
    settled: AtomicBool,
}

/// What an attempt came to, before it is told.
type Result = std::result::Result<Box<RawValue>, TaskError>;

impl Running {
    pub(crate) fn begin(shared: &Shared, unit: Unit, order: Terms) -> Arc<Self> {
        let ctx = Context::new(unit.context_parts());
        Arc::new(Self {
            ctx,
            task: order.task,
            since: shared.clock.now(),
            timeout: order.timeout_ms.map(Duration::from_millis),
            begun: Instant::now(),
            retry: order.retry,
            keep_ms: order.keep_ms,
            settled: AtomicBool::new(false),
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
        if let Some(limit) = self.timeout
            && !self.settled.swap(true, Ordering::AcqRel)
        {
            self.ctx.cancel(CancelReason::Timeout);
            let how = self.settle(shared, Err(TaskError::timeout(limit)));
            self.tell(shared, how, false);
        }
    }

    /// Hands the attempt back although it goes on: it did not stop when the worker left. None if
    /// it has ended meanwhile.
    pub(crate) fn give_up(&self) -> Option<How> {
        let first = !self.settled.swap(true, Ordering::AcqRel);
        first.then(|| How::Told(self.unit.id(), Box::new(release(&self.unit))))
    }

    fn tell(&self, shared: &Shared, how: How, frees: bool) {
        let ended = Ended {
            epoch: self.unit.epoch,
            how,
            took: self.begun.elapsed(),
            frees,
            suspect: self.unit.is_suspect(),
        };
        shared.outbox.push(ended, shared.lanes.buffered() == 0);
    }

    fn settle(&self, shared: &Shared, result: Result) -> How {
        // An attempt that was told to stop because the worker stops, its job is over or its lease is
        // lost, was interrupted and did not fail.
        if result.is_err()
            && matches!(
                self.ctx.cancel_reason(),
                Some(CancelReason::Stopping | CancelReason::Requested | CancelReason::LeaseLost)
            )
        {
            return How::Told(self.unit.id(), Box::new(release(&self.unit)));
        }
        let accumulated = result.and_then(|json| match &self.unit.work {
            Work::Chunk { run, .. } => match deltas(&run.job.accumulate, &json) {
                Ok(deltas) => Ok((json, deltas)),
                Err(reason) => Err(TaskError::bad_accumulator(&self.task, reason)),
            },
            Work::Task(_) => Ok((json, Vec::new())),
        });
        match accumulated {
            Ok((json, deltas)) => {
                shared.totals.succeeded.fetch_add(1, Ordering::Relaxed);
                self.succeed(shared, json, deltas)
            }
            Err(error) => {
                let (failure, wish) = error.into_failure();
                if !matches!(wish, Wish::Snooze(_)) {
                    shared.totals.failed.fetch_add(1, Ordering::Relaxed);
                }
                let terms = Failed {
                    failure,
                    wish,
                    retry: self.retry.clone(),
                    keep_ms: self.keep_ms,
                    since: Some(self.since),
                };
                How::Told(self.unit.id(), Box::new(terms.ending(shared, &self.unit)))
            }
        }
    }

    fn succeed(
        &self,
        shared: &Shared,
        json: Box<RawValue>,
        deltas: Vec<celeriac_broker_schema::Delta>,
    ) -> How {
        match &self.unit.work {
            Work::Chunk { run, index } => {
                How::Chunk(Work::Chunk { run: Arc::clone(run), index: *index }, deltas)
            }
            Work::Task(delivery) => {
                let outcome = if self.keep_ms == 0 {
                    String::new()
                } else {
                    encode(&Outcome {
                        v: 1,
                        state: State::Succeeded,
                        result: Some(json),
                        error: None,
                        failed_task: None,
                        attempt: Some(self.ctx.attempt()),
                        worker: Some(shared.lease_id()),
                        started: Some(self.since),
                        ended: shared.clock.now(),
                        attempts: attempts_of(&delivery.history),
                    })
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
    keep_ms: u64,
}

impl Terms {
    pub(crate) fn of(order: &Order<'_>) -> Self {
        Self {
            task: order.task.clone().into_owned(),
            retry: order.retry.clone(),
            timeout_ms: order.timeout_ms,
            keep_ms: order.keep_ms,
        }
    }
}

/// Hands a unit back as if it had not been delivered.
pub(crate) fn release(unit: &Unit) -> Ending {
    match &unit.work {
        Work::Task(delivery) => Ending::Released { id: delivery.id },
        Work::Chunk { run, index } => {
            Ending::ChunksReleased { run: run.run.field.clone(), lo: *index, hi: index + 1 }
        }
    }
}

/// A unit that could not even begin: unknown task, unreadable record or arguments.
pub(crate) fn refuse(
    shared: &Shared,
    unit: &Unit,
    failure: TaskFailure,
    terms: Option<&Terms>,
) -> Ended {
    shared.totals.failed.fetch_add(1, Ordering::Relaxed);
    // An unknown name may be known to another worker, in a rolling upgrade for instance; the
    // others stay wrong.
    let wish = if failure.kind == ErrorKind::UnknownTask { Wish::Retry } else { Wish::Fatal };
    let terms = Failed {
        failure,
        wish,
        retry: terms.map(|terms| terms.retry.clone()).unwrap_or_default(),
        keep_ms: terms
            .map_or(celeriac_broker_schema::limits::DEFAULT_KEEP_MS, |terms| terms.keep_ms),
        since: None,
    };
    let ending = terms.ending(shared, unit);
    Ended::before_it_began(unit, ending)
}

/// A failed attempt, and what has to be known to decide about it.
struct Failed {
    failure: TaskFailure,
    wish: Wish,
    retry: RetryPolicy,
    keep_ms: u64,
    since: Option<Timestamp>,
}

impl Failed {
    fn ending(self, shared: &Shared, unit: &Unit) -> Ending {
        let (failures, _) = counts_of(unit.history());
        let decision = decide(&self.retry, failures, self.wish, rand::random());
        let retry_in_ms = match decision {
            Decision::Snooze { delay_ms } => return snooze(unit, delay_ms),
            Decision::Retry { delay_ms } => Some(delay_ms),
            Decision::Fail => None,
        };
        let attempt = Attempt {
            attempt: unit.attempt(),
            outcome: "failed".into(),
            worker: shared.lease_id(),
            host: None,
            claimed: None,
            started: self.since,
            ended: shared.clock.now(),
            error: Some(self.failure.clone()),
            retry_in_ms,
        };
        match retry_in_ms {
            Some(delay_ms) => retry(unit, delay_ms, encode(&attempt)),
            None => self.fail(unit, attempt),
        }
    }

    fn fail(self, unit: &Unit, attempt: Attempt) -> Ending {
        let line = encode(&attempt);
        let failure = encode(&self.failure);
        let mut attempts = attempts_of(unit.history());
        let outcome = Outcome {
            v: 1,
            state: State::Failed,
            result: None,
            error: Some(self.failure),
            failed_task: None,
            attempt: Some(attempt.attempt),
            worker: Some(attempt.worker.clone()),
            started: attempt.started,
            ended: attempt.ended,
            attempts: {
                attempts.push(attempt);
                attempts
            },
        };
        let outcome = encode(&outcome);
        match &unit.work {
            Work::Task(delivery) => {
                Ending::Failed { id: delivery.id, outcome, keep_ms: self.keep_ms, failure }
            }
            Work::Chunk { run, index } => Ending::ChunkFailed {
                run: run.run.field.clone(),
                index: *index,
                outcome,
                attempt: line,
                failure,
            },
        }
    }
}

fn snooze(unit: &Unit, delay_ms: u64) -> Ending {
    match &unit.work {
        Work::Task(delivery) => Ending::Snoozed { id: delivery.id, delay_ms },
        Work::Chunk { run, index } => {
            Ending::ChunkSnoozed { run: run.run.field.clone(), index: *index, delay_ms }
        }
    }
}

fn retry(unit: &Unit, delay_ms: u64, attempt: String) -> Ending {
    match &unit.work {
        Work::Task(delivery) => Ending::Retry { id: delivery.id, delay_ms, attempt },
        Work::Chunk { run, index } => {
            Ending::ChunkRetry { run: run.run.field.clone(), index: *index, delay_ms, attempt }
        }
    }
}

fn encode(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("our own types are always JSON")
}
