//! Any number of tasks, streamed in batches: while one batch is under way the next is put together.

use std::collections::VecDeque;

use celeriac_broker_schema::TaskId;
use celeriac_broker_schema::limits::{MAX_BATCH, MAX_BATCH_BYTES};
use celeriac_broker_schema::script::{Duplicate, Entry};
use tokio::sync::oneshot;

use crate::call::NewTask;
use crate::error::EnqueueError;
use crate::producer::Producer;
use crate::sender::{Answer, Told};

/// Batches on their way at once: one in Redis, one that waits behind it.
const UNDER_WAY: usize = 2;

/// Takes tasks one by one and sends them in batches. What was accepted before an error stays
/// enqueued; [`Many::enqueued`] tells how many that is.
#[derive(Debug)]
pub struct Many {
    producer: Producer,
    batch: Vec<Entry>,
    bytes: usize,
    under_way: VecDeque<(usize, oneshot::Receiver<Answer>)>,
    enqueued: Enqueued,
}

/// What has been enqueued.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enqueued {
    /// How many tasks were accepted by Redis, duplicates not counted.
    pub count: u64,
    /// Those that were not enqueued, because an earlier task has the same idempotency key.
    pub duplicates: Vec<Duplicate>,
}

impl Many {
    pub(crate) fn new(producer: Producer) -> Self {
        Self {
            producer,
            batch: Vec::new(),
            bytes: 0,
            under_way: VecDeque::new(),
            enqueued: Enqueued::default(),
        }
    }

    /// Adds a task. It is sent when a batch is full, or by [`Many::finish`].
    ///
    /// # Errors
    /// The task itself is not valid (the others are not affected), or an earlier batch failed.
    pub async fn push(&mut self, mut task: NewTask) -> Result<TaskId, EnqueueError> {
        self.producer.apply_layers(&mut task)?;
        let id = self.producer.new_id();
        let entry = task.into_entry(id)?;
        self.bytes += entry.record.len();
        self.batch.push(entry);
        if self.batch.len() >= MAX_BATCH || self.bytes >= MAX_BATCH_BYTES {
            self.send().await?;
        }
        Ok(id)
    }

    /// Sends what is left and waits until Redis has all.
    ///
    /// # Errors
    /// A batch failed; see [`EnqueueError`].
    pub async fn finish(mut self) -> Result<Enqueued, EnqueueError> {
        self.flush().await?;
        Ok(self.enqueued)
    }

    /// Sends what has collected and waits until Redis has it, so that a slow source delays nothing.
    ///
    /// # Errors
    /// A batch failed; see [`EnqueueError`].
    pub async fn flush(&mut self) -> Result<(), EnqueueError> {
        if !self.batch.is_empty() {
            self.send().await?;
        }
        while !self.under_way.is_empty() {
            self.settle_oldest().await?;
        }
        Ok(())
    }

    /// What Redis has accepted so far.
    pub fn enqueued(&self) -> &Enqueued {
        &self.enqueued
    }

    async fn send(&mut self) -> Result<(), EnqueueError> {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(MAX_BATCH));
        self.bytes = 0;
        let count = batch.len();
        let answer = self.producer.submit(batch)?;
        self.under_way.push_back((count, answer));
        while self.under_way.len() > UNDER_WAY {
            self.settle_oldest().await?;
        }
        Ok(())
    }

    async fn settle_oldest(&mut self) -> Result<(), EnqueueError> {
        let Some((count, answer)) = self.under_way.pop_front() else { return Ok(()) };
        let mut told = answer.await.map_err(|_| EnqueueError::ShutDown)??;
        let waited = self.producer.wait_for_room(&mut told).await;
        let taken = waited.and_then(|()| told.all_taken());
        self.count(count, told);
        if taken.is_err() {
            // What was on its way behind it may have been taken, and must be counted.
            for (count, answer) in std::mem::take(&mut self.under_way) {
                if let Ok(Ok(told)) = answer.await {
                    self.count(count, told);
                }
            }
        }
        taken
    }

    fn count(&mut self, sent: usize, told: Told) {
        let others = told.duplicates.len() + told.refused.len();
        self.enqueued.count += sent.saturating_sub(others) as u64;
        self.enqueued.duplicates.extend(told.duplicates);
    }
}
