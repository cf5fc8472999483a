//! The [`Broker`]: one thin method per verb. What each does is told in the header of its script.

mod bulk;
mod queues;

pub use bulk::{
    CancelFilter, CancelledPage, DeadActPage, DeadCursor, DeadGroupsPage, QueueCursor, TasksPage,
};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;

use crate::config::{RedisConfig, ServerReport};
use crate::connection::{Connections, Failure, MAX_BLOCK};
use crate::dead::DeadLetter;
use crate::error::BrokerError;
#[cfg(doc)]
use crate::explain::Reason;
use crate::explain::{self, Explanation};
use crate::gate::{Limit, Subject};
use crate::id::{ClientId, JobId, LeaseId, TaskId};
use crate::keys::Keys;
use crate::name::{QueueName, ScheduleName};
use crate::record::Record;
use crate::requester::Requester;
use crate::script::{
    self, Answered, Cancelled, Checkpoint, Claim, Claimed, Closed, DeadPage, Due, Emission, Ending,
    Entry, Fire, Fired, Found, JobView, Kept, LimitChanged, Limits, MemoryPage, Opened, Order,
    OrderSeen, Place, Queued, RangeJob, Reclaimed, Renewed, Revived, ScheduleChange,
    ScheduleChanged, Schedules, Snapshot, Speculated, StreamPage, Tidied, Watched, Whereabouts,
    Workers,
};
use crate::settings::Setting;
use crate::subscription::{Notices, Subscription};
use crate::time::{Timestamp, millis};

/// Access to one namespace on one Redis server. Cheap to clone; clones share their connections.
///
/// No call retries by itself: those that change something carry a number and are safe to repeat
/// by whoever knows until when that makes sense.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

struct Inner {
    config: RedisConfig,
    keys: Keys,
    connections: Connections,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("config", &self.inner.config).finish()
    }
}

impl Broker {
    /// A broker for this server. Nothing is connected yet.
    ///
    /// # Errors
    /// [`BrokerError::Url`] if the URL cannot be used.
    pub fn new(config: RedisConfig) -> Result<Self, BrokerError> {
        let keys = Keys::new(&config.namespace);
        let connections = Connections::new(&config)?;
        Ok(Self { inner: Arc::new(Inner { config, keys, connections }) })
    }

    /// A second broker of the same kind with connections of its own, for a thread with its own
    /// runtime: a connection lives in the runtime that made it.
    ///
    /// # Errors
    /// As [`Broker::new`].
    pub fn separate(&self) -> Result<Self, BrokerError> {
        Self::new(self.inner.config.clone())
    }

    /// How this broker reaches its server.
    pub fn config(&self) -> &RedisConfig {
        &self.inner.config
    }

    /// The keys of its namespace.
    pub fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    /// Where the server is, without user and password.
    pub fn server(&self) -> &str {
        self.inner.connections.server()
    }

    /// Looks at the server: can it hold a queue, and does it lose tasks?
    ///
    /// # Errors
    /// [`BrokerError::Unsuitable`] if it is too old or a replica, and whatever keeps us from it.
    pub async fn check_server(&self) -> Result<ServerReport, BrokerError> {
        let info =
            self.inner.connections.command("INFO", redis::cmd("INFO").arg("everything")).await?;
        let info: String = redis::from_redis_value(info).unwrap_or_default();
        let mut report = ServerReport::from_info(&info, self.server())?;
        report.note_sync(self.sync_policy().await.as_deref());
        Ok(report)
    }

    /// How the append-only file is synced. Many servers of others do not tell, and that is no harm.
    async fn sync_policy(&self) -> Option<String> {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg("appendfsync");
        let answer = self.inner.connections.command("CONFIG", &command).await.ok()?;
        let mut settings: BTreeMap<String, String> = redis::from_redis_value(answer).ok()?;
        settings.remove("appendfsync")
    }

