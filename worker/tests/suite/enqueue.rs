//! Enqueuing while Redis is away or its replies are lost (G3, G8): no second task, and an error that
//! tells whether there is a first one.

use std::time::Duration;

use celeriac_broker_schema::UniqueKey;
use celeriac_producer::{EnqueueError, NewJob, NewTask, Patience, Producer};
use celeriac_testkit::{Proxy, TestRedis};
use serde_json::json;

use crate::common::{
    LONG, Running, assert_finished, broker, broker_on, by_way_of, config, raw, snapshot, stat,
    task, until,
};
use crate::stage::{Stage, note_task};

const SHORT: Duration = Duration::from_millis(300);

fn noop() -> NewTask {
    task("noop", &json!(null))
}

/// A producer behind a proxy, which has enqueued one task and one job: its scripts are known to the
/// server, and its connection is there.
async fn primed(proxy: &Proxy, broker: &celeriac_broker_schema::Broker) -> Producer {
    let patience = Patience::Within(SHORT);
    let producer = Producer::with_patience(by_way_of(&proxy.url(), broker), patience);
    producer.enqueue_task(noop()).await.unwrap();
    producer.enqueue_job(NewJob::new(noop(), 1)).await.unwrap();
    producer
}

/// What stands in every call that enqueues something, and in no other.
const ENQUEUE: &str = r#"{"v":1,"#;

