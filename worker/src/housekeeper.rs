//! The housekeeper: what any worker does now and then for all of them, also when it is too busy
//! to claim: return what expired leases held, promote what is due, end what expired.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::shared::Shared;

/// Most of each kind in one call: about a millisecond of Redis time.
const BITE: u32 = 500;

/// How soon a busy fleet notices that a lease has expired.
const PERIOD: Duration = Duration::from_secs(1);

/// Runs until it is dropped. A worker that has called lately did the same on its way, and an idle
/// one looks when the next lease expires: only busy ones with long tasks are needed here.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        let calls = shared.calls();
        // Jitter keeps the workers of a fleet apart.
        sleep(PERIOD.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
        let busy = shared.running().len() >= shared.changes.slots();
        if busy
            && shared.calls() == calls
            && let Err(error) = round(&shared).await
        {
            tracing::debug!(%error, "housekeeping waits for Redis");
        }
    }
}

/// Goes on as long as there is a bite's worth of work.
async fn round(shared: &Shared) -> Result<(), celeriac_broker_schema::BrokerError> {
    loop {
        let (lease, _) = shared.lease();
        let done = shared.broker.reclaim(Some(&lease), BITE, shared.config.crash_limit).await?;
        shared.clock.set(done.now);
        if done.reclaimed > 0 {
            tracing::info!(tasks = done.reclaimed, "tasks of a lost worker went back");
        }
        if done.reclaimed.max(done.promoted) < u64::from(BITE) {
            return Ok(());
        }
    }
}
