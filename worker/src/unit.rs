//! What a worker holds: one task, or one chunk of a run. Units come from claims and end in
//! [`Ending`]s.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use celeriac_broker_schema::job::{JobSpec, chunk_args, reducer_args};
use celeriac_broker_schema::outcome::counts_of;
use celeriac_broker_schema::record::UnreadableRecord;
use celeriac_broker_schema::script::{Checkpoint, Delivery, Emission, Run, RunField};
use celeriac_broker_schema::workflow::{MemberTerms, with_input};
use celeriac_broker_schema::{
    Accumulate, ErrorKind, JobId, Meta, QueueName, Record, RetryPolicy, Split, TaskFailure, TaskId,
    TaskOptions, Tenant,
};
use serde_json::value::RawValue;

use crate::task::{Chunk, ContextParts};

/// A lease of this process, counted: what was delivered under one ends under it or not at all.
pub(crate) type Epoch = u32;

/// One thing to run.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) epoch: Epoch,
    pub(crate) work: Work,
    /// How many slots it takes here: what it costs, at most all of them.
    pub(crate) cost: usize,
    /// Of a member of a workflow that follows others: their results, once they are fetched.
    pub(crate) input: Option<Box<RawValue>>,
    /// The same: shared data that its arguments refer to. It stays in this process as long as this does.
    pub(crate) data: Vec<Arc<celeriac_producer::workflow::Shared>>,
}

#[derive(Debug)]
pub(crate) enum Work {
    Task(Box<Delivery>),
    Chunk { run: Arc<ChunkRun>, index: u64 },
}

/// A run of chunks with the description of its job.
#[derive(Debug)]
pub(crate) struct ChunkRun {
    pub(crate) run: Run,
    pub(crate) job: Arc<JobPlan>,
}

/// A job's description, read once for all its chunks.
#[derive(Debug)]
pub(crate) struct JobPlan {
    pub(crate) task: String,
    pub(crate) options: TaskOptions,
    pub(crate) accumulate: BTreeMap<String, Accumulate>,
    meta: Option<Arc<Meta>>,
    /// Whether its chunks may be started twice.
    pub(crate) speculates: bool,
    args: Box<RawValue>,
    split: Option<Split>,
    chunks: u64,
    is_workflow: bool,
}

/// What has to be known of a unit to run it.
pub(crate) struct Order<'a> {
    pub(crate) task: Cow<'a, str>,
    pub(crate) args: Cow<'a, RawValue>,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) soft_timeout_ms: Option<u64>,
    pub(crate) keep_ms: u64,
    /// How long after its enqueue it might begin.
    pub(crate) delay_ms: Option<u64>,
    /// The same for the outcome of a failure.
    pub(crate) keep_failed_ms: u64,
    pub(crate) queue: QueueName,
    pub(crate) tenant: Option<Tenant>,
    pub(crate) meta: Option<Arc<Meta>>,
    pub(crate) cost: u32,
    /// Of a member of a workflow: what it is given, and what becomes of its result.
    pub(crate) member: Option<MemberTerms>,
}

/// What a record costs, without reading all of it: it stands at its end, and few have it.
pub(crate) fn cost_of(record: &[u8]) -> u32 {
    const FIELD: &[u8] = br#""cost":"#;
    let end = &record[record.len().saturating_sub(24)..];
    if !end.windows(FIELD.len()).any(|part| part == FIELD) {
        return 1;
    }
    let record = std::str::from_utf8(record).ok().and_then(|text| Record::decode(text).ok());
    record.map_or(1, |record| record.cost())
}

impl ChunkRun {
    /// Whether its chunks are members of a workflow, with records of their own.
    pub(crate) fn is_member(&self) -> bool {
        self.job.is_workflow
    }
}

impl JobPlan {
    pub(crate) fn read(spec: &str) -> Result<Self, UnreadableRecord> {
        let mut spec = JobSpec::decode(spec)?;
        Ok(Self {
            meta: shared(spec.chunk.take_meta()),
            task: spec.chunk.task.clone().into_owned(),
            options: spec.chunk.options(),
            accumulate: spec.accumulate,
            speculates: spec.speculate.is_some(),
            args: spec.chunk.args.to_owned(),
            split: spec.split,
            chunks: spec.chunks,
            is_workflow: spec.workflow.is_some(),
        })
    }
}

