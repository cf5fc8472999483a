//! A worker stands still past its lease and goes on: what it says then comes too late.

use celeriac_producer::NewTask;
use serde_json::json;

use crate::common::{Celeriac, SOON};
use crate::pi_job::PiJob;
use crate::site::Site;

#[tokio::test]
async fn g2_a_worker_that_was_frozen_past_its_lease_counts_nothing_twice() {
    let site = Site::new(Celeriac::shared().await);
    let job = PiJob::enqueue(&site).await;
    let frozen = site.worker(1).await;
    let other = site.worker(1).await;
    site.until_done(job.id(), 2).await;

    site.freeze_busy(&frozen).await;
    site.until_lost(&frozen.lease).await;
    frozen.thaw();

    frozen.wait_for_line(|line| line.contains("the lease was lost"), SOON).await;
    frozen.wait_for_line(|line| line.contains("a new lease is open"), SOON).await;
    job.assert_exact(&site).await;
    // It goes on, and is the only one now.
    other.terminate();
    assert_eq!(other.wait(SOON).await.code(), Some(0), "{}", *other);
    let next = NewTask::new("echo", &"hello").unwrap();
    let next = site.producer.enqueue_task(next).await.unwrap();
    let echoed: String = next.typed().result_within(SOON).await.unwrap();
    assert_eq!(echoed, "hello");
    site.drain([frozen]).await;
}

#[tokio::test]
async fn g2_a_task_that_a_frozen_worker_ends_late_is_settled_by_the_other() {
    let site = Site::new(Celeriac::shared().await);
    let sleep = NewTask::new("sleep", &json!({"ms": 300})).unwrap();
    let frozen = site.worker(1).await;
    let task = site.producer.enqueue_task(sleep).await.unwrap();
    site.freeze_busy(&frozen).await;

    let other = site.worker(1).await;
    let outcome = task.outcome_within(SOON).await.unwrap();
    assert_eq!((outcome.attempt, outcome.worker), (Some(2), Some(other.lease.clone())));
    frozen.thaw();
    frozen.wait_for_line(|line| line.contains("a new lease is open"), SOON).await;
    site.drain([frozen, other]).await;

    assert_eq!(site.broker.snapshot(1, 1).await.unwrap().stats["succeeded"], 1);
    let again = task.outcome_within(SOON).await.unwrap();
    assert_eq!((again.attempt, again.ended), (Some(2), outcome.ended));
}

#[tokio::test]
async fn g2_a_chunk_of_a_frozen_worker_is_done_by_another_long_before_its_lease_ends() {
    let site = Site::new(Celeriac::shared().await);
    let job = PiJob::enqueue_as(&site, |job| job.speculate(300)).await;
    // Longer than the test may take.
    let long = "--visibility-timeout 10m --drain-timeout 1s";
    let frozen = site.worker_with(1, long).await;
    let other = site.worker_with(1, long).await;
    site.until_done(job.id(), 4).await;

    site.freeze_busy(&frozen).await;
    job.assert_exact(&site).await;

    let stats = site.broker.snapshot(1, 1).await.unwrap().stats;
    assert_eq!(stats.get("reclaimed"), None, "{stats:?}");
    frozen.thaw();
    site.drain([frozen, other]).await;
}
