//! `celeriac queues ACTION`: what operators do to queues, and what is shown of it.

use serde_json::json;

use crate::common::Celeriac;

#[tokio::test]
async fn a_pause_is_shown_with_who_and_why() {
    let celeriac = Celeriac::shared().await;
    let id = celeriac.ok("enqueue echo --queue mail");
    assert_eq!(celeriac.ok("queues pause mail --by ada --why outage"), "queue mail is paused");
    assert_eq!(celeriac.ok("queues pause mail --by eve"), "queue mail is paused, as it was before");
    let text = celeriac.ok("queues");
    assert!(text.contains("\nqueue mail is paused by ada since 2"), "{text}");
    assert!(text.contains(" ago): outage\n"), "{text}");
    let mail = &celeriac.json("queues")["queues"][0];
    assert_eq!((&mail["paused"]["by"], &mail["paused"]["why"]), (&json!("ada"), &json!("outage")));
    assert_eq!(mail.get("closed"), None);
    let status = celeriac.ok(&format!("status {id}"));
    assert!(
        status.contains("queue mail is paused by ada (outage): celeriac queues resume mail"),
        "{status}"
    );
    let doctor = celeriac.run("doctor").stdout;
    assert!(doctor.contains("queue mail is paused by ada; waiting there: 1 task"), "{doctor}");
    let resumed = celeriac.json("queues resume mail");
    assert_eq!(resumed, json!({ "queue": "mail", "changed": true }));
    assert!(!celeriac.ok("queues").contains("paused"));
}

#[tokio::test]
async fn a_closed_and_a_full_queue_refuse() {
    let celeriac = Celeriac::shared().await;
    celeriac.ok("queues close mail --by ada");
    let ran = celeriac.run("enqueue echo --queue mail");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), ""));
    assert!(
        ran.stderr.contains("closed by ada") && ran.stderr.contains("queues open mail"),
        "{ran:?}"
    );
    assert_eq!(celeriac.ok("queues open mail"), "queue mail is open");
    assert_eq!(celeriac.ok("queues limit mail 2"), "queue mail is limited to 2 tasks");
    celeriac.ok("enqueue echo --queue mail");
    celeriac.ok("enqueue echo --queue mail --wait-while-full 1s");
    let ran = celeriac.run("enqueue echo --queue mail --wait-while-full 10ms");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("limited to 2 tasks"), "{ran:?}");
    assert_eq!(celeriac.json("queues")["queues"][0]["limit"]["max"], 2);
    assert_eq!(celeriac.ok("queues limit mail none"), "queue mail has no limit");
    assert_eq!(celeriac.run("queues limit mail 0").code, Some(2));
}

#[tokio::test]
async fn a_purge_wants_to_be_meant() {
    let celeriac = Celeriac::shared().await;
    let id = celeriac.ok("enqueue echo --queue mail");
    celeriac.ok("enqueue echo --queue mail --delay 1h");
    celeriac.ok("enqueue noop --queue mail --chunks 10");
    let ran = celeriac.run("queues purge mail");
    assert_eq!(ran.code, Some(7));
    assert!(ran.stderr.contains("11 tasks by now") && ran.stderr.contains("--yes"), "{ran:?}");
    assert_eq!(
        celeriac.ok("queues purge mail --yes --by ada --why test"),
        "queue mail purged: 1 task and 1 job cancelled"
    );
    assert_eq!(celeriac.json(&format!("status {id}"))["state"], "cancelled");
    let ran = celeriac.run(&format!("result {id}"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let dry = celeriac.json("queues purge mail --delayed --dry-run");
    let waiting = json!({ "queue": "mail", "dry_run": true, "ready": 0, "delayed": 1 });
    assert_eq!(dry, waiting);
    let ran = celeriac.run("queues purge mail --delayed --json");
    assert_eq!(ran.code, Some(7), "{ran:?}");
    let refused: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&refused["error"], &refused["would"]), (&json!("not_confirmed"), &waiting));
    let purged = celeriac.json("queues purge mail --yes --delayed --keep 0s --by ada");
    let expected = json!({ "queue": "mail", "tasks": 1, "jobs": 0, "elements": 1, "by": "ada" });
    assert_eq!(purged, expected);
    assert_eq!(celeriac.json("queues")["tasks"], 0);
}

#[tokio::test]
async fn a_queue_is_moved() {
    let celeriac = Celeriac::shared().await;
    let first = celeriac.ok("enqueue echo --queue a");
    for _ in 1..3 {
        celeriac.ok("enqueue echo --queue a");
    }
    celeriac.ok("enqueue noop --queue a --chunks 10");
    assert_eq!(celeriac.ok("queues move a b --dry-run"), "13 tasks in queue a would be moved to b");
    assert_eq!(celeriac.ok("queues move a b --count 2"), "moved from a to b: 2 tasks");
    assert_eq!(celeriac.ok("queues move a b"), "moved from a to b: 11 tasks in 2 elements");
    let moved = celeriac.json("queues move a b --by ada --why test");
    let expected = json!({
        "from": "a", "to": "b", "elements": 0, "tasks": 0, "by": "ada", "why": "test",
    });
    assert_eq!(moved, expected);
    assert_eq!(celeriac.run("queues move a a").code, Some(7));
    // Whoever looks for a task is told where it is now.
    let status = celeriac.json(&format!("status {first}"));
    assert_eq!((&status["queue"], &status["moved_from"]), (&json!("b"), &json!("a")));
    let text = celeriac.ok(&format!("status {first}"));
    assert!(text.contains("b, priority 5 (moved from a)"), "{text}");
    let text = celeriac.ok(&format!("explain {first}"));
    assert!(text.contains("echo in queue b, priority 5"), "{text}");
    let queues = celeriac.json("queues");
    assert_eq!(
        (&queues["queues"][0]["ready"], &queues["queues"][1]["ready"]),
        (&json!(0), &json!(13))
    );
}

#[tokio::test]
async fn a_label_is_served_by_those_who_have_it() {
    let celeriac = Celeriac::shared().await;
    let id = celeriac.ok("enqueue echo --needs gpu");
    assert_eq!(celeriac.json("queues")["queues"][0]["name"], "default@gpu");
    let worker = celeriac.worker("--label gpu --concurrency 2 --reserve default=1").await;
    celeriac.ok(&format!("result {id} --wait"));
    let ran = celeriac.run("enqueue echo --needs a:b");
    assert_eq!(ran.code, Some(7), "{ran:?}");
    worker.terminate();
    assert_eq!(worker.wait(crate::common::SOON).await.code(), Some(0), "{worker}");
}

#[tokio::test]
async fn bad_shares_are_refused() {
    let celeriac = Celeriac::shared().await;
    for args in
        ["--queues a=x", "--queues a=0", "--reserve default", "--reserve other=1 --concurrency 4"]
    {
        let ran = celeriac.run(&format!("worker {args}"));
        assert_eq!(ran.code, Some(7), "{args}: {ran:?}");
    }
}
