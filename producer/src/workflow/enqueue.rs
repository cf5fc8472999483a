//! How a plan is sent: in parts, wires before records and records before their release, so that nothing
//! begins that cannot go on. The first members run while the last ones are on their way.

use std::borrow::Cow;
use std::collections::BTreeMap;

use celeriac_broker_schema::limits::{MAX_BATCH, MAX_BATCH_BYTES};
use celeriac_broker_schema::record::FORMAT;
use celeriac_broker_schema::script::{WorkflowJob, WorkflowPart};
use celeriac_broker_schema::workflow::{Callback, Edit, Release, When};
use celeriac_broker_schema::{
    InvalidInput, JobId, JobSpec, QueueName, Record, TaskId, TaskOptions, Unique, UniqueMode,
};
use serde_json::value::{RawValue, to_raw_value};

use super::{Callbacks, Node, Plan, Workflow};
use crate::call::NewTask;
use crate::error::EnqueueError;

/// The name under which workflows stand where other jobs have the name of their chunks' task.
const NAME: &str = "workflow";

/// Cuts edits into parts of a size that a call can carry.
#[derive(Debug, Default)]
struct Cutter {
    parts: Vec<Vec<Edit>>,
    part: Vec<Edit>,
    weight: usize,
    bytes: usize,
}

impl Cutter {
    fn add(&mut self, edit: Edit) {
        let (weight, bytes) = (edit.weight(), edit.bytes());
        let is_full = self.weight + weight > MAX_BATCH || self.bytes + bytes > MAX_BATCH_BYTES;
        if is_full && !self.part.is_empty() {
            self.parts.push(std::mem::take(&mut self.part));
            (self.weight, self.bytes) = (0, 0);
        }
        self.part.push(edit);
        self.weight += weight;
        self.bytes += bytes;
    }

    fn finish(mut self) -> Vec<Vec<Edit>> {
        self.parts.push(self.part);
        self.parts
    }
}

impl Plan {
    /// All that is added to the job, in the order in which it must be there.
    pub(crate) fn edits(&mut self, callbacks: Vec<Callback>, data: Vec<Edit>) -> Vec<Vec<Edit>> {
        let mut cutter = Cutter::default();
        data.into_iter().for_each(|piece| cutter.add(piece));
        cutter.add(Edit::Reserve(self.members()));
        for span in std::mem::take(&mut self.spans) {
            cutter.add(Edit::Span(span));
        }
        for barrier in std::mem::take(&mut self.barriers) {
            cutter.add(Edit::Barrier(barrier));
        }
        for (number, shape) in std::mem::take(&mut self.stand_ins) {
            let shape = serde_json::to_string(&shape).expect("our own types are always JSON");
            cutter.add(Edit::StandIn { number, shape });
        }
        for callback in callbacks {
            cutter.add(Edit::Callback(callback));
        }
        let sources = std::mem::take(&mut self.sources);
        let mut is_source = vec![false; self.records.len()];
        for Release { lo, hi, .. } in &sources {
            is_source[at(*lo)..at(*hi)].fill(true);
        }
        for run in is_source.chunk_by(|a, b| a == b).scan(0, |lo, run| {
            let from = *lo;
            *lo += run.len();
            Some((from, run.len(), run[0]))
        }) {
            if let (from, members, false) = run {
                self.add_records(from, from + members, &mut cutter, |_, _| None);
            }
        }
        for release in sources {
            self.add_records(at(release.lo), at(release.hi), &mut cutter, |lo, hi| {
                Some(Edit::Release(Release { lo: lo as u64, hi: hi as u64, ..release.clone() }))
            });
        }
        for number in std::mem::take(&mut self.settled) {
            cutter.add(Edit::Settle(number));
        }
        cutter.finish()
    }

    /// Adds the records of members `lo..hi` in bites, each with what follows it. Those that stand for others
    /// have none.
    fn add_records(
        &mut self,
        lo: usize,
        hi: usize,
        cutter: &mut Cutter,
        then: impl Fn(usize, usize) -> Option<Edit>,
    ) {
        let (mut from, mut records, mut bytes) = (lo, Vec::new(), 0);
        for index in lo..=hi {
            let record = if index < hi { self.records[index].take() } else { None };
            let size = record.as_ref().map_or(0, String::len);
            let is_full = records.len() >= MAX_BATCH / 2 || bytes + size > MAX_BATCH_BYTES;
            if !records.is_empty() && (record.is_none() || is_full) {
                let count = records.len();
                let records = std::mem::take(&mut records);
                cutter.add(Edit::Records { first: from as u64, records });
                if let Some(edit) = then(from, from + count) {
                    cutter.add(edit);
                }
                bytes = 0;
            }
            if let Some(record) = record {
                if records.is_empty() {
                    from = index;
                }
                bytes += size;
                records.push(record);
            }
        }
    }

    /// The queues that members go to at first, and how many.
    fn queues(&self) -> Vec<(QueueName, u64)> {
        let mut queues: BTreeMap<&QueueName, u64> = BTreeMap::new();
        for Release { lo, hi, queue, .. } in &self.sources {
            *queues.entry(queue).or_default() += hi - lo;
        }
        queues.into_iter().map(|(queue, members)| (queue.clone(), members)).collect()
    }
}

