//! Tasks, jobs and workflows as they are sent: the fields of a line of `celeriac enqueue --lines`, and for jobs
//! those of its options for chunks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use celeriac_broker_schema::text::Due;
use celeriac_broker_schema::{
    Backoff, Headers, InvalidInput, Label, Priority, QueueName, TaskName, Tenant, UniqueKey,
    UniqueMode,
};
use celeriac_producer::workflow::Workflow;
use celeriac_producer::{NewJob, NewTask, Problem};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::body::{Field, Fields, body};
use super::refusal::{Fault, Refusal};
use super::table::Body;

/// Most bytes of a request: as many as go to Redis in one call.
const MOST_BYTES: usize = celeriac_broker_schema::limits::MAX_BATCH_BYTES;
/// Most tasks of a request.
const MOST_TASKS: usize = celeriac_broker_schema::limits::MAX_BATCH;

body! {
    /// What is said of a task.
    struct TaskFields {
        /// Its name, as workers know it.
        task: TaskName,
        /// Its arguments: any JSON. `{}` unless set.
        args: Box<RawValue>,
        /// The queue to wait in. `default` unless set.
        queue: QueueName,
        /// A label that its worker must have.
        needs: Label,
        /// 9 runs first. 5 unless set.
        priority: Priority,
        /// Start it not before this time has passed.
        delay: Duration,
        /// Start it not before this time: RFC 3339, or Unix seconds or milliseconds.
        at: Due,
        /// Do not start it at all after this time, or after so much time.
        expires: Due,
        /// How often a failed attempt is tried again. 3 unless set.
        retries: u32,
        /// How long to wait before each retry: growing with jitter, always the same, or listed.
        backoff: Backoff,
        /// How long an attempt may run.
        timeout: Duration,
        /// When an attempt is told to save what it has and end.
        soft_timeout: Duration,
        /// How long its outcome is kept; `0s`: not at all. `1d` unless set.
        keep: Duration,
        /// Keep its outcome only if it fails for good, and for so long.
        keep_failed: Duration,
        /// Enqueue it only if nothing with this key was enqueued lately. In place of the header
        /// `Idempotency-Key`.
        key: String,
        /// For how long the key stands for the task. `for=1d` unless set.
        unique: UniqueMode,
        /// What people call it.
        label: String,
        /// What people find it by, up to 16.
        tags: BTreeSet<String>,
        /// Short texts that travel with it, up to 32.
        headers: BTreeMap<String, String>,
        /// For whom it is run: limits of tenants and fair turns go by it.
        tenant: Tenant,
        /// How many slots of its worker it takes. 1 unless set.
        cost: u32,
    }
}

body! {
    /// What is said of the chunks of a job.
    struct ChunkFields {
        /// How many chunks, 1 to 100,000,000.
        chunks: u64,
        /// An amount that is shared out among the chunks: each gets its part in this argument.
        split: SplitField,
        /// Fields of the chunks' results that are summed up.
        sum: Vec<String>,
        /// Fields of which the smallest value is kept.
        min: Vec<String>,
        /// Fields of which the largest value is kept.
        max: Vec<String>,
        /// The task that gets the accumulators; its result is that of the job.
        reduce: TaskName,
        /// Start a chunk a second time when it runs for so many percent of the mean, and a worker is
        /// free; only for tasks that may run twice at once.
        speculate: u32,
        /// Who enqueues it.
        submitted_by: String,
    }
}

/// `{"field": "samples", "total": 1000}`
#[derive(Debug)]
pub(in crate::routes) struct SplitField(celeriac_broker_schema::Split);

impl Field for SplitField {
    fn read(json: &RawValue) -> Result<Self, String> {
        let split = serde_json::from_str(json.get());
        split.map(Self).map_err(|_| "it is an object with `field` and `total`, such as {\"field\": \"samples\", \"total\": 1000}".to_owned())
    }

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["field", "total"],
            "additionalProperties": false,
            "properties": {
                "field": { "type": "string" },
                "total": { "type": "integer", "minimum": 0 },
            },
        })
    }
}

