//! A producer that keeps what it is told to enqueue, for tests of code that enqueues.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use celeriac_broker_schema::script::{Duplicate, Entry, RangeJob, Start, WorkflowPart};
use celeriac_broker_schema::workflow::Edit;
use celeriac_broker_schema::{
    Accumulate, JobId, JobSpec, Meta, Record, Split, TaskId, TaskName, TaskOptions, UniqueKey,
};
use serde_json::value::RawValue;

use crate::sender::What;
use crate::task::Task;

/// What a recording producer was told to enqueue, in that order. Clones share it.
#[derive(Debug, Clone)]
pub struct Recorder {
    recorded: Arc<Mutex<Recorded>>,
    /// Whether it goes on to Redis.
    forwards: bool,
}

#[derive(Debug, Default)]
struct Recorded {
    tasks: Vec<RecordedTask>,
    jobs: Vec<RecordedJob>,
    keys: HashMap<UniqueKey, TaskId>,
}

/// A task as it was enqueued, after all layers.
#[derive(Debug, Clone)]
pub struct RecordedTask {
    /// Its id.
    pub id: TaskId,
    /// Its name.
    pub name: TaskName,
    /// Its arguments.
    pub args: Box<RawValue>,
    /// How it is run.
    pub options: TaskOptions,
    /// When it may start.
    pub start: Start,
    /// Its idempotency key.
    pub key: Option<UniqueKey>,
    /// Label, tags and headers.
    pub meta: Meta,
}

/// A job of chunks as it was enqueued, after all layers.
#[derive(Debug, Clone)]
pub struct RecordedJob {
    /// Its id.
    pub id: JobId,
    /// The task that every chunk runs; its id is that of the job.
    pub chunk: RecordedTask,
    /// How many chunks.
    pub chunks: u64,
    /// What is shared out among them.
    pub split: Option<Split>,
    /// What is accumulated of their results.
    pub accumulate: BTreeMap<String, Accumulate>,
    /// What runs at the end, under the id of the job.
    pub reduce: Option<RecordedTask>,
    /// What people call the job.
    pub label: Option<String>,
}

impl RecordedTask {
    fn of_entry(entry: &Entry) -> Self {
        let key = entry.unique.as_ref().map(|unique| unique.key.clone());
        Self { start: entry.start, key, ..Self::of_record(entry.id, &entry.record) }
    }

    /// What we have just written ourselves can be read.
    fn of_record(id: TaskId, record: &str) -> Self {
        Self::read(id, Record::decode(record).expect("our own record"))
    }

    fn read(id: TaskId, mut record: Record<'_>) -> Self {
        Self {
            id,
            name: record.task.parse().expect("it was a name before"),
            args: record.args.to_owned(),
            options: record.options(),
            start: Start::default(),
            key: None,
            meta: record.take_meta(),
        }
    }

    /// The task with its type, if it is one of these.
    ///
    /// # Panics
    /// If it has the name of the type and its arguments do not fit.
    pub fn typed<T: Task>(&self) -> Option<T> {
        (self.name.as_str() == T::NAME).then(|| {
            serde_json::from_str(self.args.get()).unwrap_or_else(|error| {
                panic!("the arguments of `{}` do not fit: {error}: {}", T::NAME, self.args)
            })
        })
    }
}

impl RecordedJob {
    fn of_range(range: &RangeJob) -> Self {
        let id = range.id.task();
        let spec = JobSpec::decode(&range.spec).expect("our own job");
        let key = range.unique.as_ref().map(|(key, _)| key.clone());
        Self {
            id: range.id,
            chunk: RecordedTask { key, ..RecordedTask::read(id, spec.chunk) },
            chunks: spec.chunks,
            split: spec.split,
            accumulate: spec.accumulate,
            reduce: range.reducer.as_ref().map(|(record, ..)| RecordedTask::of_record(id, record)),
            label: spec.label.map(|label| label.into_owned()),
        }
    }
}

impl Recorder {
    pub(crate) fn new(forwards: bool) -> Self {
        Self { recorded: Arc::default(), forwards }
    }

    /// All tasks that were enqueued by themselves.
    pub fn tasks(&self) -> Vec<RecordedTask> {
        self.lock().tasks.clone()
    }

    /// Those of one type, with their arguments.
    ///
    /// # Panics
    /// If arguments under its name do not fit.
    pub fn of<T: Task>(&self) -> Vec<T> {
        self.lock().tasks.iter().filter_map(RecordedTask::typed).collect()
    }

    /// All jobs of chunks.
    pub fn jobs(&self) -> Vec<RecordedJob> {
        self.lock().jobs.clone()
    }

    /// The names of all tasks and of the chunks of all jobs.
    pub fn names(&self) -> Vec<String> {
        let recorded = self.lock();
        let tasks = recorded.tasks.iter().map(|task| task.name.to_string());
        tasks.chain(recorded.jobs.iter().map(|job| job.chunk.name.to_string())).collect()
    }

    /// Forgets all of it.
    pub fn clear(&self) {
        *self.lock() = Recorded::default();
    }

    pub(crate) fn forwards(&self) -> bool {
        self.forwards
    }

    /// Notes what is sent. The answer, if nobody else gives one: the duplicates.
    pub(crate) fn note(&self, what: &What) -> Option<Vec<Duplicate>> {
        let mut recorded = self.lock();
        let duplicates = match what {
            What::Tasks(entries) => {
                entries.iter().filter_map(|entry| recorded.task(entry, self.forwards)).collect()
            }
            What::Job(range) => recorded.job(range, self.forwards).into_iter().collect(),
            What::Part(part) => recorded.part(part, self.forwards).into_iter().collect(),
        };
        (!self.forwards).then_some(duplicates)
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorded {
    fn task(&mut self, entry: &Entry, forwards: bool) -> Option<Duplicate> {
        let key = entry.unique.as_ref().map(|unique| &unique.key);
        let duplicate = self.duplicate(entry.id, key.filter(|_| !forwards));
        if duplicate.is_none() {
            self.tasks.push(RecordedTask::of_entry(entry));
        }
        duplicate
    }

    fn job(&mut self, range: &RangeJob, forwards: bool) -> Option<Duplicate> {
        let key = range.unique.as_ref().map(|(key, _)| key);
        let duplicate = self.duplicate(range.id.task(), key.filter(|_| !forwards));
        if duplicate.is_none() {
            self.jobs.push(RecordedJob::of_range(range));
        }
        duplicate
    }

    /// Members are kept as tasks, under their ids.
    fn part(&mut self, part: &WorkflowPart, forwards: bool) -> Option<Duplicate> {
        let key = part.job.as_ref().and_then(|job| job.unique.as_ref()).map(|(key, _)| key);
        let duplicate = self.duplicate(part.id.task(), key.filter(|_| !forwards));
        if duplicate.is_none() {
            for edit in &part.edits {
                let Edit::Records { first, records } = edit else { continue };
                let first = part.base.unwrap_or_default() + first;
                for (index, record) in (first..).zip(records) {
                    let id = TaskId::of_chunk(part.id, index);
                    self.tasks.push(RecordedTask::of_record(id, record));
                }
            }
        }
        duplicate
    }

    /// A key is remembered for ever here: a test is over sooner.
    fn duplicate(&mut self, id: TaskId, key: Option<&UniqueKey>) -> Option<Duplicate> {
        let first = *self.keys.entry(key?.clone()).or_insert(id);
        (first != id).then_some(Duplicate { id, first })
    }
}
