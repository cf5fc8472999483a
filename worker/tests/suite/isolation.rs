//! What does not disturb others: two namespaces on one server, and a queue of a million tasks.

use celeriac_broker_schema::script::{Entry, Place, Start};
use celeriac_broker_schema::{
    Broker, ClientId, Priority, QueueName, Record, TaskId, TaskOptions, UniqueKey,
};
use celeriac_private_server::Options;
use celeriac_producer::ResultError;
use celeriac_testkit::TestRedis;
use celeriac_testkit::dump::dump;

use crate::common::{
    LONG, Running, assert_finished, broker, broker_on, config, producer, snapshot, until, workers,
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

/// What scripts cost the server. Its processor time is measured and not how long a call takes, which
/// on a busy machine says little.
struct Meter<'a> {
    broker: &'a Broker,
    before: (f64, f64),
}

impl<'a> Meter<'a> {
    async fn start(broker: &'a Broker) -> Self {
        Self { broker, before: Self::read(broker).await }
    }

    /// Seconds that the server has worked, and how many scripts were called.
    async fn read(broker: &Broker) -> (f64, f64) {
        let info = broker.info("everything").await.unwrap();
        let number = |name: &str| -> f64 {
            let (_, rest) = info.split_once(name).unwrap_or_else(|| panic!("no {name}: {info}"));
            rest.split([',', '\r']).next().unwrap().parse().unwrap()
        };
        let seconds = number("used_cpu_sys:") + number("used_cpu_user:");
        (seconds, number("cmdstat_evalsha:calls="))
    }

    /// Asserts that what was done meanwhile cost little for each call.
    async fn assert_cheap(self, what: &str) {
        let after = Self::read(self.broker).await;
        let (seconds, calls) = (after.0 - self.before.0, after.1 - self.before.1);
        let ms = 1_000.0 * seconds / calls;
        // A call takes about a millisecond; one whose work grows with the queue takes hundreds.
        assert!(calls >= 50.0 && ms < 10.0, "{what}: {ms} ms for each of {calls} calls");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g10_with_a_million_tasks_in_the_queue_no_script_is_slow() {
    // A measurement wants more of them than a test.
    let wanted = std::env::var("CELERIAC_BACKLOG").ok().and_then(|count| count.parse().ok());
    let count: u64 = wanted.unwrap_or(1_000_000);
    let options = Options { append_only: false, ..Options::default() };
    let redis = TestRedis::start_with(options).await;
    redis.configure("slowlog-log-slower-than", "10000").await;
    let (broker, stage) = (broker_on(redis.url()), Stage::new());
    snapshot(&broker).await;

    let meter = Meter::start(&broker).await;
    let queued = fill(&broker, count).await;
    meter.assert_cheap("enqueue").await;
    assert_eq!(snapshot(&broker).await.tasks, count);

    let client = ClientId::new();
    let (queue, place) = (QueueName::default(), Place::Ready(Priority::default()));
    for verb in ["snapshot", "inspect", "watch", "queued", "reclaim"] {
        let meter = Meter::start(&broker).await;
        for _ in 0..50 {
            match verb {
                "snapshot" => drop(snapshot(&broker).await),
                "inspect" => drop(broker.inspect(queued).await.unwrap()),
                "watch" => drop(broker.watch(&client, &[queued]).await.unwrap()),
                "queued" => {
                    let page = broker.queued(&queue, &place, count / 2, 500).await.unwrap();
                    assert_eq!(page.tasks.len(), 500);
                }
                _ => assert_eq!(broker.reclaim(None, 500, 3).await.unwrap().reclaimed, 0),
            }
        }
        meter.assert_cheap(verb).await;
    }

    let meter = Meter::start(&broker).await;
    let workers = [(); 2].map(|()| Running::start(&broker, stage.tasks(), config()));
    until(&broker, |snapshot| snapshot.tasks <= count - 50_000).await;
    for worker in workers {
        worker.drain().await;
    }
    meter.assert_cheap("claim and complete").await;
    // Wall-clock time: on a busy machine it says little, so that it is told and not demanded.
    type Slow = (u64, u64, u64, Vec<Vec<u8>>, String, String);
    let mut get = redis::cmd("SLOWLOG");
    get.arg("GET").arg(1_000);
    let slow: Vec<Slow> = get.query_async(&mut redis.connection().await).await.unwrap();
    let longest = slow.iter().map(|(_, _, micros, ..)| micros).max();
    println!("{count} tasks: {} commands above 10 ms, the longest {longest:?} us", slow.len());
    for (_, _, micros, words, ..) in &slow {
        let words: Vec<_> =
            words.iter().take(6).map(|word| String::from_utf8_lossy(word)).collect();
        println!("{micros} us: {words:?}");
    }
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
