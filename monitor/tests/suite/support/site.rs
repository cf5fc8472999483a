//! A served monitor.

use std::net::SocketAddr;

use celeriac_broker_schema::{Broker, RedisConfig};
use celeriac_monitor::{Access, AccessOptions, Monitor, MonitorConfig, MonitorError, serve};
use celeriac_testkit::TestRedis;
use celeriac_testkit::redis::fresh_namespace;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::SOON;
use super::http::{self, Answer, Events};

/// A monitor on a free port; stopped when it is dropped.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    served: JoinHandle<Result<(), MonitorError>>,
}

/// A namespace of its own on the Redis that all tests share.
pub(crate) async fn fresh_broker() -> Broker {
    broker_at(TestRedis::shared().await.url())
}

/// A namespace of its own on this Redis.
pub(crate) fn broker_at(url: &str) -> Broker {
    let namespace = fresh_namespace().parse().expect("a valid name");
    Broker::new(RedisConfig::new(url).namespace(namespace)).expect("a valid URL")
}

/// The header of somebody who may act, at a [`Site::for_operators`].
pub(crate) const OPERATOR: &str = "authorization: Bearer operator-of-the-tests\r\n";

/// The header of somebody who may look there.
pub(crate) const VIEWER: &str = "authorization: Bearer viewer-of-the-tests\r\n";

impl Site {
    /// One that lets [`OPERATOR`] act, and everybody look.
    pub(crate) async fn for_operators(broker: Broker) -> Self {
        let tokens = "tests:operator:operator-of-the-tests\nlooker:viewer:viewer-of-the-tests";
        let options = AccessOptions {
            tokens: tokens.to_owned(),
            public_view: true,
            ..AccessOptions::default()
        };
        let access = Access::new(&options).expect("it is clear");
        Self::configured(broker, MonitorConfig { access, ..MonitorConfig::default() }).await
    }

    pub(crate) async fn start(broker: Broker) -> Self {
        Self::start_with(broker, MonitorConfig::default().max_viewers).await
    }

    pub(crate) async fn start_with(broker: Broker, max_viewers: usize) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), broker, max_viewers).await
    }

    /// One where whoever has this token may act.
    pub(crate) async fn start_for_operators(broker: Broker, token: &str) -> Self {
        let options =
            AccessOptions { tokens: format!("ada:operator:{token}"), ..AccessOptions::default() };
        let access = Access::new(&options).expect("a token");
        Self::configured(broker, MonitorConfig { access, ..MonitorConfig::default() }).await
    }

    pub(crate) async fn start_at(listen: SocketAddr, broker: Broker, max_viewers: usize) -> Self {
        let config = MonitorConfig { listen, max_viewers, ..MonitorConfig::default() };
        Self::serve(broker, config).await
    }

    /// One of this configuration, on a free port.
    pub(crate) async fn configured(broker: Broker, config: MonitorConfig) -> Self {
        let listen = "127.0.0.1:0".parse().expect("an address");
        Self::serve(broker, MonitorConfig { listen, ..config }).await
    }

    async fn serve(broker: Broker, config: MonitorConfig) -> Self {
        let listener: TcpListener = config.bind().await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let shutdown = CancellationToken::new();
        let serving = serve(listener, Monitor::new(broker, config), shutdown.clone());
        let served = tokio::spawn(serving);
        Self { address, shutdown, served }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        http::get(self.address, path).await
    }

    pub(crate) async fn events(&self, path: &str) -> Events {
        Events::open(self.address, path).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Stops the monitor in good order.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        let served = timeout(SOON, &mut self.served).await;
        served.expect("it ends in time").expect("it does not panic").expect("it ends well");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