impl TaskFields {
    /// The task with all that is said here. What is wrong is noted.
    pub(in crate::routes) fn into_task(self, fields: &mut Fields) -> Option<NewTask> {
        if self.delay.is_some() && self.at.is_some() {
            fields.fault("delay", "`delay` and `at` exclude each other");
        }
        if self.keep.is_some() && self.keep_failed.is_some() {
            fields.fault("keep_failed", "`keep` and `keep_failed` exclude each other");
        }
        if self.unique.is_some() && self.key.is_none() {
            fields.fault(
                "unique",
                "it says for how long a key stands for its task, and there is no `key`",
            );
        }
        if self.cost == Some(0) {
            fields.fault("cost", "a task takes at least one slot");
        }
        let Some(name) = self.task else {
            if !fields.is_wrong("task") {
                fields.fault("task", "the name of the task is missing");
            }
            return None;
        };
        let args = self.args.unwrap_or_else(no_arguments);
        let mut task = NewTask::from_raw(name, args, Default::default());
        task = self.queue.into_iter().fold(task, NewTask::queue);
        task = self.needs.into_iter().fold(task, NewTask::needs);
        task = self.priority.into_iter().fold(task, NewTask::priority);
        task = self.delay.into_iter().fold(task, NewTask::delay);
        task = match self.at {
            Some(Due::After(after)) => task.delay(after),
            Some(Due::At(at)) => task.at(at),
            None => task,
        };
        task = match self.expires {
            Some(Due::After(after)) => task.expires_after(after),
            Some(Due::At(at)) => task.expires_at(at),
            None => task,
        };
        task = self.retries.into_iter().fold(task, NewTask::retries);
        task = self.backoff.into_iter().fold(task, NewTask::backoff);
        task = self.timeout.into_iter().fold(task, NewTask::timeout);
        task = self.soft_timeout.into_iter().fold(task, NewTask::soft_timeout);
        task = self.keep.into_iter().fold(task, NewTask::keep_result);
        task = self.keep_failed.into_iter().fold(task, NewTask::keep_on_failure);
        task = self.label.into_iter().fold(task, NewTask::label);
        task = self.tenant.into_iter().fold(task, NewTask::tenant);
        task = self.cost.into_iter().fold(task, NewTask::cost);
        task.meta.tags = self.tags.unwrap_or_default();
        let mut headers = Headers::new();
        self.headers.into_iter().flatten().for_each(|(name, value)| headers.set(name, value));
        task.meta.headers = headers;
        match self.key.map(UniqueKey::new).transpose() {
            Ok(key) => Some(match (key, self.unique) {
                (Some(key), Some(mode)) => task.unique(key, mode),
                (Some(key), None) => task.key(key),
                (None, _) => task,
            }),
            Err(error) => {
                fields.fault("key", error.to_string());
                None
            }
        }
    }
}

fn no_arguments() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_default()
}

/// Whether it can be enqueued, with the field that is to blame.
fn checked(result: Result<(), InvalidInput>, fields: &mut Fields) {
    let Err(error) = result else { return };
    let name = match &error {
        InvalidInput::TooLarge { what: "arguments", .. } | InvalidInput::SplitArguments { .. } => {
            "args"
        }
        InvalidInput::Chunks(_) => "chunks",
        InvalidInput::Name { what: "queue name", .. } => "needs",
        InvalidInput::OutOfBounds { what, .. } if what.contains("header") => "headers",
        InvalidInput::OutOfBounds { what, .. } if what.contains("tag") => "tags",
        InvalidInput::OutOfBounds { what, .. } if what.contains("label") => "label",
        InvalidInput::OutOfBounds { what, .. } if what.contains("submitter") => "submitted_by",
        InvalidInput::OutOfBounds { what: "delay or time", .. } => "delay",
        _ => "",
    };
    if name.is_empty() {
        let fault = Fault::at(fields.pointer("").trim_end_matches('/'), error.to_string());
        fields.faults.push(fault);
    } else {
        fields.fault(name, error.to_string());
    }
}

/// One task, or several.
#[derive(Debug)]
pub(in crate::routes) struct NewTasks {
    pub(in crate::routes) tasks: Vec<NewTask>,
    /// Whether they came as a list.
    pub(in crate::routes) several: bool,
}

impl Body for NewTasks {
    const MOST: usize = MOST_BYTES;

    fn read(text: &[u8]) -> Result<Self, Refusal> {
        let body: Box<RawValue> =
            serde_json::from_slice(text).map_err(|error| Refusal::json(&error))?;
        let several = body.get().starts_with('[');
        let items: Vec<Box<RawValue>> = match several {
            true => serde_json::from_str(body.get()).map_err(|error| Refusal::json(&error))?,
            false => vec![body],
        };
        if items.is_empty() || items.len() > MOST_TASKS {
            let detail = format!("a list has 1 to {MOST_TASKS} tasks");
            return Err(Refusal::body(vec![Fault::at("", detail)]));
        }
        let (mut tasks, mut faults) = (Vec::with_capacity(items.len()), Vec::new());
        for (i, item) in items.iter().enumerate() {
            let at = if several { format!("/{i}") } else { String::new() };
            match task(item, &at) {
                Ok(task) => tasks.push(task),
                Err(wrong) => faults.extend(wrong),
            }
        }
        if faults.is_empty() { Ok(Self { tasks, several }) } else { Err(Refusal::body(faults)) }
    }

    fn schema(schemas: &mut SchemaGenerator) -> Option<Schema> {
        let task = known(schemas, "NewTask", &["task"], TaskFields::properties());
        let several =
            json!({ "type": "array", "minItems": 1, "maxItems": MOST_TASKS, "items": task });
        json!({ "oneOf": [task, several] }).try_into().ok()
    }
}

fn task(json: &RawValue, at: &str) -> Result<NewTask, Vec<Fault>> {
    let mut fields = Fields::of(json, at).map_err(|fault| vec![fault])?;
    let task = TaskFields::take(&mut fields);
    fields.refuse_the_rest();
    let task = task.into_task(&mut fields);
    if let Some(task) = task.as_ref().filter(|_| fields.faults.is_empty()) {
        checked(task.check(), &mut fields);
    }
    match task {
        Some(task) if fields.faults.is_empty() => Ok(task),
        _ => Err(fields.faults),
    }
}

