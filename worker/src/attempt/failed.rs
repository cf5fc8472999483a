//! How attempts end that did not succeed: what is decided about them, and what is told.

use std::sync::atomic::Ordering;
use std::time::Duration;

use celeriac_broker_schema::outcome::{attempts_of, counts_of};
use celeriac_broker_schema::retry::{Decision, Wish, decide};
use celeriac_broker_schema::script::Ending;
use celeriac_broker_schema::{
    Attempt, ErrorKind, Outcome, RetryPolicy, State, TaskFailure, Timestamp,
};

use super::{Terms, encode};
use crate::events::Event;
use crate::figures::event_of;
use crate::outbox::Ended;
use crate::shared::Shared;
use crate::unit::{Unit, Work};

/// Hands a unit back as if it had not been delivered. `begun`: it has run.
pub(crate) fn release(unit: &Unit, begun: bool) -> Ending {
    match &unit.work {
        Work::Task(delivery) => Ending::Released { id: delivery.id, begun },
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
    // An unknown name may be known to another worker, in a rolling upgrade for instance, and
    // another one may have more slots; the others stay wrong.
    let elsewhere = matches!(failure.kind, ErrorKind::UnknownTask | ErrorKind::BadOptions);
    let wish = if elsewhere { Wish::Retry } else { Wish::Fatal };
    let terms = Failed {
        task: terms.map(|terms| terms.task.clone()),
        failure,
        wish,
        retry: terms.map(|terms| terms.retry.clone()).unwrap_or_default(),
        keep_ms: terms
            .map_or(celeriac_broker_schema::limits::DEFAULT_KEEP_MS, |terms| terms.keep_failed_ms),
        since: None,
    };
    let name = terms.task.clone();
    let ending = terms.ending(shared, unit);
    let ended = Ended::before_it_began(unit, ending);
    if let (Some(task), Some(event)) = (name, event_of(&ended.how)) {
        shared.counted.event(unit.place().0, &task, event, 1);
    }
    ended
}

/// A failed attempt, and what has to be known to decide about it.
pub(super) struct Failed {
    /// None if its record cannot be read.
    pub(super) task: Option<String>,
    pub(super) failure: TaskFailure,
    pub(super) wish: Wish,
    pub(super) retry: RetryPolicy,
    pub(super) keep_ms: u64,
    pub(super) since: Option<Timestamp>,
}

impl Failed {
    pub(super) fn ending(self, shared: &Shared, unit: &Unit) -> Ending {
        let (failures, _) = counts_of(unit.history());
        let decision = decide(&self.retry, failures, self.wish, rand::random());
        shared.events.tell(|| self.told(unit, &decision));
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
            by: None,
            why: None,
        };
        match retry_in_ms {
            Some(delay_ms) => retry(unit, delay_ms, encode(&attempt)),
            None => self.fail(unit, attempt),
        }
    }

    fn told(&self, unit: &Unit, decision: &Decision) -> Event {
        let (id, attempt, failure) = (unit.id(), unit.attempt(), self.failure.clone());
        match *decision {
            Decision::Retry { delay_ms } => {
                Event::Retried { id, attempt, failure, after: Duration::from_millis(delay_ms) }
            }
            Decision::Snooze { delay_ms } => {
                Event::Snoozed { id, attempt, after: Duration::from_millis(delay_ms) }
            }
            Decision::Fail => Event::Failed { id, attempt, failure },
        }
    }

    fn fail(self, unit: &Unit, attempt: Attempt) -> Ending {
        let line = encode(&attempt);
        let failure = encode(&self.failure);
        let mut attempts = attempts_of(unit.history());
        let outcome = Outcome {
            v: 1,
            state: State::Failed,
            task: self.task,
            queue: unit.queue(),
            result: None,
            members: None,
            error: Some(self.failure),
            failed_task: None,
            attempt: Some(attempt.attempt),
            worker: Some(attempt.worker.clone()),
            started: attempt.started,
            ended: attempt.ended,
            by: None,
            why: None,
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
