//! `expel`: ends what was given out under ids that are none.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{LeaseId, TaskId};
use crate::keys::Keys;
use crate::outcome::{ErrorKind, TaskFailure};
use crate::script::script;
use crate::time::Timestamp;

script!(
    EXPEL,
    "expel",
    " flags=allow-oom",
    ["base", "ready", "gate", "locks", "settle", "workflow"]
);

/// So much of an id is told.
const MOST_TOLD: usize = 80;

pub(crate) async fn expel(
    connections: &Connections,
    keys: &Keys,
    lease: &LeaseId,
    now: Timestamp,
    strays: &[Vec<u8>],
) -> Result<(), BrokerError> {
    let mut command = EXPEL.command(keys.prefix());
    command.arg(lease.as_str());
    for id in strays {
        let told: String = String::from_utf8_lossy(id).chars().take(MOST_TOLD).collect();
        let failure = TaskFailure::new(
            ErrorKind::BadRecord,
            format!(
                "it was enqueued under {told:?}, which is no id: use 32 lower-case hex digits (a UUID)"
            ),
        );
        let failure = serde_json::to_string(&failure).unwrap_or_else(|_| "null".to_owned());
        command.arg(id).arg(TaskId::new(now).to_string()).arg(failure);
    }
    connections.run(&EXPEL, &command).await.map(|_| ())
}
