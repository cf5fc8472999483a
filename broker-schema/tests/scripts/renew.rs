//! renew: a lease goes on, and hears which of its jobs are over.

use std::time::Duration;

use celeriac_broker_schema::script::{RangeJob, Renewed};
use celeriac_broker_schema::{JobId, LeaseId};

use crate::support::*;

on_both_servers![
    a_lease_is_prolonged,
    a_lease_is_never_shortened,
    a_lost_lease_stays_lost,
    jobs_that_are_over_are_named,
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
