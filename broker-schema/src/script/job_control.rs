//! `job_control`: pause or resume a job.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::JobId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::requester::Requester;
use crate::script::script;

// Whoever pauses a job because the server is full must be able to do so then.
script!(JOB_CONTROL, "job_control", " flags=allow-oom", ["base", "ready"]);

/// Elements that go back to their lists in one call.
const BITE: u64 = 1_000;

/// What became of the wish to pause or resume a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobControlled {
    /// It is so now.
    Changed,
    /// It was so before.
    Unchanged,
    /// The job has ended, or only its reducer is left.
    Over,
    /// No such job, or nothing of it is kept.
    Unknown,
}

/// Pauses or resumes a job, and puts all back that was kept back meanwhile.
pub(crate) async fn job_control(
    connections: &Connections,
    keys: &Keys,
    job: JobId,
    pause: bool,
    who: &Requester,
) -> Result<JobControlled, BrokerError> {
    let mut first = None;
    loop {
        let mut command = JOB_CONTROL.command(keys.prefix());
        command.arg(job.to_string()).arg(if pause { "pause" } else { "resume" });
        command.arg(who.as_object()).arg(BITE);
        let mut reply =
            Reply::new(JOB_CONTROL.name, connections.run(&JOB_CONTROL, &command).await?)?;
        let word = match reply.text("state")?.as_str() {
            "changed" => JobControlled::Changed,
            "unchanged" => JobControlled::Unchanged,
            "over" => JobControlled::Over,
            "unknown" => JobControlled::Unknown,
            other => return Err(reply.error(format!("unknown word {other:?}"))),
        };
        reply.number("now")?;
        let first = *first.get_or_insert(word);
        if reply.number("left")? == 0 {
            return Ok(first);
        }
    }
}
