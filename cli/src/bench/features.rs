//! What a feature costs Redis: script time per task from enqueue to result, for tasks that use it,
//! beside tasks that use none. Driven by the bare client, so that nothing else is in the figure.

use std::time::Duration;

use celeriac_broker_schema::gate::{Limit, Rate, Subject};
use celeriac_broker_schema::{Broker, QueueName, Requester, UniqueKey, UniqueMode};
use celeriac_producer::{NewTask, Producer};

use crate::bench::place::{Place, script_micros};
use crate::bench::queue::noop;
use crate::bench::report::{FeatureRow, Report, median};
use crate::bench::{ROUNDS, floor};
use crate::error::CliError;

/// How the task of one number uses a feature.
type Use = fn(NewTask, u64) -> Result<NewTask, CliError>;

/// Each with what it does to a task; what it needs beside that is in [`prepare`].
const FEATURES: [(&str, Use); 10] = [
    ("none", |task, _| Ok(task)),
    ("expiry", |task, _| Ok(task.expires_after(Duration::from_secs(3_600)))),
    ("delay", |task, _| Ok(task.delay(Duration::from_millis(1)))),
    ("label, tag and header", |task, _| Ok(task.label("a label").tag("a tag").header("a", "b"))),
    ("key for a time", |task, n| unique(task, n, UniqueMode::throttle(Duration::from_secs(60)))),
    ("key until done", |task, n| unique(task, n, UniqueMode::UntilDone)),
    ("rate of its name", |task, _| Ok(task)),
    ("concurrency of its tenant", tenant),
    ("turns of 10 tenants", tenant),
    ("queue with a length limit", |task, _| Ok(task)),
];

fn unique(task: NewTask, n: u64, mode: UniqueMode) -> Result<NewTask, CliError> {
    Ok(task.unique(UniqueKey::new(format!("key-{n}"))?, mode))
}

fn tenant(task: NewTask, n: u64) -> Result<NewTask, CliError> {
    Ok(task.tenant(format!("tenant-{}", n % 10).parse()?))
}

/// Sets what holds for all tasks. No limit is so low that it holds anything up.
async fn prepare(broker: &Broker, feature: &str) -> Result<(), CliError> {
    let (queue, who) = (QueueName::default(), Requester::new("bench"));
    match feature {
        "rate of its name" => {
            let rate = Rate { tasks: 1_000_000, per_ms: 1, burst: 1_000_000 };
            let limit = Limit::new(Some(rate), None)?;
            broker.limit(&"task:noop".parse::<Subject>()?, Some(&limit), &who).await?;
        }
        "concurrency of its tenant" => {
            let limit = Limit::new(None, Some(1_000_000))?;
            broker.limit(&"tenant:*".parse::<Subject>()?, Some(&limit), &who).await?;
        }
        "turns of 10 tenants" => {
            broker.fair(&queue, true, &who).await?;
        }
        "queue with a length limit" => {
            use celeriac_broker_schema::script::Control;
            let most =
                std::num::NonZeroU64::MAX.min(std::num::NonZeroU64::MIN.saturating_add(1 << 40));
            broker.control_queue(&queue, Control::Limit(most), &who).await?;
        }
        _ => {}
    }
    Ok(())
}

pub(super) async fn measure(
    place: &Place,
    tasks: u64,
    report: &mut Report,
) -> Result<(), CliError> {
    let mut micros = vec![Vec::new(); FEATURES.len()];
    for _ in 0..ROUNDS {
        for ((name, use_it), micros) in FEATURES.iter().zip(&mut micros) {
            micros.push(round(place, name, *use_it, tasks).await?);
        }
    }
    let rows = FEATURES.iter().zip(&mut micros);
    report.features =
        rows.map(|((name, _), micros)| FeatureRow::new(name, median(micros))).collect();
    Ok(())
}

/// Script time per task, in microseconds.
async fn round(place: &Place, name: &str, use_it: Use, tasks: u64) -> Result<f64, CliError> {
    let broker = place.fresh()?;
    prepare(&broker, name).await?;
    let task = noop()?;
    let before = script_micros(&broker).await?;
    let mut many = Producer::new(broker.clone()).many();
    for n in 0..tasks {
        many.push(use_it(task.clone(), n)?).await?;
    }
    many.finish().await?;
    floor::drain(&broker, tasks).await?;
    Ok((script_micros(&broker).await? - before) / tasks as f64)
}
