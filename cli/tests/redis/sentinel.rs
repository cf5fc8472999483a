//! The primary dies, and Sentinels make its replica the primary: workers and producers follow.

use std::time::{Duration, Instant};

use celeriac_testkit::TestSentinels;

use crate::common::Celeriac;
use crate::load::{Load, dismiss, namespace};
use crate::pi_job::{CHUNKS, PiJob};
use crate::site::Site;

/// What a replica may be behind its primary on a busy machine.
const LAG: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn g8_a_failover_under_load_loses_at_most_what_was_not_replicated() {
    let mut redis = TestSentinels::start(2).await;
    let site = Site::new(Celeriac::at(&redis.url()));
    let workers = [site.worker(2).await, site.worker(2).await];
    let load = Load::start(&site.producer);
    site.until(|snapshot| snapshot.stats.get("succeeded").is_some_and(|n| *n > 200)).await;

    let old = redis.kill_primary().await;
    let killed = Instant::now();
    redis.until_failed_over(old).await;
    let before = site.until(|_| true).await.stats["succeeded"];
    site.until(|snapshot| snapshot.stats["succeeded"] > before + 200).await;
    let enqueued = load.stop().await;

    let fates = enqueued.fates(&site).await;
    eprintln!("{} acknowledged, {fates:?}", enqueued.acknowledged.len());
    for when in &fates.lost {
        let early = killed.saturating_duration_since(*when);
        assert!(early < LAG, "lost although acknowledged {early:?} before: {fates:?}");
    }
    // Each ended once, also those that ran twice.
    let stats = site.until(|snapshot| snapshot.tasks == 0).await.stats;
    enqueued.assert_counted(&fates, stats["succeeded"]);
    dismiss(&site, workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_g8_a_job_goes_on_after_a_failover_and_counts_each_chunk_once() {
    let mut redis = TestSentinels::start(1).await;
    let site = Site::new(Celeriac::at(&redis.url()));
    let job = PiJob::enqueue(&site).await;
    let workers = [site.worker(1).await, site.worker(1).await];
    site.until_done(job.id(), CHUNKS / 4).await;
    redis.kill_primary().await;
    job.assert_exact(&site).await;
    dismiss(&site, workers).await;
}

/// A frozen primary answers nothing, but keeps its connections open: nothing tells that it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn g8_idle_workers_follow_when_the_primary_is_frozen() {
    let mut redis = TestSentinels::start(1).await;
    let site = Site::new(Celeriac::at(&redis.url()));
    let worker = site.worker_with(1, "--visibility-timeout 30s").await;
    let old = redis.freeze_primary().await;
    let new = redis.until_failed_over(old).await;
    assert_ne!(old, new);
    let began = Instant::now();
    let celeriac = Celeriac { url: redis.url(), namespace: namespace(&site) };
    let answer = celeriac.ok("enqueue echo --arg word=hello --wait --wait-timeout 30s --json");
    assert!(answer.contains("hello"), "{answer}");
    // Long before it would have looked by itself, or its blocking call had ended.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    redis.thaw(old);
    // The old primary is a replica now: nobody may write to it, or read what it still has.
    let answer = celeriac.ok("enqueue echo --arg word=again --wait --wait-timeout 30s --json");
    assert!(answer.contains("again"), "{answer}");
    dismiss(&site, [worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_nobody_knows_and_sentinels_that_are_gone_are_named() {
    let redis = TestSentinels::start(1).await;
    let right = redis.url();
    let wrong = Celeriac::at(&right.replace("/celeriac", "/other"));
    let ran = wrong.run("queues");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("other") && ran.stderr.contains("SENTINEL MASTERS"), "{ran:?}");
    drop(redis);
    let ran = Celeriac::at(&right).run("queues");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("by Sentinel at 127.0.0.1:"), "{ran:?}");
}
