//! How the bare client runs tasks that use a feature while they run, or as they end.

use std::collections::HashSet;

use celeriac_broker_schema::script::{Checkpoint, Delivery, Emission, Ending};
use celeriac_broker_schema::{
    Attempt, Broker, ErrorKind, LeaseId, Outcome, QueueName, State, TaskFailure, TaskId, Timestamp,
};

use crate::bench::floor::{self, KEEP_MS, success};
use crate::error::CliError;

/// What happens to each task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// It succeeds.
    Succeed,
    /// It fails, and succeeds a millisecond later.
    Retry,
    /// It is too early, and succeeds a millisecond later.
    Snooze,
    /// It saves its state once.
    Checkpoint,
    /// It sends one partial result.
    Emit,
    /// Its result is long enough to be stored compressed.
    LongResult,
    /// It fails for good.
    Fail,
}

/// Drains these queues.
pub(super) async fn drain(
    broker: &Broker,
    tasks: u64,
    queues: &[QueueName],
    run: Run,
) -> Result<(), CliError> {
    let mut client = Client { run, begun: HashSet::new(), long: long_outcome() };
    floor::drain_by(broker, tasks, queues, async |lease, deliveries| {
        client.run(broker, lease, deliveries).await
    })
    .await?;
    Ok(())
}

struct Client {
    run: Run,
    /// Tasks that had an attempt before.
    begun: HashSet<TaskId>,
    long: String,
}

impl Client {
    async fn run(
        &mut self,
        broker: &Broker,
        lease: &LeaseId,
        deliveries: Vec<Delivery>,
    ) -> Result<Vec<Ending>, CliError> {
        let ids: Vec<TaskId> = deliveries.into_iter().map(|task| task.id).collect();
        // Nothing would be sent then, as by a worker.
        if !ids.is_empty() {
            self.meanwhile(broker, lease, &ids).await?;
        }
        Ok(ids.into_iter().map(|id| self.end(lease, id)).collect())
    }

    /// What is sent while they run.
    async fn meanwhile(
        &self,
        broker: &Broker,
        lease: &LeaseId,
        ids: &[TaskId],
    ) -> Result<(), CliError> {
        match self.run {
            Run::Checkpoint => {
                let state = || r#"{"done":50,"of":100,"at":"0123456789"}"#.to_owned();
                let save =
                    |id: &TaskId| Checkpoint { id: *id, run: None, attempt: 1, state: state() };
                broker.checkpoint(lease, &ids.iter().map(save).collect::<Vec<_>>()).await?;
            }
            Run::Emit => {
                let values = || vec![r#"{"done":50,"of":100,"at":"0123456789"}"#.into()];
                let emit =
                    |id: &TaskId| Emission { id: *id, run: None, attempt: 1, values: values() };
                broker.emit(lease, &ids.iter().map(emit).collect::<Vec<_>>()).await?;
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, lease: &LeaseId, id: TaskId) -> Ending {
        match self.run {
            Run::Retry if self.begun.insert(id) => {
                let attempt = Attempt { retry_in_ms: Some(1), ..failed(lease) };
                let attempt = serde_json::to_string(&attempt).unwrap_or_default();
                Ending::Retry { id, delay_ms: 1, attempt }
            }
            Run::Snooze if self.begun.insert(id) => Ending::Snoozed { id, delay_ms: 1 },
            Run::Fail => {
                let (outcome, failure) = failure(lease);
                Ending::Failed { id, outcome, keep_ms: KEEP_MS, failure }
            }
            Run::LongResult => {
                Ending::Succeeded { id, outcome: self.long.clone(), keep_ms: KEEP_MS }
            }
            _ => Ending::Succeeded { id, outcome: success(lease), keep_ms: KEEP_MS },
        }
    }
}

fn failed(lease: &LeaseId) -> Attempt {
    let at = Timestamp(1_700_000_000_000);
    Attempt {
        attempt: 1,
        outcome: "failed".into(),
        worker: lease.to_string(),
        host: None,
        claimed: None,
        started: Some(at),
        ended: at,
        error: Some(TaskFailure::new(ErrorKind::Error, "told to fail")),
        retry_in_ms: None,
        by: None,
        why: None,
    }
}

/// The outcome of a task that failed for good, and the failure alone.
fn failure(lease: &LeaseId) -> (String, String) {
    let attempt = failed(lease);
    let outcome = Outcome {
        attempts: vec![attempt.clone()],
        error: attempt.error.clone(),
        worker: Some(lease.to_string()),
        ..outcome(State::Failed)
    };
    (outcome.encode(), serde_json::to_string(&attempt.error).unwrap_or_default())
}

/// 9 kB of numbers.
fn long_outcome() -> String {
    let numbers: Vec<u32> = (0..2_000).collect();
    let result = serde_json::value::to_raw_value(&numbers).ok();
    Outcome { result, ..outcome(State::Succeeded) }.encode()
}

fn outcome(state: State) -> Outcome {
    let at = Timestamp(1_700_000_000_000);
    Outcome {
        v: 1,
        state,
        task: None,
        queue: None,
        result: None,
        members: None,
        error: None,
        failed_task: None,
        attempt: Some(1),
        worker: None,
        started: Some(at),
        ended: at,
        by: None,
        why: None,
        attempts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_result_is_stored_compressed() {
        let stored = long_outcome();
        assert!(stored.contains("result_z") && stored.len() < 9_000, "{}", stored.len());
        let read: Outcome = serde_json::from_str(&stored).unwrap();
        assert!(read.result.unwrap().get().ends_with(",1998,1999]"));
    }
}
