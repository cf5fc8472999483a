//! `tree`: how far stretches of the members of a workflow are.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::JobId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;
use crate::workflow::Stretch;

script!(TREE, "tree", " flags=no-writes", ["base"]);

/// Stretches of one call.
const BITE: usize = 500;

/// How far some members of a workflow are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Far {
    /// They have settled: succeeded, failed, or been skipped since their branch had failed.
    pub done: u64,
    /// They are ready, or were; the others wait for what they follow.
    pub begun: u64,
}

pub(crate) async fn tree(
    connections: &Connections,
    keys: &Keys,
    job: JobId,
    stretches: &[Stretch],
) -> Result<Vec<Far>, BrokerError> {
    let mut all = Vec::with_capacity(stretches.len());
    for bite in stretches.chunks(BITE) {
        let mut command = TREE.command(keys.prefix());
        command.arg(job.to_string());
        for (lo, hi) in bite {
            command.arg(*lo).arg(*hi);
        }
        let mut reply = Reply::new(TREE.name, connections.run(&TREE, &command).await?)?;
        while !reply.is_empty() {
            all.push(Far { done: reply.number("done")?, begun: reply.number("begun")? });
        }
    }
    Ok(all)
}
