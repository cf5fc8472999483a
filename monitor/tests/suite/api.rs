//! The JSON API: single things here, the rest in a file for each matter.

mod document;
mod enqueue;
mod hostile;
mod lists;
mod page;
mod results;
pub(crate) mod world;

use celeriac_broker_schema::{RedisConfig, TaskId, Timestamp};
use serde_json::json;

use crate::support::http::{json_when, request};
use crate::support::seed::{Producer, Worker, failed, retried, running, succeeded};
use crate::support::site::{Site, broker_at, fresh_broker};

#[tokio::test]
async fn the_overview_tells_the_totals() {
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    producer.job("a job", 100, Some("pi-reduce")).await;
    producer.task("mail", None).await;
    producer.task("mail", Some(600_000)).await;
    let site = Site::start(broker.clone()).await;
    let overview = json_when(site.address, "/api/v1/overview", |_| true).await;

    assert_eq!(overview["namespace"], broker.config().namespace.as_str());
    assert_eq!(overview["server"]["address"], broker.server());
    let expected = json!({
        "ready": 101, "delayed": 1, "waiting": 1, "running": 0, "slots": 0, "workers": 0,
        "workers_read": 0, "leases": 0, "orphans": 0, "open_jobs": 1, "dead": 0,
        "enqueued": 102, "succeeded": 0, "failed": 0, "retried": 0, "reclaimed": 0, "expired": 0,
    });
    assert_eq!(overview["totals"], expected);
    assert_eq!(overview["notices"][0]["kind"], "no-worker");
}

#[tokio::test]
async fn rates_come_with_the_second_look() {
    let broker = fresh_broker().await;
    let mut worker = Worker::open(&broker, "default").await;
    Producer::new(&broker).job("a job", 50, None).await;
    let site = Site::start(broker).await;
    json_when(site.address, "/api/v1/overview", |_| true).await;
    worker.succeed_chunks(40).await;
    let rate = |json: &serde_json::Value| json["rates"]["succeeded_per_s"].as_f64();
    json_when(site.address, "/api/v1/overview", |json| rate(json) > Some(0.0)).await;
    let jobs = json_when(site.address, "/api/v1/jobs", |json| json["jobs"][0]["done"] == 40).await;
    assert!(jobs["jobs"][0]["left_ms"].as_u64() > Some(0), "{jobs}");
}

#[tokio::test]
async fn queues_tell_what_is_ready_at_which_priority() {
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    producer.job("a job", 100, None).await;
    producer.task("mail", None).await;
    let site = Site::start(broker).await;
    let queues = json_when(site.address, "/api/v1/queues", |_| true).await;
    let expected = json!([
        {"name": "default", "ready": 100, "suspects": 0,
         "priorities": [{"priority": 5, "ready": 100, "elements": 1}]},
        {"name": "mail", "ready": 1, "suspects": 0,
         "priorities": [{"priority": 7, "ready": 1, "elements": 1}]},
    ]);
    assert_eq!(queues["queues"], expected);
}

#[tokio::test]
async fn a_job_is_listed_and_told_in_full() {
    let broker = fresh_broker().await;
    let id = Producer::new(&broker).job("A job", 10, Some("pi-reduce")).await;
    let mut worker = Worker::open(&broker, "default").await;
    worker.succeed_chunks(4).await;
    let site = Site::start(broker).await;

    let jobs = json_when(site.address, "/api/v1/jobs", |_| true).await;
    assert_eq!(jobs["open"], 1);
    let listed = &jobs["jobs"][0];
    assert_eq!(listed["id"], id.to_string());
    assert_eq!(listed["label"], "A job");
    assert_eq!((&listed["done"], &listed["total"]), (&json!(4), &json!(10)));

    let job = json_when(site.address, &format!("/api/v1/jobs/{id}"), |_| true).await;
    assert_eq!(job["state"], "running");
    assert_eq!(job["accumulators"], json!({"hits": 40}));
    assert_eq!(job["accumulate"], json!({"hits": "sum"}));
    assert_eq!(job["args"], json!({"seed": 7, "samples": 0}));
    assert_eq!(job["split"], json!({"field": "samples", "total": 100}));
    assert_eq!((&job["task"], &job["reduce"]), (&json!("pi"), &json!("pi-reduce")));
    assert_eq!(job["submitted_by"], "ana@web-3");
}

