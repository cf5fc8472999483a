//! The ear of the lease keeper: hears at once that something is wanted of the lease, by a published
//! message. Only a hint: what is wanted is told with each renewal, whether this hears or not.

use std::time::Duration;

use celeriac_broker_schema::{Broker, LeaseId, Notice, Notices};
use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until};

/// How long to wait, at least, before the next attempt to listen.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Ear {
    broker: Broker,
    line: Option<(LeaseId, Notices)>,
    /// When to try again to listen.
    try_at: Instant,
}

impl Ear {
    /// `broker`: with connections of its own, as this keeps one.
    pub(crate) fn new(broker: Broker) -> Self {
        Self { broker, line: None, try_at: Instant::now() }
    }

    /// Waits until something is wanted of the lease, or may have been while nobody listened. Those
    /// that came meanwhile count as one. Nothing is lost when this is dropped.
    pub(crate) async fn heard(&mut self, lease: &LeaseId) -> Notice {
        loop {
            if self.line.as_ref().is_some_and(|(of, _)| of != lease) {
                self.line = None;
            }
            let Some((_, notices)) = &mut self.line else {
                sleep_until(self.try_at).await;
                self.try_at = Instant::now() + PAUSE.mul_f64(1.0 + rand::random::<f64>());
                if let Ok(notices) = self.broker.listen(lease).await {
                    self.line = Some((lease.clone(), notices));
                    // What was said before this was not heard.
                    return Notice::Lease;
                }
                continue;
            };
            match notices.next().await {
                Some(Notice::Lease) => {
                    while let Some(Some(Notice::Lease)) = notices.next().now_or_never() {}
                    return Notice::Lease;
                }
                Some(notice) => return notice,
                None => self.line = None,
            }
        }
    }
}
