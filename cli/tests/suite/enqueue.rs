//! `celeriac enqueue` of one task: what reaches Redis, and what is printed.

use celeriac_testkit::Process;
use rustix::process::Signal;
use serde_json::json;

use crate::common::{Celeriac, SOON};

#[tokio::test]
async fn it_prints_the_id_and_nothing_else() {
    let celeriac = Celeriac::shared().await;
    let ran = celeriac.run("enqueue echo");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let id = ran.stdout.trim_end();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(celeriac.json(&format!("status {id}"))["args"], json!({}));
    let enqueued = celeriac.json("enqueue echo");
    assert_eq!(enqueued["duplicate"], json!(false));
    assert_eq!(enqueued["id"].as_str().unwrap().len(), 32);
}

#[tokio::test]
async fn options_arrive() {
    let celeriac = Celeriac::shared().await;
    let id = celeriac.ok("enqueue mail --arg n=7 --arg to=ada --arg deep={\"a\":[1]} --queue slow --priority 9 --delay 1h");
    let status = celeriac.json(&format!("status {id}"));
    assert_eq!(status["state"], "delayed");
    assert_eq!(status["kind"], "task");
    assert_eq!(status["task"], "mail");
    assert_eq!(status["args"], json!({ "n": 7, "to": "ada", "deep": { "a": [1] } }));
    assert_eq!((&status["queue"], &status["priority"]), (&json!("slow"), &json!(9)));
    let at = celeriac.ok("enqueue mail --at 2100-01-01T00:00:00Z --args [18446744073709551615]");
    let ran = celeriac.ok(&format!("status {at} --json"));
    assert!(ran.contains("\"due\":4102444800000"), "{ran}");
    assert!(ran.contains("\"args\":[18446744073709551615]"), "{ran}");
}

#[tokio::test]
async fn label_tags_and_headers_arrive() {
    let celeriac = Celeriac::shared().await;
    let id = celeriac.ok("enqueue mail --label July --tag vip --tag emea --header Tenant=acme");
    let status = celeriac.json(&format!("status {id}"));
    assert_eq!(status["label"], "July");
    assert_eq!(status["tags"], json!(["emea", "vip"]));
    assert_eq!(status["headers"], json!({ "tenant": "acme" }));
    let text = celeriac.ok(&format!("status {id}"));
    assert!(text.contains("emea, vip") && text.contains("tenant: acme"), "{text}");
    let refused = celeriac.run("enqueue mail --header tenant");
    assert_eq!(refused.code, Some(2), "{refused:?}");
}

#[tokio::test]
async fn a_key_enqueues_once() {
    let celeriac = Celeriac::shared().await;
    let first = celeriac.ok("enqueue echo --key same");
    let again = celeriac.run("enqueue echo --key same");
    assert_eq!(again.stdout.trim_end(), first);
    assert!(again.stderr.contains("nothing was enqueued"), "{again:?}");
    assert_eq!(celeriac.json("enqueue echo --key same"), json!({ "id": first, "duplicate": true }));
    assert_eq!(celeriac.json("queues")["tasks"], 1);
}

#[tokio::test]
async fn two_namespaces_do_not_see_each_other() {
    let (one, other) = (Celeriac::shared().await, Celeriac::shared().await);
    let id = one.ok("enqueue echo");
    assert_eq!(other.run(&format!("status {id}")).code, Some(5));
    assert_eq!(other.json("queues")["tasks"], 0);
    // The option goes before the environment.
    let namespace = &one.namespace;
    assert_eq!(other.json(&format!("queues --namespace {namespace}"))["tasks"], 1);
}

