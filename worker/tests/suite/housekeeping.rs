//! What workers do now and then for all of them, however idle they are.

use crate::common::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_removes_dead_letters_that_are_too_many() {
    let broker = broker().await;
    let producer = producer(&broker);
    let worker = Running::stock(&broker);
    for number in 0..3 {
        let handle = producer.enqueue_task(task("fail", &number)).await.unwrap();
        handle.outcome_within(LONG).await.unwrap();
    }
    worker.drain().await;
    assert_eq!(snapshot(&broker).await.dead, 3);
    // As an older version would set it.
    let mut set = redis::cmd("HSET");
    set.arg(key(&broker, "settings")).arg("dead_max").arg(1);
    let _: () = set.query_async(&mut raw(&broker).await).await.unwrap();

    let idle = Running::stock(&broker);

    until(&broker, |snapshot| snapshot.dead == 1).await;
    idle.drain().await;
}
