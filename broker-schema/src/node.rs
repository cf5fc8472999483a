//! One server: how it is reached, and new connections to it.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::{Manager, Pool, PoolError, Runtime};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionInfo, ErrorKind, RedisError, RedisResult};

use crate::config::RedisConfig;

/// Slack between the time-out of a blocking command and that of its connection.
const BLOCK_MARGIN: Duration = Duration::from_secs(3);
/// The longest time a command may block. Longer waits are made of several.
pub(crate) const MAX_BLOCK: Duration = Duration::from_secs(30);
/// How long a subscription may take to come up: the client library has no time-out of its own there.
const SUBSCRIBE_WITHIN: Duration = Duration::from_secs(5);

/// A server that is spoken to.
pub(crate) struct Node {
    /// Host and port, or the path of the socket.
    pub(crate) server: String,
    client: redis::Client,
    calls: Pool,
    blocking: Pool,
}

impl Node {
    /// A server that is reached in this way. Nothing is connected yet.
    pub(crate) fn new(info: &ConnectionInfo, config: &RedisConfig) -> RedisResult<Arc<Self>> {
        let pool = |response_timeout: Duration| {
            let settings = settings(config, response_timeout);
            let manager = Manager::new_with_config(info.clone(), settings)?;
            let wait = Some(config.connect_timeout * 2);
            let pool = Pool::builder(manager)
                .max_size(16)
                .wait_timeout(wait)
                .create_timeout(wait)
                .recycle_timeout(wait)
                .runtime(Runtime::Tokio1)
                .build();
            RedisResult::Ok(pool.expect("a runtime is given, as time-outs require"))
        };
        Ok(Arc::new(Self {
            server: info.addr().to_string(),
            client: redis::Client::open(info.clone())?,
            calls: pool(config.response_timeout)?,
            blocking: pool(MAX_BLOCK + BLOCK_MARGIN)?,
        }))
    }

    /// A connection for calls.
    pub(crate) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        take(self.calls.get().await)
    }

    /// A connection for commands that block.
    pub(crate) async fn connect_to_block(&self) -> RedisResult<MultiplexedConnection> {
        take(self.blocking.get().await)
    }

    /// A connection that receives published messages.
    pub(crate) async fn subscribe(&self) -> RedisResult<redis::aio::PubSub> {
        let pubsub = tokio::time::timeout(SUBSCRIBE_WITHIN, self.client.get_async_pubsub()).await;
        pubsub.unwrap_or_else(|_| Err((ErrorKind::Io, "no answer in time").into()))
    }
}

fn settings(config: &RedisConfig, response_timeout: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(config.connect_timeout))
        .set_response_timeout(Some(response_timeout))
}

/// A connection of its own, without a pool.
pub(crate) async fn connect_once(
    info: &ConnectionInfo,
    config: &RedisConfig,
    response_timeout: Duration,
) -> RedisResult<MultiplexedConnection> {
    let client = redis::Client::open(info.clone())?;
    let settings = settings(config, response_timeout);
    client.get_multiplexed_async_connection_with_config(&settings).await
}

fn take(
    connection: Result<deadpool_redis::Connection, PoolError>,
) -> RedisResult<MultiplexedConnection> {
    match connection {
        Ok(connection) => Ok(deadpool_redis::Connection::take(connection)),
        Err(PoolError::Backend(source)) => Err(source),
        Err(other) => Err(RedisError::from((ErrorKind::Io, "no connection", other.to_string()))),
    }
}
