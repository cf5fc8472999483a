//! The bell: an idle worker blocks on it, and only on it. A token is a hint that there is work;
//! the claim decides. The loop here listens only while the worker has room, so that tokens go to
//! those who can use them, and only to the bells of queues for which it has room.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker_schema::{Bell, QueueName};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::shared::Shared;

/// How long one blocking call lasts. Long, since a thousand idle workers must cost Redis little;
/// not for ever, since a dead connection is only noticed at its end.
const BLOCK: Duration = Duration::from_secs(25);

/// The same while some queues have no room here (their slots are taken, the others are reserved): as
/// soon as they have, their bells must be heard again, and a call under way does not hear them.
const BLOCK_WITHOUT_SOME: Duration = Duration::from_millis(500);

/// The queues whose bells are of use.
pub(crate) type Queues = Arc<[QueueName]>;

/// The exchange's end of the line.
pub(crate) struct BellLine {
    listen: watch::Sender<Option<Queues>>,
    rang: Arc<Notify>,
    other_queues: Arc<Notify>,
}

/// The loop's end of the line.
pub(crate) struct BellListener {
    listen: watch::Receiver<Option<Queues>>,
    rang: Arc<Notify>,
    other_queues: Arc<Notify>,
}

/// A line between the exchange and the loop.
pub(crate) fn line() -> (BellLine, BellListener) {
    let (listen, receiver) = watch::channel(None);
    let (rang, other_queues) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let line =
        BellLine { listen, rang: Arc::clone(&rang), other_queues: Arc::clone(&other_queues) };
    (line, BellListener { listen: receiver, rang, other_queues })
}

impl BellLine {
    /// Says of which queues a token is of use, if of any.
    pub(crate) fn listen(&self, queues: Option<Queues>) {
        self.listen.send_if_modified(|old| {
            let changed = *old != queues;
            *old = queues;
            changed
        });
    }

    /// As [`BellLine::listen`], and no longer to the bells of before: the worker serves others.
    pub(crate) fn turn_to(&self, queues: Option<Queues>) {
        self.listen(queues);
        self.other_queues.notify_one();
    }

    /// Waits for a token.
    pub(crate) async fn rang(&self) {
        self.rang.notified().await;
    }
}

impl BellListener {
    /// Runs until it is dropped.
    pub(crate) async fn run(mut self, shared: Arc<Shared>) {
        let mut bell = Bell::new(Vec::new());
        loop {
            let Ok(queues) = self.listen.wait_for(Option::is_some).await.map(|found| found.clone())
            else {
                return;
            };
            let queues = queues.unwrap_or_default();
            let all = queues.len() == shared.served().names().len();
            let block = if all { BLOCK } else { BLOCK_WITHOUT_SOME };
            bell.listen_to(&queues);
            let answer = tokio::select! {
                answer = shared.broker.wait_for_bell(&mut bell, block) => answer,
                // A token that is lost with this only delays, and the exchange looks anyway.
                () = self.other_queues.notified() => {
                    bell = Bell::new(Vec::new());
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
