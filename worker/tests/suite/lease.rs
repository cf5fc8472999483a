//! Lost leases (G2, G4): what runs is told to stop, nothing of it is counted, the tasks run again,
//! and the worker goes on under a new lease.

use std::thread::JoinHandle;
use std::time::Duration;

use celeriac_broker_schema::{Broker, State, Timestamp};
use celeriac_producer::Handle;
use celeriac_producer::task::Task;
use celeriac_testkit::{Proxy, TestRedis};
use celeriac_worker::WorkerConfig;
use celeriac_worker::task::{Context, TaskError};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::common::{
    LONG, Running, assert_finished, broker, by_way_of, config, key, leases, lose, one_slot,
    producer, raw, short_lease, stat, task, until,
};
use crate::stage::{Stage, hold_task, note_task, spin_task, stubborn_task};

/// Asserts that a task succeeded at its second attempt, after its worker was lost with the first.
async fn assert_second_counts(handle: Handle, first_lease: &str) {
    let outcome = handle.outcome_within(LONG).await.unwrap();
    assert_eq!((outcome.state, outcome.attempt), (State::Succeeded, Some(2)));
    let [lost] = &outcome.attempts[..] else { panic!("{outcome:?}") };
    assert_eq!((lost.attempt, &*lost.outcome, &*lost.worker), (1, "lost", first_lease));
    assert_ne!(outcome.worker.as_deref(), Some(first_lease));
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_a_busy_worker_hears_of_its_lost_lease_and_stops_what_runs() {
    let (broker, stage) = (broker().await, Stage::new());
    // Only the lease keeper can hear of it: no slot is free, so nothing else calls.
    let worker = Running::start(&broker, stage.tasks(), short_lease());
    let producer = producer(&broker);
    let awaits = producer.enqueue_task(hold_task("awaits")).await.unwrap();
    let computes = producer.enqueue_task(spin_task("computes")).await.unwrap();
    stage.heard("awaits begins").await;
    stage.heard("computes begins").await;
    let [first] = &leases(&broker).await[..] else { panic!("one worker has one lease") };

    lose(&broker, first).await;

    stage.heard("awaits stops: LeaseLost").await;
    stage.heard("computes stops: LeaseLost").await;
    stage.heard_times(2, "awaits begins").await;
    stage.heard_times(2, "computes begins").await;
    stage.open("awaits");
    stage.open("computes");
    assert_second_counts(awaits, first).await;
    assert_second_counts(computes, first).await;
    let summary = worker.drain().await;
    assert_eq!((summary.succeeded, summary.failed), (2, 0));
    assert_eq!((stat(&broker, "succeeded").await, stat(&broker, "reclaimed").await), (2, 2));
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_a_worker_with_a_free_slot_hears_of_it_with_its_next_call() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), config());
    let task = producer(&broker).enqueue_task(hold_task("task")).await.unwrap();
    stage.heard("task begins").await;
    let [first] = &leases(&broker).await[..] else { panic!("one worker has one lease") };

    // What goes back rings the bell.
    lose(&broker, first).await;

    stage.heard("task stops: LeaseLost").await;
    stage.heard_times(2, "task begins").await;
    stage.open("task");
    assert_second_counts(task, first).await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_what_ends_well_under_a_lost_lease_is_not_counted() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), config());
    let task = producer(&broker).enqueue_task(stubborn_task("task")).await.unwrap();
    stage.heard("task 1 begins").await;
    let [first] = &leases(&broker).await[..] else { panic!("one worker has one lease") };
    lose(&broker, first).await;
    // The first attempt goes on in its slot, the second one has the other.
    stage.heard("task 2 begins").await;
    stage.open("task 1");
    stage.heard("task 1 ends").await;
    // There is a free slot again: the end of the first attempt has been dealt with.
    let free = producer(&broker).enqueue_task(note_task("free")).await.unwrap();
    free.outcome_within(LONG).await.unwrap();
    assert_eq!(stat(&broker, "succeeded").await, 1);
    stage.open("task 2");
    assert_second_counts(task, first).await;
    worker.drain().await;
    assert_eq!(stat(&broker, "succeeded").await, 2);
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_a_worker_that_was_cut_off_cannot_complete_and_goes_on_under_a_new_lease() {
    let (broker, stage) = (broker().await, Stage::new());
    let proxy = Proxy::start(TestRedis::shared().await.url()).await;
    let config = WorkerConfig { visibility: Duration::from_secs(1), ..one_slot() };
    let cut_off = Running::start(&by_way_of(&proxy.url(), &broker), stage.tasks(), config);
    let producer = producer(&broker);
    let task = producer.enqueue_task(hold_task("task")).await.unwrap();
    stage.heard("task begins").await;
    let [first] = &leases(&broker).await[..] else { panic!("one worker has one lease") };

    proxy.stall(true);
    let other = Running::start(&broker, stage.tasks(), one_slot());
    stage.heard_times(2, "task begins").await;
    stage.open("task");
    stage.heard_times(2, "task ends").await;
    assert_second_counts(task, first).await;
    other.drain().await;

    // Its completion is on its way, and comes too late.
    proxy.stall(false);
    let next = producer.enqueue_task(note_task("next")).await.unwrap();
    let outcome = next.outcome_within(LONG).await.unwrap();
    assert_eq!(outcome.state, State::Succeeded);
    assert_ne!(outcome.worker.as_ref(), Some(first));
    cut_off.drain().await;
    assert_eq!(stat(&broker, "succeeded").await, 2);
    assert_finished(&broker).await;
}

