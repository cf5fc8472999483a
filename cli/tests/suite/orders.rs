//! `celeriac workers drain`, `pause`, `resume`, `set`: orders to real workers, also to one that stands
//! still.

use celeriac_testkit::{Process, eventually};
use serde_json::json;

use crate::common::{Celeriac, SOON, run};

/// The lease in a worker's ready line.
fn lease(worker: &Process) -> String {
    let ready = worker.lines().into_iter().find(|line| line.starts_with("ready: lease ")).unwrap();
    ready.split(' ').nth(2).unwrap().to_owned()
}

/// Waits until so many workers have told who they are.
async fn listed(celeriac: &Celeriac, workers: usize) {
    eventually(SOON, async || match celeriac.json("workers")["workers"].as_array() {
        Some(all) if all.len() == workers => Ok(()),
        all => Err(format!("{all:?}")),
    })
    .await;
}

#[tokio::test]
async fn orders_are_taken_up_while_it_runs() {
    let celeriac = Celeriac::shared().await;
    let worker = celeriac.worker("--visibility-timeout 1h --concurrency 1").await;
    let lease = lease(&worker);
    listed(&celeriac, 1).await;
    let text = celeriac.ok(&format!("workers pause {} --why upgrade", &lease[..8]));
    assert_eq!(text, format!("{lease} taken up"));
    // A variable of a script that was never set is no way to say: the only one.
    let mut unset = celeriac.command("workers drain");
    let refused = run(unset.arg(""));
    assert!(refused.code == Some(7) && refused.stderr.contains("--all"), "{refused:?}");
    let table = celeriac.ok("workers");
    let row = table.lines().nth(1).unwrap();
    assert!(row.contains("paused for ") && row.ends_with(": upgrade"), "{table}");
    assert_eq!(celeriac.run("enqueue echo --wait --wait-timeout 200ms").code, Some(6));

    let answers = celeriac.json("workers resume --all");
    assert_eq!(answers, json!([{ "worker": lease, "order": 2, "answer": "taken up" }]));
    celeriac.ok("enqueue echo --wait --wait-timeout 30s");
    celeriac.ok(&format!("workers set {lease} --concurrency 3 --queues a,b"));
    let info = celeriac.json("workers")["workers"][0].clone();
    let told = (&info["slots"], &info["queues"], &info["order"], &info["paused"]);
    assert_eq!(told, (&json!(3), &json!(["a", "b"]), &json!(4), &json!(null)));
    celeriac.ok("enqueue echo --queue b --wait --wait-timeout 30s");

    // While something runs, it is to be seen who wants the worker to leave.
    celeriac.ok("enqueue sleep --arg ms=600000 --queue b");
    eventually(SOON, async || match celeriac.json("workers")["workers"][0]["busy"].as_u64() {
        Some(1) => Ok(()),
        busy => Err(format!("{busy:?}")),
    })
    .await;
    celeriac.ok("workers drain --all --by ada --why upgrade");
    let info = celeriac.json("workers")["workers"][0].clone();
    let leaving = (&info["draining"], &info["leaving"]["by"], &info["leaving"]["why"]);
    assert_eq!(leaving, (&json!(true), &json!("ada"), &json!("upgrade")));
    let table = celeriac.ok("workers");
    let row = table.lines().nth(1).unwrap();
    assert!(row.contains("draining for ") && row.ends_with(" by ada: upgrade"), "{table}");
    worker.terminate();
    assert_eq!(worker.wait(SOON).await.code(), Some(0), "{worker}");
    assert_eq!(celeriac.ok("workers drain --all"), "no worker is alive");
}

#[tokio::test]
async fn a_worker_that_stands_still_takes_it_up_when_it_goes_on() {
    let celeriac = Celeriac::shared().await;
    let worker = celeriac.worker("--visibility-timeout 1h").await;
    let lease = lease(&worker);
    listed(&celeriac, 1).await;
    celeriac.ok(&format!("workers resume {lease}"));
    worker.freeze();

    let ran = celeriac.run(&format!("workers pause {lease} --wait 200ms"));

    assert_eq!(ran.code, Some(8), "{ran:?}");
    assert!(
        ran.stdout.starts_with(&format!("{lease} not taken up yet; last heard of ")),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("the order was not taken up by 1 worker"), "{ran:?}");
    worker.thaw();
    let info = eventually(SOON, async || match celeriac.json("workers")["workers"][0].clone() {
        info if info["order"] == json!(2) => Ok(info),
        info => Err(info.to_string()),
    })
    .await;
    assert!(info["paused"]["by"].is_string(), "{info}");
}

#[tokio::test]
async fn who_is_meant_must_be_clear() {
    let celeriac = Celeriac::shared().await;
    let _workers = [celeriac.worker("").await, celeriac.worker("").await];
    listed(&celeriac, 2).await;
    // The beginning of nothing is that of all.
    let mut command = celeriac.command("workers pause");
    let ran = run(command.arg(""));
    assert_eq!(ran.code, Some(7));
    assert!(ran.stderr.contains("a lease is empty"), "{ran:?}");
    let ran = celeriac.run("workers pause xyz");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(7), ""));
    assert!(ran.stderr.contains("no worker has a lease"), "{ran:?}");
    assert_eq!(celeriac.run("workers pause").code, Some(2));
    assert_eq!(celeriac.run("workers set --all").code, Some(2));
}
