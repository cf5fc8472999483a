//! `celeriac result` and `celeriac status` of tasks in every stage of their life.

use celeriac_testkit::{Process, eventually};
use serde_json::json;

use crate::common::{Celeriac, SOON};

const NEVER_ENQUEUED: &str = "0193a7c2b5e07d4e8a1f3c5d7e9b1a00";

#[tokio::test]
async fn an_unknown_id_is_not_called_pending() {
    let celeriac = Celeriac::shared().await;
    for args in ["status", "result", "result --wait"] {
        let ran = celeriac.run(&format!("{args} {NEVER_ENQUEUED}"));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(5), ""), "{args}");
        assert!(ran.stderr.contains("was never enqueued here"), "{args}: {ran:?}");
        assert!(
            ran.stderr.contains("hint: check the id, --redis and --namespace"),
            "{args}: {ran:?}"
        );
    }
}

#[tokio::test]
async fn a_task_that_waits_says_why() {
    let celeriac = Celeriac::shared().await;
    let id = celeriac.ok("enqueue strange --queue q");
    let text = celeriac.ok(&format!("status {id}"));
    assert_eq!(
        text,
        format!(
            "task       {id}\n\
             state      ready\n\
             why        no worker serves queue q: start one with `celeriac worker --queues q`\n\
             task       strange\n\
             arguments  {{}}\n\
             queue      q, priority 5"
        )
    );
    let ran = celeriac.run(&format!("result {id}"));
    assert_eq!(ran.code, Some(6));
    assert!(
        ran.stderr.contains(&format!("{id} has not ended: it is ready\nhint: wait for it")),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_task_is_followed_through_its_attempts() {
    let celeriac = Celeriac::shared().await;
    let worker = celeriac.worker("--concurrency 1").await;
    let running = celeriac.ok("enqueue sleep --arg ms=600000");
    let status = eventually(SOON, async || match celeriac.json(&format!("status {running}")) {
        status if status["state"] == "running" => Ok(status),
        status => Err(status.to_string()),
    })
    .await;
    assert_eq!(status["running"]["attempt"], 1);
    let ready = worker.lines().into_iter().find(|line| line.starts_with("ready: ")).unwrap();
    assert!(ready.contains(status["running"]["worker"].as_str().unwrap()), "{ready}: {status}");

    let failed = celeriac.ok("enqueue fail --arg message=boom --retries 1 --queue other");
    let _other = celeriac.worker("--queues other").await;
    assert_eq!(celeriac.run(&format!("result {failed} --wait")).code, Some(1));
    let status = celeriac.json(&format!("status {failed}"));
    assert_eq!((&status["state"], &status["outcome"]["attempt"]), (&json!("failed"), &json!(2)));
    let attempts = status["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{status}");
    assert_eq!((&status["task"], &status["queue"]), (&json!("fail"), &json!("other")));
    assert!(attempts[0]["retry_in_ms"].is_u64(), "{status}");
    let text = celeriac.ok(&format!("status {failed}"));
    assert!(text.contains("\n  attempt 1 failed "), "{text}");
    assert_eq!(celeriac.run(&format!("result {failed}")).code, Some(1));
}

#[tokio::test]
async fn results_are_kept_or_not_as_told() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("").await;
    let id = celeriac.ok("enqueue echo --arg a=1");
    assert_eq!(celeriac.ok(&format!("result {id} --wait")), r#"{"a":1}"#);
    // It is there for the second one who asks, too.
    let result = celeriac.json(&format!("result {id}"));
    assert_eq!(result["result"], json!({ "a": 1 }));
    assert_eq!((&result["task"], &result["queue"]), (&json!("echo"), &json!("default")));
    let status = celeriac.json(&format!("status {id}"));
    assert_eq!((&status["task"], &status["queue"]), (&json!("echo"), &json!("default")));
    assert!(celeriac.ok(&format!("status {id}")).contains("\nqueue    default\n"));
    assert_eq!(celeriac.json(&format!("status {id}"))["outcome"]["result"], json!({ "a": 1 }));
    let gone = celeriac.ok("enqueue echo --keep 0s");
    eventually(SOON, async || match celeriac.run(&format!("status {gone}")).code {
        Some(5) => Ok(()),
        code => Err(format!("{code:?}")),
    })
    .await;
}

#[tokio::test]
async fn an_outcome_may_be_kept_on_failure_only() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("").await;
    let failed = celeriac.ok("enqueue fail --retries 0 --keep-failed 1h");
    assert_eq!(celeriac.run(&format!("result {failed} --wait")).code, Some(1));
    assert_eq!(celeriac.json(&format!("status {failed}"))["state"], "failed");
    let gone = celeriac.ok("enqueue echo --keep-failed 1h");
    eventually(SOON, async || match celeriac.run(&format!("status {gone}")).code {
        Some(5) => Ok(()),
        code => Err(format!("{code:?}")),
    })
    .await;
}

#[tokio::test]
async fn a_raw_result_is_what_it_was_before_it_was_json() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("").await;
    for (args, raw) in
        [(r#"{"$bytes":"YQBi"}"#, "a\0b"), (r#""two\nlines""#, "two\nlines"), ("[1,2]", "[1,2]")]
    {
        let mut enqueue = celeriac.command("enqueue echo --args");
        let id = crate::common::run(enqueue.arg(args)).stdout;
        let ran = celeriac.run(&format!("result --wait --raw {id}"));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), raw));
    }
}

