//! Limits and costs as workers keep to them: between workers, and between the slots of one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use celeriac_broker_schema::{Broker, ErrorKind, Limit, Rate, Requester, State};
use celeriac_producer::NewTask;
use celeriac_worker::WorkerConfig;
use celeriac_worker::task::{Context, Data, Registry, TaskError};

use crate::common::{
    LONG, Running, assert_finished, broker, config, one_slot, producer, snapshot, state, task,
    until, with_retries,
};
use crate::stage::{Stage, hold_task, note_task};

fn slots(concurrency: usize) -> WorkerConfig {
    WorkerConfig { concurrency, ..config() }
}

async fn limit(broker: &Broker, subject: &str, limit: Limit) {
    broker.limit(&subject.parse().unwrap(), Some(&limit), &Requester::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_keep_to_one_rate() {
    let (broker, stage) = (broker().await, Stage::new());
    let rate = Rate { tasks: 1, per_ms: 30, burst: 1 };
    limit(&broker, "task:note", Limit::new(Some(rate), None).unwrap()).await;
    let workers = [(); 2].map(|()| Running::start(&broker, stage.tasks(), config()));
    let begun = snapshot(&broker).await.now;
    let tasks = (0..10).map(|number| note_task(number.to_string()));
    producer(&broker).enqueue_many(tasks).await.unwrap();
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    let took = snapshot(&broker).await.now.since(begun);
    assert!(took >= 9 * 30, "ten tasks took {took} ms");
    for worker in workers {
        worker.drain().await;
    }
    stage.assert_once((0..10).map(|number| number.to_string()).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_keep_to_one_concurrency() {
    let (broker, stage) = (broker().await, Stage::new());
    limit(&broker, "tenant:*", Limit::new(None, Some(1)).unwrap()).await;
    let workers = [(); 2].map(|()| Running::start(&broker, stage.tasks(), config()));
    let producer = producer(&broker);
    let tenant = |name: &str| name.parse().unwrap();
    for name in ["a1", "a2"] {
        producer.enqueue_task(hold_task(name).tenant(tenant("a"))).await.unwrap();
    }
    producer.enqueue_task(hold_task("b1").tenant(tenant("b"))).await.unwrap();
    stage.heard("a1 begins").await;
    stage.heard("b1 begins").await;
    assert_eq!(stage.log().len(), 2);
    stage.open("a1");
    stage.heard("a2 begins").await;
    assert!(stage.log().contains(&"a1 ends".to_owned()));
    stage.open("a2");
    stage.open("b1");
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    for worker in workers {
        worker.drain().await;
    }
    assert!(!state(&broker).await.contains_key("held"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_costly_task_waits_for_its_slots_and_is_not_overtaken() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    for (name, cost) in [("a", 3), ("b", 2), ("c", 1)] {
        producer.enqueue_task(hold_task(name).cost(cost)).await.unwrap();
    }
    let worker = Running::start(&broker, stage.tasks(), slots(4));
    stage.heard("a begins").await;
    // `b` waits in the worker, for room that `a` has; `c` went back to its queue.
    assert_eq!(stage.log(), ["a begins"]);
    stage.open("a");
    stage.heard("b begins").await;
    stage.heard("c begins").await;
    assert_eq!(stage.log()[..2], ["a begins", "a ends"]);
    stage.open("b");
    stage.open("c");
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_slots_goes_back_when_the_worker_leaves() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), slots(2));
    producer.enqueue_task(hold_task("a")).await.unwrap();
    stage.heard("a begins").await;
    let costly = producer.enqueue_task(hold_task("b").cost(2)).await.unwrap();
    let claimed = |state: &std::collections::BTreeMap<String, serde_json::Value>| {
        let mut leases = state.iter().filter(|(key, _)| key.starts_with("inflight:"));
        leases.any(|(_, held)| held.get(costly.id().to_string()).is_some())
    };
    celeriac_testkit::eventually(LONG, async || match state(&broker).await {
        state if claimed(&state) => Ok(()),
        state => Err(format!("{state:?}")),
    })
    .await;
    worker.shutdown.drain();
    until(&broker, |snapshot| snapshot.queues[0].ready == 1).await;
    assert_eq!(stage.log(), ["a begins"]);
    stage.open("a");
    worker.left().await;
    stage.open("b");
    let other = Running::start(&broker, stage.tasks(), slots(2));
    assert_eq!(costly.outcome_within(LONG).await.unwrap().attempt, Some(1));
    other.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_costs_more_than_a_worker_has_says_so() {
    let (broker, stage) = (broker().await, Stage::new());
    let handle = producer(&broker).enqueue_task(note_task("a").cost(2)).await.unwrap();
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    let outcome = handle.outcome_within(LONG).await.unwrap();
    let error = outcome.error.unwrap();
    assert_eq!((outcome.state, error.kind), (State::Failed, ErrorKind::BadOptions));
    assert!(error.message.contains("takes 2 slots and this worker has 1"), "{}", error.message);
    worker.drain().await;
    assert!(stage.log().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_can_never_fit_holds_nobody_up() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), slots(2));
    producer.enqueue_task(hold_task("long")).await.unwrap();
    stage.heard("long begins").await;
    let never = producer.enqueue_task(with_retries(note_task("never").cost(3), 0)).await.unwrap();
    producer.enqueue_task(note_task("behind it")).await.unwrap();

    let error = never.outcome_within(LONG).await.unwrap().error.unwrap();

    assert_eq!(error.kind, ErrorKind::BadOptions);
    stage.heard("behind it").await;
    assert_eq!(stage.count("long ends"), 0);
    stage.open("long");
    worker.drain().await;
    assert_finished(&broker).await;
}

/// How many slots are in use, and the most there ever were.
#[derive(Clone, Default)]
struct Scales {
    now: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
}

impl Scales {
    fn put(&self, cost: u32) {
        let now = self.now.fetch_add(cost, Ordering::SeqCst) + cost;
        self.most.fetch_max(now, Ordering::SeqCst);
    }

    fn take(&self, cost: u32) {
        self.now.fetch_sub(cost, Ordering::SeqCst);
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Weigh(u32);
impl celeriac_producer::task::Task for Weigh {
    const NAME: &'static str = "weigh";
    type Output = ();
}

#[derive(serde::Serialize, serde::Deserialize)]
struct WeighCpu(u32);
impl celeriac_producer::task::Task for WeighCpu {
    const NAME: &'static str = "weigh_cpu";
    type Output = ();
}

async fn weigh(scales: Data<Scales>, _: Context, task: Weigh) -> Result<(), TaskError> {
    scales.put(task.0);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    scales.take(task.0);
    Ok(())
}

fn weigh_cpu(scales: Data<Scales>, _: Context, task: WeighCpu) -> Result<(), TaskError> {
    scales.put(task.0);
    std::thread::yield_now();
    scales.take(task.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn costs_of_both_lanes_never_exceed_the_slots() {
    let (broker, scales) = (broker().await, Scales::default());
    let tasks = Registry::new(scales.clone()).task(weigh).cpu_task(weigh_cpu).build();
    let worker = Running::start(&broker, tasks, slots(4));
    let all = (0..600_u32).map(|number| -> NewTask {
        let cost = 1 + number % 4;
        let name = if number % 3 == 0 { "weigh_cpu" } else { "weigh" };
        task(name, &cost).cost(cost)
    });
    producer(&broker).enqueue_many(all).await.unwrap();
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    let most = scales.most.load(Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most} of 4 slots were in use");
    assert_eq!(worker.drain().await.succeeded, 600);
    assert_finished(&broker).await;
}
