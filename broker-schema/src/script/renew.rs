//! `renew`: prolong a lease; hear which jobs are over.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{JobId, LeaseId};
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::{bounded, script};
use crate::time::Timestamp;

script!(RENEW, "renew", " flags=allow-oom", ["base"]);

/// The answer to a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewed {
    /// The lease holds for another visibility time-out.
    Until {
        /// Redis time of the renewal.
        now: Timestamp,
        /// Those of the given jobs that are over: their chunks need not be finished.
        over: Vec<JobId>,
    },
    /// The lease is gone: what ran under it is given to others.
    Lost,
}

pub(crate) async fn renew(
    connections: &Connections,
    keys: &Keys,
    lease: &LeaseId,
    visibility_ms: u64,
    jobs: &[JobId],
) -> Result<Renewed, BrokerError> {
    let mut command = RENEW.command(keys.prefix());
    command.arg(lease.as_str()).arg(bounded(visibility_ms));
    for job in jobs {
        command.arg(job.to_string());
    }
    let mut reply = Reply::new(RENEW.name, connections.run(&RENEW, &command).await?)?;
    match reply.text("state")?.as_str() {
        "lost" => Ok(Renewed::Lost),
        "ok" => {
            let now = Timestamp(reply.number("now")?);
            let mut jobs = reply.array("jobs")?;
            let mut over = Vec::with_capacity(jobs.len());
            while !jobs.is_empty() {
                over.push(jobs.parsed("job")?);
            }
            Ok(Renewed::Until { now, over })
        }
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}