#[tokio::test]
async fn a_long_result_is_stored_short_and_comes_back_whole() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("").await;
    let long = "x".repeat(100_000);
    let mut enqueue = celeriac.command("enqueue echo --arg");
    let id = crate::common::run(enqueue.arg(format!("a={long}"))).stdout;
    let result = celeriac.ok(&format!("result --wait {id}"));
    assert_eq!(result, format!(r#"{{"a":"{long}"}}"#));
    let pattern = format!("{{{}*", celeriac.namespace);
    let all = celeriac_testkit::dump::dump(&celeriac.url, &pattern).await;
    let stored = all.iter().find(|(key, _)| key.contains(":result:")).unwrap().1.to_string();
    assert!(stored.contains("result_z") && stored.len() < 2_000, "{stored}");
}

#[tokio::test]
async fn a_running_task_shows_how_far_it_is_and_where() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("--concurrency 1").await;
    let id = celeriac.ok("enqueue sleep --arg ms=600000");
    let status = eventually(SOON, async || match celeriac.json(&format!("status {id}")) {
        status if status["running"]["progress"]["done"].as_u64() > Some(0) => Ok(status),
        status => Err(status.to_string()),
    })
    .await;
    let running = &status["running"];
    assert_eq!(running["progress"]["total"], 600_000, "{status}");
    assert!(running["host"].is_string() && running["pid"].is_u64(), "{status}");
    assert!(running["since"].as_u64() >= running["claimed"].as_u64(), "{status}");
    let text = celeriac.ok(&format!("status {id}"));
    assert!(text.contains(" of 600,000 (") && text.contains("\nprogress "), "{text}");
}

#[tokio::test]
async fn a_watched_task_is_followed_to_its_end() {
    let celeriac = Celeriac::shared().await;
    let id = celeriac.ok("enqueue sleep --arg ms=2500 --queue q");
    let lines = Process::spawn(&mut celeriac.command(&format!("status {id} --watch")));
    let json = Process::spawn(&mut celeriac.command(&format!("status {id} --watch --json")));
    lines.wait_for_line(|line| line == "ready", SOON).await;
    json.wait_for_line(|line| line.contains(r#""state":"ready""#), SOON).await;
    let _worker = celeriac.worker("--queues q").await;

    for watch in [&lines, &json] {
        assert_eq!(watch.wait(SOON).await.code(), Some(0), "{watch}");
    }
    let lines = lines.lines();
    assert_eq!(lines.last().map(String::as_str), Some("succeeded"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("running")), "{lines:?}");
    let last: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!(last["outcome"]["state"], "succeeded");

    let gone = celeriac.ok("enqueue echo --delay 2s --keep 0s --queue q");
    let ran = celeriac.run(&format!("status {gone} --watch"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("delayed") && ran.stderr.contains("was not kept"), "{ran:?}");
}

#[tokio::test]
async fn what_a_task_sends_is_followed_to_its_result() {
    let celeriac = Celeriac::shared().await;
    let id = celeriac.ok("enqueue count --arg to=3 --arg ms=1");
    let follow = Process::spawn(&mut celeriac.command(&format!("result {id} --follow")));
    let _worker = celeriac.worker("").await;
    assert_eq!(follow.wait(SOON).await.code(), Some(0), "{follow}");
    assert_eq!(follow.lines(), ["1", "2", "3", "3"]);

    let lines = celeriac.ok(&format!("result {id} --follow --json"));
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[..2], [r#"{"attempt":1,"value":1}"#, r#"{"attempt":1,"value":2}"#]);
    assert!(lines[3].contains(r#""state":"succeeded""#), "{lines:?}");
    let ran = celeriac.run(&format!("result {NEVER_ENQUEUED} --follow"));
    assert_eq!(ran.code, Some(5), "{ran:?}");
}
