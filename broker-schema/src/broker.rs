//! The [`Broker`]: one thin method per verb. What each does is told in the header of its script. Each
//! file has the verbs of one topic.

mod audit;
mod bulk;
mod check;
mod dead;
mod find;
mod history;
mod limits;
mod queues;
mod schedules;
mod tasks;
mod workers;
mod workflows;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{RedisConfig, ServerReport};
use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::keys::Keys;
use crate::script::{self, MemoryPage, Snapshot};

pub use bulk::{
    CancelFilter, CancelledPage, DeadActPage, DeadCursor, DeadGroupsPage, QueueCursor, TasksPage,
};
pub use history::FiguresInAll;
pub use workers::Bell;

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
        let connections = Connections::new(&config, keys.prefix())?;
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

    /// Lets the server begin anew with what it tells of its commands, for measurements on a server of one's own.
    ///
    /// # Errors
    /// Whatever keeps us from the server, or that it does not allow it.
    pub async fn reset_statistics(&self) -> Result<(), BrokerError> {
        let mut command = redis::cmd("CONFIG");
        command.arg("RESETSTAT");
        self.inner.connections.command("CONFIG", &command).await.map(|_| ())
    }

    /// One round trip to the server.
    ///
    /// # Errors
    /// Whatever keeps us from it.
    pub async fn ping(&self) -> Result<(), BrokerError> {
        self.inner.connections.command("PING", &redis::cmd("PING")).await.map(|_| ())
    }

    /// The state of the shard at one instant: at most `queues` queues, and `jobs` open and as many
    /// ended jobs.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn snapshot(&self, queues: u32, jobs: u32) -> Result<Snapshot, BrokerError> {
        script::snapshot(&self.inner.connections, &self.inner.keys, queues, jobs).await
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
}