#[tokio::test]
async fn waiting_ends_with_the_result_on_standard_output() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("").await;
    let ran = celeriac.run("enqueue echo --args {\"b\":1.50} --wait");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "{\"b\":1.5}\n"));
    assert!(ran.stderr.starts_with("enqueued: "), "{ran:?}");
    let quiet = celeriac.run("enqueue noop --wait --quiet");
    assert_eq!((quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()), (Some(0), "null\n", ""));
    let outcome = celeriac.json("enqueue echo --arg a=1 --wait");
    assert_eq!((&outcome["state"], &outcome["result"]), (&json!("succeeded"), &json!({ "a": 1 })));
}

#[tokio::test]
async fn waiting_for_a_failure_fails() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("").await;
    let ran = celeriac.run("enqueue fail --arg message=boom --retries 0 --wait");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("failed: boom\nhint: its attempts: celeriac status "), "{ran:?}");
    let ran = celeriac.run("enqueue fail --arg fatal=true --wait --json");
    assert_eq!(ran.code, Some(1));
    let outcome: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&outcome["state"], &outcome["error"]["kind"]), (&json!("failed"), &json!("error")));
    let unknown = celeriac.run("enqueue nobody.knows --retries 0 --wait");
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("nobody.knows"), "{unknown:?}");
    let expired = celeriac.run("enqueue echo --expires 2000-01-01T00:00:00Z --wait");
    assert_eq!(expired.code, Some(1), "{expired:?}");
    assert!(expired.stderr.contains("expired before"), "{expired:?}");
}

#[tokio::test]
async fn a_signal_ends_the_wait_and_not_the_task() {
    let celeriac = Celeriac::shared().await;
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let waiting = Process::spawn(&mut celeriac.command("enqueue echo --wait --arg a=1"));
        let line = waiting.wait_for_line(|line| line.starts_with("enqueued: "), SOON).await;
        let id = &line["enqueued: ".len()..];
        waiting.signal(signal);
        assert_eq!(waiting.wait(SOON).await.code(), Some(code));
        let told = waiting.lines().join("\n");
        assert!(
            told.contains(&format!("error: no longer waiting: {id} goes on\nhint: wait for it")),
            "{told}"
        );
        assert_eq!(celeriac.json(&format!("status {id}"))["state"], "ready");
    }
}

#[tokio::test]
async fn waiting_has_an_end() {
    let celeriac = Celeriac::shared().await;
    let ran = celeriac.run("enqueue echo --wait --wait-timeout 100ms");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(6), ""));
    assert!(ran.stderr.contains("has not ended within 100ms"), "{ran:?}");
    assert!(ran.stderr.contains("hint: wait for it: celeriac result "), "{ran:?}");
}

#[tokio::test]
async fn a_key_stands_for_its_task_as_long_as_it_says() {
    let celeriac = Celeriac::shared().await;
    let first = celeriac.ok("enqueue echo --key k --unique until-done");
    assert_eq!(celeriac.ok("enqueue echo --key k --unique until-done"), first);
    let worker = celeriac.worker("").await;
    celeriac.ok(&format!("result {first} --wait"));
    let second = celeriac.ok("enqueue echo --key k --unique until-done");
    assert_ne!(second, first);
    worker.terminate();
    assert_eq!(worker.wait(SOON).await.code(), Some(0), "{worker}");

    let waits = celeriac.ok("enqueue echo --arg n=1 --key d --unique debounce=1h..2h");
    assert_eq!(celeriac.ok("enqueue echo --arg n=2 --key d --unique debounce=1h..2h"), waits);
    let status = celeriac.json(&format!("status {waits}"));
    assert_eq!((&status["state"], &status["args"]), (&json!("delayed"), &json!({ "n": 2 })));

    for (args, code) in [
        ("enqueue echo --unique queued", 7),
        ("enqueue echo --key k --unique often", 2),
        ("enqueue echo --key d --unique debounce=1s --delay 1s", 7),
        ("enqueue noop --chunks 9 --key j --unique until-done", 7),
    ] {
        let ran = celeriac.run(args);
        assert_eq!(ran.code, Some(code), "{args}: {ran:?}");
    }
}
