//! `celeriac worker`: how it starts, checks, drains and leaves.

use celeriac_testkit::{Process, eventually};

use crate::common::{Celeriac, SOON};

#[tokio::test]
async fn the_ready_line_says_what_it_serves() {
    let celeriac = Celeriac::shared().await;
    let worker = celeriac.worker("--queues a,b --concurrency 3").await;
    let ready = worker.lines().into_iter().find(|line| line.starts_with("ready: ")).unwrap();
    assert!(ready.ends_with(" queues a,b slots 3"), "{ready}");
}

#[tokio::test]
async fn the_environment_configures_it() {
    let celeriac = Celeriac::shared().await;
    let mut command = celeriac.command("worker");
    command.env("CELERIAC_QUEUES", "x,y").env("CELERIAC_CONCURRENCY", "5");
    let worker = Process::spawn(command.env("CELERIAC_DRAIN_TIMEOUT", "1s"));
    worker.wait_for_line(|line| line.ends_with(" queues x,y slots 5"), SOON).await;
}

#[tokio::test]
async fn check_tells_whether_a_worker_of_this_machine_lives() {
    let celeriac = Celeriac::shared().await;
    let ran = celeriac.run("worker --check");
    assert_eq!(ran.code, Some(8));
    assert!(ran.stderr.starts_with("error: no worker of "), "{ran:?}");
    let worker = celeriac.worker("").await;
    eventually(SOON, async || match celeriac.run("worker --check").code {
        Some(0) => Ok(()),
        code => Err(format!("{code:?}")),
    })
    .await;
    worker.terminate();
    worker.wait(SOON).await;
    assert_eq!(celeriac.run("worker --check").code, Some(8));
}

#[tokio::test]
async fn a_signal_drains_and_nothing_is_lost() {
    let celeriac = Celeriac::shared().await;
    let worker = celeriac.worker("--concurrency 1 --drain-timeout 200ms").await;
    let id = celeriac.ok("enqueue sleep --arg ms=600000");
    eventually(SOON, async || match celeriac.json(&format!("status {id}"))["state"].as_str() {
        Some("running") => Ok(()),
        state => Err(format!("{state:?}")),
    })
    .await;
    worker.terminate();
    assert_eq!(worker.wait(SOON).await.code(), Some(0), "{worker}");
    assert!(worker.lines().iter().any(|line| line.starts_with("stopped: ")), "{worker}");
    let status = celeriac.json(&format!("status {id}"));
    assert_eq!(
        (status["state"].as_str(), status["failures"].as_u64()),
        (Some("ready"), Some(0)),
        "{status}"
    );
}

#[tokio::test]
async fn it_leaves_with_its_parent() {
    let celeriac = Celeriac::shared().await;
    // Its standard input is at its end, as if the parent were gone already.
    let worker = Process::spawn(&mut celeriac.command("worker --exit-with-parent"));
    worker.wait(SOON).await;
    assert_eq!(celeriac.json("workers")["workers"], serde_json::json!([]));
}
