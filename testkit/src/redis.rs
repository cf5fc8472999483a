//! Redis servers for tests: one that a test shares with the others of its binary, or one of its
//! own to crash, freeze and restart.

use std::error::Error;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client};
use celeriac_private_server::{Options, PrivateServer};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

static SHARED: OnceCell<TestRedis> = OnceCell::const_new();
static SHARED_CLUSTER: OnceCell<TestRedis> = OnceCell::const_new();

/// A private Redis server, stopped when it is dropped and never outliving the test.
///
/// ```no_run
/// # use celeriac_testkit::TestRedis;
/// # use celeriac_testkit::redis::fresh_namespace;
/// # async fn test() {
/// let redis = TestRedis::shared().await; // most tests
/// let namespace = fresh_namespace();
///
/// let mut redis = TestRedis::start().await; // tests that do harm to it
/// redis.kill();
/// redis.restart().await;
/// # }
/// ```
#[derive(Debug)]
pub struct TestRedis {
    /// `None` only while a restart is under way.
    server: Option<PrivateServer>,
    url: String,
}

impl TestRedis {
    /// Starts a server for this test alone. It syncs every write to disk before it answers
    /// (`appendfsync always`), so that after [`kill`](Self::kill) a test knows exactly what
    /// must be there: all that was acknowledged.
    pub async fn start() -> Self {
        Self::start_with(Options {
            extra: vec![("appendfsync".to_owned(), "always".to_owned())],
            ..Options::default()
        })
        .await
    }

    /// Starts a server for this test alone, as `options` say.
    pub async fn start_with(options: Options) -> Self {
        let server = blocking(|| PrivateServer::start(options)).await;
        let server =
            server.unwrap_or_else(|error| panic!("no Redis for this test: {}", causes(&error)));
        Self { url: server.url(), server: Some(server) }
    }

    /// Starts a cluster of one node with all slots, for this test alone. Takes two seconds:
    /// prefer [`shared_cluster`](Self::shared_cluster).
    pub async fn cluster_mode() -> Self {
        Self::start_with(Options { cluster_mode: true, ..Options::default() }).await
    }

    /// The server that all tests of this binary share; it does not keep its data. Use a
    /// [`fresh_namespace`], and start one of your own to do it harm.
    pub async fn shared() -> &'static Self {
        let options = Options { append_only: false, ..Options::default() };
        SHARED.get_or_init(|| Self::start_with(options)).await
    }

    /// As [`shared`](Self::shared), in cluster mode.
    pub async fn shared_cluster() -> &'static Self {
        SHARED_CLUSTER.get_or_init(Self::cluster_mode).await
    }

    /// Where to connect; the same after a restart.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port that it listens on.
    ///
    /// # Panics
    /// If it listens on a socket.
    #[must_use]
    pub fn port(&self) -> u16 {
        let server = self.server.as_ref().expect("no restart is under way");
        server.port().expect("it was started on a port")
    }

    /// The port of its cluster bus.
    ///
    /// # Panics
    /// If it is no node of a cluster.
    #[must_use]
    pub fn bus_port(&self) -> u16 {
        let server = self.server.as_ref().expect("no restart is under way");
        server.bus_port().expect("it was started as a node of a cluster")
    }

    /// Sets a parameter of the running server.
    ///
    /// # Panics
    /// If the server does not take it.
    pub async fn configure(&self, name: &str, value: &str) {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg(name).arg(value);
        let done: Result<(), _> = set.query_async(&mut self.connection().await).await;
        done.unwrap_or_else(|error| panic!("{name} = {value}: {error}"));
    }

    /// Any command, word by word, and its answer as far as it is one text or number.
    ///
    /// # Panics
    /// If the server refuses it.
    pub async fn command(&self, words: &[&str]) -> Option<String> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let answer: Result<redis::Value, _> =
            command.query_async(&mut self.connection().await).await;
        let answer = answer.unwrap_or_else(|error| panic!("{words:?}: {error}"));
        redis::from_redis_value(answer).ok()
    }

    /// Fills the server: from now on it refuses what needs more memory (`noeviction`), or no longer
    /// does.
    pub async fn fill(&self, full: bool) {
        self.configure("maxmemory", if full { "1" } else { "0" }).await;
    }

    /// Cuts the connections of all clients but the one that says so (`CLIENT KILL`). Returns how many
    /// there were.
    pub async fn kill_clients(&self) -> u64 {
        let words = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
        let killed = self.command(&words).await.and_then(|killed| killed.parse().ok());
        let listening = ["CLIENT", "KILL", "TYPE", "pubsub"];
        let heard = self.command(&listening).await.and_then(|killed| killed.parse().ok());
        killed.unwrap_or(0_u64) + heard.unwrap_or(0_u64)
    }

    /// A new connection, see [`connect`].
    pub async fn connection(&self) -> MultiplexedConnection {
        connect(&self.url).await
    }

    /// Runs one command.
    ///
    /// # Panics
    /// If the server refuses it, or answers something else.
    pub async fn call<T: ::redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let answer: Result<T, _> = command.query_async(&mut self.connection().await).await;
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Crashes the server (`SIGKILL`). Returns when it is gone.
    pub fn kill(&mut self) {
        self.server().kill().expect("the server can be killed");
    }

    /// Starts the server again with its data, after a [`kill`](Self::kill) or in place of the one
    /// that runs.
    pub async fn restart(&mut self) {
        let mut server = self.server.take().expect("no restart is under way");
        let (server, result) = blocking(move || {
            let result = server.restart();
            (server, result)
        })
        .await;
        self.server = Some(server);
        result.unwrap_or_else(|error| panic!("Redis does not come back: {}", causes(&error)));
    }

    /// Freezes the server (`SIGSTOP`): connections stay open, nothing is answered.
    pub fn freeze(&mut self) {
        self.server().freeze().expect("the server can be frozen");
    }

    /// Lets a frozen server run on (`SIGCONT`).
    pub fn thaw(&mut self) {
        self.server().thaw().expect("the server can be thawed");
    }

    fn server(&mut self) -> &mut PrivateServer {
        self.server.as_mut().expect("no restart is under way")
    }
}

/// A name that no other test uses.
#[must_use]
pub fn fresh_namespace() -> String {
    format!("test-{:016x}", RandomState::new().build_hasher().finish())
}

/// Connects to a Redis, with time-outs that only a dead server exceeds (the client's own limit of
/// half a second is short for a busy machine).
///
/// # Panics
/// If nobody answers there.
pub async fn connect(url: &str) -> MultiplexedConnection {
    let patience = Some(Duration::from_secs(30));
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(patience)
        .set_response_timeout(patience);
    let client = Client::open(url).unwrap_or_else(|error| panic!("bad URL {url}: {error}"));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .unwrap_or_else(|error| panic!("no connection to {url}: {error}"))
}

/// An error with all that it was caused by, in one line.
fn causes(error: &dyn Error) -> String {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(work).await.expect("the work does not panic")
}