/// Blocks a thread of the runtime, as a task must not.
#[derive(Serialize, Deserialize)]
struct Block {
    ms: u64,
}

impl Task for Block {
    const NAME: &'static str = "block";
    type Output = u32;
}

async fn block(ctx: Context, task: Block) -> Result<u32, TaskError> {
    std::thread::sleep(Duration::from_millis(task.ms));
    Ok(ctx.attempt())
}

/// Takes away the tasks of every lease that is over, from a thread and a runtime of its own.
fn reclaim_until(stopped: oneshot::Receiver<()>, broker: Broker) -> JoinHandle<()> {
    let reclaim = async move {
        loop {
            broker.reclaim(None, 100, 3).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::select! {
                () = reclaim => {}
                _ = stopped => {}
            }
        });
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_tasks_that_block_the_whole_runtime_do_not_cost_the_lease() {
    let (broker, stage) = (broker().await, Stage::new());
    let tasks = stage.registry().task(block).build();
    let worker = Running::start(&broker, tasks, short_lease());
    let (stop, stopped) = oneshot::channel();
    let reclaimer = reclaim_until(stopped, broker.separate().unwrap());
    // All threads of the runtime, for longer than a lease lives.
    let blocks = [(); 2].map(|()| task(Block::NAME, &Block { ms: 1_500 }));
    let mut handles = Vec::new();
    for block in blocks {
        handles.push(producer(&broker).enqueue_task(block).await.unwrap());
    }
    for handle in handles {
        assert_eq!(handle.typed::<u32>().result_within(LONG).await.unwrap(), 1);
    }
    stop.send(()).unwrap();
    reclaimer.join().unwrap();
    assert_eq!(stat(&broker, "reclaimed").await, 0);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g4_an_idle_worker_takes_over_when_the_lease_ends() {
    let (broker, stage) = (broker().await, Stage::new());
    let dead = Running::start(&broker, stage.tasks(), short_lease());
    let task = producer(&broker).enqueue_task(hold_task("task")).await.unwrap();
    stage.heard("task begins").await;
    let lease = leases(&broker).await.remove(0);
    let idle = Running::start(&broker, stage.tasks(), config());
    until(&broker, |snapshot| snapshot.leases == 2).await;

    let mut deadline = redis::cmd("ZSCORE");
    deadline.arg(key(&broker, "leases")).arg(&lease);
    // It may be renewed once more before it is abandoned.
    let deadline: u64 = deadline.query_async(&mut raw(&broker).await).await.unwrap();
    dead.abandon();

    stage.heard_times(2, "task begins").await;
    stage.open("task");
    let outcome = task.outcome_within(LONG).await.unwrap();
    let late = outcome.attempts[0].ended.since(Timestamp(deadline));
    // The next round of upkeep of the idle worker would have come seconds later.
    assert!(late < 5_000, "taken over {late} ms after the end of the lease");
    assert_second_counts(task, &lease).await;
    idle.drain().await;
    assert_finished(&broker).await;
}
