//! Connections to Redis and what becomes of them when it goes away.
//!
//! Calls share one multiplexed connection, which is thrown away on the first sign of trouble: a
//! connection that timed out may answer late, and a half-open socket never recovers by itself. The next
//! one goes to whichever server is the master by then ([`Route`] asks).
//! Blocking commands run on connections of their own, so that they stall nobody.

mod durable;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::watch;

use self::durable::SafeLine;
use crate::address::Address;
use crate::config::RedisConfig;
use crate::durable::Durable;
use crate::error::BrokerError;
pub(crate) use crate::node::MAX_BLOCK;
use crate::node::Node;
use crate::route::{Route, Slot};
use crate::script::Script;

/// How often it is looked whether the server that we speak to still is the master, where another one
/// may take over. Most changes are noticed at once, since the connection breaks; this is for a master
/// that was cut off from the others, but not from us.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How many times a call is sent on at once from one node of a cluster to another.
const MOST_HOPS: u32 = 4;

pub(crate) struct Connections {
    /// Where we were told to look, for messages.
    server: String,
    lanes: Arc<Lanes>,
    /// What must have what is enqueued before that is acknowledged.
    durable: Option<Durable>,
    /// The connection for that.
    safe: Mutex<Option<SafeLine>>,
}

/// The connections that all calls share: one to each server that holds a part of our keys.
struct Lanes {
    route: Route,
    open: Mutex<BTreeMap<Slot, Lane>>,
    /// How many connections were given up, where another server may take over.
    given_up: watch::Sender<u64>,
}

/// The connection to the server of a slot, with its number.
#[derive(Default)]
struct Lane {
    number: u64,
    line: Option<Line>,
}

#[derive(Clone)]
struct Line {
    number: u64,
    node: Arc<Node>,
    connection: MultiplexedConnection,
}

/// A connection for blocking commands.
pub(crate) struct Blocking {
    pub(crate) connection: MultiplexedConnection,
    node: Arc<Node>,
    /// Changes when it must be looked whether the master is another one.
    given_up: watch::Receiver<u64>,
}

impl Connections {
    /// `prefix`: of the keys of the shard.
    pub(crate) fn new(config: &RedisConfig, prefix: &str) -> Result<Self, BrokerError> {
        let address = config.address()?;
        if let Address::Single(info) = &address {
            // What cannot work at all is said now.
            Node::new(info, config).map_err(|error| config.invalid(error.to_string()))?;
        }
        let route = Route::new(address, config.clone(), prefix);
        let server = route.describe();
        let lanes = Lanes { route, open: Mutex::default(), given_up: watch::Sender::new(0) };
        let (durable, safe) = (config.durable, Mutex::default());
        Ok(Self { server, lanes: Arc::new(lanes), durable, safe })
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
        let slot = self.lanes.route.slot_of(command);
        let answer = match self.try_run(slot, command).await {
            Err(failure) if failure.is_missing_script() => {
                match self.try_run(slot, &script.load()).await {
                    Ok(_) => self.try_run(slot, command).await,
                    Err(failure) => Err(failure),
                }
            }
            other => other,
        };
        answer.map_err(|failure| self.explain(script.name, failure))
    }

    /// Runs any command on the shared connection.
    pub(crate) async fn command(
        &self,
        what: &'static str,
        command: &Cmd,
    ) -> Result<Value, BrokerError> {
        let slot = self.lanes.route.slot_of(command);
        self.try_run(slot, command).await.map_err(|failure| self.explain(what, failure))
    }

    async fn try_run(&self, slot: Slot, command: &Cmd) -> Result<Value, Failure> {
        let mut hops = 0;
        loop {
            let mut line = self.lanes.line(slot).await?;
            // A call that is given up leaves its connection in doubt as one that fails.
            let mut guard =
                DiscardOnDrop { lanes: &self.lanes, slot, number: line.number, armed: true };
            let answer = command.query_async(&mut line.connection).await;
            guard.armed = answer.as_ref().is_err_and(breaks_connection);
            drop(guard);
            match answer {
                Err(error) if hops < MOST_HOPS && self.lanes.route.learn(&error, &line.node) => {
                    self.lanes.leave(slot, line.number);
                    hops += 1;
                }
                other => {
                    return other.map_err(|error| Failure::after_sending(error).of(&line.node));
                }
            }
        }
    }

