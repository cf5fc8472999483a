//! Redis goes away and comes back.

use celeriac_testkit::TestRedis;
use tokio::time::Instant;

use crate::support::http::json_when;
use crate::support::seed::Producer;
use crate::support::site::{Site, broker_at};

#[tokio::test]
async fn an_outage_is_told_everywhere_and_ends_by_itself() {
    let mut redis = TestRedis::start().await;
    let broker = broker_at(redis.url());
    let id = Producer::new(&broker).job("Still here", 7, None).await;
    let site = Site::start(broker).await;
    let mut events = site.events("/events").await;
    let mut job_events = site.events(&format!("/jobs/{id}/events")).await;
    events.fragment_when("jobs", |html| html.contains("Still here")).await;
    job_events.fragment_when("detail", |html| html.contains("Still here")).await;

    redis.kill();
    for stream in [&mut events, &mut job_events] {
        let event = stream.fragment_when("status", |html| html.contains("no contact")).await;
        let outage = event.fragment("outage").unwrap();
        assert!(outage.contains("No contact with Redis since <time"), "{outage}");
        assert!(outage.contains("is not reachable"), "{outage}");
        // The page keeps what it shows.
        assert_eq!((event.fragment("jobs"), event.fragment("detail")), (None, None));
    }
    let page = site.get("/").await;
    assert_eq!((page.status, page.header("retry-after")), (503, "2"));
    assert!(page.body.contains("Still here") && page.body.contains("No contact with Redis"));
    let page = site.get(&format!("/jobs/{id}")).await;
    assert_eq!(page.status, 503);
    assert!(page.body.contains("No contact with Redis"), "{page:?}");
    for path in
        ["overview", "queues", "jobs", "workers", &format!("jobs/{id}"), &format!("tasks/{id}")]
    {
        let answer = site.get(&format!("/api/v1/{path}")).await;
        let problem = answer.problem(503, "redis-unavailable");
        assert!(problem["detail"].as_str().unwrap().contains("not reachable"), "{problem}");
    }
    site.get("/readyz").await.problem(503, "redis-unavailable");
    assert_eq!(site.get("/healthz").await.status, 200);
    let metrics = site.get("/metrics").await.ok();
    assert!(metrics.contains("celeriac_redis_up 0\n") && !metrics.contains("celeriac_workers"));

    redis.restart().await;
    events.fragment_when("status", |html| html.contains("\"connected\"")).await;
    let jobs = json_when(site.address, "/api/v1/jobs", |_| true).await;
    assert_eq!(jobs["jobs"][0]["label"], "Still here");
    assert_eq!(site.get("/").await.status, 200);
    assert_eq!(site.get("/readyz").await.status, 200);
    site.stop().await;
}

#[tokio::test]
async fn a_frozen_redis_freezes_no_page() {
    let mut redis = TestRedis::start().await;
    let broker = broker_at(redis.url());
    Producer::new(&broker).job("Still here", 7, None).await;
    let site = Site::start(broker).await;
    let mut events = site.events("/events").await;
    events.fragment_when("jobs", |html| html.contains("Still here")).await;

    redis.freeze();
    let event = events.fragment_when("outage", |html| html.contains("has not answered for")).await;
    assert!(event.fragment("status").unwrap().contains("no contact"));
    let began = Instant::now();
    let page = site.get("/").await;
    assert_eq!(page.status, 503);
    assert!(page.body.contains("Still here"));
    site.get("/api/v1/overview").await.problem(503, "redis-unavailable");
    site.get("/readyz").await.problem(503, "redis-unavailable");
    assert!(began.elapsed().as_secs() < 8, "{:?}", began.elapsed());

    redis.thaw();
    events.fragment_when("status", |html| html.contains("\"connected\"")).await;
    json_when(site.address, "/api/v1/overview", |_| true).await;
}

#[tokio::test]
async fn the_monitor_starts_without_redis() {
    let mut redis = TestRedis::start().await;
    redis.kill();
    let site = Site::start(broker_at(redis.url())).await;
    let page = site.get("/").await;
    assert_eq!(page.status, 503);
    assert!(page.body.contains("Nothing was read yet"), "{page:?}");
    let mut events = site.events("/events").await;
    redis.restart().await;
    events.fragment_when("jobs", |html| html.contains("No jobs")).await;
}
