//! Leaving in good order: what runs may finish, what has not begun goes back at once, and nobody is
//! charged an attempt for it. And leaving without order, which is what leases are for.

use std::time::Duration;

use celeriac_broker_schema::script::Found;
use celeriac_broker_schema::{State, TaskId};
use celeriac_producer::NewJob;
use celeriac_testkit::{Proxy, TestRedis, eventually};
use celeriac_worker::{Summary, WorkerConfig};
use serde_json::{Value, json};

use crate::common::{
    LONG, Running, assert_finished, broker, broker_on, by_way_of, config, leases, lose, one_slot,
    producer, short_lease, snapshot, stat, state, told, until, workers,
};
use crate::stage::{Stage, hold_task, note_task, spin_task, stubborn_task};

fn at_once(concurrency: usize) -> WorkerConfig {
    WorkerConfig { concurrency, drain_timeout: Duration::ZERO, ..config() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_finishes_and_the_rest_goes_back_in_its_order() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    // Short tasks teach the worker to fetch ahead.
    producer.enqueue_many((0..200).map(|_| note_task("short"))).await.unwrap();
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    let mut many = producer.many();
    let running = many.push(hold_task("running")).await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let task = note_task("waiting").expires_after(Duration::from_secs(3_600));
        waiting.push(Value::String(many.push(task).await.unwrap().to_string()));
    }
    many.finish().await.unwrap();
    stage.heard("running begins").await;

    worker.shutdown.drain();

    until(&broker, |snapshot| snapshot.queues[0].ready == 50).await;
    let given_back = state(&broker).await;
    assert_eq!(given_back["ready:default:5"], Value::Array(waiting));
    assert!(!given_back.contains_key("history"), "an attempt was counted");
    assert_eq!(given_back["expiry"].as_object().unwrap().len(), 50, "they may still expire");
    stage.open("running");
    assert_eq!(worker.left().await, Summary { succeeded: 201, failed: 0, left_behind: 0 });
    let outcome = producer.handle(running).outcome_within(LONG).await.unwrap();
    assert_eq!((outcome.state, outcome.attempt), (State::Succeeded, Some(1)));
    assert_eq!(stage.count("waiting"), 0);

    let next = Running::start(&broker, stage.tasks(), one_slot());
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    assert_eq!(stage.count("waiting"), 50);
    next.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_finish_in_time_goes_back_uncounted() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), at_once(3));
    let tasks = [hold_task("awaits"), spin_task("computes"), stubborn_task("stubborn")];
    let mut handles = Vec::new();
    for task in tasks {
        let task = task.expires_after(Duration::from_secs(3_600));
        handles.push(producer.enqueue_task(task).await.unwrap());
    }
    stage.heard("awaits begins").await;
    stage.heard("computes begins").await;
    stage.heard("stubborn 1 begins").await;

    assert_eq!(worker.drain().await, Summary { succeeded: 0, failed: 0, left_behind: 0 });

    assert_eq!(stage.count("awaits stops: Stopping"), 1);
    assert_eq!(stage.count("computes stops: Stopping"), 1);
    let given_back = state(&broker).await;
    assert_eq!(given_back["ready:default:5"].as_array().unwrap().len(), 3);
    for key in ["history", "leases", "delayed", "expiry"] {
        assert!(!given_back.contains_key(key), "{given_back:#?}");
    }
    assert!(!given_back.keys().any(|key| key.starts_with("inflight")), "{given_back:#?}");

    let next = Running::start(&broker, stage.tasks(), at_once(3));
    for gate in ["awaits", "computes", "stubborn 1"] {
        stage.open(gate);
    }
    for handle in handles {
        let outcome = handle.outcome_within(LONG).await.unwrap();
        assert_eq!((outcome.state, outcome.attempt), (State::Succeeded, Some(1)));
        assert!(outcome.attempts.is_empty());
    }
    next.drain().await;
    // The stubborn one ended twice, and one of these counts.
    stage.heard_times(2, "stubborn 1 ends").await;
    assert_eq!(stat(&broker, "succeeded").await, 3);
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_word_hands_everything_back_now() {
    let (broker, stage) = (broker().await, Stage::new());
    let config = WorkerConfig { drain_timeout: Duration::from_secs(3_600), ..config() };
    let worker = Running::start(&broker, stage.tasks(), config);
    producer(&broker).enqueue_task(hold_task("long")).await.unwrap();
    stage.heard("long begins").await;
    worker.shutdown.drain();
    told(&broker, |_, info| info.draining).await;
    assert_eq!(leases(&broker).await.len(), 1);

    worker.shutdown.now();

    assert_eq!(worker.left().await, Summary { succeeded: 0, failed: 0, left_behind: 0 });
    assert_eq!(stage.count("long stops: Stopping"), 1);
    assert_eq!(snapshot(&broker).await.queues[0].ready, 1);
    assert!(!state(&broker).await.contains_key("history"));
    assert_eq!(leases(&broker).await, [""; 0]);
    assert_eq!(workers(&broker).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_leaves_nothing() {
    let broker = broker().await;
    let worker = Running::stock(&broker);
    until(&broker, |snapshot| snapshot.leases == 1).await;
    assert_eq!(worker.drain().await, Summary { succeeded: 0, failed: 0, left_behind: 0 });
    assert_finished(&broker).await;
    assert_eq!(workers(&broker).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_waits_for_redis_can_be_told_to_leave() {
    let mut redis = TestRedis::start().await;
    let broker = broker_on(redis.url());
    redis.freeze();
    let worker = Running::stock(&broker);
    assert_eq!(worker.drain().await, Summary { succeeded: 0, failed: 0, left_behind: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_go_back_uncounted_and_the_job_is_exact() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), at_once(2));
    let job = NewJob::new(hold_task("chunk"), 300);
    let job = producer(&broker).enqueue_job(job).await.unwrap();
    stage.heard_times(2, "chunk begins").await;
    worker.drain().await;
    assert_eq!(snapshot(&broker).await.queues[0].ready, 300);

    let next = Running::start(&broker, stage.tasks(), config());
    stage.open("chunk");
    let id = job.id();
    assert_eq!(job.typed::<Value>().result_within(LONG).await.unwrap(), json!({}));
    let (_, view) = broker.job(id.job()).await.unwrap();
    let view = view.unwrap();
    assert_eq!((view.done, view.failed, view.retried), (300, 0, 0));
    for chunk in [0, 1, 299] {
        match broker.inspect(TaskId::of_chunk(id.job(), chunk)).await.unwrap() {
            Found::Chunk { history, .. } => assert_eq!(history, ""),
            found => panic!("{found:?}"),
        }
    }
    next.drain().await;
    // Two of them were begun twice; each ended once.
    assert_eq!((stage.count("chunk begins"), stage.count("chunk ends")), (302, 300));
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_a_worker_can_leave_while_redis_is_away() {
    let mut redis = TestRedis::start().await;
    let (broker, stage) = (broker_on(redis.url()), Stage::new());
    let proxy = Proxy::start(redis.url()).await;
    let worker = Running::start(&by_way_of(&proxy.url(), &broker), stage.tasks(), at_once(2));
    let producer = producer(&broker);
    let ended = producer.enqueue_task(hold_task("ended")).await.unwrap();
    let running = producer.enqueue_task(hold_task("running")).await.unwrap();
    stage.heard("ended begins").await;
    stage.heard("running begins").await;
    redis.kill();
    stage.open("ended");
    stage.heard("ended ends").await;
    // The worker tries to tell of it, again and again.
    let before = proxy.connections().total;
    eventually(LONG, async || match proxy.connections().total - before {
        tries if tries >= 4 => Ok(()),
        tries => Err(format!("{tries} tries")),
    })
    .await;

    let summary = worker.drain().await;

    assert_eq!(summary.left_behind, 2);
    redis.restart().await;
    until(&broker, |_| true).await;
    let [lease] = &leases(&broker).await[..] else { panic!("the lease is still open") };
    lose(&broker, lease).await;
    stage.open("running");
    let next = Running::start(&broker, stage.tasks(), config());
    for handle in [ended, running] {
        let outcome = handle.outcome_within(LONG).await.unwrap();
        assert_eq!((outcome.state, outcome.attempt), (State::Succeeded, Some(2)));
    }
    next.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g4_a_worker_whose_future_is_dropped_gives_its_tasks_up() {
    let (broker, stage) = (broker().await, Stage::new());
    let dropped = Running::start(&broker, stage.tasks(), short_lease());
    let task = producer(&broker).enqueue_task(hold_task("task")).await.unwrap();
    stage.heard("task begins").await;
    let next = Running::start(&broker, stage.tasks(), config());

    dropped.abandon();

    stage.heard_times(2, "task begins").await;
    stage.open("task");
    assert_eq!(task.outcome_within(LONG).await.unwrap().attempt, Some(2));
    next.drain().await;
    assert_finished(&broker).await;
}
