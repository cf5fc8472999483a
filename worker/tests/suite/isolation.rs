//! What does not disturb others: two namespaces on one server, and a queue of a million tasks.

use std::time::Duration;

use celeriac_broker_schema::script::{Entry, Start};
use celeriac_broker_schema::{
    Broker, ClientId, Priority, QueueName, Record, TaskId, TaskOptions, UniqueKey,
};
use celeriac_private_server::Options;
use celeriac_producer::ResultError;
use celeriac_testkit::TestRedis;
use celeriac_testkit::dump::dump;
use redis::Value;
use redis::aio::MultiplexedConnection;

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

/// How many scripts were called, and how many of these calls took longer than the bound that was set.
async fn slow_calls(raw: &mut MultiplexedConnection) -> (usize, usize) {
    let mut get = redis::cmd("SLOWLOG");
    let log: Vec<Value> = get.arg("GET").arg(-1).query_async(raw).await.unwrap();
    let slow = log.iter().filter(|entry| format!("{entry:?}").contains("EVALSHA")).count();
    let mut info = redis::cmd("INFO");
    let info: String = info.arg("commandstats").query_async(raw).await.unwrap();
    let (_, stats) = info.split_once("cmdstat_evalsha:calls=").unwrap();
    let (calls, _) = stats.split_once(',').unwrap();
    (calls.parse().unwrap(), slow)
}

#[tokio::test(flavor = "multi_thread")]
async fn g10_with_a_million_tasks_in_the_queue_no_call_is_slow() {
    const MILLION: u64 = 1_000_000;
    // A call takes about a millisecond; one whose work grows with the queue takes hundreds.
    const BOUND: Duration = Duration::from_millis(20);
    let options = Options { append_only: false, ..Options::default() };
    let redis = TestRedis::start_with(options).await;
    let (broker, stage) = (broker_on(redis.url()), Stage::new());
    let mut raw = raw(&broker).await;
    let bound = BOUND.as_micros().to_string();
    for (setting, value) in [("slowlog-log-slower-than", &*bound), ("slowlog-max-len", "10000")] {
        let mut config = redis::cmd("CONFIG");
        let _: () = config.arg("SET").arg(setting).arg(value).query_async(&mut raw).await.unwrap();
    }

    let queued = fill(&broker, MILLION).await;
    assert_eq!(snapshot(&broker).await.tasks, MILLION);
    let client = ClientId::new();
    for _ in 0..50 {
        snapshot(&broker).await;
        broker.inspect(queued).await.unwrap();
        broker.watch(&client, &[queued]).await.unwrap();
        broker.reclaim(None, 500, 3).await.unwrap();
    }
    let workers = [(); 2].map(|()| Running::start(&broker, stage.tasks(), config()));
    until(&broker, |snapshot| snapshot.tasks <= MILLION - 50_000).await;
    for worker in workers {
        worker.drain().await;
    }

    let (calls, slow) = slow_calls(&mut raw).await;
    // A busy machine interrupts a call now and then, but no script was called so seldom.
    assert!(slow * 50 < calls, "{slow} of {calls} calls took longer than {BOUND:?}");
}

/// Enqueues so many tasks that do next to nothing, without making each record anew. Returns one of the last.
async fn fill(broker: &Broker, count: u64) -> TaskId {
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
    entries[0].id
}