/// What [`may_exist`](EnqueueError::Unavailable) says.
fn may_exist<T: std::fmt::Debug>(result: Result<T, EnqueueError>) -> bool {
    match result {
        Err(EnqueueError::Unavailable { may_exist, .. }) => may_exist,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g3_an_enqueue_whose_reply_is_lost_makes_one_task() {
    let broker = broker().await;
    let proxy = Proxy::start(TestRedis::shared().await.url()).await;
    let producer = primed(&proxy, &broker).await;

    proxy.drop_next_reply_to(ENQUEUE);
    producer.enqueue_task(noop()).await.unwrap();
    assert_eq!(stat(&broker, "enqueued").await, 3);

    proxy.drop_next_reply_to(ENQUEUE);
    let many = producer.enqueue_many((0..5_000).map(|_| noop())).await.unwrap();
    assert_eq!((many.count, stat(&broker, "enqueued").await), (5_000, 5_003));

    proxy.drop_next_reply_to(ENQUEUE);
    producer.enqueue_job(NewJob::new(noop(), 700)).await.unwrap();
    assert_eq!(stat(&broker, "enqueued").await, 5_703);

    proxy.drop_next_reply_to(ENQUEUE);
    let once = noop().key(UniqueKey::new("once").unwrap());
    assert!(!producer.enqueue_task(once).await.unwrap().is_duplicate());
    let snapshot = snapshot(&broker).await;
    assert_eq!((snapshot.stats["enqueued"], snapshot.queues[0].ready), (5_704, 5_704));
    assert_eq!((snapshot.tasks, snapshot.open_jobs), (5_003, 2));
    assert_eq!(proxy.connections().replies_lost, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn g3_repeating_it_makes_no_second_task_when_the_first_has_already_run() {
    let (broker, stage) = (broker().await, Stage::new());
    let proxy = Proxy::start(TestRedis::shared().await.url()).await;
    let patient = Producer::with_patience(by_way_of(&proxy.url(), &broker), Patience::Forever);
    patient.enqueue_task(note_task("prime").keep_result(Duration::ZERO)).await.unwrap();
    let worker = Running::start(&broker, stage.tasks(), config());
    stage.heard("prime").await;

    // The one connection goes down with the reply, and there is no other before the task has run
    // and nothing of it is left.
    proxy.refuse(true).await;
    proxy.drop_next_reply_to(ENQUEUE);
    let enqueue = tokio::spawn(async move {
        patient.enqueue_task(note_task("once").keep_result(Duration::ZERO)).await
    });
    stage.heard("once").await;
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    assert!(!enqueue.is_finished());
    proxy.refuse(false).await;
    enqueue.await.unwrap().unwrap();

    until(&broker, |snapshot| snapshot.tasks == 0).await;
    assert_eq!(stat(&broker, "enqueued").await, 2);
    stage.assert_once(vec!["once".to_owned(), "prime".to_owned()]);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_without_redis_the_error_says_that_there_is_no_task() {
    let mut redis = TestRedis::start().await;
    let broker = broker_on(redis.url());
    let producer = Producer::with_patience(broker.clone(), Patience::Within(SHORT));
    redis.kill();
    assert!(!may_exist(producer.enqueue_task(noop()).await));
    assert!(!may_exist(producer.enqueue_job(NewJob::new(noop(), 10)).await));
    assert!(!may_exist(producer.enqueue_many((0..10).map(|_| noop())).await));
    // What was given up does not come later.
    redis.restart().await;
    producer.enqueue_task(noop()).await.unwrap();
    assert_eq!(snapshot(&broker).await.stats["enqueued"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_without_a_reply_the_error_says_that_there_may_be_a_task() {
    let broker = broker().await;
    let proxy = Proxy::start(TestRedis::shared().await.url()).await;
    let producer = primed(&proxy, &broker).await;
    proxy.refuse(true).await;
    proxy.drop_next_reply_to(ENQUEUE);
    assert!(may_exist(producer.enqueue_task(noop()).await));
    // This time there is one.
    assert_eq!(stat(&broker, "enqueued").await, 3);

    // Nothing of this was sent: the connection is gone.
    assert!(!may_exist(producer.enqueue_task(noop()).await));
    assert_eq!(stat(&broker, "enqueued").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_without_an_answer_the_error_says_that_there_may_be_a_task() {
    let broker = broker().await;
    let proxy = Proxy::start(TestRedis::shared().await.url()).await;
    let producer = primed(&proxy, &broker).await;
    proxy.stall(true);
    assert!(may_exist(producer.enqueue_task(noop()).await));
    proxy.stall(false);
    // One that got through late is not enqueued after a later one.
    producer.enqueue_task(noop()).await.unwrap();
    assert!((3..=4).contains(&stat(&broker, "enqueued").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_does_not_deny_a_task_that_may_exist() {
    let redis = TestRedis::start().await;
    let broker = broker_on(redis.url());
    let proxy = Proxy::start(redis.url()).await;
    let patient = Producer::with_patience(by_way_of(&proxy.url(), &broker), Patience::Forever);
    patient.enqueue_task(noop()).await.unwrap();
    proxy.refuse(true).await;
    proxy.drop_next_reply_to(ENQUEUE);
    let enqueue = tokio::spawn(async move { patient.enqueue_task(noop()).await });
    until(&broker, |snapshot| snapshot.stats["enqueued"] == 2).await;
    // It is there; and when it is repeated, Redis is full.
    let mut full = redis::cmd("CONFIG");
    full.arg("SET").arg("maxmemory").arg(1);
    let _: () = full.query_async(&mut raw(&broker).await).await.unwrap();
    proxy.refuse(false).await;
    assert!(may_exist(enqueue.await.unwrap()));
    assert_eq!(stat(&broker, "enqueued").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_a_patient_producer_waits_for_redis() {
    let mut redis = TestRedis::start().await;
    let broker = broker_on(redis.url());
    let patient = Producer::with_patience(broker.clone(), Patience::Forever);
    redis.kill();
    let enqueue = tokio::spawn(async move { patient.enqueue_task(noop()).await });
    // Another one with the same server gives up meanwhile.
    let hasty = Producer::with_patience(broker.separate().unwrap(), Patience::Within(SHORT));
    assert!(!may_exist(hasty.enqueue_task(noop()).await));
    assert!(!enqueue.is_finished());
    redis.restart().await;
    let handle = tokio::time::timeout(LONG, enqueue).await.unwrap().unwrap().unwrap();
    let worker = Running::stock(&broker);
    handle.outcome_within(LONG).await.unwrap();
    worker.drain().await;
    assert_finished(&broker).await;
}
