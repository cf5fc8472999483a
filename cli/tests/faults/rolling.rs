//! Workers come and go, as in a rolling upgrade: no task fails, is lost or runs twice.

use std::collections::VecDeque;

use celeriac_producer::NewTask;
use serde_json::json;

use crate::common::{Celeriac, SOON};
use crate::site::Site;

#[tokio::test]
async fn g1_g4_workers_come_and_go_and_every_task_succeeds_once() {
    const ROUNDS: u64 = 8;
    const TASKS: u64 = 20_000 / ROUNDS;
    let site = Site::new(Celeriac::shared().await);
    let mut workers =
        VecDeque::from([site.worker_with(2, "").await, site.worker_with(2, "").await]);
    for _ in 0..ROUNDS {
        let tasks = (0..TASKS).map(|number| match number % 100 {
            // Some take long enough to be under way when their worker is told to leave.
            0 => NewTask::new("sleep", &json!({"ms": number % 50})).unwrap(),
            _ => NewTask::new("noop", &json!(number)).unwrap(),
        });
        site.producer.enqueue_many(tasks).await.unwrap();
        let leaving = workers.pop_front().unwrap();
        leaving.terminate();
        workers.push_back(site.worker_with(2, "").await);
        assert_eq!(leaving.wait(SOON).await.code(), Some(0), "{}", *leaving);
    }
    let stats = site.until(|snapshot| snapshot.tasks == 0).await.stats;
    assert_eq!(stats["succeeded"], ROUNDS * TASKS);
    for bad in ["failed", "retried", "reclaimed"] {
        assert_eq!(stats.get(bad).copied().unwrap_or(0), 0, "{bad}");
    }
    site.drain(workers).await;
}
