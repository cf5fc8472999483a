//! A task on its way: [`NewTask`] is what is enqueued, [`Enqueue`] builds it from a typed task.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use celeriac_broker_schema::limits::DEFAULT_UNIQUE_MS;
use celeriac_broker_schema::script::{Entry, Start};
use celeriac_broker_schema::time::millis;
use celeriac_broker_schema::{
    Backoff, InvalidInput, Label, Meta, Priority, QueueName, Record, TaskId, TaskName, TaskOptions,
    Tenant, Timestamp, Unique, UniqueKey, UniqueMode,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::EnqueueError;
use crate::handle::Handle;
use crate::producer::Producer;
use crate::task::Task;

/// A task as it is to be enqueued: name, arguments, options.
///
/// ```
/// use std::time::Duration;
/// use celeriac_producer::NewTask;
/// let task = NewTask::new("mail.send", &serde_json::json!({ "to": "ada@example.org" }))?
///     .delay(Duration::from_secs(10))
///     .retries(5);
/// # Ok::<(), celeriac_broker_schema::InvalidInput>(())
/// ```
#[derive(Debug, Clone)]
pub struct NewTask {
    pub(crate) name: TaskName,
    pub(crate) args: Box<RawValue>,
    /// How it is run.
    pub options: TaskOptions,
    /// When it may start.
    pub start: Start,
    /// An idempotency key, and for how long it stands for this task.
    pub unique: Option<Unique>,
    /// Label, tags and headers.
    pub meta: Meta,
    /// A label that its worker must have.
    pub needs: Option<Label>,
    /// What its type says about two runs at once; None if it has no type.
    pub(crate) idempotent: Option<bool>,
}

impl NewTask {
    /// A task by its name on the wire, with any arguments that can be written as JSON.
    ///
    /// # Errors
    /// A name that is not valid, or arguments that cannot be written as JSON.
    pub fn new(name: &str, args: &impl Serialize) -> Result<Self, InvalidInput> {
        let args = to_raw(args)?;
        Ok(Self::from_raw(name.parse()?, args, TaskOptions::default()))
    }

    /// A task with arguments that are JSON already.
    pub fn from_raw(name: TaskName, args: Box<RawValue>, options: TaskOptions) -> Self {
        let (start, meta) = (Start::default(), Meta::default());
        Self { name, args, options, start, unique: None, meta, needs: None, idempotent: None }
    }

    /// A typed task with its own options and the label that it needs.
    ///
    /// # Errors
    /// As [`NewTask::new`].
    pub fn of<T: Task>(task: &T) -> Result<Self, InvalidInput> {
        Self::of_args::<T>(to_raw(task)?)
    }

    /// The same with arguments that are JSON already.
    pub(crate) fn of_args<T: Task>(args: Box<RawValue>) -> Result<Self, InvalidInput> {
        let task = Self::from_raw(TaskName::new(T::NAME)?, args, T::options());
        Ok(Self { needs: T::needs(), idempotent: Some(T::IDEMPOTENT), ..task })
    }

    /// Its name.
    pub fn name(&self) -> &TaskName {
        &self.name
    }

    /// Its arguments: the bytes that are stored.
    pub fn args(&self) -> &RawValue {
        &self.args
    }

    /// Replaces its arguments, for a layer that encrypts them for instance.
    pub fn set_args(&mut self, args: Box<RawValue>) {
        self.args = args;
    }

    /// What people call this one task, in up to 200 characters.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.meta.label = Some(label.into());
        self
    }

    /// Adds what people find it by; up to 16 tags of up to 64 bytes.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.meta.tags.insert(tag.into());
        self
    }

    /// Sets a header: a short text that travels with it, for the programs around it. Up to 32, and
    /// up to 4 kB of names and values together.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.meta.headers.set(name, value);
        self
    }

    /// The queue it waits in.
    #[must_use]
    pub fn queue(mut self, queue: QueueName) -> Self {
        self.options.queue = queue;
        self
    }

    /// Runs it only on workers that have this label (`celeriac worker --label gpu`). Until then it waits
    /// in the sub-queue `<queue>@<label>`.
    #[must_use]
    pub fn needs(mut self, label: Label) -> Self {
        self.needs = Some(label);
        self
    }

    /// Its priority there, 9 first.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.options.priority = priority;
        self
    }

    /// Starts it not before this much time has passed.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.start.delay_ms = Some(millis(delay));
        self
    }

    /// Starts it not before this time, by the clock of Redis.
    #[must_use]
    pub fn at(mut self, at: Timestamp) -> Self {
        self.start.at = Some(at);
        self
    }

    /// Does not start it at all once this much time has passed.
    #[must_use]
    pub fn expires_after(mut self, after: Duration) -> Self {
        self.start.expires_after_ms = Some(millis(after));
        self
    }

    /// Does not start it at all after this time, by the clock of Redis.
    #[must_use]
    pub fn expires_at(mut self, at: Timestamp) -> Self {
        self.start.expires_at = Some(at);
        self
    }

    /// How often a failed attempt is tried again.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.options.retry.retries = retries;
        self
    }

    /// How long to wait before each retry.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.options.retry.backoff = backoff;
        self
    }

    /// How long an attempt may run.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout_ms = Some(millis(timeout));
        self
    }

    /// For whom it is run: limits of tenants and fair turns go by it.
    #[must_use]
    pub fn tenant(mut self, tenant: Tenant) -> Self {
        self.options.tenant = Some(tenant);
        self
    }

    /// How many slots of its worker it takes; one unless set. A worker with fewer slots fails it.
    #[must_use]
    pub fn cost(mut self, slots: u32) -> Self {
        self.options.cost = slots.max(1);
        self
    }

    /// After how much time an attempt is told that it may save what it has and end. It is not
    /// stopped; see [`NewTask::timeout`] for that.
    #[must_use]
    pub fn soft_timeout(mut self, timeout: Duration) -> Self {
        self.options.soft_timeout_ms = Some(millis(timeout));
        self
    }

    /// For how long its outcome is kept; zero: not at all.
    #[must_use]
    pub fn keep_result(mut self, keep: Duration) -> Self {
        self.options.keep_ms = millis(keep);
        self
    }

    /// Keeps its outcome only if it fails for good, and for so long. Whoever waits for the result of
    /// one that succeeds hears that it is unknown. A job is kept for so long however it ends.
    #[must_use]
    pub fn keep_on_failure(mut self, keep: Duration) -> Self {
        (self.options.keep_ms, self.options.keep_failed_ms) = (0, Some(millis(keep)));
        self
    }

    /// Enqueues it only if no task with this key was enqueued within the last day; the handle
    /// leads to the first one.
    #[must_use]
    pub fn key(self, key: UniqueKey) -> Self {
        self.key_for(key, Duration::from_millis(DEFAULT_UNIQUE_MS))
    }

    /// As [`NewTask::key`], with the time for which the key is remembered.
    #[must_use]
    pub fn key_for(mut self, key: UniqueKey, remembered: Duration) -> Self {
        self.unique = Some(Unique { key, mode: UniqueMode::throttle(remembered) });
        self
    }

    /// Enqueues it only if its key stands for no other task; the handle leads to that one then.
    ///
    /// ```
    /// use std::time::Duration;
    /// use celeriac_producer::NewTask;
    /// use celeriac_broker_schema::{UniqueKey, UniqueMode};
    /// let index = NewTask::new("index", &serde_json::json!({ "document": 7 }))?
    ///     .unique(UniqueKey::new("index/7")?, UniqueMode::debounce(Duration::from_secs(5)));
    /// # Ok::<(), celeriac_broker_schema::InvalidInput>(())
    /// ```
    #[must_use]
    pub fn unique(mut self, key: UniqueKey, mode: UniqueMode) -> Self {
        self.unique = Some(Unique { key, mode });
        self
    }

    /// Whether it can be enqueued as it is, as far as that can be told without Redis.
    ///
    /// # Errors
    /// What [`Producer::enqueue_task`] would refuse it for.
    pub fn check(&self) -> Result<(), InvalidInput> {
        self.clone().into_entry(TaskId::new(Timestamp(0))).map(|_| ())
    }

    /// Its record.
    ///
    /// # Errors
    /// Label, tags or headers are out of bounds.
    pub(crate) fn record(&self) -> Result<Record<'_>, InvalidInput> {
        let record = Record::new(&self.name, &self.args, &self.options);
        if self.meta.is_empty() {
            return Ok(record);
        }
        self.meta.check()?;
        Ok(record.with_meta(&self.meta))
    }

    /// The same in the queue in which it really waits.
    pub(crate) fn placed(mut self) -> Result<Self, InvalidInput> {
        if let Some(label) = self.needs.take() {
            self.options.queue = self.options.queue.labelled(&label)?;
        }
        Ok(self)
    }

    pub(crate) fn into_entry(self, id: TaskId) -> Result<Entry, InvalidInput> {
        self.placed()?.into_placed_entry(id)
    }

    fn into_placed_entry(self, id: TaskId) -> Result<Entry, InvalidInput> {
        let mode = self.unique.as_ref().map(|unique| unique.mode);
        let has_time = self.start.delay_ms.is_some() || self.start.at.is_some();
        if has_time && matches!(mode, Some(UniqueMode::Debounce { .. })) {
            return Err(InvalidInput::OutOfBounds {
                what: "delay or time",
                value: "of a debounced task".to_owned(),
                expected: "it waits as long as its debounce says",
            });
        }
        let mut record = self.record()?;
        let until = self.start.at.map(|at| at.since(id.time()));
        record.delay_ms = self.start.delay_ms.or(until).filter(|ms| *ms > 0);
        let record = record.encode()?;
        let TaskOptions { queue, priority, .. } = self.options;
        Ok(Entry { id, record, queue, priority, start: self.start, unique: self.unique })
    }
}

