//! A worker is killed in mid-chunk: its chunks run again, and each counts once.

use crate::common::Celeriac;
use crate::pi_job::{CHUNKS, PiJob};
use crate::site::Site;

#[tokio::test]
async fn g1_g2_g4_killed_workers_lose_no_chunk_and_count_none_twice() {
    let site = Site::new(Celeriac::shared().await);
    let job = PiJob::enqueue(&site).await;
    let mut workers = vec![site.worker(1).await, site.worker(1).await, site.worker(1).await];
    for done in [2, CHUNKS / 2] {
        site.until_done(job.id(), done).await;
        let victim = workers.remove(0);
        site.freeze_busy(&victim).await;
        victim.kill();
        workers.push(site.worker(1).await);
    }
    job.assert_exact(&site).await;
    let stats = site.until(|snapshot| snapshot.leases == 3).await.stats;
    assert!(stats["reclaimed"] >= 2, "{stats:?}");
    assert_eq!(stats["succeeded"], CHUNKS + 1);
    site.drain(workers).await;
}

#[tokio::test]
async fn g4_the_last_worker_of_a_fleet_may_be_killed() {
    let site = Site::new(Celeriac::shared().await);
    let job = PiJob::enqueue(&site).await;
    let only = site.worker(2).await;
    site.until_done(job.id(), 1).await;
    site.freeze_busy(&only).await;
    only.kill();
    let next = site.worker(2).await;
    job.assert_exact(&site).await;
    site.drain([next]).await;
}
