//! `retry_job`: a workflow that has failed begins again where it failed, under a new id.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::JobId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::requester::Requester;
use crate::script::script;

script!(RETRY_JOB, "retry_job", "", ["base"]);

/// What became of the wish to try the failed part of a job again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobRetried {
    /// It goes on as this job.
    Retried(JobId),
    /// It went on before, as this job.
    Continued(JobId),
    /// It has not ended.
    UnderWay,
    /// It has ended, and did not fail.
    NotFailed,
    /// It is a job of chunks, or an older version has ended it.
    NotRetryable,
    /// Its producer never enqueued all of it.
    Incomplete,
    /// No such job, or nothing of it is kept.
    Unknown,
}

/// How a retry begins.
#[derive(Debug)]
pub(crate) enum RetryBegun {
    /// Its members are to be released.
    Releasing(JobId),
    Not(JobRetried),
}

pub(crate) async fn retry_job(
    connections: &Connections,
    keys: &Keys,
    old: JobId,
    new: JobId,
    who: &Requester,
) -> Result<RetryBegun, BrokerError> {
    let mut command = RETRY_JOB.command(keys.prefix());
    command.arg(old.to_string()).arg(new.to_string()).arg(who.as_rest());
    let mut reply = Reply::new(RETRY_JOB.name, connections.run(&RETRY_JOB, &command).await?)?;
    Ok(match reply.text("state")?.as_str() {
        "retried" | "releasing" => RetryBegun::Releasing(reply.parsed("job")?),
        "continued" => RetryBegun::Not(JobRetried::Continued(reply.parsed("job")?)),
        "under_way" => RetryBegun::Not(JobRetried::UnderWay),
        "not_failed" => RetryBegun::Not(JobRetried::NotFailed),
        "no_workflow" => RetryBegun::Not(JobRetried::NotRetryable),
        "incomplete" => RetryBegun::Not(JobRetried::Incomplete),
        "unknown" => RetryBegun::Not(JobRetried::Unknown),
        other => return Err(reply.error(format!("unknown word {other:?}"))),
    })
}
