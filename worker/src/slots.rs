//! The slots: where attempts run. Tasks that await run on tokio, tasks that compute on threads of
//! their own. Panics, time-outs and everything else that goes wrong are endings of one task.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use celeriac_broker_schema::{ErrorKind, TaskFailure};
use futures_util::FutureExt;

use crate::attempt::{Running, Terms, refuse};
use crate::panics;
use crate::shared::Shared;
use crate::task::{CancelReason, ErasedTask, RunResult, TaskError, TaskFuture};
use crate::unit::Unit;

/// How long a task that awaits may go on after it was told to stop, before it is dropped.
const GRACE: Duration = Duration::from_millis(500);

/// Runs units that await, one after the other, until it is dropped.
pub(crate) async fn awaiting_slot(shared: Arc<Shared>, slot: usize) {
    loop {
        let (unit, _permit) = shared.lanes.next_to_await().await;
        run_awaiting(&shared, slot, unit).await;
    }
}

async fn run_awaiting(shared: &Arc<Shared>, slot: usize, unit: Unit) {
    let (task, terms) = match prepare(shared, &unit) {
        Ok(prepared) => prepared,
        Err(ended) => return shared.outbox.push(*ended, shared.lanes.buffered() == 0),
    };
    let ErasedTask::Async(run) = task else {
        return shared.lanes.push_to_compute(vec![unit]);
    };
    let running = Running::begin(shared, unit, terms);
    shared.enter(slot, Some(Arc::clone(&running)));
    // The lease may have been lost before the slot was entered; then it is not even begun.
    if shared.is_lost(running.unit.epoch) {
        running.ctx.cancel(CancelReason::LeaseLost);
        shared.enter(slot, None);
        return running.end(shared, Err(TaskError::cancelled()));
    }
    let started = match running.unit.order() {
        Ok(order) => catch_unwind(AssertUnwindSafe(|| run(&running.ctx, &order.args))),
        Err(_) => return shared.enter(slot, None),
    };
    let result = match started {
        Ok(future) => drive(&running, future).await,
        Err(payload) => Err(panics::error_of(payload)),
    };
    // Its partial results go before its end.
    running.ctx.post().flush().await;
    shared.enter(slot, None);
    running.end(shared, result);
}

/// Polls a task to its end, its time-out, or a little past the word to stop.
async fn drive(running: &Running, mut task: TaskFuture) -> RunResult {
    let result = poll_to_its_end(running, &mut task).await;
    // What a task holds may panic when it is dropped; that is no matter of the slot.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
    result
}

async fn poll_to_its_end(running: &Running, task: &mut TaskFuture) -> RunResult {
    let mut future = AssertUnwindSafe(task).catch_unwind();
    let overdue = async {
        match running.timeout {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        biased;
        result = &mut future => result,
        reason = running.ctx.cancelled() => {
            if reason == CancelReason::LeaseLost {
                return Err(TaskError::cancelled());
            }
            match tokio::time::timeout(GRACE, &mut future).await {
                Ok(result) => result,
                Err(_) => return Err(TaskError::cancelled()),
            }
        }
        () = overdue => {
            running.ctx.cancel(CancelReason::Timeout);
            return Err(TaskError::timeout(running.timeout.unwrap_or_default()));
        }
    };
    result.unwrap_or_else(|payload| Err(panics::error_of(payload)))
}

/// Runs units that compute, one after the other, until the lanes are closed. Blocks its thread.
pub(crate) fn computing_slot(shared: &Arc<Shared>, slot: usize, runtime: &tokio::runtime::Handle) {
    while let Some((unit, _permit)) = shared.lanes.next_to_compute(runtime) {
        run_computing(shared, slot, unit, runtime);
    }
}

fn run_computing(shared: &Arc<Shared>, slot: usize, unit: Unit, runtime: &tokio::runtime::Handle) {
    let (task, terms) = match prepare(shared, &unit) {
        Ok(prepared) => prepared,
        Err(ended) => return shared.outbox.push(*ended, shared.lanes.buffered() == 0),
    };
    let running = Running::begin(shared, unit, terms);
    shared.enter(slot, Some(Arc::clone(&running)));
    if shared.is_lost(running.unit.epoch) {
        running.ctx.cancel(CancelReason::LeaseLost);
        shared.enter(slot, None);
        return running.end(shared, Err(TaskError::cancelled()));
    }
    let overdue = running.timeout.map(|limit| {
        let (shared, running) = (Arc::clone(shared), Arc::clone(&running));
        runtime.spawn(async move {
            tokio::time::sleep(limit).await;
            running.end_overdue(&shared);
        })
    });
    let compute = || match (&task, running.unit.order()) {
        (ErasedTask::Cpu(run), Ok(order)) => run(&running.ctx, &order.args),
        (ErasedTask::Async(run), Ok(order)) => runtime.block_on(run(&running.ctx, &order.args)),
        (_, Err(failure)) => Err(TaskError::fatal(failure.message)),
    };
    let result = catch_unwind(AssertUnwindSafe(compute))
        .unwrap_or_else(|payload| Err(panics::error_of(payload)));
    running.ctx.post().flush_blocking();
    if let Some(overdue) = overdue {
        overdue.abort();
    }
    shared.enter(slot, None);
    running.end(shared, result);
}

/// Reads the order of a unit and finds its task; what cannot begin ends here.
fn prepare(shared: &Shared, unit: &Unit) -> Result<(ErasedTask, Terms), Box<crate::outbox::Ended>> {
    let order = unit.order().map_err(|failure| Box::new(refuse(shared, unit, failure, None)))?;
    let terms = Terms::of(&order);
    match shared.tasks.get(&order.task) {
        Some(task) => Ok((task.clone(), terms)),
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
