//! What does not disturb others: two namespaces on one server, and a queue of a million tasks.

use std::time::Duration;

use celeriac_broker_schema::script::{Entry, Start};
use celeriac_broker_schema::{
    ClientId, Priority, QueueName, Record, TaskId, TaskOptions, UniqueKey,
};
use celeriac_private_server::Options;
use celeriac_producer::ResultError;
use celeriac_testkit::TestRedis;
use celeriac_testkit::dump::dump;

use crate::common::{
    LONG, Running, assert_finished, broker, broker_on, config, producer, raw, snapshot, until,
    workers,
};
use crate::stage::{Stage, note_task};

#[tokio::test(flavor = "multi_thread")]
async fn two_namespaces_do_not_see_each_other() {
    let (busy, quiet) = (broker().await, broker().await);
    assert_eq!(busy.config().url_with_secret(), quiet.config().url_with_secret());
    let key = || UniqueKey::new("the same").unwrap();
    let lonely = producer(&quiet).enqueue_task(note_task("quiet").key(key())).await.unwrap();
    let namespace = quiet.config().namespace.to_string();
    let all = async || dump(quiet.config().url_with_secret(), &format!("{{{namespace}*")).await;
    let before = all().await;

    let stage = Stage::new();
    let worker = Running::start(&busy, stage.tasks(), config());
    let producer_of_busy = producer(&busy);
    let first = producer_of_busy.enqueue_task(note_task("busy").key(key())).await.unwrap();
    assert!(!first.is_duplicate());
    first.outcome_within(LONG).await.unwrap();
    let strange = producer_of_busy.handle(lonely.id()).outcome_within(LONG).await;
    assert!(matches!(strange, Err(ResultError::Unknown(_))));
    until(&busy, |snapshot| snapshot.leases == 1).await;
    assert_eq!(workers(&quiet).await, []);
    assert_eq!(snapshot(&quiet).await.leases, 0);
    worker.drain().await;
    assert_finished(&busy).await;

    assert_eq!(all().await, before);
    assert_eq!(stage.log(), ["busy"]);
    let worker = Running::start(&quiet, stage.tasks(), config());
    assert_eq!(lonely.typed::<String>().result_within(LONG).await.unwrap(), "quiet");
    worker.drain().await;
    assert_finished(&quiet).await;
}

/// Calls that took longer than the bound that was set, by their first words.
async fn slow_scripts(raw: &mut redis::aio::MultiplexedConnection) -> Vec<String> {
    let mut get = redis::cmd("SLOWLOG");
    let log: Vec<redis::Value> = get.arg("GET").arg(100).query_async(raw).await.unwrap();
    log.iter().map(|entry| format!("{entry:?}")).filter(|entry| entry.contains("EVALSHA")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn g10_with_a_million_tasks_in_the_queue_no_call_is_slow() {
    const MILLION: u64 = 1_000_000;
    // A call takes about a millisecond. What is looked for takes hundreds, since it grows with the
    // queue; the bound lies between, far from a busy machine.
    const BOUND: Duration = Duration::from_millis(50);
    let options = Options { append_only: false, ..Options::default() };
    let redis = TestRedis::start_with(options).await;
    let (broker, stage) = (broker_on(redis.url()), Stage::new());
    let mut raw = raw(&broker).await;
    let mut bound = redis::cmd("CONFIG");
    bound.arg("SET").arg("slowlog-log-slower-than").arg(BOUND.as_micros() as u64);
    let _: () = bound.query_async(&mut raw).await.unwrap();

    fill(&broker, MILLION).await;
    assert_eq!(snapshot(&broker).await.tasks, MILLION);
    let workers = [(); 2].map(|()| Running::start(&broker, stage.tasks(), config()));
    until(&broker, |snapshot| snapshot.tasks <= MILLION - 50_000).await;
    for worker in workers {
        worker.drain().await;
    }

    assert_eq!(slow_scripts(&mut raw).await, [""; 0]);
}

/// Enqueues so many tasks that do nothing, without making each record anew.
async fn fill(broker: &celeriac_broker_schema::Broker, count: u64) {
    const BATCH: u64 = 1_000;
    let args = serde_json::value::to_raw_value(&serde_json::json!({"name": "x"})).unwrap();
    let (name, options) = ("note".parse().unwrap(), TaskOptions::default());
    let record = Record::new(&name, &args, &options).encode().unwrap();
    let client = ClientId::new();
    let now = snapshot(broker).await.now;
    let mut entries: Vec<Entry> = (0..BATCH)
        .map(|_| Entry {
            id: TaskId::new(now),
            record: record.clone(),
            queue: QueueName::default(),
            priority: Priority::default(),
            start: Start::default(),
            unique: None,
        })
        .collect();
    for number in 1..=count / BATCH {
        for entry in &mut entries {
            entry.id = TaskId::new(now);
        }
        broker.enqueue(&client, number, &entries).await.unwrap();
    }
}
