//! `celeriac audit`: what was typed is in the list, with who, why and how much.

use serde_json::{Value, json};

use crate::common::Celeriac;

/// Action, target and what is different now, of each line, the oldest first.
fn told(page: &Value) -> Vec<Value> {
    let lines = page["lines"].as_array().unwrap().iter().rev();
    lines.map(|line| json!([line["action"], line["target"], line["changed"]])).collect()
}

#[tokio::test]
async fn what_was_typed_is_noted_with_who_and_why() {
    let celeriac = Celeriac::shared().await;
    assert_eq!(celeriac.ok("audit"), "nobody has done anything that is kept");
    let id = celeriac.ok("enqueue echo --queue a");
    celeriac.ok("enqueue echo --queue a");
    let who = "--by ada --why outage";
    celeriac.ok(&format!("queues pause a {who}"));
    celeriac.ok(&format!("queues pause a {who}"));
    celeriac.ok(&format!("queues limit a 10 {who}"));
    celeriac.ok(&format!("limits set task:echo --rate 5/s {who}"));
    celeriac.ok(&format!("limits remove task:echo {who}"));
    celeriac.ok(&format!("limits fair a on {who}"));
    celeriac.ok(&format!("cancel {id} {who}"));
    celeriac.ok(&format!("queues move a b {who}"));
    celeriac.ok(&format!("cancel --queue b --task echo --older-than 0s {who} --dry-run"));
    celeriac.ok(&format!("cancel --queue b --task echo {who}"));
    celeriac.ok(&format!("queues purge b --yes --delayed {who}"));
    celeriac.ok("schedule add s echo --every 1h");
    celeriac.ok(&format!("schedule pause s {who}"));

    let page = celeriac.json("audit");
    assert_eq!(
        told(&page),
        [
            json!(["pause-queue", "queue=a", 1]),
            json!(["pause-queue", "queue=a", 0]),
            json!(["limit-queue", "queue=a max=10", 1]),
            json!(["set-limit", "subject=task:echo 5 per 1s", 1]),
            json!(["remove-limit", "subject=task:echo", 1]),
            json!(["fair-on", "queue=a", 1]),
            json!(["cancel", format!("id={id}"), 1]),
            json!(["move-queue", "queue=a to=b", 1]),
            json!(["cancel-matching", "queue=b task=echo", 1]),
            json!(["purge-queue", "queue=b delayed=yes", 0]),
            json!(["pause-schedule", "schedule=s", 1]),
        ]
    );
    for line in page["lines"].as_array().unwrap() {
        assert_eq!([&line["by"], &line["why"], &line["with"]], ["ada", "outage", "cli"], "{line}");
    }
    let first = celeriac.json("audit --limit 4");
    assert_eq!(first["lines"].as_array().map(Vec::len), Some(4));
    let next = first["next"].as_str().unwrap();
    let rest = celeriac.json(&format!("audit --after {next}"));
    assert_eq!(rest["lines"].as_array().map(Vec::len), Some(7));
    let text = celeriac.ok("audit --limit 1");
    assert!(
        text.contains("pause-schedule") && text.contains("ada") && text.contains("outage"),
        "{text}"
    );
}

#[tokio::test]
async fn dead_letters_and_orders_are_noted() {
    let celeriac = Celeriac::shared().await;
    let worker = celeriac.worker("").await;
    let ids = [(); 2].map(|()| {
        let id = celeriac.ok("enqueue fail --retries 0");
        celeriac.run(&format!("result {id} --wait"));
        id
    });
    celeriac.ok(&format!("dead delete {}", ids[0]));
    celeriac.ok("dead delete --all --dry-run");
    celeriac.ok("dead delete --all --yes");
    celeriac.ok("workers set --all --concurrency 2 --wait 20s");
    celeriac.ok("workers drain --all --wait 20s");
    worker.wait(crate::common::SOON).await;
    let lease = celeriac.json("audit")["lines"][0]["target"].as_str().unwrap().to_owned();
    assert!(lease.starts_with("worker="), "{lease}");
    assert_eq!(
        told(&celeriac.json("audit")),
        [
            json!(["discard", format!("id={}", ids[0]), 1]),
            json!(["discard-matching", format!("id={}", ids[1]), 1]),
            json!(["set-slots", format!("{lease} slots=2"), 1]),
            json!(["drain-worker", lease, 1]),
        ]
    );
}
