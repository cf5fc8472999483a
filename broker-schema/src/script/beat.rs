//! `beat`: a worker tells who it is.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::LeaseId;
use crate::keys::Keys;
use crate::script::{bounded, script};

script!(BEAT, "beat", " flags=allow-oom", ["fleet"]);

/// `description` is JSON; none when the worker leaves.
pub(crate) async fn beat(
    connections: &Connections,
    keys: &Keys,
    lease: &LeaseId,
    live_ms: u64,
    description: Option<&str>,
) -> Result<(), BrokerError> {
    let mut command = BEAT.command(keys.fleet());
    command.arg(lease.as_str()).arg(bounded(live_ms)).arg(description.unwrap_or(""));
    connections.run(&BEAT, &command).await.map(|_| ())
}
