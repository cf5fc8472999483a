//! The [`Producer`]: the front door of this crate. It starts three loops when they are first needed
//! (the sender, with one that tells what it counts, and the waiter); all end when the last clone is dropped.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use celeriac_broker_schema::script::{Entry, WorkflowPart};
use celeriac_broker_schema::workflow::Shape;
use celeriac_broker_schema::{Broker, BrokerError, ClientId, RedisConfig, TaskId};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};

use crate::call::NewTask;
use crate::clock::Clock;
use crate::counted::{self, Counted};
use crate::error::{EnqueueError, ResultError};
use crate::handle::Handle;
use crate::job::NewJob;
use crate::layer::EnqueueLayer;
use crate::many::{Enqueued, Many};
use crate::recorder::Recorder;
use crate::room::Room;
use crate::schedule::Schedules;
use crate::sender::{Answer, Sender, Submission, Told, What};
use crate::waiter::{Wait, Waiter};
use crate::workflow::Workflow;
use crate::workflow::typed::Enqueueable;

/// How long to try when Redis does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Give up after this time, with an error that tells whether the task may exist.
    Within(Duration),
    /// Wait for as long as it takes.
    Forever,
}

impl Patience {
    pub(crate) fn left(self, passed: Duration) -> Duration {
        match self {
            Self::Within(limit) => limit.saturating_sub(passed),
            // A day is for ever as far as a single attempt is concerned.
            Self::Forever => Duration::from_secs(86_400),
        }
    }
}

impl Default for Patience {
    /// Ten seconds: a restart of Redis is waited out, a caller is not kept for ever.
    fn default() -> Self {
        Self::Within(Duration::from_secs(10))
    }
}

/// Enqueues tasks and jobs and waits for their results. Cheap to clone; clones share a connection.
///
/// ```no_run
/// use celeriac_broker_schema::RedisConfig;
/// use celeriac_producer::{NewTask, Producer};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let producer = Producer::connect(RedisConfig::new("redis://127.0.0.1:6379/")).await?;
/// let handle = producer.enqueue_task(NewTask::new("echo", &"hello")?).await?;
/// let answer: String = handle.typed().result().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Producer {
    inner: Arc<Inner>,
    /// The first one added comes first. None at all for most producers.
    layers: Option<Arc<[Arc<dyn EnqueueLayer>]>>,
    recorder: Option<Recorder>,
    while_full: Duration,
}

struct Inner {
    broker: Broker,
    client: ClientId,
    clock: Arc<Clock>,
    patience: Patience,
    submissions: OnceLock<mpsc::UnboundedSender<Submission>>,
    waits: OnceLock<mpsc::UnboundedSender<Wait>>,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("broker", &self.inner.broker).finish_non_exhaustive()
    }
}

impl Producer {
    /// A producer for this server. Nothing is connected yet.
    pub fn new(broker: Broker) -> Self {
        Self::with_patience(broker, Patience::default())
    }

    /// A producer that tries for as long as told when Redis does not answer.
    pub fn with_patience(broker: Broker, patience: Patience) -> Self {
        let (client, clock) = (ClientId::new(), Arc::new(Clock::default()));
        let (submissions, waits) = (OnceLock::new(), OnceLock::new());
        let inner = Inner { broker, client, clock, patience, submissions, waits };
        Self { inner: Arc::new(inner), layers: None, recorder: None, while_full: Duration::ZERO }
    }

