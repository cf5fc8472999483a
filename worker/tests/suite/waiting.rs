//! Waiting for results: without a connection for each who waits, through cut connections and
//! restarts, and never for something that will not come.

use std::time::Duration;

use celeriac_producer::{Producer, ResultError};
use celeriac_testkit::{Proxy, TestRedis, eventually};

use crate::common::{
    LONG, Running, assert_finished, broker, broker_on, by_way_of, config, producer, raw, state,
};
use crate::stage::{Stage, hold_task, note_task};

/// Without a worker there is nobody else to notice.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_the_task_expires_and_no_worker_is_there() {
    let broker = broker().await;
    let producer = producer(&broker);
    let task = note_task("never").expires_after(Duration::from_millis(300));
    let handle = producer.enqueue_task(task).await.unwrap();
    let id = handle.id();
    // Soon: not only when all that is waited for is asked for again.
    let waited = handle.typed::<String>().result_within(Duration::from_secs(4)).await;
    assert!(matches!(&waited, Err(ResultError::Expired(expired)) if *expired == id), "{waited:?}");
    let state = state(&broker).await;
    assert!(["tasks", "expiry", "watchers"].iter().all(|key| !state.contains_key(*key)));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_wait_on_one_subscription() {
    let redis = TestRedis::start().await;
    let (broker, stage) = (broker_on(redis.url()), Stage::new());
    let producer = producer(&broker);
    let mut many = producer.many();
    let mut ids = Vec::new();
    for number in 0..2_000 {
        ids.push(many.push(note_task(number.to_string())).await.unwrap());
    }
    many.finish().await.unwrap();
    let mut waiting = Vec::new();
    for id in ids {
        let handle = producer.handle(id).typed::<String>();
        waiting.push(tokio::spawn(async move { handle.result_within(LONG).await }));
    }
    // Everybody waits before the first task is run.
    eventually(LONG, async || match state(&broker).await.get("watchers") {
        Some(watchers) if watchers.as_object().unwrap().len() == 2_000 => Ok(()),
        _ => Err("not all are known to wait".to_owned()),
    })
    .await;
    let mut raw = raw(&broker).await;
    let mut count = async |kind: &str| {
        let mut list = redis::cmd("CLIENT");
        list.arg("LIST").arg("TYPE").arg(kind);
        let list: String = list.query_async(&mut raw).await.unwrap();
        list.lines().count()
    };
    assert_eq!(count("pubsub").await, 1);
    // One of the producer, one that asks this.
    assert_eq!(count("normal").await, 2);

    let worker = Running::start(&broker, stage.tasks(), config());

    for (number, result) in waiting.into_iter().enumerate() {
        assert_eq!(result.await.unwrap().unwrap(), number.to_string());
    }
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_waiting_may_wait_again() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), config());
    let handle = producer(&broker).enqueue_task(hold_task("task")).await.unwrap();
    let id = handle.id();
    let short = Duration::from_millis(20);
    for _ in 0..3 {
        let timeout = handle.outcome_within(short).await;
        assert!(
            matches!(timeout, Err(ResultError::Timeout { id: of, waited }) if of == id && waited == short)
        );
    }
    stage.open("task");
    assert_eq!(handle.typed::<u32>().result_within(LONG).await.unwrap(), 1);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_wait_for_the_same_task_from_several_processes() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), config());
    let id = producer(&broker).enqueue_task(hold_task("task")).await.unwrap().id();
    let producers = [(); 5].map(|()| producer(&broker.separate().unwrap()));
    let mut waiting = Vec::new();
    for number in 0..50 {
        let handle = producers[number % 5].handle(id).typed::<u32>();
        waiting.push(tokio::spawn(async move { handle.result_within(LONG).await }));
    }
    eventually(LONG, async || match state(&broker).await.get("watchers") {
        Some(watchers) if watchers[id.to_string()].as_str().unwrap().split(' ').count() == 5 => {
            Ok(())
        }
        other => Err(format!("{other:?}")),
    })
    .await;
    stage.open("task");
    for result in waiting {
        assert_eq!(result.await.unwrap().unwrap(), 1);
    }
    // It is also there for those who come later.
    assert_eq!(producers[0].handle(id).typed::<u32>().result_within(LONG).await.unwrap(), 1);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_what_was_never_enqueued() {
    let broker = broker().await;
    let unknown = "0193a7c2b5e07d4e8a1f3c5d7e9b1a00".parse().unwrap();
    let result = producer(&broker).handle(unknown).typed::<u32>().result().await;
    assert!(matches!(result, Err(ResultError::Unknown(id)) if id == unknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_those_who_wait_outlast_cut_connections() {
    let (broker, stage) = (broker().await, Stage::new());
    let proxy = Proxy::start(TestRedis::shared().await.url()).await;
    let worker = Running::start(&broker, stage.tasks(), config());
    let handle = producer(&broker).enqueue_task(hold_task("task")).await.unwrap();
    let far = Producer::new(by_way_of(&proxy.url(), &broker)).handle(handle.id()).typed::<u32>();
    let waiting = tokio::spawn(async move { far.result_within(LONG).await });
    let mut before = 0;
    for _ in 0..4 {
        // A subscription and a connection for calls, each time anew.
        before = eventually(LONG, async || match proxy.connections() {
            seen if seen.open >= 2 && seen.total >= before + 2 => Ok(seen.total),
            seen => Err(format!("{seen:?}")),
        })
        .await;
        proxy.cut().await;
    }
    // The end comes while nobody listens.
    proxy.refuse(true).await;
    proxy.cut().await;
    stage.open("task");
    handle.outcome_within(LONG).await.unwrap();
    assert!(!waiting.is_finished());
    proxy.refuse(false).await;
    assert_eq!(waiting.await.unwrap().unwrap(), 1);
    worker.drain().await;
    assert_finished(&broker).await;
}
