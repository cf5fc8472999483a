//! `enqueue_range`: a job of chunks that differ only by their index, in one call.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{ClientId, JobId};
use crate::keys::Keys;
use crate::name::{Priority, QueueName, UniqueKey};
use crate::script::enqueue::{Answered, read_enqueued};
use crate::script::{bounded, remember, script};

script!(ENQUEUE_RANGE, "enqueue_range", "", ["base", "ready", "batch", "controls"]);

/// A job of chunks as it is enqueued.
#[derive(Debug, Clone)]
pub struct RangeJob {
    /// Its id.
    pub id: JobId,
    /// Its encoded [`crate::JobSpec`].
    pub spec: String,
    /// How many chunks it has, at least one.
    pub chunks: u64,
    /// Where the chunks wait.
    pub queue: QueueName,
    /// How urgent they are there.
    pub priority: Priority,
    /// For how many milliseconds the job is kept after its end.
    pub keep_ms: u64,
    /// The encoded record of its reducer, with queue and priority.
    pub reducer: Option<(String, QueueName, Priority)>,
    /// An idempotency key, and for how many milliseconds it is remembered.
    pub unique: Option<(UniqueKey, u64)>,
    /// The percentage of the mean duration after which a chunk is started a second time.
    pub speculate: Option<u32>,
}

pub(crate) async fn enqueue_range(
    connections: &Connections,
    keys: &Keys,
    producer: &ClientId,
    number: u64,
    job: &RangeJob,
) -> Result<Answered, BrokerError> {
    let mut command = ENQUEUE_RANGE.command(keys.prefix());
    command.arg(producer.as_str()).arg(number);
    command.arg(job.id.to_string()).arg(&job.spec).arg(job.chunks);
    command.arg(job.queue.as_str()).arg(job.priority.get()).arg(bounded(job.keep_ms));
    match &job.reducer {
        Some((record, queue, priority)) => {
            command.arg(record).arg(queue.as_str()).arg(priority.get())
        }
        None => command.arg("").arg("").arg(""),
    };
    match &job.unique {
        Some((key, ms)) => command.arg(key.as_str()).arg(bounded((*ms).max(1))),
        None => command.arg("").arg(""),
    };
    match job.speculate {
        Some(percent) => command.arg(percent),
        None => command.arg(""),
    };
    let (script, then) = remember(keys, producer);
    let value = connections.run_durably((&ENQUEUE_RANGE, &command), (script, &then)).await?;
    read_enqueued(ENQUEUE_RANGE.name, value)
}
