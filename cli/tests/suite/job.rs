//! Jobs of chunks from the command line: split, reduced, asked about.

use serde_json::json;

use crate::common::Celeriac;

#[tokio::test]
async fn pi_ends_with_the_estimate_whatever_the_workers() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("--concurrency 1").await;
    let pi = "enqueue pi --split samples=1_000_003 --chunks 10 --arg seed=7 --wait";
    let first = celeriac.run(pi);
    assert_eq!(first.code, Some(0), "{first:?}");
    let estimate: serde_json::Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(estimate["samples"], 1_000_003);
    assert!((estimate["pi"].as_f64().unwrap() - std::f64::consts::PI).abs() < 0.02, "{estimate}");
    let _other = celeriac.worker("--concurrency 2").await;
    assert_eq!(celeriac.ok(pi), first.stdout.trim_end());
    assert_ne!(celeriac.ok(&pi.replace("seed=7", "seed=8")), first.stdout.trim_end());
}

#[tokio::test]
async fn without_a_seed_pi_is_the_same_every_time() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("--concurrency 2").await;
    let pi = "enqueue pi --split samples=100_003 --chunks 7 --wait";
    let first = celeriac.ok(pi);
    assert!(first.contains(r#""samples":100003"#), "{first}");
    assert_eq!(celeriac.ok(pi), first);
    assert_eq!(celeriac.ok(&format!("{pi} --arg seed=0")), first);
    assert_ne!(celeriac.ok(&format!("{pi} --arg seed=1")), first);
}

#[tokio::test]
async fn a_job_and_its_chunks_can_be_asked_about() {
    let celeriac = Celeriac::shared().await;
    let job = celeriac
        .ok("enqueue pi --split samples=10 --chunks 4 --label digits --queue math --priority 7");
    let status = celeriac.json(&format!("status {job}"));
    for (field, value) in [
        ("kind", json!("job")),
        ("state", json!("running")),
        ("task", json!("pi")),
        ("label", json!("digits")),
        ("queue", json!("math")),
        ("priority", json!(7)),
        ("reduce", json!("pi.estimate")),
        ("chunks", json!(4)),
        ("done", json!(0)),
    ] {
        assert_eq!(status[field], value, "{field}: {status}");
    }
    let chunk = celeriac.json(&format!("status {job}:1"));
    assert_eq!((&chunk["kind"], &chunk["state"]), (&json!("chunk"), &json!("ready")));
    assert_eq!(chunk["args"], json!({ "samples": 3 }));
    assert!(chunk["note"].as_str().unwrap().contains("no worker serves queue math"), "{chunk}");
    assert_eq!(celeriac.run(&format!("status {job}:4")).code, Some(5));
    // The same word as `status` says, and not where the reducer is that has the same id.
    let result = celeriac.run(&format!("result {job}"));
    assert_eq!(result.code, Some(6));
    assert!(result.stderr.contains("has not ended: it is running\n"), "{result:?}");

    let _worker = celeriac.worker("--queues math").await;
    assert_eq!(celeriac.json(&format!("result {job} --wait"))["result"]["samples"], 10);
    let status = celeriac.json(&format!("status {job}"));
    assert_eq!((&status["state"], &status["done"]), (&json!("succeeded"), &json!(4)));
    assert_eq!(status["accumulators"]["samples"], 10);
    assert_eq!(celeriac.json(&format!("status {job}:1"))["state"], "succeeded");
    let chunk = celeriac.run(&format!("result {job}:1 --wait"));
    assert_eq!(chunk.code, Some(7));
    assert!(
        chunk.stderr.contains(&format!("hint: ask for the job: celeriac result {job}\n")),
        "{chunk:?}"
    );
    let jobs = celeriac.json("jobs");
    assert_eq!((&jobs["open"], &jobs["jobs"][0]["id"]), (&json!(0), &json!(job)));
    let text = celeriac.ok("jobs");
    assert!(text.lines().nth(1).unwrap().contains("succeeded  4 of 4 (100 %)"), "{text}");
}

#[tokio::test]
async fn the_command_line_says_how_to_reduce() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("").await;
    let job = "enqueue echo --arg x=3 --split n=10 --chunks 3 --wait";
    let sums = celeriac.ok(&format!("{job} --sum n --min x --max m --arg m=2"));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&sums).unwrap(),
        json!({ "n": 10, "x": 3, "m": 2 })
    );
    let reduced = celeriac.ok(&format!("{job} --sum n --reduce echo"));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&reduced).unwrap(), json!({ "n": 10 }));
    // Chunks need not differ in anything but their index.
    assert_eq!(celeriac.run("enqueue noop --chunks 5 --wait").code, Some(0));
}

#[tokio::test]
async fn a_job_fails_with_the_chunk_that_failed() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("").await;
    let ran = celeriac.run("enqueue fail --arg message=boom --retries 0 --chunks 3 --wait --quiet");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.stderr.contains("failed: boom"), "{ran:?}");
    let chunk = ran.stderr.rsplit_once("celeriac status ").unwrap().1.trim_end();
    assert!(chunk.contains(':'), "{chunk}");
    let status = celeriac.json(&format!("status {chunk}"));
    assert_eq!(status["state"], "failed");
    assert_eq!(status["attempts"][0]["error"]["message"], "boom", "{status}");
    let job = chunk.split(':').next().unwrap();
    assert_eq!(celeriac.json(&format!("status {job}"))["failed_task"], json!(chunk));
}
