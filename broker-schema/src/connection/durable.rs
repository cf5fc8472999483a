//! Enqueueing that is acknowledged when it is safe: `WAIT` and `WAITAOF` wait for what their connection
//! has written, and hold it up meanwhile, so this is a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisResult, Value};

use super::{Connections, Failure};
use crate::durable::{Durable, Proof};
use crate::error::BrokerError;
use crate::node::Node;
use crate::script::Script;

/// How long one call waits. Whoever enqueues repeats it, as after a lost reply, for as long as its
/// patience lasts.
const WAIT: Duration = Duration::from_secs(1);

/// A connection, and how things are proved to be safe on its server.
pub(super) struct SafeLine {
    node: Arc<Node>,
    connection: MultiplexedConnection,
    proof: Proof,
}

/// A script, and the command that calls it.
pub(crate) type Call<'a> = (&'static Script, &'a Cmd);

impl Connections {
    /// Runs a script that enqueues. Where it is to be durable, the answer comes when it is; `then` is a
    /// write, after which it is waited for all before it: what is repeated writes nothing itself.
    pub(crate) async fn run_durably(
        &self,
        enqueue: Call<'_>,
        then: Call<'_>,
    ) -> Result<Value, BrokerError> {
        let Some(durable) = self.durable else { return self.run(enqueue.0, enqueue.1).await };
        let kept = self.safe.lock().ok().and_then(|mut kept| kept.take());
        let mut line = match kept {
            Some(line) => line,
            None => self.open_safe_line(durable).await?,
        };
        // Whoever gives up, or fails, has dropped the connection.
        let value = self.prove(&mut line, enqueue, then).await.inspect_err(|_| {
            self.lanes.route.forget(self.lanes.route.home());
        })?;
        if let Ok(mut kept) = self.safe.lock() {
            *kept = Some(line);
        }
        Ok(value)
    }

    async fn prove(
        &self,
        line: &mut SafeLine,
        enqueue: Call<'_>,
        then: Call<'_>,
    ) -> Result<Value, BrokerError> {
        let value = self.call(line, enqueue).await?;
        let ms = u64::try_from(WAIT.as_millis()).unwrap_or(u64::MAX);
        let Some(wait) = line.proof.command(ms) else { return Ok(value) };
        self.call(line, then).await?;
        let answer: RedisResult<Value> = wait.query_async(&mut line.connection).await;
        let answer = answer.map_err(|error| self.explain("wait", failed(error, &line.node)))?;
        let not_yet = |how_far| BrokerError::NotDurable {
            server: line.node.server.clone(),
            how_far,
            waited: WAIT,
        };
        line.proof.reached(&answer).map_err(not_yet)?;
        Ok(value)
    }

    async fn call(&self, line: &mut SafeLine, call: Call<'_>) -> Result<Value, BrokerError> {
        let (script, command) = call;
        let mut answer = command.query_async(&mut line.connection).await;
        if answer.as_ref().is_err_and(failed_for_want_of_script) {
            answer = script.load().query_async(&mut line.connection).await;
            if answer.is_ok() {
                answer = command.query_async(&mut line.connection).await;
            }
        }
        answer.map_err(|error| self.explain(script.name, failed(error, &line.node)))
    }

    async fn open_safe_line(&self, durable: Durable) -> Result<SafeLine, BrokerError> {
        let lanes = &self.lanes;
        let opened = lanes.connect(lanes.route.home()).await;
        let (node, mut connection) = opened.map_err(|source| {
            lanes.route.forget(lanes.route.home());
            self.explain("connect", Failure::before_sending(source))
        })?;
        let info: RedisResult<String> =
            redis::cmd("INFO").arg("everything").query_async(&mut connection).await;
        let info =
            info.map_err(|error| self.explain("INFO", Failure::before_sending(error).of(&node)))?;
        // Many servers of others do not tell.
        let sync: RedisResult<Vec<String>> =
            redis::cmd("CONFIG").arg("GET").arg("appendfsync").query_async(&mut connection).await;
        let sync = sync.ok().and_then(|pair| pair.into_iter().nth(1));
        let proof = Proof::find(durable, &info, sync.as_deref())
            .map_err(|reason| BrokerError::Unsuitable { server: node.server.clone(), reason })?;
        tracing::debug!(
            server = node.server,
            ?proof,
            "enqueues are acknowledged when they are safe"
        );
        Ok(SafeLine { node, connection, proof })
    }
}

fn failed(error: redis::RedisError, node: &Node) -> Failure {
    Failure::after_sending(error).of(node)
}

fn failed_for_want_of_script(error: &redis::RedisError) -> bool {
    error.kind() == redis::ErrorKind::Server(redis::ServerErrorKind::NoScript)
}
