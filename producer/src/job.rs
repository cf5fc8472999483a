//! A job of chunks as it is to be enqueued.

use std::borrow::Cow;
use std::collections::BTreeMap;

use celeriac_broker_schema::record::FORMAT;
use celeriac_broker_schema::script::{RangeJob, Start};
use celeriac_broker_schema::{
    Accumulate, InvalidInput, JobId, JobSpec, Split, TaskId, Timestamp, Unique, UniqueMode,
};

use crate::call::NewTask;
use crate::task::Task;

/// A computation cut into chunks that differ only by their index, with a reduction at its end.
///
/// Every chunk gets the same arguments, and its share of the split amount in the field of that
/// name. Numbers in the chunks' results are accumulated by name; the reducer gets them added to
/// its arguments. Without a reducer they are the result of the job.
///
/// ```
/// use celeriac_producer::{NewJob, NewTask};
/// let chunk = NewTask::new("pi", &serde_json::json!({ "seed": 7 }))?;
/// let job = NewJob::new(chunk, 100)
///     .split("samples", 100_000_000)
///     .sum("hits")
///     .sum("samples")
///     .reduce(NewTask::new("pi.estimate", &serde_json::json!({}))?);
/// # Ok::<(), celeriac_broker_schema::InvalidInput>(())
/// ```
#[derive(Debug, Clone)]
pub struct NewJob {
    chunk: NewTask,
    chunks: u64,
    split: Option<Split>,
    accumulate: BTreeMap<String, Accumulate>,
    reduce: Option<NewTask>,
    label: Option<String>,
    submitted_by: Option<String>,
    unique: Option<Unique>,
    speculate: Option<u32>,
}

impl NewJob {
    /// A job of so many chunks, each of which runs this task. Queue, priority, retries and
    /// time-out are those of the task; its retention is that of the job.
    pub fn new(chunk: NewTask, chunks: u64) -> Self {
        Self {
            unique: chunk.unique.clone(),
            chunk,
            chunks,
            split: None,
            accumulate: BTreeMap::new(),
            reduce: None,
            label: None,
            submitted_by: None,
            speculate: None,
        }
    }

    /// A job of typed chunks.
    ///
    /// # Errors
    /// As [`NewTask::of`].
    pub fn of<T: Task>(chunk: &T, chunks: u64) -> Result<Self, InvalidInput> {
        Ok(Self::new(NewTask::of(chunk)?, chunks))
    }

    /// Shares `total` out among the chunks: each gets its part in `field` of its arguments.
    #[must_use]
    pub fn split(mut self, field: impl Into<String>, total: u64) -> Self {
        self.split = Some(Split { field: field.into(), total });
        self
    }

    /// Sums a field of the chunks' results up.
    #[must_use]
    pub fn sum(self, field: impl Into<String>) -> Self {
        self.accumulate(field, Accumulate::Sum)
    }

    /// Keeps the smallest value of a field of the chunks' results.
    #[must_use]
    pub fn min(self, field: impl Into<String>) -> Self {
        self.accumulate(field, Accumulate::Min)
    }

    /// Keeps the largest value of a field of the chunks' results.
    #[must_use]
    pub fn max(self, field: impl Into<String>) -> Self {
        self.accumulate(field, Accumulate::Max)
    }

    /// Accumulates a field of the chunks' results.
    #[must_use]
    pub fn accumulate(mut self, field: impl Into<String>, how: Accumulate) -> Self {
        self.accumulate.insert(field.into(), how);
        self
    }

    /// The task that runs when all chunks are done; its result is the result of the job. The
    /// accumulators are added to its arguments, which must be a JSON object.
    #[must_use]
    pub fn reduce(mut self, reducer: NewTask) -> Self {
        self.reduce = Some(reducer);
        self
    }

    /// Allows a chunk to be started a second time, by a worker that has nothing else to do, when it
    /// has run for so many percent of the mean duration of the chunks before it: 300 is three times
    /// as long; the least is 100. The first start that ends counts, and the other is told to stop. Only
    /// for tasks that may run twice at once: a typed task says so with [`Task::IDEMPOTENT`] (the
    /// option `idempotent` of `#[celeriac::task]`), and is refused at enqueueing otherwise. A task by
    /// its name is taken at its word. Chunks of such a job are given out one by one.
    #[must_use]
    pub fn speculate(mut self, percent: u32) -> Self {
        self.speculate = Some(percent.max(100));
        self
    }