fn to_raw(args: &impl Serialize) -> Result<Box<RawValue>, InvalidInput> {
    serde_json::value::to_raw_value(args)
        .map_err(|error| InvalidInput::Json { what: "arguments", reason: error.to_string() })
}

/// A typed task that is about to be enqueued; awaiting it does so.
#[derive(Debug)]
#[must_use = "nothing is enqueued until this is awaited"]
pub struct Enqueue<'a, T: Task> {
    producer: &'a Producer,
    task: Result<NewTask, InvalidInput>,
    output: std::marker::PhantomData<fn() -> T::Output>,
}

impl<'a, T: Task> Enqueue<'a, T> {
    pub(crate) fn new(producer: &'a Producer, task: &T) -> Self {
        Self { producer, task: NewTask::of(task), output: std::marker::PhantomData }
    }

    /// Changes anything about the task before it is sent.
    ///
    /// ```no_run
    /// # use celeriac_producer::{Producer, Task};
    /// # async fn f<T: Task>(producer: &Producer, task: T) -> Result<(), celeriac_producer::EnqueueError> {
    /// let handle = producer.enqueue(&task).with(|task| task.retries(0)).await?;
    /// # Ok(()) }
    /// ```
    pub fn with(mut self, change: impl FnOnce(NewTask) -> NewTask) -> Self {
        self.task = self.task.map(change);
        self
    }

