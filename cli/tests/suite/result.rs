//! `celeriac result` and `celeriac status` of tasks in every stage of their life.

use celeriac_testkit::eventually;
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
