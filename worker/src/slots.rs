//! The slots: where attempts run. Tasks that await run on tokio, tasks that compute on threads of
//! their own. Panics, time-outs and everything else that goes wrong are endings of one task.

mod inputs;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use celeriac_broker_schema::{ErrorKind, TaskFailure};
use futures_util::FutureExt;
use serde_json::value::RawValue;

use crate::attempt::{Running, Terms, refuse};
use crate::outbox::Ended;
use crate::panics;
use crate::shared::{Shared, Slot, enter};
use crate::task::{CancelReason, ErasedTask, RunResult, TaskError, TaskFuture};
use crate::unit::Unit;

/// How long a task that awaits may go on after it was told to stop, before it is dropped.
const GRACE: Duration = Duration::from_millis(500);

/// Runs units that await, one after the other, until it is dropped.
pub(crate) async fn awaiting_slot(shared: Arc<Shared>) {
    let slot = shared.new_slot();
    loop {
        let (unit, _permit) = shared.lanes.next_to_await().await;
        run_awaiting(&shared, &slot, unit).await;
    }
}

async fn run_awaiting(shared: &Arc<Shared>, slot: &Slot, mut unit: Unit) {
    if let Err(ended) = inputs::fetch(shared, &mut unit).await {
        return shared.outbox.push(*ended, shared.lanes.buffered() == 0);
    }
    let Prepared { task, terms, args } = match prepare(shared, &unit) {
        Ok(prepared) => prepared,
        Err(ended) => return shared.outbox.push(*ended, shared.lanes.buffered() == 0),
    };
    let ErasedTask::Async(run) = task else {
        return shared.lanes.push_to_compute(vec![unit]);
    };
    let running = Running::begin(shared, unit, terms, false);
    enter(slot, Some(Arc::clone(&running)));
    if shared.must_not_begin(&running) {
        enter(slot, None);
        return running.end(shared, Err(TaskError::cancelled()));
    }
    let started = catch_unwind(AssertUnwindSafe(|| run(&running.ctx, &args)));
    drop(args);
    let result = match started {
        Ok(future) => drive(&running, shared.config.cancel_grace, future).await,
        Err(payload) => Err(panics::error_of(payload)),
    };
    // Its partial results go before its end.
    running.ctx.post().flush().await;
    enter(slot, None);
    running.end(shared, result);
}

/// Polls a task to its end, its time-out, or a little past the word to stop.
async fn drive(running: &Running, cancel_grace: Duration, mut task: TaskFuture) -> RunResult {
    let result = poll_to_its_end(running, cancel_grace, &mut task).await;
    // What a task holds may panic when it is dropped; that is no matter of the slot.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
    result
}

async fn poll_to_its_end(
    running: &Running,
    cancel_grace: Duration,
    task: &mut TaskFuture,
) -> RunResult {
    let mut future = AssertUnwindSafe(task).catch_unwind();
    let limits = limits(running);
    let result = tokio::select! {
        biased;
        result = &mut future => result,
        reason = running.ctx.interrupted() => {
            let grace = match reason {
                CancelReason::LeaseLost => return Err(TaskError::cancelled()),
                CancelReason::Requested => cancel_grace,
                _ => GRACE,
            };
            match tokio::time::timeout(grace, &mut future).await {
                Ok(result) => result,
                Err(_) => return Err(TaskError::cancelled()),
            }
        }
        limit = limits => {
            running.ctx.cancel(CancelReason::Timeout);
            return Err(TaskError::timeout(limit));
        }
    };
    result.unwrap_or_else(|payload| Err(panics::error_of(payload)))
}

/// Waits until the time-out of an attempt is over, and returns it; tells it on the way when its soft
/// one is.
async fn limits(running: &Running) -> Duration {
    let mut told_at = Duration::ZERO;
    if let Some(soft) = running.soft_timeout {
        // A soft limit behind the hard one is none.
        told_at = running.timeout.map_or(soft, |limit| limit.min(soft));
        tokio::time::sleep(told_at).await;
        running.ctx.cancel(CancelReason::SoftTimeout);
    }
    match running.timeout {
        Some(limit) => {
            tokio::time::sleep(limit.saturating_sub(told_at)).await;
            limit
        }
        None => std::future::pending().await,
    }
}

/// Runs units that compute, one after the other, until the lanes are closed. Blocks its thread.
pub(crate) fn computing_slot(shared: &Arc<Shared>, runtime: &tokio::runtime::Handle) {
    // Layers may sleep or spawn, also around a task that computes.
    let _entered = runtime.enter();
    let slot = shared.new_slot();
    while let Some((unit, _permit)) = shared.lanes.next_to_compute() {
        run_computing(shared, &slot, unit, runtime);
    }
}

fn run_computing(shared: &Arc<Shared>, slot: &Slot, unit: Unit, runtime: &tokio::runtime::Handle) {
    let Prepared { task, terms, args } = match prepare(shared, &unit) {
        Ok(prepared) => prepared,
        Err(ended) => return shared.outbox.push(*ended, shared.lanes.buffered() == 0),
    };
    let ErasedTask::Cpu(run) = task else {
        return shared.lanes.push_to_await(vec![unit]);
    };
    let running = Running::begin(shared, unit, terms, true);
    enter(slot, Some(Arc::clone(&running)));
    if shared.must_not_begin(&running) {
        enter(slot, None);
        return running.end(shared, Err(TaskError::cancelled()));
    }
    let overdue = (running.timeout.is_some() || running.soft_timeout.is_some()).then(|| {
        let (shared, running) = (Arc::clone(shared), Arc::clone(&running));
        runtime.spawn(async move {
            limits(&running).await;
            running.end_overdue(&shared);
        })
    });
    let result = catch_unwind(AssertUnwindSafe(|| run(&running.ctx, &args)))
        .unwrap_or_else(|payload| Err(panics::error_of(payload)));
    running.ctx.post().flush_blocking();
    if let Some(overdue) = overdue {
        overdue.abort();
    }
    enter(slot, None);
    running.end(shared, result);
}

/// What is to be run, read once.
struct Prepared {
    task: ErasedTask,
    terms: Terms,
    args: Box<RawValue>,
}

/// Reads the order of a unit and finds its task; what cannot begin ends here.
fn prepare(shared: &Shared, unit: &Unit) -> Result<Prepared, Box<Ended>> {
    let order = unit.order().map_err(|failure| Box::new(refuse(shared, unit, failure, None)))?;
    let terms = Terms::of(&order);
    let slots = shared.changes.slots();
    if usize::try_from(order.cost).unwrap_or(usize::MAX) > slots {
        let message = format!(
            "it takes {} slots and this worker has {slots}: give it a smaller cost, or run workers with more slots",
            order.cost
        );
        let failure = TaskFailure::new(ErrorKind::BadOptions, message);
        return Err(Box::new(refuse(shared, unit, failure, Some(&terms))));
    }
    match shared.tasks.get(&order.task) {
        Some(task) => Ok(Prepared { task: task.clone(), terms, args: order.args.into_owned() }),
        None => {
            let message = format!(
                "no task named {:?} is registered in this worker, which knows {}",
                order.task,
                shared.tasks.names().join(", ")
            );
            let failure = TaskFailure::new(ErrorKind::UnknownTask, message);
            Err(Box::new(refuse(shared, unit, failure, Some(&terms))))
        }
    }
}
