//! What workers do now and then for all of them, however idle they are.

use celeriac_testkit::eventually;

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

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_forgets_the_names_of_queues_that_are_not_used() {
    let broker = broker().await;
    let mut raw = raw(&broker).await;
    let mut used = redis::cmd("SADD");
    used.arg(key(&broker, "queues")).arg("tenant1").arg("tenant2");
    let _: () = used.query_async(&mut raw).await.unwrap();
    let mut idle = redis::cmd("ZADD");
    idle.arg(key(&broker, "queues:idle")).arg(1).arg("tenant3");
    let _: () = idle.query_async(&mut raw).await.unwrap();

    let worker = Running::stock(&broker);

    eventually(LONG, async || {
        let state = state(&broker).await;
        let names = state.get("queues:idle").and_then(|names| names.as_object());
        match names.map(|names| names.keys().map(String::as_str).collect::<Vec<_>>()) {
            Some(names) if names == ["tenant1", "tenant2"] => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let shown = snapshot(&broker).await.queues;
    let shown: Vec<&str> = shown.iter().map(|queue| &*queue.name).collect();
    assert_eq!(shown, ["tenant1", "tenant2"], "they are shown for a day");
    worker.drain().await;
}
