//! The housekeeper: what any worker does now and then for all of them, also when it is too busy
//! to claim: return what expired leases held, promote what is due, end what expired, tidy up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use celeriac_broker_schema::TaskId;
use tokio::time::{Instant, sleep};

use crate::shared::Shared;
use crate::task::CancelReason;

/// Most of each kind in one call: about a millisecond of Redis time.
const BITE: u32 = 500;

/// Most chunks that are asked about in one call.
const MOST_CHUNKS: usize = 100;

/// How soon a busy fleet notices that a lease has expired.
const PERIOD: Duration = Duration::from_secs(1);

/// How often every worker tidies up, idle or busy, beginning with its start.
const TIDY_PERIOD: Duration = Duration::from_secs(60);

/// Most such calls in a round: lost workers are looked after in between.
const TIDY_BITES: usize = 20;

/// Most dead letters and names of queues in one call: about half a millisecond of Redis time.
const TIDY_BITE: u32 = 25;

/// Runs until it is dropped. A worker that has called lately did the same on its way, and an idle
/// one looks when the next lease expires: only busy ones with long tasks are needed here. But nobody else
/// tidies up.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut tidied: Option<Instant> = None;
    loop {
        let calls = shared.calls();
        // Jitter keeps the workers of a fleet apart.
        sleep(PERIOD.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
        if shared.asks_for_nothing()
            && shared.calls() == calls
            && let Err(error) = round(&shared).await
        {
            tracing::debug!(%error, "housekeeping waits for Redis");
        }
        if tidied.is_none_or(|last| last.elapsed() >= TIDY_PERIOD) {
            match tidy(&shared).await {
                // What is left comes with the next round.
                Ok(Tidy::Done) => tidied = Some(Instant::now()),
                Ok(Tidy::More) => {}
                Err(error) => tracing::debug!(%error, "tidying up waits for Redis"),
            }
        }
        if shared.speculates.load(Ordering::Relaxed)
            && let Err(error) = speculate(&shared).await
        {
            tracing::debug!(%error, "slow chunks are looked at later");
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

/// Goes on as long as there is a bite's worth of work. Names are looked at at random: that half of them
/// were idle says that there are more.
async fn tidy(shared: &Shared) -> Result<Tidy, celeriac_broker_schema::BrokerError> {
    for _ in 0..TIDY_BITES {
        let done = shared.broker.tidy(TIDY_BITE).await?;
        if done.dead.max(2 * done.names) < u64::from(TIDY_BITE) {
            return Ok(Tidy::Done);
        }
    }
    Ok(Tidy::More)
}

/// Whether something may be left to tidy up.
enum Tidy {
    Done,
    More,
}

/// Has slow chunks started a second time, if there is room for them here, and stops those that others
/// have finished. Goes on, round by round, as long as there are such jobs.
async fn speculate(shared: &Shared) -> Result<(), celeriac_broker_schema::BrokerError> {
    let running = shared.running();
    let takes_nothing = shared.shutdown.is_draining() || shared.changes.is_paused();
    let free = shared.changes.slots().saturating_sub(shared.lanes.held());
    let room = if takes_nothing { 0 } else { free };
    let chunks = running.iter().filter(|running| running.unit.speculates());
    let chunks: Vec<TaskId> = chunks.map(|running| running.unit.id()).take(MOST_CHUNKS).collect();
    let seen = shared.broker.speculate(u32::try_from(room).unwrap_or(u32::MAX), &chunks).await?;
    if seen.started > 0 {
        tracing::info!(chunks = seen.started, "slow chunks were started a second time");
    }
    for id in seen.over {
        shared.cancel(CancelReason::Requested, |running| running.unit.id() == id);
    }
    if seen.jobs == 0 && chunks.is_empty() {
        shared.speculates.store(false, Ordering::Relaxed);
    }
    Ok(())
}