impl Unit {
    pub(crate) fn id(&self) -> TaskId {
        match &self.work {
            Work::Task(delivery) => delivery.id,
            Work::Chunk { run, index } => TaskId::of_chunk(run.run.job, *index),
        }
    }

    /// The queue it was claimed from, and its priority there.
    pub(crate) fn place(&self) -> (&str, u8) {
        match &self.work {
            Work::Task(delivery) => (&delivery.queue, delivery.priority),
            Work::Chunk { run, .. } => (&run.run.queue, run.run.priority),
        }
    }

    /// The job, if this is a chunk of one.
    pub(crate) fn job(&self) -> Option<JobId> {
        match &self.work {
            Work::Task(_) => None,
            Work::Chunk { run, .. } => Some(run.run.job),
        }
    }

    /// Whether somebody else may be started on the same chunk.
    pub(crate) fn speculates(&self) -> bool {
        matches!(&self.work, Work::Chunk { run, .. } if run.job.speculates)
    }

    /// Counts and earlier attempts, as scripts keep them.
    pub(crate) fn history(&self) -> &str {
        match &self.work {
            Work::Task(delivery) => &delivery.history,
            Work::Chunk { run, .. } => &run.run.history,
        }
    }

    /// The number of this attempt, from 1.
    pub(crate) fn attempt(&self) -> u32 {
        match &self.work {
            Work::Task(delivery) if delivery.history.is_empty() => 1,
            Work::Task(delivery) => {
                let (failures, crashes) = counts_of(&delivery.history);
                failures + crashes + 1
            }
            Work::Chunk { run, .. } => run.run.attempt,
        }
    }

    /// Whether workers were lost with it twice or more: then it is the only such thing here.
    pub(crate) fn is_suspect(&self) -> bool {
        match &self.work {
            Work::Task(delivery) if delivery.history.is_empty() => false,
            Work::Chunk { run, .. } if run.run.history.is_empty() => run.run.attempt > 2,
            _ => counts_of(self.history()).1 >= 2,
        }
    }

    /// The state in which an earlier attempt left it.
    pub(crate) fn restored(&self) -> Option<String> {
        match &self.work {
            Work::Task(delivery) => delivery.checkpoint.clone(),
            Work::Chunk { run, index } => {
                let mut states = run.run.checkpoints.iter();
                states.find(|(of, _)| of == index).map(|(_, state)| state.clone())
            }
        }
    }

    /// A state in which this attempt leaves it.
    pub(crate) fn checkpoint(&self, state: &str) -> Checkpoint {
        let (id, run, attempt) = (self.id(), self.run(), self.attempt());
        Checkpoint { id, run, attempt, state: state.to_owned() }
    }

    /// Partial results of this attempt.
    pub(crate) fn emission(&self, values: Vec<Arc<str>>) -> Emission {
        Emission { id: self.id(), run: self.run(), attempt: self.attempt(), values }
    }

    /// For a chunk: the run that it came with.
    fn run(&self) -> Option<RunField> {
        match &self.work {
            Work::Task(_) => None,
            Work::Chunk { run, .. } => Some(run.run.field.clone()),
        }
    }

    /// Where it waited, as an outcome tells it: not at all if that is the default.
    pub(crate) fn queue(&self) -> Option<String> {
        let queue = match &self.work {
            Work::Task(delivery) => &delivery.queue,
            Work::Chunk { run, .. } => &run.run.queue,
        };
        (**queue != *QueueName::DEFAULT).then(|| String::from(&**queue))
    }

    /// How much memory its record takes.
    pub(crate) fn bytes(&self) -> usize {
        match &self.work {
            Work::Task(delivery) => delivery.record.len(),
            // The plan is shared by all chunks.
            Work::Chunk { .. } => self.record().map_or(0, <[u8]>::len),
        }
    }