    /// The same producer, which waits for room while a queue is full (see `celeriac queues limit`),
    /// instead of giving up at once: for each task, job or batch until nothing of it was taken for so
    /// long. What does not fit is offered again; nothing is enqueued twice.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use celeriac_producer::{NewTask, Producer, EnqueueError};
    /// # async fn example(producer: Producer, tasks: Vec<NewTask>) -> Result<(), EnqueueError> {
    /// let patient = producer.wait_while_full(Duration::from_secs(60));
    /// patient.enqueue_many(tasks).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wait_while_full(&self, patience: Duration) -> Self {
        Self { while_full: patience, ..self.clone() }
    }

    pub(crate) fn patience_while_full(&self) -> Duration {
        self.while_full
    }

    /// Connects and looks whether the server can hold a queue; what endangers tasks there is
    /// logged as a warning.
    ///
    /// # Errors
    /// [`BrokerError`]: not reachable, not allowed, or not suitable.
    pub async fn connect(config: RedisConfig) -> Result<Self, BrokerError> {
        let broker = Broker::new(config)?;
        for warning in broker.check_server().await?.warnings {
            tracing::warn!(server = broker.server(), "{warning}");
        }
        Ok(Self::new(broker))
    }

    /// This producer with another layer: something that sees, and may change or refuse, every task
    /// before it is stored. Layers come in the order in which they were added.
    ///
    /// The layer holds for this value and clones made of it: `producer.clone().layer(…)` leaves the
    /// original as it is, and both share a connection.
    ///
    /// ```
    /// # use celeriac_broker_schema::{Broker, RedisConfig};
    /// use celeriac_producer::{BoxError, NewTask, Producer};
    /// # fn example(producer: Producer) -> Producer {
    /// producer.layer(|task: &mut NewTask| -> Result<(), BoxError> {
    ///     task.meta.headers.set("tenant", "acme");
    ///     Ok(())
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn layer(mut self, layer: impl EnqueueLayer) -> Self {
        let before = self.layers().cloned();
        let layer: Arc<dyn EnqueueLayer> = Arc::new(layer);
        self.layers = Some(before.chain([layer]).collect());
        self
    }

    pub(crate) fn layers(&self) -> impl Iterator<Item = &Arc<dyn EnqueueLayer>> {
        self.layers.iter().flat_map(|layers| layers.iter())
    }

    pub(crate) fn apply_layers(&self, task: &mut NewTask) -> Result<(), EnqueueError> {
        for layer in self.layers() {
            layer.enqueue(task).map_err(|error| EnqueueError::Layer(error.into()))?;
        }
        Ok(())
    }

    /// A producer without Redis, for tests of code that enqueues: the recorder keeps what it is told to
    /// enqueue, all of which succeeds. An idempotency key is remembered for ever, and there are no
    /// results to wait for: handles say at once that the task is unknown.
    ///
    /// ```
    /// # use celeriac_producer::{NewTask, Producer, EnqueueError};
    /// async fn sign_up(user: &str, producer: &Producer) -> Result<(), EnqueueError> {
    ///     let mail = NewTask::new("mail.send", &serde_json::json!({ "to": user }))?;
    ///     producer.enqueue_task(mail.tag("welcome")).await?;
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), EnqueueError> {
    /// let (producer, recorder) = Producer::recording();
    /// sign_up("ada@example.org", &producer).await?;
    /// let tasks = recorder.tasks();
    /// assert_eq!(tasks[0].name.as_str(), "mail.send");
    /// assert_eq!(tasks[0].args.get(), r#"{"to":"ada@example.org"}"#);
    /// assert!(tasks[0].meta.tags.contains("welcome"));
    /// # Ok(()) }
    /// ```
    pub fn recording() -> (Self, Recorder) {
        // Nobody can listen there: whoever asks for more than enqueueing gets an error.
        let nowhere = RedisConfig::new("redis+unix:///dev/null/a-recording-producer-has-no-redis");
        let recorder = Recorder::new(false);
        let producer = Self::new(Broker::new(nowhere).expect("a URL"));
        (Self { recorder: Some(recorder.clone()), ..producer }, recorder)
    }

    /// This producer, with a recorder that keeps what goes through it to Redis.
    pub fn recorded(self) -> (Self, Recorder) {
        let recorder = Recorder::new(true);
        (Self { recorder: Some(recorder.clone()), ..self }, recorder)
    }

    /// The broker behind it.
    pub fn broker(&self) -> &Broker {
        &self.inner.broker
    }

    /// Enqueues a typed task, by reference, or a typed workflow. Options can be set before it is awaited.
    ///
    /// # Errors
    /// [`EnqueueError`] when awaited.
    pub fn enqueue<E: Enqueueable>(&self, what: E) -> E::Call<'_> {
        what.call(self)
    }

    /// Enqueues a task. Safe against lost answers: however often the call to Redis has to be
    /// repeated, there is one task.
    ///
    /// # Errors
    /// [`EnqueueError`].
    pub async fn enqueue_task(&self, mut task: NewTask) -> Result<Handle, EnqueueError> {
        self.apply_layers(&mut task)?;
        let id = self.new_id();
        let answer = self.submit(vec![task.into_entry(id)?])?;
        let mut told = answer.await.map_err(|_| EnqueueError::ShutDown)??;
        self.wait_for_room(&mut told).await?;
        told.all_taken()?;
        Ok(match told.duplicates.first() {
            Some(duplicate) => Handle::new(duplicate.first, true, self.clone()),
            None => Handle::new(id, false, self.clone()),
        })
    }

    /// Enqueues any number of tasks in batches, while they come out of the iterator.
    ///
    /// # Errors
    /// [`EnqueueError`]; tasks of earlier batches are enqueued then. Use [`Producer::many`] to know
    /// how many.
    pub async fn enqueue_many(
        &self,
        tasks: impl IntoIterator<Item = NewTask>,
    ) -> Result<Enqueued, EnqueueError> {
        let mut many = self.many();
        for task in tasks {
            many.push(task).await?;
        }
        many.finish().await
    }

    /// Takes tasks one by one and sends them in batches.
    pub fn many(&self) -> Many {
        Many::new(self.clone())
    }

    /// Enqueues a job of chunks: one call, whatever their number.
    ///
    /// # Errors
    /// [`EnqueueError`].
    pub async fn enqueue_job(&self, mut job: NewJob) -> Result<Handle, EnqueueError> {
        job.tasks_mut().try_for_each(|task| self.apply_layers(task))?;
        let id = self.new_id();
        let job = Box::new(job.into_range(id.job())?);
        let mut room = Room::new(self.while_full);
        let told = loop {
            let answer = self.send(What::Job(job.clone()))?;
            let told = answer.await.map_err(|_| EnqueueError::ShutDown)??;
            // A job goes in as a whole: one that is larger than the limit never will.
            let limit = told.why.as_ref().and_then(|why| why.limit);
            if limit.is_none_or(|limit| limit < job.chunks) || !room.wait().await {
                break told;
            }
        };
        told.all_taken()?;
        Ok(match told.duplicates.first() {
            Some(duplicate) => Handle::new(duplicate.first, true, self.clone()),
            None => Handle::new(id, false, self.clone()),
        })
    }

    /// Enqueues a workflow: one call for up to a thousand tasks, more of them beyond that, while the first
    /// tasks run.
    ///
    /// # Errors
    /// [`EnqueueError`]; [`EnqueueError::Workflow`] tells everything that is wrong with it at once.
    pub async fn enqueue_workflow(
        &self,
        workflow: impl Into<Workflow>,
    ) -> Result<Handle, EnqueueError> {
        let mut workflow = workflow.into();
        workflow.root.each_task(&mut |task| self.apply_layers(task))?;
        let id = self.new_id();
        let parts = workflow.into_parts(id.job(), || self.new_id())?;
        for part in parts {
            let told = self.send_part(part).await?;
            if let Some(duplicate) = told.duplicates.first() {
                return Ok(Handle::new(duplicate.first, true, self.clone()));
            }
            told.all_taken()?;
        }
        Ok(Handle::new(id, false, self.clone()))
    }

    /// The tasks that are enqueued again and again.
    pub fn schedules(&self) -> Schedules {
        Schedules::new(self.clone())
    }

    /// A handle to something that was enqueued elsewhere.
    pub fn handle(&self, id: TaskId) -> Handle {
        Handle::new(id, false, self.clone())
    }

    /// Sends a part of a workflow. The first one is offered again as long as a queue is full, if that was said.
    pub(crate) async fn send_part(&self, part: WorkflowPart) -> Result<Told, EnqueueError> {
        let (part, mut room) = (Box::new(part), Room::new(self.while_full));
        loop {
            let answer = self.send(What::Part(part.clone()))?;
            let told = answer.await.map_err(|_| EnqueueError::ShutDown)??;
            if told.why.is_none() || part.part > 0 || !room.wait().await {
                return Ok(told);
            }
        }
    }

    /// The result of a workflow, of the results of its members. Waits through outages.
    pub(crate) async fn assemble(
        &self,
        id: TaskId,
        shape: &Shape,
    ) -> Result<Box<RawValue>, ResultError> {
        loop {
            match self.inner.broker.assemble(id.job(), 0, shape).await {
                Ok(Ok(result)) => return Ok(result),
                Ok(Err(reason)) => return Err(ResultError::Unreadable { id, reason }),
                Err(error) if error.is_temporary() => {
                    tracing::debug!(%error, "the results of a workflow are read again");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => {
                    return Err(ResultError::Unreadable { id, reason: error.to_string() });
                }
            }
        }
    }

    pub(crate) fn new_id(&self) -> TaskId {
        TaskId::new(self.inner.clock.now())
    }

    /// Lets the clock of this program jump.
    #[cfg(test)]
    pub(crate) fn jump_clock(&self, ms: i64) {
        let clock = &self.inner.clock;
        clock.set(celeriac_broker_schema::Timestamp(clock.now().0.saturating_add_signed(ms)));
    }

    pub(crate) fn submit(
        &self,
        entries: Vec<Entry>,
    ) -> Result<oneshot::Receiver<Answer>, EnqueueError> {
        self.send(What::Tasks(entries))
    }

    fn send(&self, what: What) -> Result<oneshot::Receiver<Answer>, EnqueueError> {
        let (answer, receiver) = oneshot::channel();
        if let Some(duplicates) = self.recorder.as_ref().and_then(|recorder| recorder.note(&what)) {
            let _ = answer.send(Ok(Told { duplicates, ..Told::default() }));
            return Ok(receiver);
        }
        let inner = &self.inner;
        let sender = inner.submissions.get_or_init(|| {
            let (sender, submissions) = mpsc::unbounded_channel();
            let counted = Arc::new(Counted::default());
            tokio::spawn(counted::run(Arc::clone(&counted), inner.broker.clone()));
            tokio::spawn(
                Sender {
                    broker: inner.broker.clone(),
                    client: inner.client.clone(),
                    clock: Arc::clone(&inner.clock),
                    patience: inner.patience,
                    submissions,
                    number: 0,
                    counted,
                }
                .run(),
            );
            sender
        });
        sender
            .send(Submission { since: tokio::time::Instant::now(), what, answer })
            .map_err(|_| EnqueueError::ShutDown)?;
        Ok(receiver)
    }

    /// Gets a word when there may be news of a job; from now on, also if Redis is asked for it later.
    pub(crate) fn news_of(&self, id: TaskId) -> Result<oneshot::Receiver<()>, ResultError> {
        let (answer, receiver) = oneshot::channel();
        let wait = Wait::News(id.job(), answer);
        self.waits(id)?.send(wait).map_err(|_| ResultError::ShutDown)?;
        Ok(receiver)
    }

    pub(crate) fn client(&self) -> &ClientId {
        &self.inner.client
    }

    /// The way to the waiter.
    fn waits(&self, id: TaskId) -> Result<&mpsc::UnboundedSender<Wait>, ResultError> {
        if self.recorder.as_ref().is_some_and(|recorder| !recorder.forwards()) {
            return Err(ResultError::Unknown(id));
        }
        let inner = &self.inner;
        Ok(inner.waits.get_or_init(|| {
            let (sender, waits) = mpsc::unbounded_channel();
            tokio::spawn(Waiter::new(inner.broker.clone(), inner.client.clone(), waits).run());
            sender
        }))
    }

    /// Waits for the stored outcome of a task or job.
    pub(crate) async fn wait_for(&self, id: TaskId) -> Result<String, ResultError> {
        let waits = self.waits(id)?;
        let (answer, receiver) = oneshot::channel();
        waits.send(Wait::End(id, answer)).map_err(|_| ResultError::ShutDown)?;
        receiver.await.map_err(|_| ResultError::ShutDown)?.ok_or(ResultError::Unknown(id))
    }
}