#[tokio::test]
async fn an_ended_job_tells_its_result_or_what_failed() {
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    let good = producer.job("good", 2, None).await;
    let mut worker = Worker::open(&broker, "default").await;
    worker.succeed_chunks(2).await;
    let bad = producer.job("bad", 3, None).await;
    worker.fail_chunk(bad, 1, "row 17 is missing").await;
    let site = Site::start(broker).await;

    let job = json_when(site.address, &format!("/api/v1/jobs/{good}"), |_| true).await;
    assert_eq!((&job["state"], &job["result"]), (&json!("succeeded"), &json!({"hits": 20})));
    let job = json_when(site.address, &format!("/api/v1/jobs/{bad}"), |_| true).await;
    assert_eq!(
        (&job["state"], &job["failed_task"]),
        (&json!("failed"), &json!(format!("{bad}:1")))
    );
    assert_eq!(job["error"]["message"], "row 17 is missing");

    let chunk = json_when(site.address, &format!("/api/v1/tasks/{bad}:1"), |_| true).await;
    assert_eq!((&chunk["state"], &chunk["job"]), (&json!("failed"), &json!(bad.to_string())));
    assert_eq!(chunk["args"], json!({"seed": 7, "samples": 10}));
    let chunk = json_when(site.address, &format!("/api/v1/tasks/{bad}:2"), |_| true).await;
    assert_eq!(chunk["state"], "cancelled");
    let chunk = json_when(site.address, &format!("/api/v1/tasks/{good}:0"), |_| true).await;
    assert_eq!(chunk["state"], "succeeded");
}

#[tokio::test]
async fn a_task_is_told_in_every_state() {
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    let delayed = producer.task("mail", Some(600_000)).await;
    let held = [
        producer.task("mail", None).await,
        producer.task("mail", None).await,
        producer.task("mail", None).await,
        producer.task("mail", None).await,
    ];
    let ready = producer.task("mail", None).await;
    let waiting = producer.job("a job", 5, Some("pi-reduce")).await;
    let mut worker = Worker::open(&broker, "mail").await;
    let now = worker.hold(4).await;
    worker.beat("host-1", vec![running(&held[3], now)]).await;
    let endings = [
        succeeded(held[0], "{\"sent\":18446744073709551615}", now),
        failed(held[1], "no such address", now),
        retried(held[2], "try later", now),
    ];
    worker.complete(&endings, 0).await;
    let site = Site::start(broker).await;
    let task = async |id: String, state: &str| {
        let is_so = |json: &serde_json::Value| json["state"] == state;
        json_when(site.address, &format!("/api/v1/tasks/{id}"), is_so).await
    };

    let json = task(delayed.to_string(), "delayed").await;
    assert!(json["due"].as_u64() > json["now"].as_u64(), "{json}");
    let json = task(ready.to_string(), "ready").await;
    assert_eq!((&json["task"], &json["queue"]), (&json!("mail/send"), &json!("mail")));
    assert_eq!((&json["args"], &json["priority"]), (&json!({"order": 4711}), &json!(7)));
    let json = task(waiting.to_string(), "waiting").await;
    assert_eq!(json["job"], waiting.to_string());
    let json = task(held[0].to_string(), "succeeded").await;
    assert_eq!(json["result"], json!({"sent": u64::MAX}));
    let json = task(held[1].to_string(), "failed").await;
    assert_eq!(json["error"]["message"], "no such address");
    assert_eq!((&json["failures"], &json["attempts"][0]["attempt"]), (&json!(1), &json!(1)));
    let json = task(held[2].to_string(), "delayed").await;
    assert_eq!(json["attempts"][0]["error"]["message"], "try later");
    let json = task(held[3].to_string(), "running").await;
    assert_eq!(json["worker"], worker.lease.as_str());
    assert_eq!(json["progress"], json!({"done": 30, "total": 40, "note": "writing"}));
}

