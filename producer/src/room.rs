//! Back-pressure: what a full queue did not take is offered again until there is room, or patience
//! ends. Nothing is offered twice that was taken.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::EnqueueError;
use crate::producer::Producer;
use crate::sender::Told;

/// The first pause, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long it is still waited for room.
#[derive(Debug)]
pub(crate) struct Room {
    patience: Duration,
    since: Instant,
    pause: Duration,
}

impl Room {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, since: Instant::now(), pause: FIRST_PAUSE }
    }

    /// Something was taken: patience begins anew.
    pub(crate) fn found(&mut self) {
        *self = Self::new(self.patience);
    }

    /// Waits a little. False when patience is over.
    pub(crate) async fn wait(&mut self) -> bool {
        let left = self.patience.saturating_sub(self.since.elapsed());
        if left.is_zero() {
            return false;
        }
        // Jitter, so that the producers of a fleet do not return all at once.
        sleep(self.pause.mul_f64(0.5 + rand::random::<f64>() / 2.0).min(left)).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}

impl Producer {
    /// Offers again what full queues did not take, for as long as this producer waits for that. What
    /// is refused for good stays in `told`. Order is not kept: what others enqueue meanwhile may come
    /// before it.
    pub(crate) async fn wait_for_room(&self, told: &mut Told) -> Result<(), EnqueueError> {
        let mut room = Room::new(self.patience_while_full());
        while told.why.as_ref().is_some_and(|why| why.limit.is_some()) && room.wait().await {
            let again = self.submit(told.refused.clone())?;
            let again = again.await.map_err(|_| EnqueueError::ShutDown)??;
            if again.refused.len() < told.refused.len() {
                room.found();
            }
            told.duplicates.extend(again.duplicates);
            (told.refused, told.why) = (again.refused, again.why);
        }
        Ok(())
    }
}
