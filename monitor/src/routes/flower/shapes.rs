//! Tasks as Flower tells them. Times are seconds since the Unix epoch; what is not known is null.

use celeriac_broker_schema::find::TaskRow;
use celeriac_broker_schema::{DeadLetter, Record, RunningTask, State, TaskId, Timestamp};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::model::{Task, Worker};
use crate::redact::Redaction;

/// One task.
#[derive(Debug, Default, Serialize)]
pub(super) struct FlowerTask {
    pub(super) uuid: String,
    pub(super) name: Option<String>,
    pub(super) state: &'static str,
    pub(super) received: Option<f64>,
    pub(super) sent: Option<f64>,
    pub(super) started: Option<f64>,
    pub(super) rejected: Option<f64>,
    pub(super) succeeded: Option<f64>,
    pub(super) failed: Option<f64>,
    pub(super) retried: Option<f64>,
    pub(super) revoked: Option<f64>,
    /// Arguments in order, as text.
    pub(super) args: Option<String>,
    /// Arguments by name, as text.
    pub(super) kwargs: Option<String>,
    pub(super) result: Option<String>,
    pub(super) eta: Option<f64>,
    pub(super) expires: Option<f64>,
    pub(super) retries: u32,
    pub(super) worker: Option<String>,
    pub(super) exception: Option<String>,
    pub(super) timestamp: Option<f64>,
    pub(super) runtime: Option<f64>,
    pub(super) traceback: Option<String>,
    pub(super) exchange: Option<String>,
    pub(super) routing_key: Option<String>,
    pub(super) clock: u64,
    pub(super) client: Option<String>,
    pub(super) root: Option<String>,
    pub(super) root_id: Option<String>,
    pub(super) parent: Option<String>,
    pub(super) parent_id: Option<String>,
    pub(super) children: Vec<String>,
}

/// A state in Celery's words. What waits after a failure is `RETRY` there.
pub(super) fn state(state: Option<State>, failures: u32) -> &'static str {
    match state {
        Some(State::Running) => "STARTED",
        Some(State::Succeeded) => "SUCCESS",
        Some(State::Failed) => "FAILURE",
        Some(State::Cancelled | State::Expired) => "REVOKED",
        Some(State::Delayed | State::Ready) if failures > 0 => "RETRY",
        _ => "PENDING",
    }
}

pub(super) fn seconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1_000.0
}

/// The name of a worker: its lease, since a machine may have several, and the machine.
pub(super) fn worker_name(worker: &Worker) -> String {
    match &worker.info {
        Some(info) => format!("{}@{}", worker.lease, info.host),
        None => worker.lease.clone(),
    }
}

/// The name of the worker with this lease, or the lease, if nothing more is known of it.
fn name_of(lease: &str, workers: &[Worker]) -> String {
    let known = workers.iter().find(|worker| worker.lease == lease);
    known.map_or_else(|| lease.to_owned(), worker_name)
}

/// A document as arguments in order and by name.
fn split_args(args: &RawValue) -> (String, String) {
    let text = args.get();
    match text.as_bytes().first() {
        Some(b'{') => ("[]".to_owned(), text.to_owned()),
        Some(b'[') => (text.to_owned(), "{}".to_owned()),
        _ => (format!("[{text}]"), "{}".to_owned()),
    }
}

impl FlowerTask {
    fn of(id: TaskId, name: Option<String>) -> Self {
        let job = id.chunk().map(|_| id.job().to_string());
        let sent = Some(seconds(id.time()));
        Self {
            uuid: id.to_string(),
            name,
            sent,
            timestamp: sent,
            exchange: Some(String::new()),
            root: job.clone(),
            root_id: job.clone(),
            parent: job.clone(),
            parent_id: job,
            ..Self::default()
        }
    }

    fn with_args(mut self, args: Option<&RawValue>) -> Self {
        (self.args, self.kwargs) = args.map(split_args).unzip();
        self
    }

    /// One that a worker runs, as that tells. Its arguments are told with the task itself.
    pub(super) fn running(id: TaskId, running: &RunningTask, worker: &Worker) -> Self {
        let since = Some(seconds(running.since));
        Self {
            state: "STARTED",
            received: since,
            started: since,
            timestamp: since,
            retries: running.attempt.saturating_sub(1),
            worker: Some(worker_name(worker)),
            ..Self::of(id, Some(running.task.clone()))
        }
    }

    /// One that waits in a queue.
    pub(super) fn waiting(
        id: TaskId,
        record: &str,
        due: Option<Timestamp>,
        hidden: &Redaction,
    ) -> Self {
        let record = Record::decode(record).ok();
        let name = record.as_ref().map(|record| record.task.to_string());
        let mut args = record.as_ref().map(|record| record.args.to_owned());
        hidden.args(name.as_deref(), &mut args);
        Self {
            state: "PENDING",
            eta: due.map(seconds),
            routing_key: record.map(|record| record.options().queue.to_string()),
            ..Self::of(id, name).with_args(args.as_deref())
        }
    }

