//! `celeriac doctor`: what is well, what is not, and what to do about it.

use celeriac_testkit::{TestRedis, eventually};
use serde_json::Value;

use crate::common::{Celeriac, SOON};

fn findings(celeriac: &Celeriac) -> (Option<i32>, Value) {
    let ran = celeriac.run("doctor --json");
    let report: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    (ran.code, report["findings"].clone())
}

#[tokio::test]
async fn a_good_server_is_well_and_trouble_is_found() {
    let redis = TestRedis::start().await;
    let celeriac = Celeriac::at(redis.url());
    let well = celeriac.ok("doctor");
    assert!(well.ends_with("\n\nall is well"), "{well}");
    assert!(well.starts_with("server     /"), "{well}");

    let id = celeriac.ok("enqueue nobody.knows --chunks 2 --queue q");
    let ran = celeriac.run("doctor");
    assert_eq!(ran.code, Some(8));
    assert!(ran.stdout.contains("\nPROBLEM  no worker is alive, but there are tasks\n         do: start a worker: celeriac worker"), "{ran:?}");
    assert!(ran.stderr.starts_with("error: 1 problem found"), "{ran:?}");

    let _worker = celeriac.worker("").await;
    let found = eventually(SOON, async || match findings(&celeriac) {
        (Some(8), found) if found.as_array().is_some_and(|found| found.len() == 2) => Ok(found),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(found[0]["what"], "no worker serves queue q; waiting there: 2 tasks");
    assert_eq!(found[0]["todo"], "start one: celeriac worker --queues q");
    assert_eq!(found[1]["what"], format!("no worker knows task nobody.knows of job {id}"));
}

#[tokio::test]
async fn a_server_that_may_lose_tasks_is_a_problem() {
    // The shared one keeps nothing.
    let (code, found) = findings(&Celeriac::shared().await);
    assert_eq!((code, found.as_array().unwrap().len()), (Some(8), 1), "{found}");
    assert_eq!(found[0]["severity"], "problem");
    assert!(
        found[0]["what"].as_str().unwrap().starts_with("the append-only file is off"),
        "{found}"
    );
    assert_eq!(found[0]["todo"], "run `CONFIG SET appendonly yes`");
}

#[tokio::test]
async fn a_lost_worker_is_seen_until_its_lease_is_cleared() {
    let redis = TestRedis::start().await;
    let celeriac = Celeriac::at(redis.url());
    let worker = celeriac.worker("--visibility-timeout 1s").await;
    assert_eq!(celeriac.run("doctor").code, Some(0));
    worker.kill();
    let found = eventually(SOON, async || match findings(&celeriac) {
        (Some(8), found) => Ok(found),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert!(
        found[0]["what"].as_str().unwrap().starts_with("leases without a sign of life: 1"),
        "{found}"
    );
    let _next = celeriac.worker("--visibility-timeout 1s").await;
    eventually(SOON, async || match findings(&celeriac) {
        (Some(0), found) if found == serde_json::json!([]) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}