    /// What people call the job, in at most 256 bytes.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Who enqueues it, in at most 256 bytes.
    #[must_use]
    pub fn submitted_by(mut self, who: impl Into<String>) -> Self {
        self.submitted_by = Some(who.into());
        self
    }

    /// Whether it can be enqueued as it is, as far as that can be told without Redis.
    ///
    /// # Errors
    /// What [`Producer::enqueue_job`](crate::Producer::enqueue_job) would refuse it for.
    pub fn check(&self) -> Result<(), InvalidInput> {
        let id = TaskId::new(Timestamp(0)).job();
        self.clone().into_range(id).map(|_| ())
    }

    /// The tasks it is made of: the chunk, and the reducer if there is one.
    pub(crate) fn tasks_mut(&mut self) -> impl Iterator<Item = &mut NewTask> {
        std::iter::once(&mut self.chunk).chain(self.reduce.as_mut())
    }

    /// A second start of what must not run twice at once would do harm that nobody asked for.
    fn refuse_harmful_starts(&self) -> Result<(), InvalidInput> {
        if self.speculate.is_none() || self.chunk.idempotent != Some(false) {
            return Ok(());
        }
        Err(InvalidInput::OutOfBounds {
            what: "second start",
            value: format!("chunks of task `{}`", self.chunk.name),
            expected: "its type must say that two runs at once do no harm, with the option `idempotent` of its attribute or `const IDEMPOTENT: bool = true`",
        })
    }

    pub(crate) fn into_range(mut self, id: JobId) -> Result<RangeJob, InvalidInput> {
        self.refuse_harmful_starts()?;
        self.chunk = self.chunk.placed()?;
        self.reduce = self.reduce.map(NewTask::placed).transpose()?;
        let reducer = self.reduce.as_ref();
        let timed = self.chunk.start != Start::default()
            || reducer.is_some_and(|task| task.start != Start::default());
        if timed || reducer.is_some_and(|task| task.unique.is_some()) {
            return Err(InvalidInput::OutOfBounds {
                what: "delay, time or expiry of a job, or key of its reducer,",
                value: "its task".to_owned(),
                expected: "jobs begin at once, and the key is that of the chunk",
            });
        }
        let unique = match self.unique {
            None => None,
            Some(Unique { key, mode: UniqueMode::For { ms } }) => Some((key, ms)),
            Some(_) => {
                return Err(InvalidInput::OutOfBounds {
                    what: "mode of the key",
                    value: "of a job".to_owned(),
                    expected: "the key of a job stands for it for a time",
                });
            }
        };
        // What remains of a job says how each chunk went: there is no keeping of failures alone.
        let options = &self.chunk.options;
        let keep_ms = options.keep_failed_ms.unwrap_or(options.keep_ms);
        let spec = JobSpec {
            v: FORMAT,
            chunk: self.chunk.record()?,
            chunks: self.chunks,
            split: self.split,
            accumulate: self.accumulate,
            reduce: self.reduce.as_ref().map(|reducer| Cow::Borrowed(reducer.name.as_str())),
            label: self.label.map(Cow::Owned),
            submitted_by: self.submitted_by.map(Cow::Owned),
            speculate: self.speculate,
            workflow: None,
        };
        // The encoded record is checked for its size; the spec for all else.
        spec.chunk.encode()?;
        let spec = spec.encode()?;
        let reducer = match self.reduce {
            Some(mut reducer) => {
                reducer.options.keep_ms = keep_ms;
                let record = reducer.record()?.encode()?;
                Some((record, reducer.options.queue, reducer.options.priority))
            }
            None => None,
        };
        let options = self.chunk.options;
        Ok(RangeJob {
            id,
            spec,
            chunks: self.chunks,
            queue: options.queue,
            priority: options.priority,
            keep_ms,
            reducer,
            unique,
            speculate: self.speculate,
        })
    }
}
