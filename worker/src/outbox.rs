//! Endings on their way to Redis: slots put them in, the exchange takes them out in batches.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use celeriac_broker_schema::limits::MAX_BATCH_BYTES;
use celeriac_broker_schema::script::Ending;
use celeriac_broker_schema::workflow::Edit;
use celeriac_broker_schema::{Delta, TaskId};
use serde_json::value::RawValue;
use tokio::sync::Notify;

use crate::unit::{ChunkRun, Epoch, Unit};

/// So many endings are sent at once, without waiting for more.
pub(crate) const FULL: usize = 250;

/// Most endings in one call. Beyond it a call takes milliseconds of Redis time.
const MOST: usize = 2_000;

/// The end of an attempt.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) epoch: Epoch,
    pub(crate) how: How,
    pub(crate) took: Duration,
    /// How many slots are free again. None, when a task that computes outlived its time-out.
    pub(crate) frees: usize,
    /// Whether it was a suspect.
    pub(crate) suspect: bool,
}

/// What is to be told to Redis.
#[derive(Debug)]
pub(crate) enum How {
    /// A task, or a chunk that did not succeed.
    Told(TaskId, Box<Ending>),
    /// A chunk of a run that succeeded, with its result if that is kept: neighbours are told together.
    Chunk(Arc<ChunkRun>, u64, Vec<Delta>, Option<Box<RawValue>>),
    /// A member of a workflow that spawned others.
    Spawned(Arc<ChunkRun>, Box<Ending>),
    /// Nothing: it was told before.
    Silent,
}

impl Ended {
    /// A unit that ends before it began: handed back, or refused.
    pub(crate) fn before_it_began(unit: &Unit, ending: Ending) -> Self {
        Self {
            epoch: unit.epoch,
            how: How::Told(unit.id(), Box::new(ending)),
            took: Duration::ZERO,
            frees: unit.cost,
            suspect: unit.is_suspect(),
        }
    }

    /// Something to tell besides the end of an attempt: it frees no place.
    pub(crate) fn besides(epoch: Epoch, how: How) -> Self {
        Self { epoch, how, took: Duration::ZERO, frees: 0, suspect: false }
    }

    /// What it adds to a call, in bytes.
    fn bytes(&self) -> usize {
        match &self.how {
            How::Told(_, ending) => match &**ending {
                Ending::Succeeded { outcome, .. }
                | Ending::Failed { outcome, .. }
                | Ending::Cancelled { outcome, .. }
                | Ending::ChunkFailed { outcome, .. } => outcome.len(),
                Ending::Checkpoint(checkpoint) => checkpoint.state.len(),
                Ending::Retry { attempt, .. } | Ending::ChunkRetry { attempt, .. } => attempt.len(),
                _ => 0,
            },
            How::Chunk(.., result) => result.as_ref().map_or(0, |json| json.get().len()),
            How::Spawned(_, ending) => match &**ending {
                Ending::MemberSpawned { spawn, .. } => spawn.edits.iter().map(Edit::bytes).sum(),
                _ => 0,
            },
            How::Silent => 0,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    ended: Mutex<Vec<Ended>>,
    count: AtomicUsize,
    /// Whether one of them is of a task that somebody may wait for.
    awaited: AtomicBool,
    arrived: Notify,
}

impl Outbox {
    /// Puts an ending in. `hurry`: nothing else is left to do here.
    pub(crate) fn push(&self, ended: Ended, hurry: bool) {
        let awaited = !matches!(ended.how, How::Chunk(..));
        let count = {
            let mut all = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            self.awaited.fetch_or(awaited, Ordering::Relaxed);
            all.push(ended);
            self.count.store(all.len(), Ordering::Relaxed);
            all.len()
        };
        if hurry || count == 1 || count.is_multiple_of(FULL) {
            self.arrived.notify_one();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether somebody may wait for one of them. A chunk that succeeded is only one of many: the
    /// last one of a job leaves nothing to do and is told at once.
    pub(crate) fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed)
    }

    /// Takes the oldest endings, as many as one call should carry; the others stay.
    pub(crate) fn take(&self) -> Vec<Ended> {
        let mut all = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        let fits = |ended: &&Ended| {
            bytes += ended.bytes();
            bytes <= MAX_BATCH_BYTES
        };
        // At least one goes, however large it is.
        let n = all.iter().take(MOST).take_while(fits).count().clamp(1.min(all.len()), all.len());
        let rest = all.split_off(n);
        self.count.store(rest.len(), Ordering::Relaxed);
        self.awaited.store(!rest.is_empty(), Ordering::Relaxed);
        std::mem::replace(&mut *all, rest)
    }

    /// Waits until something may be in it that was not before.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}
