//! `delete_job`: removes all that is kept of a job that has ended.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::JobId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;

script!(DELETE_JOB, "delete_job", " flags=allow-oom", ["base"]);

/// What became of the wish to delete a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobDeleted {
    /// Nothing of it is left but its dead letters.
    Deleted,
    /// It has not ended: cancel it first.
    UnderWay,
    /// No such job, or nothing of it is kept.
    Unknown,
}

pub(crate) async fn delete_job(
    connections: &Connections,
    keys: &Keys,
    job: JobId,
) -> Result<JobDeleted, BrokerError> {
    let mut command = DELETE_JOB.command(keys.prefix());
    command.arg(job.to_string());
    let mut reply = Reply::new(DELETE_JOB.name, connections.run(&DELETE_JOB, &command).await?)?;
    match reply.text("state")?.as_str() {
        "deleted" => Ok(JobDeleted::Deleted),
        "under_way" => Ok(JobDeleted::UnderWay),
        "unknown" => Ok(JobDeleted::Unknown),
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}
