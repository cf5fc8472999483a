//! Fetching ahead is a guess. Where it is wrong, nobody waits for it: endings are told, and what
//! was fetched goes to workers that are free.

use crate::common::{LONG, Running, assert_finished, broker, one_slot, producer, until};
use crate::stage::{Stage, hold_task, note_task};

#[tokio::test(flavor = "multi_thread")]
async fn results_are_told_while_the_slots_are_busy_and_the_buffer_is_full() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let mut many = producer.many();
    // Wherever in its buffer the worker meets a long task, what ended before it is told.
    let (mut before, mut long) = (Vec::new(), Vec::new());
    for number in 0..10 {
        for _ in 0..217 {
            before.push(many.push(note_task("short")).await.unwrap());
        }
        long.push((before.len(), many.push(hold_task(number.to_string())).await.unwrap()));
    }
    many.finish().await.unwrap();
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    for (number, (count, id)) in long.into_iter().enumerate() {
        stage.heard(&format!("{number} begins")).await;
        for id in &before[count - 217..count] {
            producer.handle(*id).outcome_within(LONG).await.unwrap();
        }
        stage.open(number.to_string());
        producer.handle(id).outcome_within(LONG).await.unwrap();
    }
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_worker_gives_what_it_fetched_to_one_that_is_free() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let stuck = Running::start(&broker, stage.tasks(), one_slot());
    producer.enqueue_many((0..500).map(|_| note_task("short"))).await.unwrap();
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    let tasks = (0..500).map(|number| match number {
        10 => hold_task("long"),
        _ => note_task("after"),
    });
    producer.enqueue_many(tasks).await.unwrap();
    stage.heard("long begins").await;

    let free = Running::start(&broker, stage.tasks(), one_slot());

    until(&broker, |snapshot| snapshot.tasks == 1).await;
    assert_eq!(stage.count("after"), 499);
    stage.open("long");
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    stuck.drain().await;
    free.drain().await;
    assert_finished(&broker).await;
}
