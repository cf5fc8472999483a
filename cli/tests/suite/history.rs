//! `celeriac history`.

use celeriac_testkit::{TestRedis, eventually};
use serde_json::Value;

use crate::common::{Celeriac, SOON};

/// The name of the first series, and how many succeeded in it.
fn succeeded(history: &Value) -> Option<(&str, u64)> {
    let series = &history["series"][0];
    let points = series["points"].as_array()?.iter();
    let counts = points.map(|point| point["counts"]["succeeded"].as_u64().unwrap());
    Some((series["name"].as_str()?, counts.sum()))
}

#[tokio::test]
async fn what_workers_have_done_is_told_by_queue_and_by_task() {
    let redis = TestRedis::start().await;
    let celeriac = Celeriac::at(redis.url());
    let nothing = celeriac.run("history");
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(0), ""), "{nothing:?}");
    assert!(nothing.stderr.contains("nothing is known yet"), "{nothing:?}");
    let _worker = celeriac.worker("--queues default,mail").await;
    for task in ["echo", "echo --queue mail", "fail --retries 0"] {
        celeriac.run(&format!("enqueue {task} --wait"));
    }

    let table = eventually(SOON, async || {
        let told = celeriac.ok("history --by task");
        let line = |name: &str| told.lines().any(|line| line.starts_with(name));
        if line("echo ") && line("fail ") { Ok(told) } else { Err(told) }
    })
    .await;

    assert!(table.starts_with("TASK "), "{table}");
    eventually(SOON, async || {
        let told = celeriac.ok("history --by task --queue mail --json");
        let told: Value = serde_json::from_str(&told).unwrap();
        match succeeded(&told) {
            Some(("echo", 1)) => Ok(()),
            _ => Err(told.to_string()),
        }
    })
    .await;
    let steps = celeriac.ok("history --back 10m");
    assert!(steps.starts_with("FROM ") && steps.lines().count() > 1, "{steps}");
}