    /// A connection for blocking commands. Whoever leaves a command unfinished must drop it.
    pub(crate) async fn blocking(&self) -> Result<Blocking, BrokerError> {
        let lanes = &self.lanes;
        let given_up = lanes.given_up.subscribe();
        let opened = async {
            let node = lanes.route.node(lanes.route.home()).await?;
            let mut connection = node.connect_to_block().await?;
            lanes.prove_master(&node, &mut connection).await?;
            Ok(Blocking { connection, node, given_up })
        };
        opened.await.map_err(|source| {
            // The one that was told of may be the one that is gone.
            lanes.route.forget(lanes.route.home());
            self.explain("connect", Failure::before_sending(source))
        })
    }

    /// Runs a blocking command. It is given up when the server is no longer the master of our keys.
    pub(crate) async fn block(
        &self,
        what: &'static str,
        on: &mut Blocking,
        command: &Cmd,
    ) -> Result<Value, BrokerError> {
        let answer = tokio::select! {
            answer = command.query_async(&mut on.connection) => answer,
            () = moved(&mut on.given_up) => {
                Err((ErrorKind::Io, "the connection is given up, as others to this server are").into())
            }
        };
        answer.map_err(|error| {
            if !self.lanes.route.learn(&error, &on.node) {
                self.lanes.route.forget(self.lanes.route.home());
            }
            self.explain(what, Failure::after_sending(error).of(&on.node))
        })
    }

    /// A connection that receives published messages.
    pub(crate) async fn pubsub(&self) -> Result<redis::aio::PubSub, BrokerError> {
        let route = &self.lanes.route;
        let pubsub = async { route.node(route.home()).await?.subscribe().await }.await;
        pubsub.map_err(|source| {
            route.forget(route.home());
            self.explain("subscribe", Failure::before_sending(source))
        })
    }

