//! What `Broker::explain` says of tasks in a real worker: who runs them, how far they are, and what it
//! has taken and not begun.

use celeriac_broker_schema::{Reason, State};
use celeriac_testkit::eventually;
use celeriac_worker::task::{Context, Data, Registry, TaskError};
use serde::{Deserialize, Serialize};

use crate::common::{LONG, Running, broker, one_slot, producer, task};
use crate::stage::Stage;

/// Tells how far it is and waits at its gate.
#[derive(Serialize, Deserialize)]
struct Slow {}

impl celeriac_producer::task::Task for Slow {
    const NAME: &'static str = "slow";
    type Output = ();
}

async fn slow(stage: Data<Stage>, ctx: Context, _: Slow) -> Result<(), TaskError> {
    ctx.progress(3, 9);
    stage.passed("slow").await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_who_runs_a_task_how_far_it_is_and_who_waits_for_the_slot() {
    let (broker, stage) = (broker().await, Stage::new());
    let tasks = Registry::new(stage.clone()).task(slow).build();
    let worker = Running::start(&broker, tasks, one_slot());
    let producer = producer(&broker);
    let handle = producer.enqueue_task(task("slow", &Slow {})).await.unwrap();

    let runs = eventually(LONG, async || {
        let explanation = broker.explain(handle.id()).await.unwrap();
        match explanation.reasons.as_slice() {
            [runs @ Reason::Runs { progress: Some(_), .. }, Reason::LeaseUntil { .. }] => {
                assert_eq!(explanation.state, Some(State::Running));
                Ok(runs.clone())
            }
            _ => Err(format!("{explanation:?}")),
        }
    })
    .await;
    let Reason::Runs { attempt, pid, progress, .. } = runs else { panic!("{runs:?}") };
    let progress = progress.map(|progress| (progress.done, progress.total));
    assert_eq!((attempt, pid, progress), (1, Some(std::process::id()), Some((3, 9))));

    // The one slot is taken.
    let second = producer.enqueue_task(task("slow", &Slow {})).await.unwrap();
    let waits = eventually(LONG, async || {
        let explanation = broker.explain(second.id()).await.unwrap();
        let waits = explanation.reasons.iter().any(|reason| {
            matches!(reason, Reason::WorkersBusy { slots: 1, .. } | Reason::Buffered { .. })
        });
        if waits { Ok(explanation) } else { Err(format!("{explanation:?}")) }
    });
    waits.await;

    stage.open("slow");
    second.outcome_within(LONG).await.unwrap();
    handle.outcome_within(LONG).await.unwrap();
    let ended = broker.explain(handle.id()).await.unwrap();
    assert!(
        matches!(
            ended.reasons[..],
            [Reason::Succeeded { attempt: Some(1), .. }, Reason::Kept { .. }]
        ),
        "{ended:?}"
    );
    worker.drain().await;
}
