//! job: all that is stored of one job, and nothing changes.

use celeriac_broker_schema::script::JobView;

use crate::support::*;

on_both_servers![a_job_in_every_state, a_job_that_failed, a_job_that_never_was];

async fn view(world: &World, name: &str) -> Option<JobView> {
    let before = world.state().await;
    let (now, view) = world.broker.job(job_id(name)).await.expect("an answer");
    assert!(now <= world.now().await);
    assert_changes!(world, before, {});
    view
}

async fn a_job_in_every_state(world: World) {
    world.enqueue_job(&job_to_reduce("J", 3)).await;
    world.open("w1").await;

    let first = view(&world, "J").await.expect("kept");
    assert_eq!((first.id, &*first.state, first.spec), (job_id("J"), "running", spec(3)));
    assert_eq!((first.total, first.done, first.failed, first.retried), (3, 0, 0, 0));
    assert_eq!((first.started, first.ended), (None, None));
    assert_eq!((first.failed_task, first.failure), (None, None));

    let run = world.claim("w1", 3).await.runs.remove(0);
    world
        .complete(
            "w1",
            &[chunks_succeeded(&run, 0, 2, &[delta("sum", "n", "7")]), chunk_retry(&run, 2, 0)],
        )
        .await;
    let second = view(&world, "J").await.expect("kept");
    assert_eq!((&*second.state, second.done, second.retried), ("running", 2, 1));
    assert_eq!(
        second.accumulators.into_iter().collect::<Vec<_>>(),
        [("n".to_owned(), "7".to_owned())]
    );
    assert!(second.started >= Some(second.created));

    let alone = world.claim("w1", 1).await.runs.remove(0);
    world.complete_as("w1", Ask::want(1), &[run_succeeded(&alone)]).await;
    assert_eq!(view(&world, "J").await.expect("kept").state, "reducing");

    world.complete("w1", &[succeeded("J")]).await;
    let last = view(&world, "J").await.expect("kept");
    assert_eq!((&*last.state, last.done), ("succeeded", 3));
    assert!(last.ended >= last.started);
}

async fn a_job_that_failed(world: World) {
    world.enqueue_job(&job("J", 3)).await;
    world.open("w1").await;
    let run = world.claim("w1", 3).await.runs.remove(0);

    world.complete("w1", &[chunks_succeeded(&run, 0, 1, &[]), chunk_failed(&run, 2)]).await;

    let found = view(&world, "J").await.expect("kept");
    assert_eq!((&*found.state, found.done, found.failed), ("failed", 1, 1));
    assert_eq!(found.failed_task, Some(format!("{}:2", job_id("J"))));
    assert_eq!(found.failure.as_deref(), Some(FAILURE));
}

async fn a_job_that_never_was(world: World) {
    world.enqueue(&["a"]).await;

    assert_eq!(view(&world, "a").await, None);
    assert_eq!(view(&world, "x").await, None);
}
