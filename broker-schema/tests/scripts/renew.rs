//! renew: a lease goes on, and hears which of its jobs are over.

use std::time::Duration;

use celeriac_broker_schema::script::{RangeJob, Renewed};
use celeriac_broker_schema::{JobId, LeaseId, Requester, TaskId};

use crate::support::*;

on_both_servers![
    a_lease_is_prolonged,
    a_lease_is_never_shortened,
    a_lost_lease_stays_lost,
    jobs_that_are_over_are_named,
    tasks_to_cancel_are_named_to_their_holder,
    of_many_tasks_to_cancel_those_held_are_named,
];

async fn renew(world: &World, lease: &LeaseId, hours: u64, jobs: &[JobId]) -> Renewed {
    let visibility = Duration::from_millis(hours * HOUR_MS);
    world.broker.renew(lease, visibility, jobs).await.expect("an answer")
}

async fn a_lease_is_prolonged(world: World) {
    world.open("w1").await;
    world.open("w2").await;
    let before = world.state().await;

    let renewed = renew(&world, &lease("w1"), 2, &[]).await;

    assert!(matches!(renewed, Renewed::Until { over, .. } if over.is_empty()));
    assert_changes!(world, before, { "leases": { "w1": "now+120min" } });
}

async fn a_lease_is_never_shortened(world: World) {
    world.open("w1").await;
    let before = world.state().await;

    let renewed = renew(&world, &lease("w1"), 0, &[]).await;

    assert!(matches!(renewed, Renewed::Until { .. }));
    assert_changes!(world, before, {});
}

async fn a_lost_lease_stays_lost(world: World) {
    world.enqueue(&["a"]).await;
    world.lose_worker("w1", 1).await;
    let before = world.state().await;

    for name in ["w1", "nobody"] {
        assert_eq!(renew(&world, &lease(name), 1, &[job_id("J")]).await, Renewed::Lost);
    }

    assert_changes!(world, before, {});
}

async fn jobs_that_are_over_are_named(world: World) {
    world.open("w1").await;
    world.open("w2").await;
    // A runs, B failed, C succeeded, D is being reduced, E was never there.
    for (name, chunks) in [("A", 2), ("B", 2), ("C", 1)] {
        world.enqueue_job(&job(name, chunks)).await;
    }
    world.enqueue_job(&RangeJob { chunks: 1, ..job_to_reduce("D", 1) }).await;
    let grant = world.claim("w1", 6).await;
    let [a, b, c, d] = &grant.runs[..] else { panic!("{grant:?}") };
    let endings =
        [chunks_succeeded(a, 0, 1, &[]), chunk_failed(b, 0), run_succeeded(c), run_succeeded(d)];
    world.complete("w1", &endings).await;
    let before = world.state().await;

    let jobs = ["A", "B", "C", "D", "E"].map(job_id);
    let renewed = renew(&world, &lease("w1"), 2, &jobs).await;

    let over = ["B", "C", "D", "E"].map(job_id).to_vec();
    assert!(matches!(&renewed, Renewed::Until { over: told, .. } if *told == over), "{renewed:?}");
    assert_changes!(world, before, { "leases": { "w1": "now+120min" } });
}

async fn cancels(world: &World, name: &str) -> Vec<(TaskId, Requester)> {
    match renew(world, &lease(name), 1, &[]).await {
        Renewed::Until { mut cancels, .. } => {
            cancels.sort_by_key(|(id, _)| *id);
            cancels
        }
        Renewed::Lost => panic!("the lease is lost"),
    }
}

async fn tasks_to_cancel_are_named_to_their_holder(world: World) {
    world.enqueue(&["a", "b", "c", "d"]).await;
    world.open("w1").await;
    world.open("w2").await;
    world.claim("w1", 3).await;
    world.claim("w2", 1).await;
    assert_eq!(cancels(&world, "w1").await, []);
    let ada = Requester::new("ada").because("a test");
    world.broker.cancel(&["a", "c", "d"].map(id), &ada).await.expect("an answer");

    let expected = ["a", "c"].map(|name| (id(name), ada.clone()));
    assert_eq!(cancels(&world, "w1").await, expected);
    assert_eq!(cancels(&world, "w1").await, expected, "it is told until it has ended");
    assert_eq!(cancels(&world, "w2").await, [(id("d"), ada)]);
}

async fn of_many_tasks_to_cancel_those_held_are_named(world: World) {
    let names: Vec<String> = (0..50).map(|number| format!("n{number:02}")).collect();
    world.enqueue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.open("w1").await;
    world.open("w2").await;
    world.claim("w1", 48).await;
    world.claim("w2", 2).await;
    let ids: Vec<TaskId> = names.iter().map(|name| id(name)).collect();
    world.broker.cancel(&ids, &Requester::default()).await.expect("an answer");

    let told: Vec<TaskId> = cancels(&world, "w2").await.into_iter().map(|(id, _)| id).collect();

    assert_eq!(told, ["n48", "n49"].map(id));
    assert_eq!(cancels(&world, "w1").await.len(), 48);
}
