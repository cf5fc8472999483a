//! Jobs, tasks and workers as the pages are to show them, made with the calls that producers
//! and workers use.

use std::time::Duration;

use celeriac_broker_schema::script::{
    Claim, Claimed, Ending, Entry, Grant, Opened, RangeJob, Run, Start,
};
use celeriac_broker_schema::{
    Accumulate, Attempt, Broker, ClientId, Delta, ErrorKind, JobId, JobSpec, LeaseId, Outcome,
    Priority, Progress, QueueName, Record, RunningTask, Split, State, TaskFailure, TaskId,
    TaskOptions, Timestamp, WorkerInfo,
};
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

/// A time that does not pass within a test.
const LONG: Duration = Duration::from_secs(600);

/// Enqueues.
pub(crate) struct Producer {
    broker: Broker,
    id: ClientId,
    number: u64,
}

impl Producer {
    pub(crate) fn new(broker: &Broker) -> Self {
        Self { broker: broker.clone(), id: ClientId::new(), number: 0 }
    }

    /// A job of `pi` chunks in the queue `default`, with two accumulators.
    pub(crate) async fn job(&mut self, label: &str, chunks: u64, reducer: Option<&str>) -> JobId {
        let id = TaskId::new(self.now().await).job();
        let args = to_raw_value(&json!({"seed": 7, "samples": 0})).expect("JSON");
        let (task, options) = ("pi".parse().expect("a name"), TaskOptions::default());
        let spec = JobSpec {
            v: 1,
            chunk: Record::new(&task, &args, &options),
            chunks,
            split: Some(Split { field: "samples".to_owned(), total: 10 * chunks }),
            accumulate: [("hits".to_owned(), Accumulate::Sum)].into(),
            reduce: reducer.map(Into::into),
            label: Some(label.into()),
            submitted_by: Some("ana@web-3".into()),
            workflow: None,
            speculate: None,
        };
        let reducer = reducer.map(|name| {
            let name = name.parse().expect("a name");
            let record = Record::new(&name, &args, &options).encode().expect("a record");
            (record, QueueName::default(), Priority::default())
        });
        let job = RangeJob {
            id,
            spec: spec.encode().expect("a spec"),
            chunks,
            queue: QueueName::default(),
            priority: Priority::default(),
            keep_ms: 600_000,
            reducer,
            unique: None,
            speculate: None,
        };
        self.number += 1;
        let enqueued = self.broker.enqueue_range(&self.id, self.number, &job).await;
        enqueued.expect("it is enqueued");
        id
    }

    /// A task in this queue, at priority 7.
    pub(crate) async fn task(&mut self, queue: &str, delay_ms: Option<u64>) -> TaskId {
        let args = to_raw_value(&json!({"order": 4711})).expect("JSON");
        let options = TaskOptions {
            queue: queue.parse().expect("a queue"),
            priority: Priority::new(7).expect("a priority"),
            ..TaskOptions::default()
        };
        let name = "mail/send".parse().expect("a name");
        let record = Record::new(&name, &args, &options).encode().expect("a record");
        self.record(record, queue, delay_ms).await
    }

    /// A task with whatever as its record.
    pub(crate) async fn record(
        &mut self,
        record: String,
        queue: &str,
        delay_ms: Option<u64>,
    ) -> TaskId {
        let id = TaskId::new(self.now().await);
        let entry = Entry {
            id,
            record,
            queue: queue.parse().expect("a queue"),
            priority: Priority::new(7).expect("a priority"),
            start: Start { delay_ms, ..Start::default() },
            unique: None,
        };
        self.number += 1;
        let enqueued = self.broker.enqueue(&self.id, self.number, &[entry]).await;
        enqueued.expect("it is enqueued");
        id
    }

    async fn now(&self) -> Timestamp {
        self.broker.snapshot(1, 1).await.expect("Redis answers").now
    }
}

/// Claims and reports, but runs nothing.
pub(crate) struct Worker {
    broker: Broker,
    pub(crate) lease: LeaseId,
    number: u64,
    queues: Vec<QueueName>,
}

impl Worker {
    pub(crate) async fn open(broker: &Broker, queue: &str) -> Self {
        let lease = LeaseId::new();
        let opened = broker.open(&lease, LONG).await.expect("Redis answers");
        assert!(matches!(opened, Opened::At(_)));
        let queues = vec![queue.parse().expect("a queue")];
        Self { broker: broker.clone(), lease, number: 0, queues }
    }

    /// Claims so many tasks and chunks, in as many calls as it takes. Returns the Redis time.
    pub(crate) async fn hold(&mut self, mut n: usize) -> Timestamp {
        loop {
            let grant = self.claim(n).await;
            let chunks: u64 = grant.runs.iter().map(|run| run.hi - run.lo).sum();
            n -= grant.tasks.len() + chunks as usize;
            if n == 0 {
                return grant.now;
            }
        }
    }

    /// Claims the next `n` chunks and reports that they succeeded, with 10 hits each.
    pub(crate) async fn succeed_chunks(&mut self, mut n: u64) {
        while n > 0 {
            let runs = self.claim(n as usize).await.runs;
            n -= runs.iter().map(|run| run.hi - run.lo).sum::<u64>();
            let endings: Vec<Ending> = runs.iter().map(chunks_succeeded).collect();
            self.complete(&endings, 0).await;
        }
    }

