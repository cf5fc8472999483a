//! Names and texts that come from anywhere cannot become part of a page.

use celeriac_broker_schema::{LeaseId, TaskId, Timestamp};
use std::time::Duration;

use crate::support::http::json_when;
use crate::support::seed::{Producer, Worker, failed, running};
use crate::support::site::{Site, fresh_broker};

const EVIL: &str =
    "\"'><script>alert(1)</script><img src=x onerror=alert(2)>\u{202e}</pre></title>";

#[tokio::test]
async fn texts_from_outside_are_only_ever_text() {
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    let job = producer.job(EVIL, 5, None).await;
    let mut worker = Worker::open(&broker, "default").await;
    let now = worker.hold(2).await;
    let mut task = running(&EVIL, now);
    task.task = EVIL.to_owned();
    worker.beat(EVIL, vec![task]).await;
    let text = serde_json::to_string(EVIL).unwrap();
    let record = format!(r#"{{"v":1,"task":{text},"args":{text},"queue":{text}}}"#);
    let task = producer.record(record, "mail", None).await;
    let mut mail = Worker::open(&broker, "mail").await;
    let bad = producer.task("mail", None).await;
    mail.hold(2).await;
    mail.complete(&[failed(bad, EVIL, now)], 0).await;
    let broken = LeaseId::new();
    broker.beat(&broken, Duration::from_secs(60), Some(EVIL)).await.unwrap();

    let site = Site::start(broker).await;
    json_when(site.address, "/api/v1/workers", |json| json["total"] == 2).await;
    let mut paths = vec![
        "/".to_owned(),
        format!("/jobs/{job}"),
        format!("/tasks/{job}:1"),
        format!("/tasks/{task}"),
        format!("/tasks/{bad}"),
    ];
    for path in &paths {
        let page = site.get(path).await.ok();
        assert_harmless(path, &page);
        let shows_it = !path.ends_with(":1");
        assert!(
            !shows_it || page.contains("&lt;script&gt;alert(1)"),
            "{path} does not show the text: {page}"
        );
    }
    worker.fail_chunk(job, 3, EVIL).await;
    paths.push("/find?id=%22%3E%3Cscript%3Ealert(1)%3C/script%3E".to_owned());
    paths.push("/%22%3E%3Cscript%3Ealert(1)%3C/script%3E".to_owned());
    for path in &paths {
        assert_harmless(path, &site.get(path).await.body);
    }
    let mut events = site.events("/events").await;
    let event = events.fragment_when("workers", |_| true).await;
    assert_harmless("/events", &event.fragment("workers").unwrap());
}

/// No element and no attribute but ours.
fn assert_harmless(path: &str, page: &str) {
    for bad in ["<script>", "<img src=x", "<script>alert"] {
        assert!(!page.contains(bad), "{bad} in {path}: {page}");
    }
    for tag in page.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
        let inline = tag.split('"').step_by(2).any(|outside| {
            let names = outside.split_whitespace();
            names.into_iter().any(|name| name.starts_with("on") || name.starts_with("style="))
        });
        assert!(!inline, "<{tag}> in {path}");
    }
    assert!(!page.contains("javascript:") && !page.contains("<style"), "{path}");
}

#[tokio::test]
async fn a_link_to_a_task_cannot_lead_elsewhere() {
    let broker = fresh_broker().await;
    let worker = Worker::open(&broker, "default").await;
    worker.beat("host", vec![running(&"//evil.example/x", Timestamp(1))]).await;
    let site = Site::start(broker).await;
    json_when(site.address, "/api/v1/workers", |json| json["total"] == 1).await;
    let page = site.get("/").await.ok();
    assert!(page.contains("href=\"/tasks///evil.example/x\""), "{page}");
    let id = TaskId::new(Timestamp(1));
    assert_eq!(site.get(&format!("/tasks/{id}/../../evil")).await.status, 404);
}
