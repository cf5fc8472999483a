//! `celeriac explain`: sentences for people, values for programs, and an unknown id that is an error.

use serde_json::json;

use crate::common::Celeriac;

#[tokio::test]
async fn it_says_why_a_task_is_not_running() {
    let celeriac = Celeriac::shared().await;
    let id = celeriac.ok("enqueue echo --queue slow --label July");
    let text = celeriac.ok(&format!("explain {id}"));
    assert_eq!(
        text,
        format!(
            "task {id} is ready: echo in queue slow, priority 5 (July)\n\
             - no worker serves queue slow: start one with `celeriac worker --queues slow`\n\
             - it is the next in queue slow"
        )
    );
    let json = celeriac.json(&format!("explain {id}"));
    assert_eq!((&json["kind"], &json["state"]), (&json!("task"), &json!("ready")));
    assert_eq!(
        json["reasons"],
        json!([
            { "reason": "no_worker_for_queue", "queue": "slow" },
            { "reason": "next", "queue": "slow" },
        ])
    );
}

#[tokio::test]
async fn it_says_what_happened_attempt_by_attempt() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("").await;
    let ran = celeriac.run("enqueue fail --arg message=boom --retries 0 --wait --json");
    assert_eq!(ran.code, Some(1));
    let id = celeriac.ok("enqueue fail --arg message=boom --retries 0");
    celeriac.run(&format!("result {id} --wait"));
    let text = celeriac.ok(&format!("explain {id}"));
    assert!(text.starts_with(&format!("task {id} is failed")), "{text}");
    assert!(text.contains("- it failed for good in attempt 1, "), "{text}");
    assert!(text.contains(" ago: boom\n- it is among the dead tasks"), "{text}");
    assert!(text.contains("\n  attempt 1 failed "), "{text}");
    let json = celeriac.json(&format!("explain {id}"));
    assert_eq!(json["reasons"][0]["error"]["message"], "boom");
    assert_eq!(json["attempts"][0]["attempt"], 1);
}

#[tokio::test]
async fn an_unknown_id_is_an_error_and_not_pending() {
    let celeriac = Celeriac::shared().await;
    let ran = celeriac.run("explain 0193a7c2b5e07d4e8a1f3c5d7e9b1a00");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(5), ""));
    let ran = celeriac.run("explain what");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(7), ""), "{ran:?}");
}

#[tokio::test]
async fn it_says_who_cancelled_it_when_and_why() {
    let celeriac = Celeriac::shared().await;
    let (task, purged) = (celeriac.ok("enqueue echo"), celeriac.ok("enqueue echo --queue mail"));
    celeriac.ok(&format!("cancel {task} --by ada --why wrong"));
    let text = celeriac.ok(&format!("explain {task}"));
    assert!(text.contains("- it was cancelled by ada, "), "{text}");
    assert!(text.contains(" ago: wrong\n"), "{text}");
    let reason = &celeriac.json(&format!("explain {task}"))["reasons"][0];
    let told = (&reason["state"], &reason["cancelled_by"], &reason["why"]);
    assert_eq!(told, (&json!("cancelled"), &json!("ada"), &json!("wrong")));
    celeriac.ok("queues purge mail --yes --by eve");
    let text = celeriac.ok(&format!("explain {purged}"));
    assert!(text.contains("it was cancelled by eve, "), "{text}");
    assert!(text.contains(" ago: queue mail was purged by eve"), "{text}");
}
