//! For Prometheus and for supervisors.

use celeriac_testkit::eventually;

use crate::past::given_succeeded;
use crate::support::SOON;
use crate::support::http::request;
use crate::support::seed::{Producer, Worker};
use crate::support::site::{Site, fresh_broker};

#[tokio::test]
async fn metrics_tell_what_the_pages_tell() {
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    producer.job("a job", 100, Some("pi-reduce")).await;
    producer.task("mail", Some(600_000)).await;
    let mut worker = Worker::open(&broker, "default").await;
    worker.succeed_chunks(10).await;
    worker.beat("host-1", Vec::new()).await;
    given_succeeded(&broker, "default", "pi", 10).await;
    let site = Site::start(broker).await;
    let expected = [
        "celeriac_redis_up 1",
        "celeriac_queue_ready{queue=\"default\"} 90",
        "celeriac_queue_suspects{queue=\"default\"} 0",
        "celeriac_queue_paused{queue=\"default\"} 0",
        "celeriac_queue_workers{queue=\"default\"} 1",
        "celeriac_task_events_total{queue=\"default\",task=\"pi\",event=\"succeeded\"} 10",
        "celeriac_task_run_seconds_bucket{queue=\"default\",task=\"pi\",le=\"0.1\"} 10",
        "celeriac_task_run_seconds_bucket{queue=\"default\",task=\"pi\",le=\"0.05\"} 0",
        "celeriac_task_run_seconds_count{queue=\"default\",task=\"pi\"} 10",
        "celeriac_task_run_seconds_sum{queue=\"default\",task=\"pi\"} 1",
        "celeriac_tasks_delayed 1",
        "celeriac_tasks_waiting 1",
        "celeriac_dead 0",
        "celeriac_jobs_open 1",
        "celeriac_tasks_total{event=\"enqueued\"} 101",
        "celeriac_tasks_total{event=\"succeeded\"} 10",
        "celeriac_tasks_total{event=\"failed\"} 0",
        "celeriac_workers 1",
        "celeriac_leases 1",
        "celeriac_orphans 0",
        "celeriac_worker_slots 4",
        "celeriac_worker_slots_busy 0",
        "celeriac_monitor_viewers 0",
    ];
    let text = eventually(SOON, async || {
        let answer = site.get("/metrics").await;
        assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        let missing = |line: &&&str| !answer.body.lines().any(|found| found == **line);
        match expected.iter().find(missing) {
            None => Ok(answer.body),
            Some(line) => Err(format!("no {line} in {}", answer.body)),
        }
    })
    .await;
    assert_exposition(&text);
}

/// Every sample belongs to the metric declared before it, and no metric is declared twice.
fn assert_exposition(text: &str) {
    let (mut name, mut seen) = ("", Vec::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            name = help.split(' ').next().expect("a name");
            assert!(name.starts_with("celeriac_") && !seen.contains(&name), "{line}");
            seen.push(name);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let kind = kind.strip_prefix(name).unwrap_or("");
            assert!([" gauge", " counter", " histogram"].contains(&kind), "{line}");
            assert_eq!(kind == " counter", name.ends_with("_total"), "{line}");
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            let of = sample.split('{').next().and_then(|sample| sample.strip_prefix(name));
            assert!(["", "_bucket", "_sum", "_count"].contains(&of.unwrap_or("?")), "{line}");
            value.parse::<f64>().expect("a number");
        }
    }
}

#[tokio::test]
async fn open_metrics_are_for_those_who_accept_them() {
    let site = Site::start(fresh_broker().await).await;
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let answer = request(site.address, "GET", "/metrics", accept).await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), kind);
    assert!(answer.body.ends_with("\n# EOF\n"), "{}", answer.body);
}

#[tokio::test]
async fn the_process_is_up_and_redis_answers() {
    let site = Site::start(fresh_broker().await).await;
    assert_eq!(site.get("/healthz").await.ok(), "ok\n");
    assert_eq!(site.get("/readyz").await.ok(), "ok\n");
}
