//! The courier: carries what attempts leave while they run (their states) to Redis. It sleeps until
//! somebody rings, and goes at most about once a second for an attempt unless one waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use celeriac_broker_schema::BrokerError;
use celeriac_broker_schema::limits::MAX_BATCH_BYTES;
use celeriac_broker_schema::script::{Checkpoint, Kept};
use tokio::time::sleep;

use crate::attempt::Running;
use crate::shared::Shared;
use crate::task::{CancelReason, Parcel};

/// How far the states of one attempt are apart at least, in Redis. So an attempt that is shorter
/// leaves none, and one that calls all the time costs little.
const DISTANCE: Duration = Duration::from_secs(1);
/// How long it waits before it tries again while Redis is away.
const PAUSE: Duration = Duration::from_millis(500);
/// Most states in one call.
const MOST: usize = 100;

/// A state with the attempt that left it.
struct Load {
    running: Arc<Running>,
    parcel: Parcel,
}

/// Runs until it is dropped.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        shared.post_bell.notified().await;
        // As long as there is something to carry, now or soon.
        while let Some(next) = earliest(&shared) {
            tokio::select! {
                () = sleep(next.saturating_duration_since(Instant::now())) => {}
                () = shared.post_bell.notified() => continue,
            }
            for loads in bites(due(&shared)) {
                carry(&shared, loads).await;
            }
        }
    }
}

fn due_at(running: &Running) -> Option<Instant> {
    running.ctx.post().due(running.begun, DISTANCE)
}

fn earliest(shared: &Shared) -> Option<Instant> {
    shared.running().iter().filter_map(|running| due_at(running)).min()
}

fn due(shared: &Shared) -> Vec<Load> {
    let now = Instant::now();
    let is_due = |running: &Arc<Running>| due_at(running).is_some_and(|at| at <= now);
    let load = |running: Arc<Running>| Some(Load { parcel: running.ctx.post().parcel()?, running });
    shared.running().into_iter().filter(is_due).filter_map(load).collect()
}

/// So many states as one call should carry; at least one, however large it is.
fn bites(loads: Vec<Load>) -> Vec<Vec<Load>> {
    let mut bites: Vec<Vec<Load>> = Vec::new();
    let mut bytes = 0;
    for load in loads {
        bytes += load.parcel.state.len();
        match bites.last_mut() {
            Some(bite) if bite.len() < MOST && bytes <= MAX_BATCH_BYTES => bite.push(load),
            _ => {
                bytes = load.parcel.state.len();
                bites.push(vec![load]);
            }
        }
    }
    bites
}

async fn carry(shared: &Shared, mut loads: Vec<Load>) {
    let (lease, epoch) = shared.lease();
    loads.retain(|load| load.running.unit.epoch == epoch);
    let states: Vec<Checkpoint> =
        loads.iter().map(|load| load.running.unit.checkpoint(&load.parcel.state)).collect();
    match shared.broker.checkpoint(&lease, &states).await {
        Ok(kept) => {
            for (load, kept) in loads.iter().zip(kept) {
                match kept {
                    Kept::Saved => load.running.ctx.post().delivered(&load.parcel),
                    Kept::Lost => lost(&load.running),
                }
            }
        }
        Err(error @ BrokerError::OutOfMemory { .. }) => {
            tracing::warn!(%error, "checkpoints are not saved; it is tried again");
            refuse(&loads, &error);
        }
        Err(error) if error.is_temporary() => {
            tracing::debug!(%error, "checkpoints wait for Redis");
            sleep(PAUSE).await;
        }
        Err(error) => {
            tracing::error!(%error, "checkpoints cannot be saved");
            refuse(&loads, &error);
        }
    }
}

fn refuse(loads: &[Load], error: &BrokerError) {
    for load in loads {
        load.running.ctx.post().refused(&load.parcel, &error.to_string());
    }
}

/// The attempt is not ours any more, or its job is over: nobody will take what it returns.
fn lost(running: &Running) {
    running.ctx.post().close();
    running.ctx.cancel(CancelReason::LeaseLost);
}
