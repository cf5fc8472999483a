//! Time is the time of Redis (G6). A producer whose clock is wrong makes ids of the wrong time, and
//! that is all: what is due, what expires and what a lost worker held goes by the clock of Redis.

use celeriac_broker_schema::script::{Entry, Start};
use celeriac_broker_schema::{
    Broker, ClientId, Outcome, Priority, QueueName, Record, State, TaskId, TaskOptions, Timestamp,
};

use crate::common::{
    LONG, Running, assert_finished, broker, config, leases, lose, one_slot, producer, snapshot,
    stat, until,
};
use crate::stage::Stage;

const HOUR_MS: u64 = 3_600_000;

/// Enqueues a task of the stage as a producer whose clock shows `clock`. Returns its id.
async fn enqueue(
    broker: &Broker,
    clock: Timestamp,
    task: &str,
    text: &str,
    start: Start,
) -> TaskId {
    let args = serde_json::value::to_raw_value(&serde_json::json!({"name": text})).unwrap();
    let name = task.parse().unwrap();
    let record = Record::new(&name, &args, &TaskOptions::default()).encode().unwrap();
    let id = TaskId::new(clock);
    let (queue, priority) = (QueueName::default(), Priority::default());
    let entry = Entry { id, record, queue, priority, start, unique: None };
    broker.enqueue(&ClientId::new(), 1, &[entry]).await.unwrap();
    id
}

async fn outcome(broker: &Broker, id: TaskId) -> Outcome {
    producer(broker).handle(id).outcome_within(LONG).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn g6_an_hour_fast_or_slow_changes_nothing() {
    let (broker, stage) = (broker().await, Stage::new());
    let now = snapshot(&broker).await.now;
    let (fast, slow) = (now.plus_ms(HOUR_MS), Timestamp(now.0 - HOUR_MS));

    // In the order in which they came, whatever their ids say.
    enqueue(&broker, fast, "note", "first", Start::default()).await;
    enqueue(&broker, slow, "note", "second", Start::default()).await;
    // Within half an hour by the clock of Redis, long ago by the other one.
    let lasting = Start { expires_after_ms: Some(HOUR_MS / 2), ..Start::default() };
    enqueue(&broker, slow, "note", "third", lasting).await;
    let delayed = Start { delay_ms: Some(200), ..Start::default() };
    enqueue(&broker, fast, "note", "delayed", delayed).await;
    let brief = Start { expires_after_ms: Some(1), ..Start::default() };
    let expired = enqueue(&broker, fast, "note", "expired", brief).await;
    let enqueued = snapshot(&broker).await.now;
    until(&broker, |snapshot| snapshot.now > enqueued.plus_ms(1)).await;

    let worker = Running::start(&broker, stage.tasks(), one_slot());
    until(&broker, |snapshot| snapshot.tasks == 0).await;

    assert_eq!(stage.log(), ["first", "second", "third", "delayed"]);
    assert_eq!(outcome(&broker, expired).await.state, State::Expired);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g6_a_lease_goes_by_the_clock_of_redis() {
    let (broker, stage) = (broker().await, Stage::new());
    let now = snapshot(&broker).await.now;
    let id = enqueue(&broker, now.plus_ms(HOUR_MS), "hold", "task", Start::default()).await;
    let worker = Running::start(&broker, stage.tasks(), config());
    stage.heard("task begins").await;
    // Nothing is taken from a worker that is alive, whatever the time of the id.
    broker.reclaim(None, 100, 3).await.unwrap();
    assert_eq!(stat(&broker, "reclaimed").await, 0);
    let lease = leases(&broker).await.remove(0);

    lose(&broker, &lease).await;

    stage.heard_times(2, "task begins").await;
    stage.open("task");
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    let outcome = outcome(&broker, id).await;
    let [lost] = &outcome.attempts[..] else { panic!("{outcome:?}") };
    // All of it is told in the time of Redis.
    let within_a_minute = |at: Timestamp| at >= now && at.since(now) < 60_000;
    assert!(within_a_minute(lost.ended) && within_a_minute(outcome.ended), "{outcome:?}");
    worker.drain().await;
    assert_finished(&broker).await;
}
