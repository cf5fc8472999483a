//! Orders to a worker that runs: pause and resume, more or fewer slots, other queues, drain. They are
//! taken up without a restart, and what runs is left alone.

use std::time::Duration;

use celeriac_broker_schema::script::{Order, OrderSeen};
use celeriac_broker_schema::{Broker, LeaseId, Requester, State, WorkerInfo};
use celeriac_producer::NewJob;
use celeriac_worker::{Summary, WorkerConfig};

use crate::common::{
    LONG, Running, assert_finished, broker, config, leases, lose, one_slot, producer, short_lease,
    snapshot, told, until,
};
use crate::stage::{Stage, hold_task, note_task, spin_task};

fn ada() -> Requester {
    Requester::new("ada").because("a test")
}

/// Gives an order to the one worker, and waits until it says that it has taken it up.
async fn order(broker: &Broker, order: Order) -> WorkerInfo {
    let (view, _) = told(broker, |_, _| true).await;
    let lease = LeaseId::from_wire(&view.lease);
    let seen = broker.order(&lease, &order, &ada()).await.unwrap();
    let OrderSeen::Kept(number) = seen else { panic!("{seen:?}") };
    told(broker, |_, info| info.order >= number).await.1
}

/// Its renewals are too far apart to be the way on which an order comes.
fn seldom_renewed(concurrency: usize) -> WorkerConfig {
    WorkerConfig { concurrency, visibility: Duration::from_secs(3_600), ..config() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_worker_takes_nothing_new_and_goes_on_when_told_to() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), seldom_renewed(1));
    // Short tasks teach the worker to fetch ahead.
    producer.enqueue_many((0..200).map(|_| note_task("short"))).await.unwrap();
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    let running = producer.enqueue_task(hold_task("running")).await.unwrap();
    stage.heard("running begins").await;
    producer.enqueue_many((0..20).map(|_| note_task("later"))).await.unwrap();

    let paused = order(&broker, Order::Pause).await;

    assert_eq!(paused.paused.map(|paused| paused.who), Some(ada()));
    until(&broker, |snapshot| snapshot.queues[0].ready == 20).await;
    stage.open("running");
    assert_eq!(running.outcome_within(LONG).await.unwrap().state, State::Succeeded);
    producer.enqueue_task(note_task("later")).await.unwrap();
    assert_eq!(snapshot(&broker).await.queues[0].ready, 21);
    assert_eq!(stage.count("later"), 0);

    assert_eq!(order(&broker, Order::Resume).await.paused, None);
    stage.heard_times(21, "later").await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_come_and_go_without_a_restart() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), seldom_renewed(1));
    for task in [hold_task("a"), spin_task("b"), hold_task("c"), spin_task("d")] {
        producer.enqueue_task(task).await.unwrap();
    }
    stage.heard("a begins").await;

    assert_eq!(order(&broker, Order::Concurrency(4)).await.slots, 4);
    for name in ["b", "c", "d"] {
        stage.heard(&format!("{name} begins")).await;
    }

    // Fewer than run: nobody is stopped, and nothing begins until enough have ended.
    assert_eq!(order(&broker, Order::Concurrency(2)).await.slots, 2);
    for name in ["e", "f"] {
        producer.enqueue_task(hold_task(name)).await.unwrap();
    }
    for name in ["a", "b"] {
        stage.open(name);
        stage.heard(&format!("{name} ends")).await;
    }
    let (_, info) = told(&broker, |_, info| info.busy == 2).await;
    assert_eq!((info.slots, info.succeeded), (2, 2));
    assert_eq!(stage.count("e begins"), 0);
    stage.open("c");
    stage.heard("e begins").await;
    assert_eq!(stage.count("f begins"), 0);

    // Back to what there was, and no more.
    order(&broker, Order::Concurrency(4)).await;
    stage.heard("f begins").await;
    for name in ["g", "h"] {
        producer.enqueue_task(hold_task(name)).await.unwrap();
    }
    stage.heard("g begins").await;
    told(&broker, |_, info| info.busy == 4).await;
    assert_eq!(stage.count("h begins"), 0);
    for name in ["d", "e", "f", "g", "h"] {
        stage.open(name);
    }
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    assert_eq!(worker.drain().await.succeeded, 8);
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn costs_go_by_the_slots_that_there_are_now() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), seldom_renewed(2));
    assert_eq!(order(&broker, Order::Concurrency(8)).await.slots, 8);

    for name in ["a", "b", "c"] {
        producer.enqueue_task(hold_task(name).cost(4)).await.unwrap();
    }

    // Each takes what it costs, and not the two that there were: a third one has to wait.
    stage.heard("a begins").await;
    stage.heard("b begins").await;
    assert_eq!(told(&broker, |_, info| info.busy == 8).await.1.running.len(), 2);
    assert_eq!(stage.count("c begins"), 0);
    stage.open("a");
    stage.heard("c begins").await;
    assert_eq!(told(&broker, |_, info| info.succeeded == 1).await.1.busy, 8);
    stage.open("b");
    stage.open("c");
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_serves_other_queues() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), seldom_renewed(2));
    let mail = |name: &str| note_task(name).queue("mail".parse().unwrap());
    producer.enqueue_task(mail("first")).await.unwrap();

    let queues = vec!["mail".parse().unwrap()];
    assert_eq!(order(&broker, Order::Queues(queues)).await.queues, ["mail"]);

    stage.heard("first").await;
    // It listens to the bell of that queue, and to no other.
    producer.enqueue_task(note_task("nobody's")).await.unwrap();
    let second = producer.enqueue_task(mail("second")).await.unwrap();
    second.outcome_within(Duration::from_secs(5)).await.unwrap();
    assert_eq!(stage.log(), ["first", "second"]);
    worker.drain().await;
    assert_eq!(snapshot(&broker).await.tasks, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_drains_when_told_to() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), seldom_renewed(1));
    let running = producer.enqueue_task(hold_task("running")).await.unwrap();
    stage.heard("running begins").await;

    let info = order(&broker, Order::Drain).await;
    assert!(info.draining);
    assert_eq!(info.leaving.expect("it is known who ordered it").who, ada());

    stage.open("running");
    assert_eq!(worker.left().await, Summary { succeeded: 1, failed: 0, left_behind: 0 });
    assert_eq!(running.outcome_within(LONG).await.unwrap().state, State::Succeeded);
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_go_with_the_lease_and_what_was_taken_up_stays() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), short_lease());
    assert_eq!(order(&broker, Order::Pause).await.order, 1);
    let [lease] = &leases(&broker).await[..] else { panic!("one worker") };

    lose(&broker, lease).await;

    let (view, info) = told(&broker, |view, info| view.lease != *lease && info.order == 0).await;
    assert_ne!(&view.lease, lease);
    assert!(info.paused.is_some(), "the process is still paused");
    assert_eq!(order(&broker, Order::Resume).await.order, 1);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_of_a_paused_worker_go_to_others() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    order(&broker, Order::Pause).await;
    let job = NewJob::new(note_task("chunk"), 100);
    let handle = producer(&broker).enqueue_job(job).await.unwrap();
    let other = Running::start(&broker, stage.tasks(), one_slot());
    handle.outcome_within(LONG).await.unwrap();
    assert_eq!(worker.drain().await.succeeded, 0);
    assert_eq!(other.drain().await.succeeded, 100);
    assert_finished(&broker).await;
}
