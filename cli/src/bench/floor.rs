//! The floor: the same scripts with the same batches, driven by a bare client without a runtime.
//! It decodes nothing, runs nothing and tells ready-made outcomes. A worker cannot be faster; how
//! near it comes is what counts.

use std::time::{Duration, Instant};

use celeriac_broker_schema::script::{Claim, Claimed, Ending};
use celeriac_broker_schema::{Broker, LeaseId, QueueName};

use crate::error::CliError;

/// Tasks in one round trip: what a busy worker sends and asks for.
const BATCH: usize = 500;

/// Drains a queue and returns the rate.
pub(super) async fn drain(broker: &Broker, tasks: u64) -> Result<f64, CliError> {
    let lease = LeaseId::new();
    broker.open(&lease, Duration::from_secs(300)).await?;
    let queues = [QueueName::default()];
    let outcome = format!(
        r#"{{"v":1,"state":"succeeded","result":null,"attempt":1,"worker":"{lease}","started":1700000000000,"ended":1700000000000}}"#
    );
    let (mut endings, mut number, mut ended) = (Vec::new(), 0, 0);
    let begin = Instant::now();
    while ended < tasks {
        number += 1;
        let claim = Claim {
            lease: &lease,
            number,
            want: BATCH,
            suspect: true,
            crash_limit: 3,
            queues: &queues,
            room: None,
        };
        let Claimed::Granted(grant) = broker.complete(&claim, &endings).await? else {
            return Err(CliError::Bug("the lease of the floor was lost".to_owned()));
        };
        ended += endings.len() as u64;
        let succeed = |id| Ending::Succeeded { id, outcome: outcome.clone(), keep_ms: 86_400_000 };
        endings = grant.tasks.into_iter().map(|task| succeed(task.id)).collect();
    }
    let rate = tasks as f64 / begin.elapsed().as_secs_f64();
    broker.close(&lease).await?;
    Ok(rate)
}
