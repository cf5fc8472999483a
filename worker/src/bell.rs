//! The bell: an idle worker blocks on it, and only on it. A token is a hint that there is work;
//! the claim decides. The loop here listens only while the worker has room, so that tokens go to
//! those who can use them.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker_schema::Bell;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::shared::Shared;

/// How long one blocking call lasts. Long, since a thousand idle workers must cost Redis little;
/// not for ever, since a dead connection is only noticed at its end.
const BLOCK: Duration = Duration::from_secs(25);

/// The exchange's end of the line.
pub(crate) struct BellLine {
    listen: watch::Sender<bool>,
    rang: Arc<Notify>,
}

/// The loop's end of the line.
pub(crate) struct BellListener {
    listen: watch::Receiver<bool>,
    rang: Arc<Notify>,
}

/// A line between the exchange and the loop.
pub(crate) fn line() -> (BellLine, BellListener) {
    let (listen, receiver) = watch::channel(false);
    let rang = Arc::new(Notify::new());
    (BellLine { listen, rang: Arc::clone(&rang) }, BellListener { listen: receiver, rang })
}

impl BellLine {
    /// Says whether a token is of use.
    pub(crate) fn listen(&self, listen: bool) {
        self.listen.send_if_modified(|old| std::mem::replace(old, listen) != listen);
    }

    /// Waits for a token.
    pub(crate) async fn rang(&self) {
        self.rang.notified().await;
    }
}

impl BellListener {
    /// Runs until it is dropped.
    pub(crate) async fn run(mut self, shared: Arc<Shared>) {
        let mut bell = Bell::new(shared.changes.queues().to_vec());
        loop {
            if self.listen.wait_for(|listen| *listen).await.is_err() {
                return;
            }
            let answer = tokio::select! {
                answer = shared.broker.wait_for_bell(&mut bell, BLOCK) => answer,
                // A token that is lost with this only delays, and the exchange looks anyway.
                () = shared.changes.other_queues.notified() => {
                    bell = Bell::new(shared.changes.queues().to_vec());
                    continue;
                }
            };
            match answer {
                Ok(true) => self.rang.notify_one(),
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(%error, "the bell is out of reach");
                    sleep(Duration::from_millis(100).mul_f64(1.0 + rand::random::<f64>())).await;
                    // Whatever was enqueued meanwhile rang for nobody: look.
                    self.rang.notify_one();
                }
            }
        }
    }
}
