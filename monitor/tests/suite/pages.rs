//! The pages as they are sent, which must be complete without a script.

use std::net::SocketAddr;

use celeriac_broker_schema::script::Control;
use celeriac_broker_schema::{JobId, Requester, TaskId};
use celeriac_monitor::{Monitor, MonitorConfig, router};
use celeriac_testkit::eventually;
use tokio::net::TcpListener;

use crate::support::SOON;
use crate::support::http::get;
use crate::support::seed::{Producer, Worker, failed, running, succeeded};
use crate::support::site::{Site, fresh_broker};

const UNKNOWN: &str = "0193a7c2b5e07d4e8a1f3c5d7e9b1a00";

/// A page once it has all these texts.
async fn page_with(site: &Site, path: &str, texts: &[&str]) -> String {
    eventually(SOON, async || {
        let answer = site.get(path).await;
        match texts.iter().find(|text| !answer.body.contains(**text)) {
            None => Ok(answer.body),
            Some(text) => Err(format!("no {text:?} in {}", answer.body)),
        }
    })
    .await
}

#[tokio::test]
async fn the_overview_shows_jobs_queues_and_workers() {
    let broker = fresh_broker().await;
    let id = Producer::new(&broker).job("Nightly score", 200, None).await;
    let mut worker = Worker::open(&broker, "default").await;
    worker.succeed_chunks(2).await;
    let now = worker.hold(2).await;
    let chunk = TaskId::of_chunk(id, 2);
    worker.beat("host-1", vec![running(&chunk, now)]).await;
    let site = Site::start(broker.clone()).await;
    let texts = [
        broker.config().namespace.as_str(),
        &format!("href=\"/jobs/{id}\">Nightly score</a>"),
        "<progress class=\"s-running\" max=\"200\" value=\"2\" aria-label=\"Chunks of Nightly score that are done\">",
        "1.0\u{202f}%",
        "data-stat=\"ready\">196</span>",
        "host-1:4242",
        "9.9.9",
        &format!("href=\"/tasks/{chunk}\""),
        "75.0\u{202f}%",
        "19.0\u{202f}MiB",
        ">connected<",
        "role=\"columnheader\" scope=\"col\"",
        "<noscript><meta http-equiv=\"refresh\"",
    ];
    page_with(&site, "/", &texts).await;
}

#[tokio::test]
async fn a_queue_that_is_paused_or_limited_is_shown_so() {
    let broker = fresh_broker().await;
    let (queue, reason) = ("mail".parse().unwrap(), Requester::new("ada").because("<outage>"));
    let limit = Control::Limit(1_000.try_into().unwrap());
    for control in [Control::Pause, Control::Close, limit] {
        broker.control_queue(&queue, control, &reason).await.unwrap();
    }
    let site = Site::start(broker).await;
    let texts =
        ["by ada: &lt;outage&gt;\">paused</span>", ">closed</span>", ">limit 1\u{202f}000</span>"];
    page_with(&site, "/", &texts).await;
}

#[tokio::test]
async fn an_empty_namespace_says_how_to_begin() {
    let site = Site::start(fresh_broker().await).await;
    page_with(&site, "/", &["No jobs", "No queues", "No workers", "celeriac worker"]).await;
}