    /// The record of a task or of a member of a workflow; chunks have none.
    pub(crate) fn record(&self) -> Option<&[u8]> {
        match &self.work {
            Work::Task(delivery) => Some(&delivery.record),
            Work::Chunk { run, index } => run.run.record(*index),
        }
    }

    pub(crate) fn context_parts(&self) -> ContextParts {
        let chunk = match &self.work {
            Work::Task(_) => None,
            Work::Chunk { run, index } => {
                let job = &run.job;
                Some(Chunk::new(run.run.job, *index, job.chunks, job.split.as_ref()))
            }
        };
        ContextParts { id: self.id(), attempt: self.attempt(), chunk, ..ContextParts::default() }
    }

    /// Reads what is to be run.
    pub(crate) fn order(&self) -> Result<Order<'_>, TaskFailure> {
        match &self.work {
            Work::Task(delivery) => task_order(&delivery.record, delivery.input.as_deref()),
            Work::Chunk { run, index } if run.is_member() => {
                let mut order = task_order(run.run.record(*index).unwrap_or_default(), None)?;
                if let (Some(input), Some(member)) = (&self.input, &order.member) {
                    let args = with_input(&order.args, input, &member.into);
                    order.args = Cow::Owned(
                        args.map_err(|reason| TaskFailure::new(ErrorKind::BadArguments, reason))?,
                    );
                }
                Ok(order)
            }
            Work::Chunk { run, index } => {
                let job = &run.job;
                let args = chunk_args(&job.args, job.split.as_ref(), *index, job.chunks).map_err(
                    |error| TaskFailure::new(ErrorKind::BadArguments, error.to_string()),
                )?;
                Ok(Order {
                    task: Cow::Borrowed(&job.task),
                    args,
                    retry: job.options.retry.clone(),
                    timeout_ms: job.options.timeout_ms,
                    soft_timeout_ms: job.options.soft_timeout_ms,
                    keep_ms: job.options.keep_ms,
                    delay_ms: None,
                    queue: job.options.queue.clone(),
                    tenant: job.options.tenant.clone(),
                    meta: job.meta.clone(),
                    cost: job.options.cost,
                    member: None,
                    keep_failed_ms: job.options.keep_failed_ms.unwrap_or(job.options.keep_ms),
                })
            }
        }
    }
}

/// Most tasks have none of it, and then it costs nothing to pass on.
fn shared(meta: Meta) -> Option<Arc<Meta>> {
    (!meta.is_empty()).then(|| Arc::new(meta))
}

fn task_order<'a>(record: &'a [u8], input: Option<&str>) -> Result<Order<'a>, TaskFailure> {
    let unreadable = |reason: String| TaskFailure::new(ErrorKind::BadRecord, reason);
    let text = std::str::from_utf8(record)
        .map_err(|error| unreadable(format!("the record is not readable: {error}")))?;
    let mut record = Record::decode(text).map_err(|error| unreadable(error.to_string()))?;
    let args = match input {
        None => Cow::Borrowed(record.args),
        Some(totals) => Cow::Owned(reducer_args(record.args, totals).map_err(|error| {
            TaskFailure::new(
                ErrorKind::BadArguments,
                format!("accumulators cannot be added: {error}"),
            )
        })?),
    };
    let keep_ms = record.keep_ms.unwrap_or(celeriac_broker_schema::limits::DEFAULT_KEEP_MS);
    Ok(Order {
        retry: record.retry(),
        cost: record.cost(),
        member: record.member.take(),
        timeout_ms: record.timeout_ms,
        soft_timeout_ms: record.soft_timeout_ms,
        queue: record.queue.as_deref().and_then(|name| name.parse().ok()).unwrap_or_default(),
        tenant: record.tenant.as_deref().and_then(|tenant| tenant.parse().ok()),
        meta: shared(record.take_meta()),
        keep_ms,
        delay_ms: record.delay_ms,
        keep_failed_ms: record.keep_failed_ms.unwrap_or(keep_ms),
        task: record.task,
        args,
    })
}