    /// Claims until it has this chunk, and reports that it failed for good.
    pub(crate) async fn fail_chunk(&mut self, job: JobId, index: u64, message: &str) {
        loop {
            let Grant { runs, now, .. } = self.claim(1_000).await;
            let has_it = |run: &&Run| run.job == job && (run.lo..run.hi).contains(&index);
            if let Some(run) = runs.iter().find(has_it) {
                self.complete(&[chunk_failed(run, index, message, now)], 0).await;
                return;
            }
        }
    }

    /// Claims something: nothing is left when a test asks for more than there is.
    async fn claim(&mut self, want: usize) -> Grant {
        let grant = self.complete(&[], want).await;
        assert!(!grant.tasks.is_empty() || !grant.runs.is_empty(), "there is nothing to claim");
        grant
    }

    pub(crate) async fn complete(&mut self, endings: &[Ending], want: usize) -> Grant {
        self.number += 1;
        let claim = Claim {
            lease: &self.lease,
            number: self.number,
            want,
            suspect: true,
            crash_limit: 3,
            queues: &self.queues,
            room: None,
        };
        match self.broker.complete(&claim, endings).await.expect("Redis answers") {
            Claimed::Granted(grant) => grant,
            other => panic!("not granted: {other:?}"),
        }
    }

    /// A heartbeat, with what runs.
    pub(crate) async fn beat(&self, host: &str, running: Vec<RunningTask>) {
        let info = WorkerInfo {
            host: host.to_owned(),
            pid: 4242,
            version: "9.9.9".to_owned(),
            queues: self.queues.iter().map(ToString::to_string).collect(),
            tasks: vec!["pi".to_owned()],
            slots: 4,
            busy: running.len() as u32,
            open: std::collections::BTreeMap::new(),
            buffered: 0,
            draining: false,
            leaving: None,
            wedged: 0,
            paused: None,
            order: 0,
            started: Timestamp(0),
            succeeded: 5,
            failed: 0,
            visibility_ms: 30_000,
            rss_bytes: Some(19 << 20),
            running,
        };
        let beat = self.broker.beat(&self.lease, LONG, Some(&text(&info))).await;
        beat.expect("Redis answers");
    }
}

pub(crate) fn running(id: &impl ToString, since: Timestamp) -> RunningTask {
    let progress = Progress { done: 30, total: 40, note: Some("writing".to_owned()) };
    RunningTask {
        id: id.to_string(),
        task: "pi".to_owned(),
        queue: Some("default".to_owned()),
        attempt: 1,
        since,
        wedged: None,
        progress: Some(progress),
    }
}

fn chunks_succeeded(run: &Run) -> Ending {
    let (lo, hi) = (run.lo, run.hi);
    let hits = Delta { op: "sum", name: "hits".to_owned(), number: (10 * (hi - lo)).to_string() };
    Ending::ChunksSucceeded { run: run.field.clone(), lo, hi, deltas: vec![hits] }
}

fn chunk_failed(run: &Run, index: u64, message: &str, now: Timestamp) -> Ending {
    let failure = failure(message);
    Ending::ChunkFailed {
        run: run.field.clone(),
        index,
        outcome: text(&outcome(State::Failed, None, Some(failure.clone()), now)),
        attempt: text(&attempt(1, failure.clone(), now)),
        failure: text(&failure),
    }
}

pub(crate) fn succeeded(id: TaskId, result: &str, now: Timestamp) -> Ending {
    let result = RawValue::from_string(result.to_owned()).expect("JSON");
    let outcome = outcome(State::Succeeded, Some(result), None, now);
    Ending::Succeeded { id, outcome: text(&outcome), keep_ms: 600_000 }
}

pub(crate) fn failed(id: TaskId, message: &str, now: Timestamp) -> Ending {
    let failure = failure(message);
    let mut outcome = outcome(State::Failed, None, Some(failure.clone()), now);
    outcome.attempts = vec![attempt(1, failure.clone(), now)];
    Ending::Failed { id, outcome: text(&outcome), keep_ms: 600_000, failure: text(&failure) }
}

pub(crate) fn retried(id: TaskId, message: &str, now: Timestamp) -> Ending {
    Ending::Retry { id, delay_ms: 600_000, attempt: text(&attempt(1, failure(message), now)) }
}

fn failure(message: &str) -> TaskFailure {
    TaskFailure::new(ErrorKind::Error, message).with_trace("at mail/send.rs:88")
}

fn attempt(attempt: u32, error: TaskFailure, now: Timestamp) -> Attempt {
    Attempt {
        attempt,
        outcome: "failed".into(),
        worker: "0123456789abcdef".to_owned(),
        host: None,
        claimed: None,
        started: Some(now),
        ended: now.plus_ms(40),
        error: Some(error),
        retry_in_ms: Some(600_000),
        by: None,
        why: None,
    }
}

fn outcome(
    state: State,
    result: Option<Box<RawValue>>,
    error: Option<TaskFailure>,
    now: Timestamp,
) -> Outcome {
    Outcome {
        v: 1,
        state,
        task: None,
        queue: None,
        result,
        members: None,
        error,
        failed_task: None,
        attempt: Some(1),
        worker: Some("0123456789abcdef".to_owned()),
        started: Some(now),
        ended: now.plus_ms(40),
        by: None,
        why: None,
        attempts: Vec::new(),
    }
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("it can be written as JSON")
}
