//! `celeriac queues`, `workers` and `jobs`: for people and for scripts.

use celeriac_testkit::eventually;
use serde_json::json;

use crate::common::{Celeriac, SOON};

#[tokio::test]
async fn a_fresh_namespace_is_empty() {
    let celeriac = Celeriac::shared().await;
    assert_eq!(
        celeriac.ok("queues"),
        "no queue has been used yet\n\ntasks: 0 not ended, of them 0 delayed and 0 waiting for others; 0 dead"
    );
    assert_eq!(celeriac.ok("workers"), "no worker is alive; start one with `celeriac worker`");
    assert_eq!(celeriac.ok("jobs"), "no job is open, and none that has ended is kept");
    assert_eq!(celeriac.json("workers")["workers"], json!([]));
    assert_eq!(celeriac.json("jobs")["jobs"], json!([]));
}

#[tokio::test]
async fn queues_are_counted() {
    let celeriac = Celeriac::shared().await;
    celeriac.ok("enqueue echo");
    celeriac.ok("enqueue echo --queue mail --priority 9");
    celeriac.ok("enqueue echo --delay 1h");
    celeriac.ok("enqueue noop --queue many --chunks 1_000");
    assert_eq!(
        celeriac.ok("queues"),
        "QUEUE    READY  SUSPECTS  WORKERS\n\
         default      1         0        0\n\
         mail         1         0        0\n\
         many     1,000         0        0\n\
         \n\
         tasks: 3 not ended, of them 1 delayed and 0 waiting for others; 0 dead"
    );
    let mail = &celeriac.json("queues")["queues"][1];
    assert_eq!(mail["elements"], json!([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
}

#[tokio::test]
async fn workers_tell_who_they_are_and_leave_no_trace() {
    let celeriac = Celeriac::shared().await;
    let worker = celeriac.worker("--queues a,b --concurrency 3").await;
    let info = eventually(SOON, async || match celeriac.json("workers")["workers"].get(0) {
        Some(info) => Ok(info.clone()),
        None => Err("no worker".to_owned()),
    })
    .await;
    assert_eq!((&info["pid"], &info["slots"]), (&json!(worker.id()), &json!(3)));
    assert_eq!(info["queues"], json!(["a", "b"]));
    assert_eq!(
        info["tasks"],
        json!(["count", "echo", "fail", "noop", "pi", "pi.estimate", "sleep"])
    );
    let text = celeriac.ok("workers");
    let row = text.lines().nth(1).unwrap();
    assert!(row.contains("a,b") && row.contains("0/3") && row.ends_with(" -"), "{text}");
    celeriac.ok("enqueue echo --queue a");
    worker.terminate();
    assert_eq!(worker.wait(SOON).await.code(), Some(0), "{worker}");
    assert_eq!(celeriac.json("workers")["workers"], json!([]));
}