    /// One that ended lately, as its worker told. Arguments and result are told with the task itself.
    pub(super) fn row(row: &TaskRow, workers: &[Worker]) -> Self {
        let ended = row.ended.map(seconds);
        let is = |state: State| ended.filter(|_| row.state == state);
        Self {
            state: state(Some(row.state), 0),
            received: row.started.map(seconds),
            started: row.started.map(seconds),
            succeeded: is(State::Succeeded),
            revoked: is(State::Cancelled),
            timestamp: ended,
            retries: row.attempt.map_or(0, |attempt| attempt.saturating_sub(1)),
            worker: row.worker.as_ref().map(|lease| name_of(lease, workers)),
            runtime: row.run_us.map(|us| us as f64 / 1_000_000.0),
            routing_key: row.queue.clone(),
            ..Self::of(row.id, row.task.clone())
        }
    }

    /// One that failed for good.
    pub(super) fn dead(mut letter: DeadLetter, hidden: &Redaction) -> Self {
        hidden.args(Some(&letter.task), &mut letter.args);
        hidden.failure(Some(&letter.task), &mut letter.error);
        let last = letter.attempts.last();
        let at = Some(seconds(letter.at));
        Self {
            state: "FAILURE",
            received: last.and_then(|last| last.claimed.or(last.started)).map(seconds),
            started: last.and_then(|last| last.started).map(seconds),
            failed: at,
            timestamp: at,
            retries: last.map_or(0, |last| last.attempt.saturating_sub(1)),
            worker: last.map(|last| last.worker.clone()),
            exception: Some(letter.error.message),
            traceback: letter.error.trace,
            routing_key: Some(letter.queue.to_string()),
            ..Self::of(letter.id, Some(letter.task)).with_args(letter.args.as_deref())
        }
    }

    /// All that the monitor knows of a task.
    pub(super) fn new(task: &Task, workers: &[Worker]) -> Self {
        let ended = |state: State| task.ended.filter(|_| task.state == Some(state)).map(seconds);
        let started = task.started.map(seconds);
        let word = state(task.state, task.failures);
        let failed = task.attempts.iter().rfind(|attempt| attempt.outcome == "failed");
        let failed = failed.filter(|_| word == "RETRY");
        let error = task.error.as_ref().or(failed.and_then(|attempt| attempt.error.as_ref()));
        let last = [task.ended, task.started, task.claimed].into_iter().flatten().max();
        let known = match task.id.parse() {
            Ok(id) => Self::of(id, task.task.clone()),
            Err(_) => Self { uuid: task.id.clone(), ..Self::default() },
        };
        Self {
            state: word,
            received: task.claimed.map(seconds),
            started,
            succeeded: ended(State::Succeeded),
            failed: ended(State::Failed),
            retried: failed.map(|attempt| seconds(attempt.ended)),
            revoked: ended(State::Cancelled).or(ended(State::Expired)),
            result: task.result.as_ref().map(|result| result.get().to_owned()),
            eta: task.due.map(seconds),
            retries: task.attempt.map_or(0, |attempt| attempt.saturating_sub(1)),
            worker: task.worker.as_ref().map(|lease| name_of(lease, workers)),
            exception: error.map(|error| error.message.clone()),
            timestamp: last.map(seconds).or(known.sent),
            runtime: ended(State::Succeeded).zip(started).map(|(ended, started)| ended - started),
            traceback: error.and_then(|error| error.trace.clone()),
            routing_key: task.queue.clone(),
            ..known.with_args(task.args.as_deref())
        }
    }
}

/// Tasks by id, in the order in which they come.
pub(super) struct ById(pub(super) Vec<FlowerTask>);

impl Serialize for ById {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|task| (&task.uuid, task)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stand_in_order_or_by_name() {
        let split = |json: &str| {
            let args = RawValue::from_string(json.to_owned()).expect("JSON");
            split_args(&args)
        };
        let pair = |args: &str, kwargs: &str| (args.to_owned(), kwargs.to_owned());
        assert_eq!(split(r#"{"a":1}"#), pair("[]", r#"{"a":1}"#));
        assert_eq!(split("[1,2]"), pair("[1,2]", "{}"));
        assert_eq!(split("7"), pair("[7]", "{}"));
    }

    #[test]
    fn every_state_has_a_word_of_celery() {
        let words = State::ALL.map(|of| state(Some(of), 0));
        assert_eq!(
            words,
            [
                "PENDING", "PENDING", "PENDING", "STARTED", "SUCCESS", "FAILURE", "REVOKED",
                "REVOKED"
            ]
        );
        assert_eq!((state(Some(State::Delayed), 1), state(None, 0)), ("RETRY", "PENDING"));
    }
}
