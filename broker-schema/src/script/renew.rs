//! `renew`: prolong a lease; hear what is wanted of it.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{JobId, LeaseId, TaskId};
use crate::keys::Keys;
use crate::reply::Reply;
use crate::requester::Requester;
use crate::script::order::read_orders;
use crate::script::{bounded, script};
use crate::time::Timestamp;

pub use crate::script::order::Orders;

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
        /// Those of the tasks it holds that are to be cancelled, with who wants it and why.
        cancels: Vec<(TaskId, Requester)>,
        /// What people want of the worker.
        orders: Box<Orders>,
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
            let mut tasks = reply.array("cancels")?;
            let mut cancels = Vec::with_capacity(tasks.len() / 2);
            while !tasks.is_empty() {
                let id = tasks.parsed("id")?;
                let who = serde_json::from_str(&tasks.text("who and why")?).unwrap_or_default();
                cancels.push((id, who));
            }
            let orders = Box::new(read_orders(reply.array("orders")?.pairs("order")?));
            Ok(Renewed::Until { now, over, cancels, orders })
        }
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}