    /// Says what an error of the client means to our callers.
    pub(crate) fn explain(&self, script: &'static str, failure: Failure) -> BrokerError {
        let Failure { source, sent, server } = failure;
        let server = server.unwrap_or_else(|| self.server.clone());
        match source.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) if !self.lanes.route.may_move() => {
                let reason = "it is a node of a cluster, and another one holds this namespace: write the URL as redis+cluster://HOST:PORT,HOST:PORT".to_owned();
                BrokerError::Unsuitable { server, reason }
            }
            _ if source.detail().is_some_and(|text| text.contains("cluster support disabled")) => {
                let reason = "it is no cluster: write the URL as redis://HOST:PORT/".to_owned();
                BrokerError::Unsuitable { server, reason }
            }
            ErrorKind::MasterNameNotFoundBySentinel => BrokerError::Unsuitable {
                server,
                reason: format!("{source}; see `SENTINEL MASTERS` there"),
            },
            ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => {
                BrokerError::Denied { server, source }
            }
            _ if is_denied_in_script(&source) => BrokerError::Denied { server, source },
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::NoScript
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask,
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

/// Whether a script wanted to do what its user may not: servers say that by their error of scripts.
fn is_denied_in_script(error: &RedisError) -> bool {
    let denied = ["user executing the script can't", "ACL failure in script"];
    error.detail().is_some_and(|text| denied.iter().any(|words| text.contains(words)))
}

/// Waits until a connection to this server was given up.
async fn moved(given_up: &mut watch::Receiver<u64>) {
    if given_up.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Lanes {
    async fn line(self: &Arc<Self>, slot: Slot) -> Result<Line, Failure> {
        if let Some(line) = self.open().get(&slot).and_then(|lane| lane.line.clone()) {
            return Ok(line);
        }
        let (node, connection) = self.connect(slot).await.map_err(|source| {
            self.route.forget(slot);
            Failure::before_sending(source)
        })?;
        let mut open = self.open();
        let lane = open.entry(slot).or_default();
        // Somebody else may have been quicker; then theirs is used by all.
        if let Some(line) = &lane.line {
            return Ok(line.clone());
        }
        lane.number += 1;
        let line = lane.line.insert(Line { number: lane.number, node, connection });
        if self.route.may_move() {
            tokio::spawn(keep_looking(Arc::downgrade(self), slot, line.clone()));
        }
        Ok(line.clone())
    }

    async fn connect(&self, slot: Slot) -> RedisResult<(Arc<Node>, MultiplexedConnection)> {
        let node = self.route.node(slot).await?;
        let mut connection = node.connect().await?;
        self.prove_master(&node, &mut connection).await?;
        Ok((node, connection))
    }

    /// Makes sure that we speak to a master. Just after a failover, those who must know may still name
    /// the old one, which would let us read what is no longer true.
    async fn prove_master(
        &self,
        node: &Node,
        connection: &mut MultiplexedConnection,
    ) -> RedisResult<()> {
        if !self.route.may_move() {
            return Ok(());
        }
        let role: RedisResult<Value> = redis::cmd("ROLE").query_async(connection).await;
        let role = match role {
            Ok(Value::Array(parts)) => parts.into_iter().next(),
            // A user without the right to ask: the first write will tell.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => None,
            Err(error) => return Err(error),
            Ok(_) => None,
        };
        let role: Option<String> = role.and_then(|role| redis::from_redis_value(role).ok());
        match role.as_deref() {
            None | Some("master") => Ok(()),
            Some(role) => {
                let what = "no master yet";
                let detail = format!("{} says that it is a {role}", node.server);
                Err((ErrorKind::Server(ServerErrorKind::ReadOnly), what, detail).into())
            }
        }
    }

    /// Takes a connection out of use whose server told where the slot is.
    fn leave(&self, slot: Slot, number: u64) {
        let mut open = self.open();
        if let Some(lane) = open.get_mut(&slot).filter(|lane| lane.number == number) {
            lane.line = None;
        }
    }

    /// Gives a connection up, for good.
    fn discard(&self, slot: Slot, number: u64) {
        let mut open = self.open();
        let Some(lane) = open.get_mut(&slot).filter(|lane| lane.number == number) else { return };
        if lane.line.take().is_some() && self.route.may_move() {
            self.route.forget(slot);
            self.given_up.send_modify(|count| *count += 1);
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, BTreeMap<Slot, Lane>> {
        // Nothing is left half done in here when somebody panics.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks now and then whether this is still the connection to the master, and gives it up if not. Ends
/// with the connection.
async fn keep_looking(lanes: std::sync::Weak<Lanes>, slot: Slot, line: Line) {
    let (number, server) = (line.number, line.node.server.clone());
    drop(line);
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let Some(lanes) = lanes.upgrade() else { return };
        let current = lanes
            .open()
            .get(&slot)
            .is_some_and(|lane| lane.line.as_ref().is_some_and(|line| line.number == number));
        if !current {
            return;
        }
        // Whether anybody can say is no concern of the connection.
        if let Ok(found) = lanes.route.ask(slot).await
            && found.addr().to_string() != server
        {
            tracing::info!(before = server, now = %found.addr(), "another server is the master");
            lanes.discard(slot, number);
            return;
        }
    }
}

/// Throws the shared connection away unless the call on it ended well.
struct DiscardOnDrop<'a> {
    lanes: &'a Lanes,
    slot: Slot,
    number: u64,
    armed: bool,
}

impl Drop for DiscardOnDrop<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.lanes.discard(self.slot, self.number);
        }
    }
}

/// An error of the client, and whether the command may have reached the server.
pub(crate) struct Failure {
    source: RedisError,
    sent: bool,
    /// Which server it was about, if that is known.
    server: Option<String>,
}

impl Failure {
    /// The command was given to a connection.
    pub(crate) fn after_sending(source: RedisError) -> Self {
        let sent = !source.is_connection_refusal();
        Self { source, sent, server: None }
    }

    /// There is no connection.
    fn before_sending(source: RedisError) -> Self {
        Self { source, sent: false, server: None }
    }

    fn of(self, node: &Node) -> Self {
        Self { server: Some(node.server.clone()), ..self }
    }

    fn is_missing_script(&self) -> bool {
        self.source.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
    }
}

/// Whether the connection must not be used again. A demoted master, a server that is loading and a
/// node that is cut off are left, too: the next connection may lead to the right one.
fn breaks_connection(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::Parse
                | ErrorKind::Server(
                    ServerErrorKind::ReadOnly
                        | ServerErrorKind::BusyLoading
                        | ServerErrorKind::MasterDown
                        | ServerErrorKind::ClusterDown
                )
        )
}
