//! `job`: all that is stored of one job.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;
use std::collections::BTreeMap;

use crate::id::JobId;
use crate::requester::Note;
use crate::time::Timestamp;

script!(JOB, "job", " flags=no-writes", ["base"]);

/// A job as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// `running` (chunks), `reducing`, `succeeded`, `failed` or `cancelled`.
    pub state: String,
    /// Its description (see [`crate::JobSpec`]).
    pub spec: String,
    /// The number of its chunks.
    pub total: u64,
    /// Chunks that succeeded.
    pub done: u64,
    /// Chunks that failed for good.
    pub failed: u64,
    /// Retries so far, of all chunks.
    pub retried: u64,
    /// When it was enqueued.
    pub created: Timestamp,
    /// When its first chunk was claimed.
    pub started: Option<Timestamp>,
    /// Since when more is to be added to it, of a workflow that is not complete yet: when the last part came.
    pub growing: Option<Timestamp>,
    /// In how many parts it was enqueued so far.
    pub parts: u64,
    /// How many members were pushed into its open group so far.
    pub pushed: u64,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The task or chunk whose failure ended it.
    pub failed_task: Option<String>,
    /// That failure (a [`crate::TaskFailure`], in JSON).
    pub failure: Option<String>,
    /// Who paused it, when and why, if it is paused.
    pub paused: Option<Note>,
    /// Of one that failed and is tried again: the job that goes on in its place.
    pub continued_as: Option<JobId>,
    /// Accumulators by name; numbers as they are stored. Empty in a [`crate::script::Snapshot`].
    pub accumulators: BTreeMap<String, String>,
}

impl JobView {
    pub(crate) fn from_fields(id: JobId, fields: Vec<(String, String)>) -> Self {
        let mut fields: BTreeMap<String, String> = fields.into_iter().collect();
        let accumulators = fields
            .iter()
            .filter_map(|(name, value)| {
                Some((name.strip_prefix("acc:")?.to_owned(), value.clone()))
            })
            .collect();
        let mut text = |name: &str| fields.remove(name);
        let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
        Self {
            id,
            state: text("state").unwrap_or_default(),
            spec: text("spec").unwrap_or_default(),
            total: number(text("total")).unwrap_or(0),
            done: number(text("done")).unwrap_or(0),
            failed: number(text("failed")).unwrap_or(0),
            retried: number(text("retried")).unwrap_or(0),
            created: Timestamp(number(text("created")).unwrap_or(0)),
            started: number(text("started")).map(Timestamp),
            growing: number(text("growing")).map(Timestamp),
            parts: number(text("parts")).unwrap_or(0),
            pushed: number(text("pushed")).unwrap_or(0),
            ended: number(text("ended")).map(Timestamp),
            failed_task: text("failed_task"),
            failure: text("failure"),
            paused: text("paused").and_then(|note| Note::read_any(&note)),
            continued_as: text("continued_as").and_then(|id| id.parse().ok()),
            accumulators,
        }
    }
}

pub(crate) async fn job(
    connections: &Connections,
    keys: &Keys,
    id: JobId,
) -> Result<(Timestamp, Option<JobView>), BrokerError> {
    let mut command = JOB.command(keys.prefix());
    command.arg(id.to_string());
    let mut reply = Reply::new(JOB.name, connections.run(&JOB, &command).await?)?;
    let now = Timestamp(reply.number("now")?);
    let fields = reply.array("fields")?.pairs("field")?;
    Ok((now, (!fields.is_empty()).then(|| JobView::from_fields(id, fields))))
}
