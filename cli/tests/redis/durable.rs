//! What a failover with asynchronous replication loses, and what `--durable` does about it.

use std::time::Instant;

use celeriac_broker_schema::{Broker, Durable, RedisConfig};
use celeriac_producer::Producer;
use celeriac_testkit::TestSentinels;

use crate::common::Celeriac;
use crate::load::{Load, dismiss};
use crate::site::Site;

/// A replica that stands still, and has lost its connection, gets nothing; and becomes the primary.
async fn fail_over_to_a_replica_that_is_behind(
    redis: &mut TestSentinels,
    meanwhile: impl FnOnce(),
) {
    let (primary, replica) = (redis.primary_port().await, redis.replica_port().await);
    redis.freeze(replica);
    // Otherwise it would find all of it in the buffer of its connection.
    redis.primary().await.call::<u64>(&["CLIENT", "KILL", "TYPE", "replica"]).await;
    meanwhile();
    redis.kill_primary().await;
    redis.thaw(replica);
    assert_eq!(redis.until_failed_over(primary).await, replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_durable_what_was_acknowledged_may_be_gone() {
    let mut redis = TestSentinels::start(1).await;
    let celeriac = Celeriac::at(&redis.url());
    let first = celeriac.ok("enqueue noop --durable=1");
    let mut second = String::new();
    fail_over_to_a_replica_that_is_behind(&mut redis, || {
        second = celeriac.ok("enqueue noop");
    })
    .await;
    assert_eq!(celeriac.json(&format!("status {first}"))["state"], "ready");
    // It is not there, and is not taken for one that waits.
    assert_eq!(celeriac.run(&format!("status {second}")).code, Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_with_durable_it_is_not_acknowledged_before_a_replica_has_it() {
    let mut redis = TestSentinels::start(1).await;
    let celeriac = Celeriac::at(&redis.url());
    // Auto finds the replica.
    let acknowledged = celeriac.ok("enqueue noop --durable");
    fail_over_to_a_replica_that_is_behind(&mut redis, || {
        let ran = celeriac.run("enqueue noop --durable=1 --key once");
        assert_eq!(ran.code, Some(3), "{ran:?}");
        for told in ["not known whether the task was enqueued", "0 of 1 replicas", "--key"] {
            assert!(ran.stderr.contains(told), "{told}: {ran:?}");
        }
    })
    .await;
    assert_eq!(celeriac.json(&format!("status {acknowledged}"))["state"], "ready");
    // Now there is no replica.
    assert_eq!(celeriac.run("enqueue noop --durable").code, Some(4));
    assert_eq!(celeriac.run("enqueue noop --durable=none").code, Some(7));
    // The repetition that the hint told of.
    celeriac.ok("enqueue noop --key once");
    assert_eq!(celeriac.json("queues")["queues"][0]["ready"], 2);
}

/// Enqueues as fast as it goes from several producers, and kills the primary: run it with
/// `cargo test --test redis -- --ignored --nocapture how_much` to measure.
#[tokio::test(flavor = "multi_thread")]
async fn g1_with_durable_no_failover_under_load_loses_anything() {
    assert_eq!(lost(Some(Durable::Replicas(1)), 8).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: it takes a while and asserts nothing"]
async fn how_much_a_failover_loses() {
    for durable in [None, Some(Durable::Replicas(1))] {
        for _ in 0..5 {
            lost(durable, 16).await;
        }
    }
}

/// How many acknowledged tasks are missing after a failover under load.
async fn lost(durable: Option<Durable>, producers: usize) -> usize {
    let mut redis = TestSentinels::start(1).await;
    let site = Site::new(Celeriac::at(&redis.url()));
    let mut config =
        RedisConfig::new(redis.url()).namespace(site.broker.config().namespace.clone());
    config.durable = durable;
    let workers = [site.worker(4).await];
    let load = || Load::start_at_once(&Producer::new(Broker::new(config.clone()).unwrap()));
    let loads: Vec<Load> = (0..producers).map(|_| load()).collect();
    site.until(|snapshot| snapshot.stats.get("enqueued").is_some_and(|n| *n > 500)).await;
    let old = redis.kill_primary().await;
    let killed = Instant::now();
    redis.until_failed_over(old).await;
    let away = killed.elapsed();
    // With durable, nothing more is acknowledged: there is no replica any more.
    let (mut acknowledged, mut missing, mut succeeded, mut doubtful) = (0, 0, 0, 0);
    let mut early = std::time::Duration::ZERO;
    loads.iter().for_each(Load::tell_to_stop);
    for load in loads {
        let enqueued = load.stop().await;
        let fates = enqueued.fates(&site).await;
        acknowledged += enqueued.acknowledged.len();
        (missing, succeeded) = (missing + fates.lost.len(), succeeded + fates.succeeded);
        doubtful += enqueued.doubtful;
        let before = fates.lost.iter().map(|when| killed.saturating_duration_since(*when));
        early = before.max().unwrap_or_default().max(early);
    }
    eprintln!(
        "{durable:?}: of {acknowledged} acknowledged tasks {missing} are missing, the earliest acknowledged {early:?} before the primary died; another one after {away:?}"
    );
    let stats = site.until(|snapshot| snapshot.tasks == 0).await.stats;
    let counted = stats["succeeded"] as usize;
    assert!((succeeded..=succeeded + doubtful).contains(&counted), "{counted}, not {succeeded}");
    dismiss(&site, workers).await;
    missing
}
