//! `celeriac cancel`: by id and by filter, and what it says.

use celeriac_testkit::eventually;
use serde_json::{Value, json};

use crate::common::{Celeriac, SOON};

#[tokio::test]
async fn it_says_what_became_of_each() {
    let celeriac = Celeriac::shared().await;
    let waiting = celeriac.ok("enqueue echo");
    let job = celeriac.ok("enqueue noop --chunks 10 --queue jobs");

    let text = celeriac.ok(&format!("cancel {waiting} {job} --why tired"));
    assert_eq!(text, format!("{waiting} cancelled\n{job} cancelled"));

    let again = celeriac.json(&format!("cancel {waiting} {job}"));
    assert_eq!(again[0], json!({ "id": waiting, "answer": "ended" }));
    assert_eq!(again[1], json!({ "id": job, "answer": "ended" }));
    let ran = celeriac.run(&format!("result {waiting} --json"));
    let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&outcome["state"], &outcome["why"]), (&json!("cancelled"), &json!("tired")));
    assert!(outcome["by"].as_str().unwrap().contains('@'), "{outcome}");
    assert_eq!(celeriac.json(&format!("status {job}"))["state"], json!("cancelled"));
    assert!(celeriac.ok("queues").contains("default      0 "), "{}", celeriac.ok("queues"));
}

#[tokio::test]
async fn what_runs_is_told_and_its_worker_is_named() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("--cancel-grace 0s --visibility-timeout 1h").await;
    let id = celeriac.ok("enqueue sleep --arg ms=600000");
    eventually(SOON, async || match celeriac.json(&format!("status {id}"))["state"].as_str() {
        Some("running") => Ok(()),
        state => Err(format!("{state:?}")),
    })
    .await;

    let answers = celeriac.json(&format!("cancel {id}"));

    assert_eq!(answers[0]["answer"], json!("told"));
    let lease = answers[0]["worker"].as_str().unwrap();
    assert_eq!(celeriac.json("workers")["workers"][0]["lease"], json!(lease));
    let ran = celeriac.run(&format!("result {id} --wait --wait-timeout 30s"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("was cancelled"), "{ran:?}");
}

#[tokio::test]
async fn what_is_not_known_or_is_a_chunk_is_refused() {
    let celeriac = Celeriac::shared().await;
    let (task, job) = (celeriac.ok("enqueue echo"), celeriac.ok("enqueue noop --chunks 10"));
    let nobody = "0193a7c2b5e07d4e8a1f3c5d7e9b1a00";

    let chunk = celeriac.run(&format!("cancel {task} {job}:1"));
    assert_eq!(chunk.code, Some(7));
    assert!(chunk.stderr.contains(&format!("cancel its job, {job}")), "{chunk:?}");
    assert_eq!(celeriac.json(&format!("status {task}"))["state"], json!("ready"));

    let unknown = celeriac.run(&format!("cancel {nobody} {task}"));
    assert_eq!(unknown.code, Some(5));
    assert_eq!(unknown.stdout, format!("{nobody} is not known here\n{task} cancelled\n"));
    assert_eq!(celeriac.run("cancel").code, Some(2));
    assert_eq!(celeriac.run(&format!("cancel {task} --queue default")).code, Some(2));
}

#[tokio::test]
async fn a_filter_says_how_many() {
    let celeriac = Celeriac::shared().await;
    for task in ["echo", "echo --priority 9", "echo --delay 1h", "noop", "echo --queue other"] {
        celeriac.ok(&format!("enqueue {task}"));
    }
    let job = celeriac.ok("enqueue noop --chunks 10");

    let dry = celeriac.json("cancel --queue default --task echo --dry-run --by ada");
    let found = json!({
        "queue": "default", "found": 3, "cancelled": 0, "told": 0, "jobs": [job],
        "dry_run": true, "by": "ada",
    });
    assert_eq!(dry, found, "and no why, since none was said");
    assert_eq!(
        celeriac.ok("cancel --queue default --older-than 1h"),
        format!("0 tasks cancelled\njobs with chunks here, left alone: {job}")
    );
    assert_eq!(celeriac.ok("cancel --queue default --state delayed"), "1 task cancelled");
    let ready = celeriac.json("cancel --queue default --task echo --state ready");
    assert_eq!((&ready["found"], &ready["cancelled"]), (&json!(2), &json!(2)));

    let queues = celeriac.json("queues");
    let ready: Vec<&Value> =
        queues["queues"].as_array().unwrap().iter().map(|queue| &queue["ready"]).collect();
    assert_eq!(ready, [&json!(11), &json!(1)], "the rest, and the job");
    assert_eq!(celeriac.json("cancel --queue other")["cancelled"], json!(1));
}

#[tokio::test]
async fn a_filter_meets_what_a_limit_keeps_back_and_tells_tenants_and_tags_apart() {
    let celeriac = Celeriac::shared().await;
    celeriac.ok("limits set tenant:acme --concurrency 1");
    for options in ["--arg ms=600000", "--arg ms=1 --tag blue", "--arg ms=2"] {
        celeriac.ok(&format!("enqueue sleep {options} --tenant acme"));
    }
    celeriac.ok("enqueue sleep --arg ms=600000 --queue other --tag blue");
    let _worker = celeriac.worker("--concurrency 4").await;
    eventually(SOON, async || match &celeriac.json("limits")["busy"][0] {
        busy if busy["held"] == 1 && busy["waiting"] == 2 => Ok(()),
        busy => Err(busy.to_string()),
    })
    .await;

    let cancelled = |options: &str| {
        celeriac.json(&format!("cancel --queue default {options}"))["cancelled"].clone()
    };
    assert_eq!(cancelled("--tenant other"), json!(0));
    assert_eq!(cancelled("--tag red --tenant acme"), json!(0));
    assert_eq!(cancelled("--tag blue --tenant acme"), json!(1));
    assert_eq!(cancelled("--task sleep"), json!(1));
    assert_eq!(
        celeriac.json("queues")["tasks"],
        json!(2),
        "the one that runs, and the other queue"
    );
}

#[tokio::test]
async fn a_dry_run_cancels_nothing() {
    let celeriac = Celeriac::shared().await;
    let (task, job) = (celeriac.ok("enqueue echo"), celeriac.ok("enqueue noop --chunks 10"));
    let ended = celeriac.ok("enqueue echo");
    celeriac.ok(&format!("cancel {ended}"));
    let dry = celeriac.json(&format!("cancel {task} {job} {ended} --dry-run"));
    let answers: Vec<&Value> =
        dry.as_array().unwrap().iter().map(|answer| &answer["answer"]).collect();
    assert_eq!(answers, ["meant", "meant", "ended"]);
    assert_eq!(celeriac.json(&format!("status {task}"))["state"], json!("ready"));
}
