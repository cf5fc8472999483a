//! [`Monitor`]: what all requests share. The latest observation comes in on a watch channel from
//! the one poller; requests only say that they want a newer one.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker_schema::{Broker, BrokerError, FiguresInAll, HistoryQuery};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::auth::Guard;
use crate::config::MonitorConfig;
use crate::model::History;
use crate::observation::Observation;
use crate::outlet::Outlet;
use crate::past::Past;
use crate::topic::Topic;
use crate::viewers::{Viewer, Viewers};

/// An observation of this age answers a request without another look at Redis.
pub(crate) const FRESH: Duration = Duration::from_secs(1);

/// How long a request waits for a fresh observation before it is answered with an old one: a
/// page that tells about an outage must not hang itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// A monitor of one namespace. Cheap to clone; clones are the same monitor. To be served once,
/// by [`serve`](crate::serve).
#[derive(Debug, Clone)]
pub struct Monitor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    broker: Broker,
    config: MonitorConfig,
    observations: watch::Sender<Arc<Observation>>,
    viewers: Arc<Viewers>,
    outlet: Outlet,
    guard: Guard,
    past: Past,
    /// Rung by a request that wants a fresh observation.
    wanted: Notify,
    /// Ends the poller and the streams of live pages.
    closing: CancellationToken,
}

impl Monitor {
    /// A monitor of what this broker reaches. Nothing is read yet.
    pub fn new(broker: Broker, config: MonitorConfig) -> Self {
        let (observations, _) = watch::channel(Arc::new(Observation::nothing_yet()));
        let guard = Guard::new(config.access.clone());
        let inner = Inner {
            outlet: Outlet::new(broker.clone(), config.max_viewers),
            broker,
            config,
            observations,
            viewers: Arc::default(),
            guard,
            past: Past::default(),
            wanted: Notify::new(),
            closing: CancellationToken::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.inner.broker
    }

    /// Figures over time, at most a few seconds old, however many ask.
    pub(crate) async fn history(&self, query: &HistoryQuery) -> Result<Arc<History>, BrokerError> {
        self.inner.past.history(self.broker(), query).await
    }

    /// All that was ever counted, at most a few seconds old, however many ask.
    pub(crate) async fn in_all(&self) -> Result<Arc<FiguresInAll>, BrokerError> {
        self.inner.past.in_all(self.broker()).await
    }

    pub(crate) fn namespace(&self) -> &str {
        self.broker().config().namespace.as_str()
    }

    pub(crate) fn config(&self) -> &MonitorConfig {
        &self.inner.config
    }

    pub(crate) fn viewers(&self) -> &Viewers {
        &self.inner.viewers
    }

    pub(crate) fn outlet(&self) -> &Outlet {
        &self.inner.outlet
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.inner.guard
    }

    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.inner.closing
    }

    /// Begins a live page; None if there are too many.
    pub(crate) fn join(&self, topic: Topic) -> Option<Viewer> {
        let viewer = self.inner.viewers.join(topic, self.inner.config.max_viewers)?;
        self.inner.wanted.notify_one();
        Some(viewer)
    }

    /// Every observation from the present one on.
    pub(crate) fn observations(&self) -> watch::Receiver<Arc<Observation>> {
        self.inner.observations.subscribe()
    }

    /// The last observation, however old.
    pub(crate) fn present(&self) -> Arc<Observation> {
        self.inner.observations.borrow().clone()
    }

    /// A fresh observation, or the last one if Redis takes its time.
    pub(crate) async fn latest(&self) -> Arc<Observation> {
        let mut observations = self.observations();
        let present = observations.borrow_and_update().clone();
        if present.age() <= FRESH {
            return present;
        }
        self.inner.wanted.notify_one();
        // A time-out is no error here: the last observation tells its own state.
        let _ = timeout(PATIENCE, observations.changed()).await;
        observations.borrow().clone()
    }

    /// Returns when somebody looks: a live page is open, or a request wants a fresh observation.
    pub(crate) async fn somebody_looks(&self) {
        if self.inner.viewers.count() == 0 {
            self.inner.wanted.notified().await;
        }
    }

    /// Shows an observation to everybody.
    pub(crate) fn publish(&self, observation: Observation) {
        self.inner.observations.send_replace(Arc::new(observation));
    }
}
