//! Tasks and jobs: enqueued, looked at, cancelled, waited for.

use super::{Broker, Inner};
use crate::connection::Failure;
use crate::error::BrokerError;
#[cfg(doc)]
use crate::explain::Reason;
use crate::explain::{self, Explanation};
use crate::id::{ClientId, JobId, TaskId};
use crate::record::Record;
use crate::requester::Requester;
use crate::script::{
    self, Answered, Cancelled, ChunkMap, Entry, Found, JobView, RangeJob, StreamPage, Watched,
    Whereabouts,
};
use crate::subscription::Subscription;
use crate::time::Timestamp;

impl Broker {
    /// Enqueues a batch. `number` counts the batches of `producer` upwards: a batch that was
    /// carried out already changes nothing. What a queue that is closed or full does not take is told
    /// in the answer.
    ///
    /// # Errors
    /// Whatever keeps us from the server; the batch may have been carried out.
    pub async fn enqueue(
        &self,
        producer: &ClientId,
        number: u64,
        entries: &[Entry],
    ) -> Result<Answered, BrokerError> {
        script::enqueue(&self.inner.connections, &self.inner.keys, producer, number, entries).await
    }

    /// Enqueues a job of chunks, numbered as a batch of [`Broker::enqueue`].
    ///
    /// # Errors
    /// Whatever keeps us from the server; the job may have been enqueued.
    pub async fn enqueue_range(
        &self,
        producer: &ClientId,
        number: u64,
        job: &RangeJob,
    ) -> Result<Answered, BrokerError> {
        script::enqueue_range(&self.inner.connections, &self.inner.keys, producer, number, job)
            .await
    }

    /// What is known of one task or chunk.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn inspect(&self, id: TaskId) -> Result<Found, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        let found = script::inspect(connections, keys, id, None).await?;
        // Whether it is delayed can only be asked with its place, which stands in the record.
        match delayed_place(&found) {
            Some(place) => script::inspect(connections, keys, id, Some(&place)).await,
            None => Ok(found),
        }
    }

    /// Why a task, a chunk or a job is where it is, or what happened to it. A few looks, not one
    /// instant: of something that moves quickly it tells what was true a moment ago.
    ///
    /// # Errors
    /// Whatever keeps us from the server. An id of which nothing is known is no error but
    /// [`Reason::Unknown`].
    pub async fn explain(&self, id: TaskId) -> Result<Explanation, BrokerError> {
        explain::gather(self, id).await
    }

    pub(crate) async fn surroundings(
        &self,
        question: &script::Question<'_>,
    ) -> Result<(Timestamp, explain::Surroundings), BrokerError> {
        script::explain(&self.inner.connections, &self.inner.keys, question).await
    }

    /// The stored [`Record`]s of those of these tasks that have not ended, in JSON.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn records(&self, ids: &[TaskId]) -> Result<Vec<Option<String>>, BrokerError> {
        let mut found = Vec::with_capacity(ids.len());
        while found.len() < ids.len() {
            let rest = &ids[found.len()..];
            let bite = &rest[..rest.len().min(script::RECORDS_BITE)];
            let Inner { connections, keys, .. } = &*self.inner;
            let stored = script::records(connections, keys, bite).await?;
            found.extend(stored.into_iter().map(|record| (!record.is_empty()).then_some(record)));
        }
        Ok(found)
    }

    /// All that is stored of one job, with the Redis time.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn job(&self, id: JobId) -> Result<(Timestamp, Option<JobView>), BrokerError> {
        script::job(&self.inner.connections, &self.inner.keys, id).await
    }

    /// How far each stretch of the chunks of a job is, in at most `most` stretches (up to 512). None if
    /// the job is not kept, or has not `total` chunks.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn map_chunks(
        &self,
        job: JobId,
        total: u64,
        most: u64,
    ) -> Result<Option<ChunkMap>, BrokerError> {
        script::map_chunks(&self.inner.connections, &self.inner.keys, job, total, most).await
    }

    /// Ends tasks and jobs that nobody wants any more, and tells the workers of those that run.
    /// Safe to repeat. Answers in the order of the ids.
    ///
    /// # Errors
    /// Whatever keeps us from the server; some of them may have been cancelled.
    pub async fn cancel(
        &self,
        ids: &[TaskId],
        who: &Requester,
    ) -> Result<Vec<Cancelled>, BrokerError> {
        script::cancel(&self.inner.connections, &self.inner.keys, ids, who).await
    }

    /// Asks for outcomes; the ends of those still under way will be told to `client`.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn watch(
        &self,
        client: &ClientId,
        ids: &[TaskId],
    ) -> Result<Vec<Watched>, BrokerError> {
        script::watch(&self.inner.connections, &self.inner.keys, client, ids).await
    }

    /// Hears which of the watched tasks of `client` end.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn subscribe(&self, client: &ClientId) -> Result<Subscription, BrokerError> {
        let connections = &self.inner.connections;
        let mut pubsub = connections.pubsub().await?;
        let channel = self.inner.keys.ended(client);
        pubsub
            .subscribe(channel)
            .await
            .map_err(|error| connections.explain("SUBSCRIBE", Failure::after_sending(error)))?;
        Ok(Subscription::new(pubsub))
    }

    /// Partial results of a task or chunk, those after the one with this place.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn stream(&self, id: TaskId, after: Option<&str>) -> Result<StreamPage, BrokerError> {
        script::stream(&self.inner.connections, &self.inner.keys, id, after).await
    }
}

/// `<priority>:<queue>` of something that is queued.
fn delayed_place(found: &Found) -> Option<String> {
    let (whereabouts, options) = match found {
        Found::Task { whereabouts, record, .. } => {
            (whereabouts, Record::decode(record).ok()?.options())
        }
        Found::Chunk { whereabouts, spec, .. } => {
            (whereabouts, crate::job::JobSpec::decode(spec).ok()?.chunk.options())
        }
        Found::Ended(_) | Found::Unknown => return None,
    };
    (*whereabouts == Whereabouts::Queued).then(|| format!("{}:{}", options.priority, options.queue))
}