    /// See [`NewTask::queue`]; a name that is not valid is reported when this is awaited.
    pub fn queue(mut self, queue: &str) -> Self {
        self.task = self.task.and_then(|task| Ok(task.queue(queue.parse()?)));
        self
    }

    /// See [`NewTask::needs`]; a label that is not valid is reported when this is awaited.
    pub fn needs(mut self, label: &str) -> Self {
        self.task = self.task.and_then(|task| Ok(task.needs(label.parse()?)));
        self
    }

    /// See [`NewTask::priority`]; 0 to 9, anything else is reported when this is awaited.
    pub fn priority(mut self, priority: u8) -> Self {
        self.task = self.task.and_then(|task| Ok(task.priority(Priority::new(priority)?)));
        self
    }

    /// See [`NewTask::delay`].
    pub fn delay(self, delay: Duration) -> Self {
        self.with(|task| task.delay(delay))
    }

    /// See [`NewTask::expires_after`].
    pub fn expires_after(self, after: Duration) -> Self {
        self.with(|task| task.expires_after(after))
    }

    /// See [`NewTask::retries`].
    pub fn retries(self, retries: u32) -> Self {
        self.with(|task| task.retries(retries))
    }

    /// See [`NewTask::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|task| task.timeout(timeout))
    }

    /// See [`NewTask::soft_timeout`].
    pub fn soft_timeout(self, timeout: Duration) -> Self {
        self.with(|task| task.soft_timeout(timeout))
    }

    /// See [`NewTask::keep_result`].
    pub fn keep_result(self, keep: Duration) -> Self {
        self.with(|task| task.keep_result(keep))
    }

    /// See [`NewTask::tenant`]; a tenant that is not valid is reported when this is awaited.
    pub fn tenant(mut self, tenant: &str) -> Self {
        self.task = self.task.and_then(|task| Ok(task.tenant(tenant.parse()?)));
        self
    }

    /// See [`NewTask::cost`].
    pub fn cost(self, slots: u32) -> Self {
        self.with(|task| task.cost(slots))
    }

    /// See [`NewTask::label`].
    pub fn label(self, label: impl Into<String>) -> Self {
        self.with(|task| task.label(label))
    }

    /// See [`NewTask::tag`].
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.with(|task| task.tag(tag))
    }

    /// See [`NewTask::header`].
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|task| task.header(name, value))
    }

    /// See [`NewTask::keep_on_failure`].
    pub fn keep_on_failure(self, keep: Duration) -> Self {
        self.with(|task| task.keep_on_failure(keep))
    }

    /// See [`NewTask::key`]; a key that is not valid is reported when this is awaited.
    pub fn key(mut self, key: &str) -> Self {
        self.task = self.task.and_then(|task| Ok(task.key(UniqueKey::new(key)?)));
        self
    }

    /// See [`NewTask::unique`]; a key that is not valid is reported when this is awaited.
    pub fn unique(mut self, key: &str, mode: UniqueMode) -> Self {
        self.task = self.task.and_then(|task| Ok(task.unique(UniqueKey::new(key)?, mode)));
        self
    }
}

impl<'a, T: Task> IntoFuture for Enqueue<'a, T> {
    type Output = Result<Handle<T::Output>, EnqueueError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { producer, task, .. } = self;
        Box::pin(async move { Ok(producer.enqueue_task(task?).await?.typed()) })
    }
}
