//! Connections to one Redis server and what becomes of them when it goes away.
//!
//! Calls share one multiplexed connection, which is thrown away on the first sign of trouble: a
//! connection that timed out may answer late, and a half-open socket never recovers by itself.
//! Blocking commands run on connections of their own, so that they stall nobody.

use std::sync::Mutex;
use std::time::Duration;

use deadpool_redis::{Manager, Pool, PoolError, Runtime};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, RedisError, ServerErrorKind, Value};

use crate::config::RedisConfig;
use crate::error::BrokerError;
use crate::script::Script;

/// Slack between the time-out of a blocking command and that of its connection.
const BLOCK_MARGIN: Duration = Duration::from_secs(3);
/// The longest time a command may block. Longer waits are made of several.
pub(crate) const MAX_BLOCK: Duration = Duration::from_secs(30);

pub(crate) struct Connections {
    server: String,
    client: redis::Client,
    calls: Pool,
    blocking: Pool,
    /// The connection that all calls share, with its number.
    shared: Mutex<(u64, Option<MultiplexedConnection>)>,
}

impl Connections {
    pub(crate) fn new(config: &RedisConfig) -> Result<Self, BrokerError> {
        let info = config.connection_info()?;
        let invalid = |error: RedisError| BrokerError::Url {
            url: config.redacted_url(),
            reason: error.to_string(),
        };
        let pool = |response_timeout: Duration| {
            let settings = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(config.connect_timeout))
                .set_response_timeout(Some(response_timeout));
            let manager = Manager::new_with_config(info.clone(), settings).map_err(invalid)?;
            let wait = Some(config.connect_timeout * 2);
            let pool = Pool::builder(manager)
                .max_size(16)
                .wait_timeout(wait)
                .create_timeout(wait)
                .recycle_timeout(wait)
                .runtime(Runtime::Tokio1)
                .build();
            Ok(pool.expect("a runtime is given, as time-outs require"))
        };
        Ok(Self {
            server: info.addr().to_string(),
            client: redis::Client::open(info.clone()).map_err(invalid)?,
            calls: pool(config.response_timeout)?,
            blocking: pool(MAX_BLOCK + BLOCK_MARGIN)?,
            shared: Mutex::new((0, None)),
        })
    }

    /// Where the server is, for messages. Without user and password.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Runs a script. The command must have been begun with [`Script::command`].
    pub(crate) async fn run(
        &self,
        script: &'static Script,
        command: &Cmd,
    ) -> Result<Value, BrokerError> {
        match self.try_run(command).await {
            Err(failure) if failure.is_missing_script() => {
                self.load(script).await?;
                self.command(script.name, command).await
            }
            other => other.map_err(|failure| self.explain(script.name, failure)),
        }
    }

    async fn load(&self, script: &'static Script) -> Result<(), BrokerError> {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(script.source);
        self.command(script.name, &load).await.map(|_| ())
    }

    /// Runs any command on the shared connection.
    pub(crate) async fn command(
        &self,
        what: &'static str,
        command: &Cmd,
    ) -> Result<Value, BrokerError> {
        self.try_run(command).await.map_err(|failure| self.explain(what, failure))
    }

    async fn try_run(&self, command: &Cmd) -> Result<Value, Failure> {
        let (number, mut connection) = self.shared().await?;
        // A call that is given up leaves its connection in doubt as one that fails.
        let mut guard = DiscardOnDrop { connections: self, number, armed: true };
        let answer = command.query_async(&mut connection).await;
        guard.armed = answer.as_ref().is_err_and(breaks_connection);
        answer.map_err(Failure::after_sending)
    }

    async fn shared(&self) -> Result<(u64, MultiplexedConnection), Failure> {
        let lock = || self.shared.lock().expect("no panic while the lock is held");
        if let (number, Some(connection)) = &*lock() {
            return Ok((*number, connection.clone()));
        }
        let fresh = self.calls.get().await.map_err(Failure::of_pool)?;
        let mut shared = lock();
        // Somebody else may have been quicker; then theirs is used by all.
        if shared.1.is_none() {
            *shared = (shared.0 + 1, Some(deadpool_redis::Connection::take(fresh)));
        }
        Ok((shared.0, shared.1.clone().expect("it was set above")))
    }

    fn discard(&self, number: u64) {
        let mut shared = self.shared.lock().expect("no panic while the lock is held");
        if shared.0 == number {
            shared.1 = None;
        }
    }

    /// A connection for blocking commands. Whoever leaves a command unfinished must drop it.
    pub(crate) async fn blocking(&self) -> Result<MultiplexedConnection, BrokerError> {
        let connection = self.blocking.get().await;
        let connection =
            connection.map_err(|error| self.explain("connect", Failure::of_pool(error)))?;
        Ok(deadpool_redis::Connection::take(connection))
    }

    /// A connection that receives published messages.
    pub(crate) async fn pubsub(&self) -> Result<redis::aio::PubSub, BrokerError> {
        // The client library has no time-out of its own here.
        let limit = Duration::from_secs(5);
        let pubsub = tokio::time::timeout(limit, self.client.get_async_pubsub()).await;
        let pubsub = pubsub.unwrap_or_else(|_| Err((ErrorKind::Io, "no answer in time").into()));
        pubsub.map_err(|source| self.explain("subscribe", Failure { source, sent: false }))
    }

    /// Says what an error of the client means to our callers.
    pub(crate) fn explain(&self, script: &'static str, failure: Failure) -> BrokerError {
        let Failure { source, sent } = failure;
        let server = self.server.clone();
        match source.kind() {
            ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => {
                BrokerError::Denied { server, source }
            }
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::NoScript
                | ServerErrorKind::Moved,
            ) => BrokerError::NotReady { server, source },
            _ => match source.code() {
                Some("OOM") => BrokerError::OutOfMemory { server, source },
                Some("NOAUTH" | "WRONGPASS") => BrokerError::Denied { server, source },
                Some("UNBLOCKED" | "BUSY" | "MISCONF" | "NOREPLICAS") => {
                    BrokerError::NotReady { server, source }
                }
                _ if breaks_connection(&source) => {
                    BrokerError::Unavailable { server, sent, source }
                }
                _ => BrokerError::Script { script, source },
            },
        }
    }
}

/// Throws the shared connection away unless the call on it ended well.
struct DiscardOnDrop<'a> {
    connections: &'a Connections,
    number: u64,
    armed: bool,
}

impl Drop for DiscardOnDrop<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.connections.discard(self.number);
        }
    }
}

/// An error of the client, and whether the command may have reached the server.
pub(crate) struct Failure {
    source: RedisError,
    sent: bool,
}

impl Failure {
    /// The command was given to a connection.
    pub(crate) fn after_sending(source: RedisError) -> Self {
        let sent = !source.is_connection_refusal();
        Self { source, sent }
    }

    /// There is no connection.
    fn of_pool(error: PoolError) -> Self {
        let source = match error {
            PoolError::Backend(source) => source,
            other => RedisError::from((ErrorKind::Io, "no connection", other.to_string())),
        };
        Self { source, sent: false }
    }

    fn is_missing_script(&self) -> bool {
        self.source.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
    }
}

/// Whether the connection must not be used again. A demoted master and a server that is loading
/// are left, too: the next connection may lead to the right one.
fn breaks_connection(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::Parse
                | ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::BusyLoading)
        )
}
