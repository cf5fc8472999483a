//! Live updates.

use celeriac_broker_schema::Broker;
use celeriac_testkit::TestRedis;
use tokio::time::Instant;

use crate::support::SOON;
use crate::support::http::json_when;
use crate::support::seed::{Producer, Worker};
use crate::support::site::{Site, broker_at, fresh_broker};

#[tokio::test]
async fn a_change_reaches_an_open_page() {
    let broker = fresh_broker().await;
    let site = Site::start(broker.clone()).await;
    let mut events = site.events("/events").await;
    let first = events.next().await.unwrap();
    assert_eq!((first.event.as_str(), first.retry.as_str()), ("build", "2000"));
    let event = events.fragment_when("jobs", |html| html.contains("No jobs")).await;
    assert_eq!(event.event, "fragments");
    let before: u64 = event.id.parse().unwrap();

    Producer::new(&broker).job("A new one", 10, None).await;
    let event = events.fragment_when("jobs", |html| html.contains("A new one")).await;
    assert!(event.id.parse::<u64>().unwrap() > before);
    // What did not change is not sent again.
    assert_eq!(event.fragment("workers"), None);
}

#[tokio::test]
async fn the_fragments_are_those_of_the_page() {
    let broker = fresh_broker().await;
    Producer::new(&broker).task("mail", None).await;
    let site = Site::start(broker).await;
    json_when(site.address, "/api/v1/queues", |json| json["queues"][0]["ready"] == 1).await;
    let mut events = site.events("/events").await;
    let event = events.fragment_when("queues", |_| true).await;
    let page = site.get("/").await.ok();
    for id in ["status", "outage", "queues", "jobs", "workers"] {
        let fragment = event.fragment(id).unwrap();
        assert!(page.contains(&fragment), "{id}: {fragment} is not in {page}");
    }
}

#[tokio::test]
async fn the_page_of_a_job_is_live() {
    let broker = fresh_broker().await;
    let id = Producer::new(&broker).job("Pi", 4, None).await;
    let mut worker = Worker::open(&broker, "default").await;
    let site = Site::start(broker).await;
    let mut events = site.events(&format!("/jobs/{id}/events")).await;
    events.fragment_when("detail", |html| html.contains("0 / 4")).await;
    worker.succeed_chunks(3).await;
    events.fragment_when("detail", |html| html.contains("3 / 4")).await;
    worker.succeed_chunks(1).await;
    events.fragment_when("detail", |html| html.contains("s-succeeded")).await;
}

#[tokio::test]
async fn the_page_of_a_task_is_live_even_before_there_is_one() {
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    let id = producer.job("Pi", 4, Some("pi-reduce")).await;
    let site = Site::start(broker.clone()).await;
    let mut events = site.events(&format!("/tasks/{id}:2/events")).await;
    events.fragment_when("detail", |html| html.contains("s-ready")).await;
    Worker::open(&broker, "default").await.hold(4).await;
    events.fragment_when("detail", |html| html.contains("s-running")).await;
    let mut events = site.events("/tasks/0193a7c2b5e07d4e8a1f3c5d7e9b1a00/events").await;
    events.fragment_when("detail", |html| html.contains("Unknown task")).await;
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_lives() {
    let site = Site::start(fresh_broker().await).await;
    let mut events = site.events("/tasks/0193a7c2b5e07d4e8a1f3c5d7e9b1a00/events").await;
    events.fragment_when("detail", |_| true).await;
    while events.next().await.unwrap().event != "beat" {}
}

#[tokio::test]
async fn more_viewers_than_allowed_are_sent_away_until_one_leaves() {
    let site = Site::start_with(fresh_broker().await, 2).await;
    let first = site.events("/events").await;
    let mut second = site.events("/events").await;
    second.fragment_when("jobs", |_| true).await;
    let refused = site.get("/events").await;
    assert_eq!(refused.header("retry-after"), "2");
    refused.problem(503, "too-many-viewers");
    let page = site.get("/").await;
    assert_eq!(page.status, 200);
    drop(first);
    celeriac_testkit::eventually(SOON, async || {
        let metrics = site.get("/metrics").await.body;
        let gone = metrics.contains("celeriac_monitor_viewers 1\n");
        gone.then_some(()).ok_or(metrics)
    })
    .await;
    site.events("/events").await;
}

#[tokio::test]
async fn open_streams_do_not_hold_up_shutdown() {
    let site = Site::start(fresh_broker().await).await;
    let mut events = site.events("/events").await;
    events.fragment_when("jobs", |_| true).await;
    let began = Instant::now();
    site.stop().await;
    // Streams that hold it up are cut off after 5 seconds.
    assert!(began.elapsed().as_secs() < 4, "{:?}", began.elapsed());
    while events.next().await.is_some() {}
}

/// Calls of scripts that this server has carried out.
async fn script_calls(broker: &Broker) -> u64 {
    let info = broker.info("commandstats").await.expect("Redis answers");
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    let calls = line.and_then(|line| line.split(',').next()?.parse().ok());
    calls.expect("scripts were called")
}

#[tokio::test]
async fn however_many_look_redis_sees_one_reader() {
    let redis = TestRedis::start().await;
    let broker = broker_at(redis.url());
    // A job that runs: its page changes with every look.
    let id = Producer::new(&broker).job("Pi", 4, None).await;
    Worker::open(&broker, "default").await.hold(1).await;
    let site = Site::start(broker.clone()).await;
    let mut viewers = Vec::new();
    for _ in 0..20 {
        viewers.push(site.events("/events").await);
        viewers.push(site.events(&format!("/jobs/{id}/events")).await);
    }
    let mut look = async || {
        let mut number = 0;
        for viewer in &mut viewers {
            let event = loop {
                let event = viewer.next().await.unwrap();
                if event.event == "fragments" {
                    break event;
                }
            };
            number = number.max(event.id.parse::<u64>().unwrap());
        }
        number
    };
    look().await;
    let (first, calls_first) = (look().await, script_calls(&broker).await);
    look().await;
    let (calls_last, last) = (script_calls(&broker).await, look().await);
    // Snapshot, workers and the job; a look may be under way when calls are counted.
    let looks = last - first + 1;
    let calls = calls_last - calls_first;
    assert!(calls <= 3 * looks, "{calls} calls for {looks} looks");
}