#[tokio::test]
async fn workers_tell_what_they_run() {
    let broker = fresh_broker().await;
    let worker = Worker::open(&broker, "mail").await;
    let id = TaskId::new(Timestamp(1));
    worker.beat("host-1", vec![running(&id, Timestamp(1))]).await;
    let site = Site::start(broker).await;
    let workers = json_when(site.address, "/api/v1/workers", |_| true).await;
    assert_eq!(workers["total"], 1);
    let told = &workers["workers"][0];
    assert_eq!((&told["lease"], &told["host"]), (&json!(worker.lease.as_str()), &json!("host-1")));
    assert_eq!((&told["slots"], &told["busy"]), (&json!(4), &json!(1)));
    assert_eq!(told["running"][0]["id"], id.to_string());
    assert_eq!(told["heard"], json!(null));
    worker.beat("host-1", vec![]).await;
    let heard = |json: &serde_json::Value| json["workers"][0]["heard"].is_u64();
    json_when(site.address, "/api/v1/workers", heard).await;
}

#[tokio::test]
async fn what_is_not_known_is_a_problem_document() {
    let site = Site::start(fresh_broker().await).await;
    let id = "0193a7c2b5e07d4e8a1f3c5d7e9b1a00";
    site.get(&format!("/api/v1/jobs/{id}")).await.problem(404, "unknown-job");
    site.get(&format!("/api/v1/tasks/{id}")).await.problem(404, "unknown-task");
    site.get(&format!("/api/v1/tasks/{id}:5")).await.problem(404, "unknown-task");
    site.get("/api/v1/nonsense").await.problem(404, "not-found");
    for bad in ["xyz", "%ff", "..%2f..", "0193a7c2b5e07d4e8a1f3c5d7e9b1a00:x", "%22%3E%3Cscript%3E"]
    {
        site.get(&format!("/api/v1/tasks/{bad}")).await.problem(400, "invalid-id");
        site.get(&format!("/api/v1/jobs/{bad}")).await.problem(400, "invalid-id");
    }
    // A chunk is no job.
    site.get(&format!("/api/v1/jobs/{id}:5")).await.problem(400, "invalid-id");
    for method in ["POST", "DELETE", "PUT"] {
        let answer = request(site.address, method, "/api/v1/jobs", "").await;
        answer.problem(403, "forbidden");
    }
}

#[tokio::test]
async fn a_job_that_a_newer_version_wrote_is_told_as_such() {
    let broker = fresh_broker().await;
    let id =
        Producer::new(&broker).record(r#"{"v":2,"what":"ever"}"#.to_owned(), "mail", None).await;
    let site = Site::start(broker).await;
    let task = json_when(site.address, &format!("/api/v1/tasks/{id}"), |_| true).await;
    assert!(task["unreadable"].as_str().unwrap_or("").contains("format 2"), "{task}");
    assert_eq!(task["state"], "ready");
}

#[tokio::test]
async fn two_namespaces_do_not_see_each_other() {
    let (one, two) = (fresh_broker().await, fresh_broker().await);
    let id = Producer::new(&one).task("mail", None).await;
    let site = Site::start(two).await;
    site.get(&format!("/api/v1/tasks/{id}")).await.problem(404, "unknown-task");
    let queues = json_when(site.address, "/api/v1/queues", |_| true).await;
    assert_eq!(queues["queues"], json!([]));
}

#[tokio::test]
async fn a_password_is_never_told() {
    let options = celeriac_private_server_options("s3cret");
    let redis = celeriac_testkit::TestRedis::start_with(options).await;
    let site = Site::start(broker_at(redis.url())).await;
    let overview = json_when(site.address, "/api/v1/overview", |_| true).await;
    assert!(!overview.to_string().contains("s3cret"));
    assert!(!site.get("/").await.ok().contains("s3cret"));

    let wrong = redis.url().replace("s3cret", "wr0ng");
    assert_ne!(wrong, redis.url());
    let broker = celeriac_broker_schema::Broker::new(RedisConfig::new(wrong)).unwrap();
    let site = Site::start(broker).await;
    let problem = site.get("/api/v1/overview").await.problem(503, "redis-unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("refuses"), "{problem}");
    let page = site.get("/").await;
    assert_eq!(page.status, 503);
    assert!(!page.body.contains("wr0ng") && !problem.to_string().contains("wr0ng"));
}

fn celeriac_private_server_options(password: &str) -> celeriac_private_server::Options {
    celeriac_private_server::Options { password: Some(password.to_owned()), ..Default::default() }
}