#[tokio::test]
async fn before_the_first_look_the_page_says_that_it_reads() {
    let monitor = Monitor::new(fresh_broker().await, MonitorConfig::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = router(monitor).into_make_service_with_connect_info::<SocketAddr>();
    // Nobody runs the poller here.
    let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
    let page = get(address, "/").await;
    assert_eq!(page.status, 503);
    assert!(page.body.contains("Reading …"), "{page:?}");
    get(address, "/api/v1/overview").await.problem(503, "redis-unavailable");
    serving.abort();
}

#[tokio::test]
async fn a_job_is_shown_in_full() {
    let broker = fresh_broker().await;
    let id = Producer::new(&broker).job("Pi", 3, Some("pi-reduce")).await;
    let mut worker = Worker::open(&broker, "default").await;
    worker.succeed_chunks(2).await;
    worker.beat("host-1", vec![running(&TaskId::of_chunk(id, 2), id.task().time())]).await;
    let site = Site::start(broker).await;
    let path = format!("/jobs/{id}");
    let texts =
        ["<h1>Pi ", "66.6\u{202f}%", "hits", ">20</code>", "ana@web-3", "pi-reduce", "host-1:4242"];
    page_with(&site, &path, &texts).await;

    worker.succeed_chunks(1).await;
    page_with(&site, &path, &["100\u{202f}%", "s-reducing", "pi-reduce makes the result"]).await;
    let now = worker.hold(1).await;
    worker.complete(&[succeeded(id.task(), "{\"pi\":3.5}", now)], 0).await;
    page_with(&site, &path, &["s-succeeded", "&quot;pi&quot;: 3.5", "on average"]).await;
}

#[tokio::test]
async fn a_failed_job_leads_to_the_chunk_that_failed() {
    let broker = fresh_broker().await;
    let id: JobId = Producer::new(&broker).job("Import", 5, None).await;
    let mut worker = Worker::open(&broker, "default").await;
    worker.fail_chunk(id, 3, "row 17 is missing").await;
    let site = Site::start(broker).await;
    let link = format!("href=\"/tasks/{id}:3\"");
    page_with(&site, &format!("/jobs/{id}"), &["s-failed", "row 17 is missing", &link]).await;
    let texts =
        ["<h1>pi #3 ", "s-failed", "row 17 is missing", "mail/send.rs:88", &format!("/jobs/{id}")];
    page_with(&site, &format!("/tasks/{id}:3"), &texts).await;
    page_with(&site, &format!("/tasks/{id}:4"), &["s-cancelled", "Its job ended before it."]).await;
}

#[tokio::test]
async fn a_task_is_shown_with_its_attempts() {
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    let (delayed, bad) =
        (producer.task("mail", Some(600_000)).await, producer.task("mail", None).await);
    let mut worker = Worker::open(&broker, "mail").await;
    let now = worker.hold(1).await;
    worker.complete(&[failed(bad, "no such address", now)], 0).await;
    let site = Site::start(broker).await;
    let texts = ["s-delayed", "mail/send", "It waits until it is due.", "&quot;order&quot;: 4711"];
    page_with(&site, &format!("/tasks/{delayed}"), &texts).await;
    let texts = ["s-failed", "no such address", "1 failed, 0 lost", "4711"];
    page_with(&site, &format!("/tasks/{bad}"), &texts).await;
}

#[tokio::test]
async fn what_is_not_there_has_a_page_that_says_so() {
    let site = Site::start(fresh_broker().await).await;
    let page = site.get(&format!("/tasks/{UNKNOWN}")).await;
    assert_eq!(page.status, 404);
    assert!(page.body.contains("was never enqueued, or its outcome was not kept."), "{page:?}");
    let page = site.get(&format!("/jobs/{UNKNOWN}")).await;
    assert_eq!(page.status, 404);
    assert!(page.body.contains("Unknown job"), "{page:?}");
    let page = site.get("/nowhere").await;
    assert_eq!((page.status, page.body.contains("Nothing here")), (404, true));
    for path in ["/tasks/xyz", "/jobs/%ff", "/tasks/%3Cscript%3E"] {
        let page = site.get(path).await;
        assert_eq!(page.status, 400, "{page:?}");
        assert!(page.body.contains("is not a task id"), "{page:?}");
    }
}

#[tokio::test]
async fn an_id_is_found() {
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    let (job, task) = (producer.job("a job", 2, None).await, producer.task("mail", None).await);
    let site = Site::start(broker).await;
    for (id, place) in [
        (job.to_string(), format!("/jobs/{job}")),
        (format!("{job}:1"), format!("/tasks/{job}:1")),
        (format!("+{task}%20"), format!("/tasks/{task}")),
        (UNKNOWN.to_owned(), format!("/tasks/{UNKNOWN}")),
    ] {
        let answer = site.get(&format!("/find?id={id}")).await;
        assert_eq!((answer.status, answer.header("location")), (303, place.as_str()));
    }
    for bad in ["/find", "/find?id=", "/find?id=xyz"] {
        assert_eq!(site.get(bad).await.status, 400);
    }
}
