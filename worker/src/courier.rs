//! The courier: carries what attempts leave while they run to Redis: their states, at most about once
//! a second for an attempt unless one waits for it, and their partial results. It sleeps until
//! somebody rings.

use std::sync::Arc;
use std::time::{Duration, Instant};

use celeriac_broker_schema::BrokerError;
use celeriac_broker_schema::limits::MAX_BATCH_BYTES;
use celeriac_broker_schema::script::{Checkpoint, Emission, Kept};
use tokio::time::sleep;

use crate::attempt::Running;
use crate::shared::Shared;
use crate::task::{CancelReason, Parcel};

/// How far the states of one attempt are apart at least, in Redis. So an attempt that is shorter
/// leaves none, and one that calls all the time costs little.
const DISTANCE: Duration = Duration::from_secs(1);
/// The same of partial results: soon enough for people, and many in one call.
const PART_DISTANCE: Duration = Duration::from_millis(100);
/// How long it waits before it tries again while Redis is away.
const PAUSE: Duration = Duration::from_millis(500);
/// Most attempts in one call.
const MOST: usize = 100;

/// Something to carry, with the attempt that left it.
struct Load<T> {
    running: Arc<Running>,
    what: T,
    bytes: usize,
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
            for loads in bites(due_states(&shared)) {
                carry_states(&shared, loads).await;
            }
            for loads in bites(due_parts(&shared)) {
                carry_parts(&shared, loads).await;
            }
        }
    }
}

fn state_due(running: &Running) -> Option<Instant> {
    running.ctx.post().due(running.begun, DISTANCE)
}

fn parts_due(running: &Running) -> Option<Instant> {
    running.ctx.post().parts_due(running.begun, PART_DISTANCE)
}

fn earliest(shared: &Shared) -> Option<Instant> {
    let running = shared.running();
    running.iter().flat_map(|running| [state_due(running), parts_due(running)]).flatten().min()
}

fn due_states(shared: &Shared) -> Vec<Load<Parcel>> {
    let load = |running: Arc<Running>| {
        let what = running.ctx.post().parcel()?;
        Some(Load { bytes: what.state.len(), what, running })
    };
    due(shared, state_due).filter_map(load).collect()
}

fn due_parts(shared: &Shared) -> Vec<Load<Vec<Arc<str>>>> {
    let load = |running: Arc<Running>| {
        let what = running.ctx.post().parts();
        Load { bytes: what.iter().map(|part| part.len()).sum(), what, running }
    };
    due(shared, parts_due).map(load).collect()
}

/// The attempts under the present lease whose time has come.
fn due(
    shared: &Shared,
    at: impl Fn(&Running) -> Option<Instant>,
) -> impl Iterator<Item = Arc<Running>> {
    let (now, (_, epoch)) = (Instant::now(), shared.lease());
    let is_due = move |running: &Arc<Running>| at(running).is_some_and(|at| at <= now);
    let running = shared.running().into_iter().filter(is_due);
    running.filter(move |running| {
        let ours = running.unit.epoch == epoch;
        if !ours {
            lost(running);
        }
        ours
    })
}

/// So much as one call should carry; at least one load, however large it is.
fn bites<T>(loads: Vec<Load<T>>) -> Vec<Vec<Load<T>>> {
    let mut bites: Vec<Vec<Load<T>>> = Vec::new();
    let mut bytes = 0;
    for load in loads {
        bytes += load.bytes;
        match bites.last_mut() {
            Some(bite) if bite.len() < MOST && bytes <= MAX_BATCH_BYTES => bite.push(load),
            _ => {
                bytes = load.bytes;
                bites.push(vec![load]);
            }
        }
    }
    bites
}

async fn carry_states(shared: &Shared, loads: Vec<Load<Parcel>>) {
    let checkpoint = |load: &Load<Parcel>| load.running.unit.checkpoint(&load.what.state);
    let states: Vec<Checkpoint> = loads.iter().map(checkpoint).collect();
    let kept = shared.broker.checkpoint(&shared.lease().0, &states).await;
    let carried = |load: &Load<Parcel>| load.running.ctx.post().delivered(&load.what);
    let refused = |load: &Load<Parcel>, why: &str| load.running.ctx.post().refused(&load.what, why);
    settle(&loads, kept, "checkpoints", carried, refused).await;
}

async fn carry_parts(shared: &Shared, loads: Vec<Load<Vec<Arc<str>>>>) {
    let emission = |load: &Load<Vec<Arc<str>>>| load.running.unit.emission(load.what.clone());
    let emissions: Vec<Emission> = loads.iter().map(emission).collect();
    let kept = shared.broker.emit(&shared.lease().0, &emissions).await;
    let carried =
        |load: &Load<Vec<Arc<str>>>| load.running.ctx.post().parts_carried(load.what.len());
    // Nothing may wait for memory that may never come: they are lost, and the task goes on.
    settle(&loads, kept, "partial results", carried, |load, _| carried(load)).await;
}

/// What became of the loads of a call.
async fn settle<T>(
    loads: &[Load<T>],
    kept: Result<Vec<Kept>, BrokerError>,
    what: &str,
    carried: impl Fn(&Load<T>),
    refused: impl Fn(&Load<T>, &str),
) {
    match kept {
        Ok(kept) => {
            for (load, kept) in loads.iter().zip(kept) {
                match kept {
                    Kept::Saved => carried(load),
                    Kept::Lost => lost(&load.running),
                }
            }
        }
        Err(error) if error.is_temporary() => {
            tracing::debug!(%error, "{what} wait for Redis");
            sleep(PAUSE).await;
        }
        Err(error) => {
            tracing::warn!(%error, "{what} were not taken");
            loads.iter().for_each(|load| refused(load, &error.to_string()));
        }
    }
}

/// The attempt is not ours any more, or its job is over: nobody will take what it returns.
fn lost(running: &Running) {
    running.ctx.post().close();
    running.ctx.cancel(CancelReason::LeaseLost);
}