fn at(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl Workflow {
    /// The parts in which it is sent.
    pub(crate) fn into_parts(
        mut self,
        job: JobId,
        new_id: impl Fn() -> TaskId,
    ) -> Result<Vec<WorkflowPart>, EnqueueError> {
        let root = std::mem::replace(&mut self.root, Node::Chain(Vec::new()));
        let mut plan = super::compile(root)?;
        // Also what cannot be drawn is a workflow.
        let outline = plan.outline.take().and_then(|outline| to_raw_value(&outline).ok());
        let none = || RawValue::from_string("{}".to_owned()).expect("JSON");
        let outline = outline.unwrap_or_else(none);
        self.parts_of(plan, &outline, job, new_id)
    }

    /// The parts in which a plan is sent under the settings of this workflow.
    pub(super) fn parts_of(
        self,
        mut plan: Plan,
        outline: &RawValue,
        job: JobId,
        new_id: impl Fn() -> TaskId,
    ) -> Result<Vec<WorkflowPart>, EnqueueError> {
        let Self { label, submitted_by, unique, keep_ms, callbacks, most, data, .. } = self;
        let unique = match unique {
            None => None,
            Some(Unique { key, mode: UniqueMode::For { ms } }) => Some((key, ms)),
            Some(_) => {
                return Err(EnqueueError::Invalid(InvalidInput::OutOfBounds {
                    what: "mode of the key",
                    value: "of a job".to_owned(),
                    expected: "the key of a job stands for it for a time",
                }));
            }
        };
        let name = NAME.parse()?;
        let args = RawValue::NULL;
        let options = TaskOptions { keep_ms, ..TaskOptions::default() };
        let spec = JobSpec {
            v: FORMAT,
            chunk: Record::new(&name, args, &options),
            chunks: plan.members(),
            split: None,
            accumulate: std::mem::take(&mut plan.accumulate),
            reduce: None,
            label: label.map(Cow::Owned),
            submitted_by: submitted_by.map(Cow::Owned),
            speculate: None,
            workflow: Some(outline),
        };
        let exit = serde_json::to_string(&plan.exit).expect("our own types are always JSON");
        let first = WorkflowJob {
            spec: spec.encode()?,
            keep_ms,
            exit,
            most,
            queues: plan.queues(),
            unique,
        };
        let mut called = callbacks.written(None, &new_id)?;
        for (member, callbacks) in std::mem::take(&mut plan.callbacks) {
            called.extend(callbacks.written(Some(member), &new_id)?);
        }
        let ends = plan.ends;
        let mut pieces = Vec::new();
        for data in data {
            pieces.extend(data.edits()?);
        }
        let parts = plan.edits(called, pieces);
        let count = parts.len() as u64;
        let mut first = Some(first);
        let part = |(part, edits)| WorkflowPart {
            id: job,
            part,
            job: first.take(),
            base: Some(0),
            edits,
            ends: if part == 0 { ends } else { 0 },
            joins: None,
            last: part + 1 == count,
        };
        Ok((0..).zip(parts).map(part).collect())
    }
}

impl Callbacks {
    fn written(
        self,
        of: Option<u64>,
        new_id: &impl Fn() -> TaskId,
    ) -> Result<Vec<Callback>, InvalidInput> {
        let Self { on_success, on_failure, on_end } = self;
        let all =
            [(When::Succeeded, on_success), (When::Failed, on_failure), (When::Ended, on_end)];
        let mut written = Vec::new();
        for (when, task) in all
            .into_iter()
            .flat_map(|(when, tasks)| tasks.into_iter().map(move |task| (when, task)))
        {
            let task = task.placed()?;
            let record = cut_record(&task)?;
            let TaskOptions { queue, priority, .. } = task.options;
            written.push(Callback { of, when, id: new_id(), queue, priority, record });
        }
        Ok(written)
    }
}

/// The record of a callback around the place of its argument `parent`.
fn cut_record(task: &NewTask) -> Result<(String, String), InvalidInput> {
    /// What no argument says by chance.
    const MARK: &str = "celeriac:what-ended:5f1c9d0e7a";
    let mut fields: BTreeMap<String, &RawValue> = match task.args().get().trim() {
        "null" => BTreeMap::new(),
        args => serde_json::from_str(args).map_err(|_| InvalidInput::Json {
            what: "arguments of a callback",
            reason: "they must be an object, so that `parent` can be set in it".to_owned(),
        })?,
    };
    let mark = serde_json::value::to_raw_value(MARK)
        .map_err(|error| InvalidInput::Json { what: "arguments", reason: error.to_string() })?;
    fields.insert("parent".to_owned(), &mark);
    let args = serde_json::value::to_raw_value(&fields)
        .map_err(|error| InvalidInput::Json { what: "arguments", reason: error.to_string() })?;
    let mut task = task.clone();
    task.set_args(args);
    let record = task.record()?.encode()?;
    let (head, tail) = record.split_once(mark.get()).unwrap_or((&record, ""));
    Ok((head.to_owned(), tail.to_owned()))
}
