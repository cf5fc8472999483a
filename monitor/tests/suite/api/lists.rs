//! Lists: pages, filters, and whether anything is new.

use serde_json::{Value, json};

use super::world::World;
use crate::support::http::{json_when, request};
use crate::support::seed::{Producer, Worker, failed};
use crate::support::site::{Site, fresh_broker};

async fn json(site: &Site, path: &str) -> Value {
    let answer = site.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

/// All pages of a list, by the names of list and item.
async fn all(site: &Site, path: &str, list: &str, item: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = json(site, &format!("{path}{cursor}")).await;
        items
            .extend(page[list].as_array().expect("a list").iter().map(|found| found[item].clone()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

#[tokio::test]
async fn dead_letters_come_in_pages_and_groups() {
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(producer.task("mail", None).await);
    }
    let mut worker = Worker::open(&broker, "mail").await;
    let now = worker.hold(5).await;
    for (n, id) in ids.iter().enumerate() {
        let message = if n == 2 { "no ink".to_owned() } else { format!("row {n} is missing") };
        worker.complete(&[failed(*id, &message, now)], 0).await;
    }
    let site = Site::start(broker).await;
    let mut dead: Vec<Value> = ids.iter().map(|id| json!(id.to_string())).collect();
    dead.sort_by_key(Value::to_string);
    let mut found = all(&site, "/api/v1/dead?limit=2", "letters", "id").await;
    found.sort_by_key(Value::to_string);
    assert_eq!(found, dead);

    let ink = json(&site, "/api/v1/dead?error=NO+INK").await;
    assert_eq!((&ink["letters"][0]["id"], &ink["total"]), (&json!(ids[2].to_string()), &json!(5)));
    assert_eq!(ink["letters"].as_array().map(Vec::len), Some(1));
    assert_eq!(ink["letters"][0]["args"], json!({"order": 4711}));
    assert_eq!(json(&site, "/api/v1/dead?queue=other").await["letters"], json!([]));
    assert_eq!(json(&site, "/api/v1/dead?until=1").await["letters"], json!([]));

    let groups = json(&site, "/api/v1/dead/groups").await;
    assert_eq!(
        (&groups["groups"][0]["count"], &groups["groups"][1]["count"]),
        (&json!(4), &json!(1))
    );
    let print = groups["groups"][1]["fingerprint"].as_str().expect("a fingerprint");
    let of_group = json(&site, &format!("/api/v1/dead?fingerprint={print}")).await;
    assert_eq!(of_group["letters"][0]["error"]["message"], "no ink");
    let one = json(&site, &format!("/api/v1/dead/{}", ids[0])).await;
    assert_eq!(one["attempts"][0]["attempt"], 1);
}

#[tokio::test]
async fn a_queue_is_looked_into_page_by_page() {
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(json!(producer.task("mail", None).await.to_string()));
    }
    let delayed = producer.task("mail", Some(600_000)).await;
    let job = producer.job("a job", 5, None).await;
    let site = Site::start(broker).await;
    json_when(site.address, "/api/v1/queues/mail", |_| true).await;
    let path = "/api/v1/queues/mail/tasks";
    assert_eq!(all(&site, &format!("{path}?limit=2"), "waiting", "id").await, ids);
    let first = json(&site, path).await;
    assert_eq!((&first["place"], &first["waiting"][0]["task"]), (&json!("7"), &json!("mail/send")));
    assert_eq!(first["waiting"][0]["args"], json!({"order": 4711}));
    let later = all(&site, &format!("{path}?place=delayed"), "waiting", "id").await;
    assert_eq!(later, [json!(delayed.to_string())]);
    let jobs = json(&site, "/api/v1/queues/default/tasks").await;
    let range = json!({"kind": "range", "job": job.to_string(), "first": 0, "chunks": 5});
    assert_eq!(jobs["waiting"], json!([range]));
    site.get("/api/v1/queues/none").await.problem(404, "unknown-queue");
}

#[tokio::test]
async fn filters_hold_for_jobs_workers_and_schedules() {
    let world = World::new().await;
    let site = Site::start(world.broker.clone()).await;
    json_when(site.address, "/api/v1/overview", |json| json["totals"]["workers"] == 1).await;
    let jobs = json(&site, "/api/v1/jobs?state=failed").await;
    assert_eq!(jobs["jobs"][0]["id"], world.failed_job.to_string());
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        json(&site, "/api/v1/jobs?limit=1&state=running").await["jobs"][0]["id"],
        world.job.to_string()
    );

    let lease = world.worker.lease.to_string();
    for (query, there) in [
        ("queue=mail", true),
        ("queue=other", false),
        ("host=host-1&limit=5", true),
        ("host=x", false),
    ] {
        let workers = json(&site, &format!("/api/v1/workers?{query}")).await;
        assert_eq!(workers["workers"][0]["lease"] == *lease, there, "{query}: {workers}");
    }
    assert_eq!(json(&site, &format!("/api/v1/workers/{lease}")).await["host"], "host-1");

    let names = all(&site, "/api/v1/schedules?limit=1", "schedules", "name").await;
    assert_eq!(names, [json!("nightly"), json!("often")]);
    let often = json(&site, "/api/v1/schedules/often").await;
    assert_eq!(
        (&often["every_ms"], &often["paused"]["by"], &often["due"]),
        (&json!(60_000), &json!("ada"), &json!(null))
    );
    let nightly = json(&site, "/api/v1/schedules/nightly").await;
    assert_eq!(nightly["upcoming"].as_array().map(Vec::len), Some(3));

    let limits = json(&site, "/api/v1/limits").await;
    assert_eq!(
        (&limits["limits"][0]["subject"], &limits["limits"][0]["concurrency"]),
        (&json!("task:mail.slow"), &json!(3))
    );
    assert_eq!(
        (&limits["fair"][0]["queue"], &limits["queues"][0]["max"]),
        (&json!("slow"), &json!(1_000))
    );
    let settings = json(&site, "/api/v1/settings").await;
    assert_eq!(settings["settings"]["dead_max"]["value"], 10_000);
}

#[tokio::test]
async fn it_is_told_why_a_task_does_not_run() {
    let world = World::new().await;
    let site = Site::start(world.broker.clone()).await;
    let told = json(&site, &format!("/api/v1/tasks/{}/explain", world.delayed)).await;
    assert_eq!((&told["state"], &told["reasons"][0]["reason"]), (&json!("delayed"), &json!("due")));
    assert_eq!(
        told["sentences"].as_array().map(Vec::len),
        told["reasons"].as_array().map(Vec::len)
    );
    let unknown = json(&site, "/api/v1/tasks/0193a7c2b5e07d4e8a1f3c5d7e9b1a00/explain").await;
    assert_eq!(
        (&unknown["state"], &unknown["reasons"][0]["reason"]),
        (&json!(null), &json!("unknown"))
    );
}

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let site = Site::start(fresh_broker().await).await;
    json_when(site.address, "/api/v1/overview", |_| true).await;
    for path in ["/api/v1/openapi.json", "/api/v1/queues"] {
        let first = site.get(path).await;
        let tag = first.header("etag").to_owned();
        assert!(
            tag.starts_with('"') && first.header("cache-control") == "private, no-cache",
            "{first:?}"
        );
        let again = request(site.address, "GET", path, &format!("if-none-match: {tag}\r\n")).await;
        // Of what is looked at every second there may be news.
        assert!(again.status == 304 || again.header("etag") != tag, "{again:?}");
        let other = request(site.address, "GET", path, "if-none-match: \"other\"\r\n").await;
        assert_eq!(other.status, 200);
    }
    let tag = site.get("/api/v1/openapi.json").await.header("etag").to_owned();
    let again =
        request(site.address, "GET", "/api/v1/openapi.json", &format!("if-none-match: {tag}\r\n"))
            .await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
}

#[tokio::test]
async fn health_is_told_during_an_outage_too() {
    let site = Site::start(fresh_broker().await).await;
    let up = json_when(site.address, "/api/v1/health", |json| json["redis"]["version"].is_string())
        .await;
    assert_eq!((&up["redis"]["up"], &up["redis"]["error"]), (&json!(true), &json!(null)));
    assert!(
        up["redis"]["memory_bytes"].as_u64() > Some(0)
            && up["redis"]["round_trip_ms"].as_f64() > Some(0.0),
        "{up}"
    );
    assert!(up["findings"].is_array(), "{up}");
    let nowhere = crate::support::site::broker_at("redis://127.0.0.1:1/");
    let site = Site::start(nowhere).await;
    let down = json(&site, "/api/v1/health").await;
    assert_eq!(down["redis"]["up"], false);
    assert!(
        down["redis"]["error"].as_str().is_some_and(|text| text.contains("127.0.0.1:1")),
        "{down}"
    );
    site.get("/api/v1/dead").await.problem(503, "redis-unavailable");
}
