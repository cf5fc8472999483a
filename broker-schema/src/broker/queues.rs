//! What waits in queues, and what operators do to them.

use std::time::Duration;

use super::{Broker, Inner};
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::name::QueueName;
use crate::record::Record;
use crate::requester::Requester;
use crate::script::{self, Control, Moved, Peeked, Place, Purged, Queued};
use crate::time::{Timestamp, millis};

impl Broker {
    /// A page of what waits in one place of a queue, `limit` of it and at most 1,000. The first page
    /// begins at 0, the others where the one before says.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn queued(
        &self,
        queue: &QueueName,
        place: &Place,
        cursor: u64,
        limit: u32,
    ) -> Result<Queued, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        script::queued(connections, keys, queue, place, cursor, limit).await
    }

    /// What goes next in a ready list, among the suspects or in what is delayed of a queue, `limit` of
    /// it and at most 1,000; `from` so many are left out. [`Broker::queued`] misses nothing, this keeps
    /// the order in which it goes. Of any other place nothing is told.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn peek(
        &self,
        queue: &QueueName,
        place: &Place,
        from: u64,
        limit: u32,
    ) -> Result<Peeked, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        script::peek(connections, keys, queue, place, from, limit).await
    }

    /// Since when the oldest ready task of each of these queues (a hundred at most) waits, with the time of
    /// Redis: since its enqueue by the clock of its producer, or since its delay was over. Only
    /// what stands in front of a list is looked at, and that is mostly the oldest; of a chunk it is the time of
    /// its job. None: nothing is ready.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn oldest(
        &self,
        queues: &[String],
    ) -> Result<(Timestamp, Vec<Option<Timestamp>>), BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        let queues = &queues[..queues.len().min(100)];
        let (now, heads) = script::oldest(connections, keys, queues).await?;
        let first = |ids: &Vec<TaskId>| ids.iter().copied().min_by_key(|id| id.time());
        let firsts: Vec<Option<TaskId>> = heads.iter().map(first).collect();
        let tasks: Vec<TaskId> = firsts.iter().flatten().copied().collect();
        let mut records = self.records(&tasks).await?.into_iter();
        let mut since = |id: TaskId| {
            let record = records.next().flatten().unwrap_or_default();
            let delay = Record::decode(&record).ok().and_then(|record| record.delay_ms);
            id.time().plus_ms(delay.unwrap_or(0))
        };
        Ok((now, firsts.into_iter().map(|first| first.map(&mut since)).collect()))
    }

    /// Pauses, resumes, closes, opens or limits a queue. True if that changed anything.
    ///
    /// # Errors
    /// Whatever keeps us from the server. It is safe to repeat.
    pub async fn control_queue(
        &self,
        queue: &QueueName,
        control: Control,
        who: &Requester,
    ) -> Result<bool, BrokerError> {
        script::control(&self.inner.connections, &self.inner.keys, queue, control, who).await
    }

    /// Cancels what waits in a queue, in bites; with `delayed` also what is not due yet. The
    /// outcomes are kept for `keep`, those of jobs as long as their jobs are. What workers hold is
    /// not touched.
    ///
    /// # Errors
    /// Whatever keeps us from the server; a part may have been purged. It is safe to repeat.
    pub async fn purge_queue(
        &self,
        queue: &QueueName,
        delayed: bool,
        keep: Duration,
        who: &Requester,
    ) -> Result<Purged, BrokerError> {
        let (connections, keys) = (&self.inner.connections, &self.inner.keys);
        let all = script::purge(connections, keys, queue, delayed, millis(keep), u64::MAX, who);
        Ok(all.await?.0)
    }

    /// The same, until about `most` elements are gone (a range of chunks is one). Also says whether there
    /// may be more.
    ///
    /// # Errors
    /// As [`Broker::purge_queue`].
    pub async fn purge_some(
        &self,
        queue: &QueueName,
        delayed: bool,
        keep: Duration,
        most: u64,
        who: &Requester,
    ) -> Result<(Purged, bool), BrokerError> {
        let (connections, keys) = (&self.inner.connections, &self.inner.keys);
        script::purge(connections, keys, queue, delayed, millis(keep), most, who).await
    }

    /// Moves what waits in `from` to the back of `to`, in bites, at most `most` elements (a range of
    /// chunks is one); order and priorities stay. With `delayed` also what is not due yet. Nothing is
    /// moved from a queue to itself. Neither a limit of `to` nor that it is closed is asked for.
    ///
    /// # Errors
    /// Whatever keeps us from the server; a part may have been moved.
    pub async fn move_queue(
        &self,
        from: &QueueName,
        to: &QueueName,
        most: Option<u64>,
        delayed: bool,
    ) -> Result<Moved, BrokerError> {
        let (connections, keys) = (&self.inner.connections, &self.inner.keys);
        script::move_queue(connections, keys, from, to, most.unwrap_or(u64::MAX), delayed).await
    }
}