/// A workflow.
#[derive(Debug)]
pub(in crate::routes) struct NewWorkflow(pub(in crate::routes) Box<Workflow>);

impl Body for NewWorkflow {
    const MOST: usize = MOST_BYTES;

    fn read(text: &[u8]) -> Result<Self, Refusal> {
        let body: Box<RawValue> =
            serde_json::from_slice(text).map_err(|error| Refusal::json(&error))?;
        let fault = |problem: Problem| Fault::at(problem.path, problem.reason);
        Workflow::from_json(body.get())
            .map(|workflow| Self(Box::new(workflow)))
            .map_err(|wrong| Refusal::body(wrong.problems.into_iter().map(fault).collect()))
    }

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        Some(json_schema!({
            "type": "object",
            "description": "A node (`task`, `chain`, `group`, `chord`, `map`, `starmap`, `fold` or `graph`), or an object with the node as `workflow` and the settings of the job beside it: the form of `celeriac enqueue --file`, whose schema `celeriac enqueue --schema` prints.",
            "examples": [{ "chain": [
                { "map": { "task": "page.count_words", "over": ["a.txt", "b.txt"] } },
                { "task": "sum" },
            ] }],
        }))
    }
}

/// One job of chunks.
#[derive(Debug)]
pub(in crate::routes) struct NewJobs {
    pub(in crate::routes) job: NewJob,
    /// Whether it has an idempotency key of its own.
    pub(in crate::routes) chunk: NewTask,
    pub(in crate::routes) rest: ChunkFields,
    pub(in crate::routes) label: Option<String>,
}

impl Body for NewJobs {
    const MOST: usize = MOST_BYTES;

    fn read(text: &[u8]) -> Result<Self, Refusal> {
        let body: Box<RawValue> =
            serde_json::from_slice(text).map_err(|error| Refusal::json(&error))?;
        let mut fields = Fields::of(&body, "").map_err(|fault| Refusal::body(vec![fault]))?;
        let mut of_task = TaskFields::take(&mut fields);
        let rest = ChunkFields::take(&mut fields);
        fields.refuse_the_rest();
        // The label is that of the job.
        let label = of_task.label.take();
        if rest.chunks.is_none() && !fields.is_wrong("chunks") {
            fields.fault("chunks", "the number of chunks is missing");
        }
        let chunk = of_task.into_task(&mut fields);
        match chunk {
            Some(chunk) if fields.faults.is_empty() => {
                let job = new_job(&chunk, &rest, label.as_deref(), rest.submitted_by.as_deref());
                checked(job.check(), &mut fields);
                if fields.faults.is_empty() {
                    return Ok(Self { job, chunk, rest, label });
                }
                Err(Refusal::body(fields.faults))
            }
            _ => Err(Refusal::body(fields.faults)),
        }
    }

    fn schema(schemas: &mut SchemaGenerator) -> Option<Schema> {
        let mut properties = TaskFields::properties();
        properties.extend(ChunkFields::properties());
        known(schemas, "NewJob", &["task", "chunks"], properties).try_into().ok()
    }
}

/// The job of these chunks.
pub(in crate::routes) fn new_job(
    chunk: &NewTask,
    rest: &ChunkFields,
    label: Option<&str>,
    submitted_by: Option<&str>,
) -> NewJob {
    let mut job = NewJob::new(chunk.clone(), rest.chunks.unwrap_or_default());
    if let Some(SplitField(split)) = &rest.split {
        job = job.split(split.field.clone(), split.total);
    }
    job = rest.sum.iter().flatten().fold(job, |job, field| job.sum(field));
    job = rest.min.iter().flatten().fold(job, |job, field| job.min(field));
    job = rest.max.iter().flatten().fold(job, |job, field| job.max(field));
    job = rest.speculate.into_iter().fold(job, NewJob::speculate);
    job = label.into_iter().fold(job, NewJob::label);
    job = submitted_by.into_iter().fold(job, NewJob::submitted_by);
    let Some(reduce) = &rest.reduce else { return job };
    // It waits where the chunks do: whoever serves those will serve it. The time-out is that of a
    // chunk; how long the reduction takes is another matter.
    let mut options = chunk.options.clone();
    (options.timeout_ms, options.soft_timeout_ms) = (None, None);
    let mut reducer = NewTask::from_raw(reduce.clone(), no_arguments(), options);
    reducer.meta = chunk.meta.clone();
    reducer.needs.clone_from(&chunk.needs);
    job.reduce(reducer)
}

/// Makes a schema of fields known, and refers to it.
fn known(
    schemas: &mut SchemaGenerator,
    name: &str,
    required: &[&str],
    properties: Map<String, Value>,
) -> Value {
    let schema = json!({
        "type": "object",
        "required": required,
        "additionalProperties": false,
        "properties": properties,
    });
    schemas.definitions_mut().insert(name.to_owned(), schema);
    json!({ "$ref": format!("#/components/schemas/{name}") })
}
