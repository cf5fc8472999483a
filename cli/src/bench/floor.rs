//! The floor: the same scripts with the same batches, driven by a bare client without a runtime.
//! It decodes nothing, runs nothing and tells ready-made outcomes. A worker cannot be faster; how
//! near it comes is what counts.

use std::time::{Duration, Instant};

use celeriac_broker_schema::script::{Claim, Claimed, Delivery, Ending};
use celeriac_broker_schema::{Broker, LeaseId, QueueName};

use crate::error::CliError;

/// Tasks in one round trip: what a busy worker sends and asks for.
const BATCH: usize = 500;
/// How long outcomes are kept: a day, as usual.
pub(super) const KEEP_MS: u64 = 86_400_000;

/// Drains a queue and returns the rate.
pub(super) async fn drain(broker: &Broker, tasks: u64) -> Result<f64, CliError> {
    drain_by(broker, tasks, &[QueueName::default()], async |lease, deliveries| {
        let outcome = success(lease);
        let succeed = |task: Delivery| Ending::Succeeded {
            id: task.id,
            outcome: outcome.clone(),
            keep_ms: KEEP_MS,
        };
        Ok(deliveries.into_iter().map(succeed).collect())
    })
    .await
}

/// The outcome of a task that succeeded, as a worker writes it.
pub(super) fn success(lease: &LeaseId) -> String {
    format!(
        r#"{{"v":1,"state":"succeeded","result":null,"attempt":1,"worker":"{lease}","started":1700000000000,"ended":1700000000000}}"#
    )
}

/// The same, with something else in place of running: it makes endings of deliveries. Ends when so
/// many tasks have succeeded or failed for good.
pub(super) async fn drain_by(
    broker: &Broker,
    tasks: u64,
    queues: &[QueueName],
    mut run: impl AsyncFnMut(&LeaseId, Vec<Delivery>) -> Result<Vec<Ending>, CliError>,
) -> Result<f64, CliError> {
    let lease = LeaseId::new();
    broker.open(&lease, Duration::from_secs(300)).await?;
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
            queues,
            room: None,
        };
        let Claimed::Granted(grant) = broker.complete(&claim, &endings).await? else {
            return Err(CliError::Bug("the lease of the floor was lost".to_owned()));
        };
        ended += endings.iter().filter(|ending| is_last(ending)).count() as u64;
        endings = run(&lease, grant.tasks).await?;
    }
    let rate = tasks as f64 / begin.elapsed().as_secs_f64();
    broker.close(&lease).await?;
    Ok(rate)
}

fn is_last(ending: &Ending) -> bool {
    matches!(ending, Ending::Succeeded { .. } | Ending::Failed { .. })
}
