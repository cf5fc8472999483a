//! What other queues are known to fail at: tasks that last far longer than a lease, connections that
//! Redis closes in mid-run, and servers that have forgotten everything.

use celeriac_broker_schema::{Broker, State};
use celeriac_private_server::Options;
use celeriac_producer::Handle;
use celeriac_testkit::{TestRedis, eventually};
use celeriac_worker::WorkerConfig;

use crate::common::{
    LONG, Running, assert_finished, broker, broker_on, config, key, leases, producer, raw,
    short_lease, stat, until,
};
use crate::stage::{Stage, hold_task, note_task};

/// When the one open lease ends unless it is renewed, in the time of Redis (ms). Nothing while Redis is
/// away, or there is no lease.
async fn deadline(broker: &Broker) -> Option<u64> {
    let lease = leases(broker).await.pop()?;
    let mut score = redis::cmd("ZSCORE");
    score.arg(key(broker, "leases")).arg(lease);
    score.query_async(&mut raw(broker).await).await.ok()
}

/// Waits until the lease was prolonged beyond this.
async fn renewed_beyond(broker: &Broker, time: u64) {
    eventually(LONG, async || match deadline(broker).await {
        Some(end) if end > time => Ok(()),
        other => Err(format!("{other:?} is not beyond {time}")),
    })
    .await;
}

async fn assert_first_attempt(handle: Handle) {
    let outcome = handle.outcome_within(LONG).await.unwrap();
    assert_eq!((outcome.state, outcome.attempt), (State::Succeeded, Some(1)), "{outcome:?}");
    assert!(outcome.attempts.is_empty(), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn g4_a_task_of_ten_lease_lengths_runs_once() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), short_lease());
    // Another one that would take it over.
    let rival = Running::start(&broker, stage.tasks(), config());
    let task = producer(&broker).enqueue_task(hold_task("long")).await.unwrap();
    stage.heard("long begins").await;
    let begin = until(&broker, |snapshot| snapshot.leases == 2).await.now;
    until(&broker, |snapshot| snapshot.now.since(begin) > 10_000).await;
    stage.open("long");
    assert_first_attempt(task).await;
    stage.assert_once(["long begins", "long ends"].map(str::to_owned).into());
    assert_eq!(stat(&broker, "reclaimed").await, 0);
    worker.drain().await;
    rival.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_redis_closes_all_connections_in_mid_run_again_and_again_and_nothing_runs_twice() {
    let redis = TestRedis::start().await;
    let (broker, stage) = (broker_on(redis.url()), Stage::new());
    let settings = WorkerConfig { concurrency: 4, ..short_lease() };
    let worker = Running::start(&broker, stage.tasks(), settings);
    let producer = producer(&broker);
    let mut handles = Vec::new();
    for name in ["a", "b", "c"] {
        handles.push(producer.enqueue_task(hold_task(name)).await.unwrap());
        stage.heard(&format!("{name} begins")).await;
    }
    for round in 0..5 {
        let end = deadline(&broker).await.unwrap();
        assert!(redis.kill_clients().await > 0, "round {round}");
        renewed_beyond(&broker, end).await;
        // And new ones come through.
        let note = producer.enqueue_task(note_task(format!("note {round}"))).await.unwrap();
        assert_first_attempt(note).await;
    }
    for (handle, name) in handles.into_iter().zip(["a", "b", "c"]) {
        stage.open(name);
        assert_first_attempt(handle).await;
    }
    assert_eq!(stage.log().len(), 3 + 5 + 3);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_a_redis_that_forgot_everything_is_served_again_without_a_restart() {
    let options = Options { append_only: false, ..Options::default() };
    let mut redis = TestRedis::start_with(options).await;
    let (broker, stage) = (broker_on(redis.url()), Stage::new());
    let worker = Running::start(&broker, stage.tasks(), short_lease());
    let producer = producer(&broker);
    let before = producer.enqueue_task(note_task("before")).await.unwrap();
    assert_first_attempt(before).await;
    producer.enqueue_task(hold_task("held")).await.unwrap();
    stage.heard("held begins").await;

    redis.kill();
    redis.restart().await;

    // What it held is known to nobody any more: it is told to stop, and what comes is done.
    stage.heard("held stops: LeaseLost").await;
    let after = producer.enqueue_task(note_task("after")).await.unwrap();
    assert_first_attempt(after).await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_scripts_that_a_server_forgot_are_loaded_again() {
    let redis = TestRedis::start().await;
    let (broker, stage) = (broker_on(redis.url()), Stage::new());
    let worker = Running::start(&broker, stage.tasks(), config());
    let producer = producer(&broker);
    for round in 0..5 {
        redis.command(&["SCRIPT", "FLUSH"]).await;
        let note = producer.enqueue_task(note_task(format!("note {round}"))).await.unwrap();
        assert_first_attempt(note).await;
    }
    stage.assert_once((0..5).map(|round| format!("note {round}")).collect());
    worker.drain().await;
    assert_finished(&broker).await;
}
