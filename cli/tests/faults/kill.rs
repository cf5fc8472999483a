//! A worker is killed in mid-chunk: its chunks run again, and each counts once.

use std::collections::BTreeSet;

use celeriac_broker_schema::JobId;
use serde_json::json;

use crate::common::Celeriac;
use crate::pi_job::{CHUNKS, PiJob};
use crate::site::Site;

/// Asks for each chunk what happened to it. Returns the workers that were lost with any of them.
fn lost_with_chunks(site: &Site, job: JobId) -> BTreeSet<String> {
    let mut lost = BTreeSet::new();
    for index in 0..CHUNKS {
        let status = site.status(format!("{job}:{index}"));
        assert_eq!((&status["state"], &status["failures"]), (&json!("succeeded"), &json!(0)));
        let attempts = status["attempts"].as_array().unwrap();
        assert_eq!(status["crashes"], json!(attempts.len()), "{status:#}");
        for (attempt, number) in attempts.iter().zip(1..) {
            assert_eq!(
                (&attempt["attempt"], &attempt["outcome"]),
                (&json!(number), &json!("lost"))
            );
            lost.insert(attempt["worker"].as_str().unwrap().to_owned());
        }
    }
    lost
}

#[tokio::test]
async fn g1_g2_g4_killed_workers_lose_no_chunk_and_count_none_twice() {
    let site = Site::new(Celeriac::shared().await);
    let job = PiJob::enqueue(&site).await;
    let mut workers = vec![site.worker(1).await, site.worker(1).await, site.worker(1).await];
    let (id, mut killed) = (job.id(), Vec::new());
    for done in [2, CHUNKS / 2] {
        site.until_done(id, done).await;
        let victim = workers.remove(0);
        site.freeze_busy(&victim).await;
        victim.kill();
        killed.push(victim.lease.clone());
        workers.push(site.worker(1).await);
    }
    job.assert_exact(&site).await;
    let stats = site.until(|snapshot| snapshot.leases == 3).await.stats;
    assert!(stats["reclaimed"] >= 2, "{stats:?}");
    assert_eq!(stats["succeeded"], CHUNKS + 1);
    let lost = lost_with_chunks(&site, id);
    assert!(killed.iter().all(|lease| lost.contains(lease)), "{killed:?}, {lost:?}");
    site.drain(workers).await;
}

#[tokio::test]
async fn g4_the_last_worker_of_a_fleet_may_be_killed() {
    let site = Site::new(Celeriac::shared().await);
    let job = PiJob::enqueue(&site).await;
    let only = site.worker(2).await;
    site.until_done(job.id(), 1).await;
    site.freeze_busy(&only).await;
    let (id, lease) = (job.id(), only.lease.clone());
    only.kill();
    let next = site.worker(2).await;
    job.assert_exact(&site).await;
    assert!(lost_with_chunks(&site, id).contains(&lease));
    site.drain([next]).await;
}