    /// The answer to `INFO <section>`, for measurements.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn info(&self, section: &str) -> Result<String, BrokerError> {
        let info = self.inner.connections.command("INFO", redis::cmd("INFO").arg(section)).await?;
        Ok(redis::from_redis_value(info).unwrap_or_default())
    }

    /// One round trip to the server.
    ///
    /// # Errors
    /// Whatever keeps us from it.
    pub async fn ping(&self) -> Result<(), BrokerError> {
        self.inner.connections.command("PING", &redis::cmd("PING")).await.map(|_| ())
    }

    /// Enqueues a batch. `number` counts the batches of `producer` upwards: a batch that was
    /// carried out already changes nothing. What a queue that is closed or full does not take is told
    /// in the answer.
    ///
    /// # Errors
    /// Whatever keeps us from the server; the batch may have been carried out.
    pub async fn enqueue(
        &self,
        producer: &ClientId,
        number: u64,
        entries: &[Entry],
    ) -> Result<Answered, BrokerError> {
        script::enqueue(&self.inner.connections, &self.inner.keys, producer, number, entries).await
    }

    /// Enqueues a job of chunks, numbered as a batch of [`Broker::enqueue`].
    ///
    /// # Errors
    /// Whatever keeps us from the server; the job may have been enqueued.
    pub async fn enqueue_range(
        &self,
        producer: &ClientId,
        number: u64,
        job: &RangeJob,
    ) -> Result<Answered, BrokerError> {
        script::enqueue_range(&self.inner.connections, &self.inner.keys, producer, number, job)
            .await
    }

    /// Begins a lease that lives for `visibility` unless renewed.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn open(&self, lease: &LeaseId, visibility: Duration) -> Result<Opened, BrokerError> {
        self.open_on("", lease, visibility).await
    }

    /// As [`Broker::open`], with the name of the machine: if the worker is lost, it is noted with
    /// the attempts that it cost.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn open_on(
        &self,
        host: &str,
        lease: &LeaseId,
        visibility: Duration,
    ) -> Result<Opened, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        script::open(connections, keys, lease, millis(visibility), host).await
    }

    /// Asks for tasks.
    ///
    /// # Errors
    /// Whatever keeps us from the server; repeat the call under the same number.
    pub async fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, BrokerError> {
        script::claim(&self.inner.connections, &self.inner.keys, claim).await
    }

    /// Reports endings and asks for tasks in one round trip.
    ///
    /// # Errors
    /// Whatever keeps us from the server; repeat the call under the same number.
    pub async fn complete(
        &self,
        claim: &Claim<'_>,
        endings: &[Ending],
    ) -> Result<Claimed, BrokerError> {
        script::complete(&self.inner.connections, &self.inner.keys, claim, endings).await
    }

    /// Prolongs a lease. `jobs`: those it holds chunks of.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn renew(
        &self,
        lease: &LeaseId,
        visibility: Duration,
        jobs: &[JobId],
    ) -> Result<Renewed, BrokerError> {
        script::renew(&self.inner.connections, &self.inner.keys, lease, millis(visibility), jobs)
            .await
    }

    /// Ends tasks and jobs that nobody wants any more, and tells the workers of those that run.
    /// Safe to repeat. Answers in the order of the ids.
    ///
    /// # Errors
    /// Whatever keeps us from the server; some of them may have been cancelled.
    pub async fn cancel(
        &self,
        ids: &[TaskId],
        who: &Requester,
    ) -> Result<Vec<Cancelled>, BrokerError> {
        script::cancel(&self.inner.connections, &self.inner.keys, ids, who).await
    }

    /// The stored [`Record`]s of those of these tasks that have not ended, in JSON.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn records(&self, ids: &[TaskId]) -> Result<Vec<Option<String>>, BrokerError> {
        let mut found = Vec::with_capacity(ids.len());
        while found.len() < ids.len() {
            let rest = &ids[found.len()..];
            let bite = &rest[..rest.len().min(script::RECORDS_BITE)];
            let Inner { connections, keys, .. } = &*self.inner;
            let stored = script::records(connections, keys, bite).await?;
            found.extend(stored.into_iter().map(|record| (!record.is_empty()).then_some(record)));
        }
        Ok(found)
    }

    /// A page of what waits in one place of a queue, `limit` of it and at most 1,000. The first page
    /// begins at 0, the others where the one before says.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn queued(
        &self,
        queue: &QueueName,
        place: &Place,
        cursor: u64,
        limit: u32,
    ) -> Result<Queued, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        script::queued(connections, keys, queue, place, cursor, limit).await
    }

    /// Says what is wanted of the worker that has this lease. Repeating it does no harm.
    ///
    /// # Errors
    /// Whatever keeps us from the server; the order may have been given.
    pub async fn order(
        &self,
        lease: &LeaseId,
        order: &Order,
        who: &Requester,
    ) -> Result<OrderSeen, BrokerError> {
        script::order(&self.inner.connections, &self.inner.keys, lease, order, who).await
    }

    /// Ends a lease that holds nothing.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn close(&self, lease: &LeaseId) -> Result<Closed, BrokerError> {
        script::close(&self.inner.connections, &self.inner.keys, lease).await
    }

    /// Keeps the states of attempts under way, for the attempts after them. One answer for each.
    ///
    /// # Errors
    /// Whatever keeps us from the server; [`BrokerError::OutOfMemory`] if it is full: nothing was
    /// kept then, and the older states stay.
    pub async fn checkpoint(
        &self,
        lease: &LeaseId,
        checkpoints: &[Checkpoint],
    ) -> Result<Vec<Kept>, BrokerError> {
        script::checkpoint(&self.inner.connections, &self.inner.keys, lease, checkpoints).await
    }

    /// Appends partial results of attempts under way to the streams of their tasks. One answer for each.
    ///
    /// # Errors
    /// Whatever keeps us from the server; [`BrokerError::OutOfMemory`] if it is full: nothing was
    /// appended then.
    pub async fn emit(
        &self,
        lease: &LeaseId,
        emissions: &[Emission],
    ) -> Result<Vec<Kept>, BrokerError> {
        script::emit(&self.inner.connections, &self.inner.keys, lease, emissions).await
    }

    /// Partial results of a task or chunk, those after the one with this place.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn stream(&self, id: TaskId, after: Option<&str>) -> Result<StreamPage, BrokerError> {
        script::stream(&self.inner.connections, &self.inner.keys, id, after).await
    }

    /// Starts up to `most` chunks a second time that run far longer than those before them, in jobs that
    /// allow it; and tells which of `chunks` need not be finished.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn speculate(&self, most: u32, chunks: &[TaskId]) -> Result<Speculated, BrokerError> {
        script::speculate(&self.inner.connections, &self.inner.keys, most, chunks).await
    }

    /// The upkeep that nothing waits for, at most `limit` of each kind and at most 1,000: dead letters
    /// that are too old or too many leave, and names of queues that are not used any more. Workers do it
    /// once a minute.
    ///
    /// # Errors
    /// Whatever keeps us from the server. It is safe to repeat.
    pub async fn tidy(&self, limit: u32) -> Result<Tidied, BrokerError> {
        script::tidy(&self.inner.connections, &self.inner.keys, limit).await
    }

    /// Upkeep: at most `limit` of each kind.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn reclaim(
        &self,
        own: Option<&LeaseId>,
        limit: u32,
        crash_limit: u32,
    ) -> Result<Reclaimed, BrokerError> {
        script::reclaim(&self.inner.connections, &self.inner.keys, own, limit, crash_limit).await
    }

    /// Passes a bell token on.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn ring(&self, queues: &[QueueName]) -> Result<(), BrokerError> {
        script::ring(&self.inner.connections, &self.inner.keys, queues).await
    }

    /// Waits until a bell of these queues rings, at most `wait`. True if it rang.
    ///
    /// The future must be polled to its end, or the token may be lost (a lost token only delays:
    /// idle workers look again by themselves).
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn wait_for_bell(
        &self,
        bell: &mut Bell,
        wait: Duration,
    ) -> Result<bool, BrokerError> {
        let connections = &self.inner.connections;
        // Zero would mean: block for ever.
        let wait = wait.clamp(Duration::from_millis(1), MAX_BLOCK);
        let mut connection = match bell.connection.take() {
            Some(connection) => connection,
            None => connections.blocking().await?,
        };
        let mut command = redis::cmd("BLPOP");
        for queue in &bell.queues {
            command.arg(self.inner.keys.bell(queue));
        }
        command.arg(wait.as_secs_f64());
        let answer: Result<Value, _> = command.query_async(&mut connection).await;
        match answer {
            Ok(value) => {
                bell.connection = Some(connection);
                Ok(value != Value::Nil)
            }
            Err(error) => Err(connections.explain("BLPOP", Failure::after_sending(error))),
        }
    }

    /// Asks for outcomes; the ends of those still under way will be told to `client`.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn watch(
        &self,
        client: &ClientId,
        ids: &[TaskId],
    ) -> Result<Vec<Watched>, BrokerError> {
        script::watch(&self.inner.connections, &self.inner.keys, client, ids).await
    }

    /// Hears which of the watched tasks of `client` end.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn subscribe(&self, client: &ClientId) -> Result<Subscription, BrokerError> {
        let connections = &self.inner.connections;
        let mut pubsub = connections.pubsub().await?;
        let channel = self.inner.keys.ended(client);
        pubsub
            .subscribe(channel)
            .await
            .map_err(|error| connections.explain("SUBSCRIBE", Failure::after_sending(error)))?;
        Ok(Subscription::new(pubsub))
    }

    /// Hears at once that something is wanted of a lease. Only a hint: [`Broker::renew`] tells the
    /// same, and what.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn listen(&self, lease: &LeaseId) -> Result<Notices, BrokerError> {
        let connections = &self.inner.connections;
        let mut pubsub = connections.pubsub().await?;
        let channels = self.inner.keys.told(lease);
        pubsub
            .subscribe(&channels[..])
            .await
            .map_err(|error| connections.explain("SUBSCRIBE", Failure::after_sending(error)))?;
        Ok(Notices::new(pubsub))
    }

    /// What is known of one task or chunk.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn inspect(&self, id: TaskId) -> Result<Found, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        let found = script::inspect(connections, keys, id, None).await?;
        // Whether it is delayed can only be asked with its place, which stands in the record.
        match delayed_place(&found) {
            Some(place) => script::inspect(connections, keys, id, Some(&place)).await,
            None => Ok(found),
        }
    }

    /// Why a task, a chunk or a job is where it is, or what happened to it. A few looks, not one
    /// instant: of something that moves quickly it tells what was true a moment ago.
    ///
    /// # Errors
    /// Whatever keeps us from the server. An id of which nothing is known is no error but
    /// [`Reason::Unknown`].
    pub async fn explain(&self, id: TaskId) -> Result<Explanation, BrokerError> {
        explain::gather(self, id).await
    }

    pub(crate) async fn surroundings(
        &self,
        question: &script::Question<'_>,
    ) -> Result<(Timestamp, explain::Surroundings), BrokerError> {
        script::explain(&self.inner.connections, &self.inner.keys, question).await
    }

    /// All that is stored of one job, with the Redis time.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn job(&self, id: JobId) -> Result<(Timestamp, Option<JobView>), BrokerError> {
        script::job(&self.inner.connections, &self.inner.keys, id).await
    }

    /// The state of the shard at one instant: at most `queues` queues, and `jobs` open and as many
    /// ended jobs.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn snapshot(&self, queues: u32, jobs: u32) -> Result<Snapshot, BrokerError> {
        script::snapshot(&self.inner.connections, &self.inner.keys, queues, jobs).await
    }

    /// Sets a limit across the fleet; None removes it. What it had kept back goes on if it may. Who set
    /// it, when and why is kept with it.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn limit(
        &self,
        subject: &Subject,
        limit: Option<&Limit>,
        who: &Requester,
    ) -> Result<LimitChanged, BrokerError> {
        script::limit(&self.inner.connections, &self.inner.keys, subject, limit, who).await
    }

    /// Says whether the tenants of a queue take turns. Tasks that wait already keep their place. True
    /// if that changed anything.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn fair(
        &self,
        queue: &QueueName,
        on: bool,
        who: &Requester,
    ) -> Result<bool, BrokerError> {
        script::fair(&self.inner.connections, &self.inner.keys, queue, on, who).await
    }

    /// The limits, at most `most` of each kind, and as many subjects with what they hold.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn limits(&self, most: u32) -> Result<Limits, BrokerError> {
        script::limits(&self.inner.connections, &self.inner.keys, most).await
    }

    /// A page of at most `limit` (up to 500) dead letters, the newest first, that come after `after`.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn dead(
        &self,
        after: Option<(Timestamp, TaskId)>,
        limit: u32,
    ) -> Result<DeadPage, BrokerError> {
        script::dead(&self.inner.connections, &self.inner.keys, after, limit).await
    }

    /// One dead letter.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn dead_letter(&self, id: TaskId) -> Result<Option<DeadLetter>, BrokerError> {
        let found = script::dead_letters(&self.inner.connections, &self.inner.keys, &[id]).await?;
        Ok(found.into_iter().next())
    }

    /// Lets dead tasks run again: ready, with no failure counted. Each is done or refused by
    /// itself; to repeat the call is safe. Who revived it is kept among its attempts.
    ///
    /// # Errors
    /// Whatever keeps us from the server; some of them may have been revived.
    pub async fn revive(
        &self,
        ids: &[TaskId],
        who: &Requester,
    ) -> Result<Vec<(TaskId, Revived)>, BrokerError> {
        script::revive(&self.inner.connections, &self.inner.keys, ids, who).await
    }

    /// Throws dead letters away. Says of each, in the order of the ids, whether it was there.
    ///
    /// # Errors
    /// Whatever keeps us from the server; some of them may be gone.
    pub async fn discard(&self, ids: &[TaskId]) -> Result<Vec<bool>, BrokerError> {
        script::discard(&self.inner.connections, &self.inner.keys, ids).await
    }

    /// Changes settings (None: back to the default) and tells what is set; what is not has its
    /// default.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn settings(
        &self,
        changes: &[(Setting, Option<u64>)],
    ) -> Result<BTreeMap<Setting, u64>, BrokerError> {
        script::settings(&self.inner.connections, &self.inner.keys, changes).await
    }

    /// Changes a schedule. `seen`: the revision that the change is based on, 0 if there must be no
    /// such schedule yet; None: whatever it is.
    ///
    /// # Errors
    /// Whatever keeps us from the server; the change may have been made.
    pub async fn schedule(
        &self,
        name: &ScheduleName,
        seen: Option<u64>,
        change: &ScheduleChange,
    ) -> Result<ScheduleChanged, BrokerError> {
        script::schedule(&self.inner.connections, &self.inner.keys, name, seen, change).await
    }

    /// A page of the schedules, at most 200; with a name that one alone.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn schedules(
        &self,
        name: Option<&ScheduleName>,
        offset: u64,
        limit: u32,
    ) -> Result<Schedules, BrokerError> {
        script::schedules(&self.inner.connections, &self.inner.keys, name, offset, limit).await
    }

    /// Which schedules are due, at most 100, and when the next one will be.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn due(&self, lease: &LeaseId, most: u32) -> Result<Due, BrokerError> {
        script::due(&self.inner.connections, &self.inner.keys, lease, most).await
    }

    /// Fires a schedule. However many do so at once, it is fired once for a time due.
    ///
    /// # Errors
    /// Whatever keeps us from the server. With a time due it is safe to repeat.
    pub async fn fire(&self, fire: &Fire<'_>) -> Result<(Timestamp, Fired), BrokerError> {
        script::fire(&self.inner.connections, &self.inner.keys, fire).await
    }

    /// A page of the keys of the shard with the memory that they take; `cursor` is 0 at first. To see
    /// all of them is to look at every key of the server.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn memory(&self, cursor: u64) -> Result<MemoryPage, BrokerError> {
        script::memory(&self.inner.connections, &self.inner.keys, cursor).await
    }

    /// At most so many (up to 1,000) of the tasks that have not ended, picked at random.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn sample(&self, most: u32) -> Result<Vec<TaskId>, BrokerError> {
        script::sample(&self.inner.connections, &self.inner.keys, most).await
    }

    /// Removes every key of the namespace, in bounded pages, and returns how many there were: for one
    /// that was only measured or tried in. Whoever still uses it loses all its tasks and results, and
    /// what is written meanwhile may stay.
    ///
    /// # Errors
    /// Whatever keeps us from the server; some of the keys may be gone.
    pub async fn erase(&self) -> Result<u64, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        let of_shard = script::erase(connections, keys.prefix()).await?;
        Ok(of_shard + script::erase(connections, keys.fleet()).await?)
    }

    /// Tells who a worker is; None when it leaves.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn beat(
        &self,
        lease: &LeaseId,
        live: Duration,
        description: Option<&str>,
    ) -> Result<(), BrokerError> {
        script::beat(&self.inner.connections, &self.inner.keys, lease, millis(live), description)
            .await
    }

    /// A page of the workers of the namespace.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn workers(&self, offset: u64, limit: u32) -> Result<Workers, BrokerError> {
        script::workers(&self.inner.connections, &self.inner.keys, offset, limit).await
    }
}

/// `<priority>:<queue>` of something that is queued.
fn delayed_place(found: &Found) -> Option<String> {
    let (whereabouts, options) = match found {
        Found::Task { whereabouts, record, .. } => {
            (whereabouts, Record::decode(record).ok()?.options())
        }
        Found::Chunk { whereabouts, spec, .. } => {
            (whereabouts, crate::job::JobSpec::decode(spec).ok()?.chunk.options())
        }
        Found::Ended(_) | Found::Unknown => return None,
    };
    (*whereabouts == Whereabouts::Queued).then(|| format!("{}:{}", options.priority, options.queue))
}

/// What an idle worker blocks on, with a connection of its own.
pub struct Bell {
    queues: Vec<QueueName>,
    connection: Option<redis::aio::MultiplexedConnection>,
}

impl Bell {
    /// The bells of these queues.
    pub fn new(queues: Vec<QueueName>) -> Self {
        Self { queues, connection: None }
    }

    /// Other bells from now on.
    pub fn listen_to(&mut self, queues: &[QueueName]) {
        if self.queues != queues {
            self.queues = queues.to_vec();
        }
    }
}

impl std::fmt::Debug for Bell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bell").field("queues", &self.queues).finish_non_exhaustive()
    }
}
