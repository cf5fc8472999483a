//! Redis dies and comes back, connections are cut, replies are lost (G8, G2): workers keep what they
//! have, run nothing twice under a lease that survived, and go on by themselves.

use celeriac_broker_schema::{Broker, State};
use celeriac_producer::{EnqueueError, NewJob, Producer};
use celeriac_testkit::{Proxy, TestRedis};
use celeriac_worker::WorkerConfig;
use serde_json::{Value, json};

use crate::common::{
    LONG, Running, assert_finished, broker, broker_on, by_way_of, config, one_slot, producer, raw,
    stat, task, until,
};
use crate::stage::{Stage, hold_task, note_task, spin_task};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("note {number}")).collect()
}

async fn enqueue_notes(producer: &Producer, count: usize) {
    producer.enqueue_many(names(count).into_iter().map(note_task)).await.unwrap();
}

/// Waits until all is done, and asserts that all of it was done once.
async fn assert_done(broker: &Broker, stage: &Stage, count: usize) {
    until(broker, |snapshot| snapshot.tasks == 0).await;
    stage.assert_once(names(count));
    assert_eq!(stat(broker, "succeeded").await, count as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_what_ends_while_redis_is_away_is_told_when_it_is_back() {
    let mut redis = TestRedis::start().await;
    let (broker, stage) = (broker_on(redis.url()), Stage::new());
    let four_slots = WorkerConfig { concurrency: 4, ..config() };
    let worker = Running::start(&broker, stage.tasks(), four_slots);
    let producer = producer(&broker);
    let mut waiting = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let task = if name < "c" { hold_task(name) } else { spin_task(name) };
        let handle = producer.enqueue_task(task).await.unwrap();
        waiting.push(tokio::spawn(async move { handle.outcome_within(LONG).await.unwrap() }));
        stage.heard(&format!("{name} begins")).await;
    }
    enqueue_notes(&producer, 100).await;

    redis.kill();
    for name in ["a", "b", "c", "d"] {
        stage.open(name);
        stage.heard(&format!("{name} ends")).await;
    }
    redis.restart().await;

    for outcome in waiting {
        let outcome = outcome.await.unwrap();
        assert_eq!((outcome.state, outcome.attempt), (State::Succeeded, Some(1)));
        assert!(outcome.attempts.is_empty());
    }
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    let mut expected = names(100);
    expected.extend(["a", "b", "c", "d"].map(|name| format!("{name} begins")));
    expected.extend(["a", "b", "c", "d"].map(|name| format!("{name} ends")));
    stage.assert_once(expected);
    assert_eq!(worker.drain().await.succeeded, 104);
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_redis_dies_again_and_again_and_every_task_runs_once() {
    let mut redis = TestRedis::start().await;
    let (broker, stage) = (broker_on(redis.url()), Stage::new());
    enqueue_notes(&producer(&broker), 2_000).await;
    let workers = [(); 2].map(|()| Running::start(&broker, stage.tasks(), config()));
    for much in [100, 600, 1_200] {
        stage.heard_much(much).await;
        redis.kill();
        redis.restart().await;
    }
    assert_done(&broker, &stage, 2_000).await;
    for worker in workers {
        worker.drain().await;
    }
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_connections_are_cut_again_and_again_and_every_task_runs_once() {
    let (broker, stage) = (broker().await, Stage::new());
    let proxy = Proxy::start(TestRedis::shared().await.url()).await;
    enqueue_notes(&producer(&broker), 2_000).await;
    let worker = Running::start(&by_way_of(&proxy.url(), &broker), stage.tasks(), config());
    for much in (0..1_500).step_by(100) {
        stage.heard_much(much).await;
        proxy.cut().await;
    }
    assert_done(&broker, &stage, 2_000).await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_replies_are_lost_again_and_again_and_every_task_runs_once() {
    let (broker, stage) = (broker().await, Stage::new());
    let proxy = Proxy::start(TestRedis::shared().await.url()).await;
    enqueue_notes(&producer(&broker), 2_000).await;
    let worker = Running::start(&by_way_of(&proxy.url(), &broker), stage.tasks(), config());
    for much in (100..1_600).step_by(100) {
        stage.heard_much(much).await;
        proxy.drop_next_reply_to("EVALSHA");
    }
    assert_done(&broker, &stage, 2_000).await;
    // One that is asked for while the one before still waits to be lost takes its place.
    assert!(proxy.connections().replies_lost > 0);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_a_full_redis_still_takes_results() {
    let redis = TestRedis::start().await;
    let (broker, stage) = (broker_on(redis.url()), Stage::new());
    let producer = producer(&broker);
    enqueue_notes(&producer, 300).await;
    let mut full = redis::cmd("CONFIG");
    full.arg("SET").arg("maxmemory").arg(1);
    let _: () = full.query_async(&mut raw(&broker).await).await.unwrap();
    let refused = producer.enqueue_task(note_task("one more")).await;
    assert!(matches!(refused, Err(EnqueueError::Refused(_))), "{refused:?}");

    let worker = Running::start(&broker, stage.tasks(), config());

    assert_done(&broker, &stage, 300).await;
    worker.drain().await;
    assert_finished(&broker).await;
}

/// A worker behind a proxy, which has run one task: all its scripts are known to the server.
async fn primed(broker: &Broker, stage: &Stage) -> (Proxy, Running) {
    let proxy = Proxy::start(broker.config().url_with_secret()).await;
    let worker = Running::start(&by_way_of(&proxy.url(), broker), stage.tasks(), one_slot());
    let first = producer(broker).enqueue_task(note_task("first")).await.unwrap();
    first.outcome_within(LONG).await.unwrap();
    (proxy, worker)
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_a_completion_whose_reply_is_lost_counts_once_and_strands_nothing() {
    let (broker, stage) = (broker().await, Stage::new());
    let (proxy, worker) = primed(&broker, &stage).await;
    let producer = producer(&broker);
    let held = producer.enqueue_task(hold_task("held")).await.unwrap();
    stage.heard("held begins").await;
    // The call that tells of its end brings some of these.
    enqueue_notes(&producer, 50).await;
    // As an argument of its own: what is told for people has it within a text.
    proxy.drop_next_reply_to(format!("\n{}", held.id()));
    stage.open("held");

    assert_eq!(held.outcome_within(LONG).await.unwrap().attempt, Some(1));
    until(&broker, |snapshot| snapshot.tasks == 0).await;

    assert_eq!(proxy.connections().replies_lost, 1);
    let mut expected = names(50);
    expected.extend(["first", "held begins", "held ends"].map(str::to_owned));
    stage.assert_once(expected);
    assert_eq!(worker.drain().await.succeeded, 52);
    assert_eq!(stat(&broker, "succeeded").await, 52);
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_chunks_whose_completion_lost_its_reply_count_once() {
    let broker = broker().await;
    let proxy = Proxy::start(TestRedis::shared().await.url()).await;
    let stock = celeriac_worker::builtin::tasks();
    let worker = Running::start(&by_way_of(&proxy.url(), &broker), stock, one_slot());
    let producer = producer(&broker);
    let job = || NewJob::new(task("echo", &json!({"n": 3})), 1_000).sum("n");
    let total = json!({"n": 3_000});
    let first = producer.enqueue_job(job()).await.unwrap();
    assert_eq!(first.typed::<Value>().result_within(LONG).await.unwrap(), total);
    for lost in 1..=5 {
        let job = producer.enqueue_job(job()).await.unwrap();
        proxy.drop_next_reply_to(format!("\n{}", job.id()));
        let id = job.id();
        assert_eq!(job.typed::<Value>().result_within(LONG).await.unwrap(), total);
        let view = broker.job(id.job()).await.unwrap().1.unwrap();
        assert_eq!((view.done, view.total), (1_000, 1_000));
        assert_eq!(proxy.connections().replies_lost, lost);
    }
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_a_claim_whose_reply_is_lost_strands_nothing() {
    let (broker, stage) = (broker().await, Stage::new());
    let (proxy, worker) = primed(&broker, &stage).await;
    // The crash limit, the number of its queues and the first of them, as arguments: an idle worker sends
    // them with a claim and nothing else.
    proxy.drop_next_reply_to("$1\r\n3\r\n$1\r\n1\r\n$7\r\ndefault\r\n");
    let task = producer(&broker).enqueue_task(note_task("second")).await.unwrap();
    assert_eq!(task.outcome_within(LONG).await.unwrap().attempt, Some(1));
    assert_eq!(proxy.connections().replies_lost, 1);
    stage.assert_once(vec!["first".to_owned(), "second".to_owned()]);
    worker.drain().await;
    assert_finished(&broker).await;
}
