//! What a lost worker held goes back also if all who are left ask for no work (G4): one is full with
//! a costly task, has a task that nothing is put beside, or is paused.

use celeriac_broker_schema::script::Order;
use celeriac_broker_schema::{Broker, LeaseId, Requester};
use celeriac_worker::WorkerConfig;

use crate::common::{
    LONG, Running, assert_finished, broker, config, leases, lose, producer, short_lease, told,
    until,
};
use crate::stage::{Stage, hold_task};

fn four_slots() -> WorkerConfig {
    WorkerConfig { concurrency: 4, ..config() }
}

/// Has a second worker take a task and be lost, and waits until the task is back in its queue.
async fn lose_another(broker: &Broker, stage: &Stage) {
    let dying = Running::start(broker, stage.tasks(), short_lease());
    let task = producer(broker).enqueue_task(hold_task("left behind")).await.unwrap();
    stage.heard("left behind begins").await;
    dying.abandon();
    until(broker, |snapshot| snapshot.leases == 1 && snapshot.queues[0].ready == 1).await;
    assert_eq!(stage.count("left behind begins"), 1);
    stage.open("left behind");
    drop(task);
}

async fn finish(broker: &Broker, living: Running) {
    until(broker, |snapshot| snapshot.tasks == 0).await;
    living.drain().await;
    assert_finished(broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g4_beside_a_costly_task() {
    let (broker, stage) = (broker().await, Stage::new());
    let living = Running::start(&broker, stage.tasks(), four_slots());
    producer(&broker).enqueue_task(hold_task("costly").cost(4)).await.unwrap();
    stage.heard("costly begins").await;
    // All of its slots are taken, as it tells, by one task.
    assert_eq!(told(&broker, |_, info| info.busy > 0).await.1.busy, 4);

    lose_another(&broker, &stage).await;

    stage.open("costly");
    finish(&broker, living).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g4_beside_a_task_with_which_workers_were_lost() {
    let (broker, stage) = (broker().await, Stage::new());
    let living = Running::start(&broker, stage.tasks(), four_slots());
    let suspect = producer(&broker).enqueue_task(hold_task("suspect")).await.unwrap();
    for delivery in 1..=2 {
        stage.heard_times(delivery, "suspect begins").await;
        let lease = leases(&broker).await.remove(0);
        lose(&broker, &lease).await;
    }
    stage.heard_times(3, "suspect begins").await;

    lose_another(&broker, &stage).await;

    stage.open("suspect");
    assert_eq!(suspect.outcome_within(LONG).await.unwrap().attempt, Some(3));
    finish(&broker, living).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g4_beside_a_pause() {
    let (broker, stage) = (broker().await, Stage::new());
    let living = Running::start(&broker, stage.tasks(), four_slots());
    let lease = LeaseId::from_wire(&told(&broker, |_, _| true).await.0.lease);
    let ada = Requester::new("ada").because("a test");
    broker.order(&lease, &Order::Pause, &ada).await.unwrap();
    told(&broker, |_, info| info.paused.is_some()).await;

    lose_another(&broker, &stage).await;

    broker.order(&lease, &Order::Resume, &ada).await.unwrap();
    finish(&broker, living).await;
}
