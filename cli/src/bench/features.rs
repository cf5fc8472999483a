//! What a feature costs Redis: script time per task from enqueue to result, for tasks that use it,
//! beside tasks that use none. Driven by the bare client, so that nothing else is in the figure.

use std::time::Duration;

use celeriac_broker_schema::gate::{Limit, Rate, Subject};
use celeriac_broker_schema::{Broker, QueueName, Requester, UniqueKey, UniqueMode};
use celeriac_producer::{NewTask, Producer};

use crate::bench::attempts::Run;
use crate::bench::place::{Place, script_micros};
use crate::bench::queue::noop;
use crate::bench::report::{FeatureRow, Report, median};
use crate::bench::{ROUNDS, attempts};
use crate::error::CliError;

/// How the task of one number uses a feature.
type Use = fn(NewTask, u64) -> Result<NewTask, CliError>;

/// A feature with what it does to a task before it is enqueued, and how the task runs. What it needs
/// beside that is in [`prepare`].
struct Feature(&'static str, Use, Run);

const FEATURES: [Feature; 19] = [
    Feature("none", plain, Run::Succeed),
    Feature("expiry", |t, _| Ok(t.expires_after(Duration::from_secs(3_600))), Run::Succeed),
    Feature("delay", |t, _| Ok(t.delay(A_MOMENT)), Run::Succeed),
    Feature("retry, 1 ms later", plain, Run::Retry),
    Feature("snooze, 1 ms", plain, Run::Snooze),
    Feature("label, tag and header", described, Run::Succeed),
    Feature("key for a time", |t, n| unique(t, n, UniqueMode::throttle(A_MINUTE)), Run::Succeed),
    Feature("key until done", |t, n| unique(t, n, UniqueMode::UntilDone), Run::Succeed),
    Feature(
        "key, debounced by 1 ms",
        |t, n| unique(t, n, UniqueMode::debounce(A_MOMENT)),
        Run::Succeed,
    ),
    Feature("key, the last one counts", |t, n| unique(t, n, UniqueMode::KeepLast), Run::Succeed),
    Feature("needs a label", |t, _| Ok(t.needs(LABEL.parse()?)), Run::Succeed),
    Feature("rate of its name", plain, Run::Succeed),
    Feature("concurrency of its tenant", tenant, Run::Succeed),
    Feature("turns of 10 tenants", tenant, Run::Succeed),
    Feature("queue with a length limit", plain, Run::Succeed),
    Feature("one checkpoint", plain, Run::Checkpoint),
    Feature("one partial result", plain, Run::Emit),
    Feature("compressed result of 9 kB", plain, Run::LongResult),
    Feature("fails for good: dead letter", plain, Run::Fail),
];

const A_MOMENT: Duration = Duration::from_millis(1);
const A_MINUTE: Duration = Duration::from_secs(60);
const LABEL: &str = "gpu";
/// Most tasks with long results: more would be about memory.
const MOST_LONG: u64 = 20_000;

fn plain(task: NewTask, _: u64) -> Result<NewTask, CliError> {
    Ok(task)
}

fn described(task: NewTask, _: u64) -> Result<NewTask, CliError> {
    Ok(task.label("a label").tag("a tag").header("a", "b"))
}

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
        for (feature, micros) in FEATURES.iter().zip(&mut micros) {
            micros.push(round(place, feature, tasks).await?);
        }
    }
    let rows = FEATURES.iter().zip(&mut micros);
    report.features =
        rows.map(|(Feature(name, ..), micros)| FeatureRow::new(name, median(micros))).collect();
    Ok(())
}

/// Script time per task, in microseconds.
async fn round(
    place: &Place,
    &Feature(name, use_it, run): &Feature,
    tasks: u64,
) -> Result<f64, CliError> {
    let tasks = if run == Run::LongResult { tasks.min(MOST_LONG) } else { tasks };
    let broker = place.fresh().await?;
    prepare(&broker, name).await?;
    let task = noop()?;
    let before = script_micros(&broker).await?;
    let mut many = Producer::new(broker.clone()).many();
    for n in 0..tasks {
        many.push(use_it(task.clone(), n)?).await?;
    }
    many.finish().await?;
    let default = QueueName::default();
    let queues = match name {
        "needs a label" => vec![default.labelled(&LABEL.parse()?)?, default],
        _ => vec![default],
    };
    attempts::drain(&broker, tasks, &queues, run).await?;
    Ok((script_micros(&broker).await? - before) / tasks as f64)
}
