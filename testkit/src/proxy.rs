//! A proxy in front of Redis that does to connections what networks do: cuts, stalls, delays,
//! refusals, lost replies.
//!
//! `accept` takes connections, `link` carries one, `request` knows where a request ends, `upstream`
//! finds Redis.

mod accept;
mod link;
mod request;
mod upstream;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use self::upstream::Upstream;

/// A TCP proxy in front of one Redis, on a free port of 127.0.0.1. All faults act on all
/// connections. It runs on the runtime of the test, and ends when it is dropped.
///
/// ```no_run
/// # use celeriac_testkit::{Proxy, TestRedis};
/// # async fn test() {
/// let redis = TestRedis::shared().await;
/// let proxy = Proxy::start(redis.url()).await;
/// // … connect to proxy.url() …
/// proxy.drop_next_reply_to("EVALSHA");
/// // … the next script runs, but nobody hears of it …
/// assert_eq!(proxy.connections().replies_lost, 1);
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

/// What a proxy has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// How many connections were accepted.
    pub total: u64,
    /// How many of them are open.
    pub open: u64,
    /// How many replies were lost by [`Proxy::drop_next_reply`].
    pub replies_lost: u64,
}

/// What the proxy, its listener and its connections have in common.
#[derive(Debug)]
struct Shared {
    upstream: Upstream,
    faults: watch::Sender<Faults>,
    /// Whether new connections are accepted at this moment.
    listening: watch::Sender<bool>,
    connections: watch::Sender<Connections>,
    /// What the request contains whose reply is to be lost.
    victim: Mutex<Option<Vec<u8>>>,
    links: Mutex<JoinSet<()>>,
}

/// What is wrong with the network.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    refuse: bool,
    stall: bool,
    request_delay: Duration,
    reply_delay: Duration,
    /// How often connections were half closed; each looks whether it grew since it began.
    half_closes: u64,
}

impl Proxy {
    /// Starts a proxy in front of the Redis behind `upstream`, a URL as Redis clients understand
    /// it. While that Redis is down, connections are accepted and closed at once.
    pub async fn start(upstream: &str) -> Self {
        let shared = Arc::new(Shared {
            upstream: Upstream::parse(upstream),
            faults: watch::Sender::default(),
            listening: watch::Sender::default(),
            connections: watch::Sender::default(),
            victim: Mutex::default(),
            links: Mutex::default(),
        });
        let port = accept::Port::reserve().expect("a port of loopback is free");
        let address = port.address();
        let accepting = tokio::spawn(accept::run(Arc::clone(&shared), port));
        let proxy = Self { shared, address, accepting };
        proxy.wait_for_listening(true).await;
        proxy
    }

    /// Where to connect, with user, password and database as in the URL of the upstream.
    #[must_use]
    pub fn url(&self) -> String {
        self.shared.upstream.url_at(self.address)
    }

    /// What the proxy has seen so far.
    #[must_use]
    pub fn connections(&self) -> Connections {
        *self.shared.connections.borrow()
    }

    /// Closes all connections. Returns when they are closed; new ones are welcome.
    pub async fn cut(&self) {
        let mut links = std::mem::take(&mut *self.shared.links());
        links.shutdown().await;
    }

    /// Refuses new connections, or no longer does. Those that are open stay open.
    pub async fn refuse(&self, refuse: bool) {
        self.set(|faults| faults.refuse = refuse);
        self.wait_for_listening(!refuse).await;
    }

    /// Stops forwarding, in both directions, and keeps connections open and accepts new ones: as if
    /// the other side had lost its power. `false` goes on where it stopped, nothing is lost.
    pub fn stall(&self, stall: bool) {
        self.set(|faults| faults.stall = stall);
    }

    /// Holds back whatever clients send for this long.
    pub fn delay_requests(&self, delay: Duration) {
        self.set(|faults| faults.request_delay = delay);
    }

    /// Holds back whatever Redis answers for this long.
    pub fn delay_replies(&self, delay: Duration) {
        self.set(|faults| faults.reply_delay = delay);
    }

    /// Closes the direction towards the client on all open connections: clients read end of file,
    /// while what they still send is carried out.
    pub fn half_close(&self) {
        self.set(|faults| faults.half_closes += 1);
    }

    /// Loses the reply to the next request on any connection: the request is carried out, then its
    /// connection is closed without a word. What a client sends in one go (a pipeline) may count as
    /// one request.
    pub fn drop_next_reply(&self) {
        self.drop_next_reply_to("");
    }

    /// As [`drop_next_reply`](Self::drop_next_reply), but waits for a request that contains `needle`
    /// as it stands on the wire: a command, a key, a task id.
    ///
    /// The request must not be a blocking one: Redis gives those up when their connection closes.
    pub fn drop_next_reply_to(&self, needle: impl AsRef<[u8]>) {
        *self.shared.victim() = Some(needle.as_ref().to_owned());
    }

    fn set(&self, change: impl FnOnce(&mut Faults)) {
        self.shared.faults.send_modify(change);
    }

    async fn wait_for_listening(&self, wanted: bool) {
        let mut listening = self.shared.listening.subscribe();
        let waited = listening.wait_for(|&listening| listening == wanted).await;
        waited.expect("the sender lives as long as the proxy");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        // The connections own a share of what owns them, so they must be ended by hand.
        self.shared.links().abort_all();
    }
}

impl Shared {
    fn links(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn victim(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.victim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the reply to these requests is to be lost. Says so once.
    fn take_victim(&self, requests: &[u8]) -> bool {
        let mut victim = self.victim();
        let found = victim.as_deref().is_some_and(|needle| {
            needle.is_empty() || requests.windows(needle.len()).any(|part| part == needle)
        });
        if found {
            *victim = None;
        }
        found
    }

    /// Waits until the faults are so; no time passes if they are.
    async fn until(&self, condition: impl FnMut(&Faults) -> bool) {
        let mut faults = self.faults.subscribe();
        let waited = faults.wait_for(condition).await;
        waited.expect("the sender lives as long as the proxy");
    }

    /// Waits as the faults of the moment demand, before something is forwarded.
    async fn hold_back(&self, delay: impl FnOnce(&Faults) -> Duration) {
        let delay = delay(&self.faults.borrow());
        if !delay.is_zero() {
            sleep(delay).await;
        }
        self.until(|faults| !faults.stall).await;
    }

    fn count(&self, change: impl FnOnce(&mut Connections)) {
        self.connections.send_modify(change);
    }
}
