//! The past: figures over time, and tasks that are searched for.

use std::collections::BTreeSet;

use celeriac_broker_schema::figures::{Event, Figures};
use celeriac_broker_schema::script::Tally;
use celeriac_broker_schema::{Broker, RecentTask, State, TaskId, Timestamp};
use serde_json::{Value, json};

use crate::support::http::json_when;
use crate::support::seed::Producer;
use crate::support::site::{Site, fresh_broker};

/// So many succeeded that waited 10 ms and ran 100 ms.
pub(crate) async fn given_succeeded(broker: &Broker, queue: &str, task: &str, n: u64) {
    let mut figures = Figures::default();
    figures.counts.add(Event::Succeeded, n);
    for _ in 0..n {
        figures.wait.add_us(10_000);
        figures.run.add_us(100_000);
    }
    let pairs = vec![(queue.to_owned(), task.to_owned(), figures)];
    broker.tally(&Tally { pairs, ..Tally::default() }).await.expect("Redis is there");
}

fn sum(series: &Value, name: &str) -> u64 {
    let points = series["points"].as_array().expect("points");
    points.iter().map(|point| point["counts"][name].as_u64().expect("a count")).sum()
}

#[tokio::test]
async fn figures_come_by_queue_and_by_task() {
    let broker = fresh_broker().await;
    given_succeeded(&broker, "mail", "send", 5).await;
    given_succeeded(&broker, "mail", "read", 2).await;
    given_succeeded(&broker, "default", "send", 1).await;
    let site = Site::start(broker).await;

    for (query, expected) in [
        ("by=queue", json!([["mail", 7], ["default", 1]])),
        ("by=task&back=90s", json!([["send", 6], ["read", 2]])),
        ("by=task&queue=mail&step=hour", json!([["send", 5], ["read", 2]])),
        ("task=send&back=7d", json!([[null, 6]])),
    ] {
        let answer = site.get(&format!("/api/v1/history?{query}")).await.json();
        let series = answer["series"].as_array().expect("series");
        let found: Vec<Value> =
            series.iter().map(|s| json!([s["name"], sum(s, "succeeded")])).collect();
        assert_eq!(json!(found), expected, "{query}");
        assert_eq!(series[0]["sum"]["counts"]["succeeded"], found[0][1]);
        let (wait, run) = (&series[0]["sum"]["wait"], &series[0]["sum"]["run"]);
        assert_eq!((&wait["mean_ms"], &run["mean_ms"]), (&json!(10.0), &json!(100.0)));
        assert!(run["p95_ms"].as_f64().is_some_and(|p95| (80.0..=100.0).contains(&p95)), "{run}");
    }
}

#[tokio::test]
async fn what_nobody_knows_is_not_told_as_zero() {
    let broker = fresh_broker().await;
    given_succeeded(&broker, "q", "t", 1).await;
    let site = Site::start(broker).await;

    let answer = site.get("/api/v1/history?back=10m").await.json();

    let points = answer["series"][0]["points"].as_array().expect("points");
    assert_eq!(points[0]["known"], false);
    assert_eq!(points[points.len() - 1]["known"], true);
    assert!(answer["since"].as_u64() > points[0]["at"].as_u64());
}

#[tokio::test]
async fn tasks_are_found_page_by_page() {
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    for _ in 0..5 {
        producer.task("mail", None).await;
    }
    let recent = |n: u64| RecentTask {
        id: TaskId::new(Timestamp(n)),
        state: State::Succeeded,
        task: "send".to_owned(),
        queue: "mail".to_owned(),
        worker: "w".to_owned(),
        attempt: 1,
        started: Timestamp(n),
        ended: Timestamp(n + 1),
        wait_ms: Some(1),
        run_us: 900,
        others: n,
    };
    let recent = (1..=3).map(recent).collect();
    broker.tally(&Tally { recent, ..Tally::default() }).await.expect("Redis is there");
    let site = Site::start(broker).await;

    let (mut ids, mut untold, mut after) = (BTreeSet::new(), 0, String::new());
    loop {
        let page = site.get(&format!("/api/v1/tasks?limit=2{after}")).await.json();
        for task in page["tasks"].as_array().expect("tasks") {
            assert!(ids.insert(task["id"].as_str().expect("an id").to_owned()), "{page}");
        }
        untold += page["untold"].as_u64().expect("a number");
        match page["next"].as_str() {
            Some(next) => after = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((ids.len(), untold), (8, 6));
    let ready = site.get("/api/v1/tasks?state=ready&queue=mail").await.json();
    assert_eq!(ready["tasks"].as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let site = Site::start(fresh_broker().await).await;
    for path in [
        "history?back=soon",
        "history?by=colour",
        "history?step=week",
        "history?nonsense=1",
        "tasks?state=asleep",
        "tasks?cursor=nowhere",
        "tasks?queue=a%20b",
    ] {
        site.get(&format!("/api/v1/{path}")).await.problem(400, "invalid-query");
    }
}

#[tokio::test]
async fn a_backlog_is_told_in_workers() {
    let broker = fresh_broker().await;
    // 600 tasks of 100 ms are 60 s of work; in 10 s that takes 6 slots.
    given_succeeded(&broker, "mail", "send", 20).await;
    let mut producer = Producer::new(&broker);
    producer.job("a job", 600, None).await;
    let site = Site::start(broker.clone()).await;
    given_succeeded(&broker, "default", "pi", 30).await;

    let ask = |more: &str| format!("/api/v1/scale?queue=default&target=10s&slots=2{more}");
    let found = json_when(site.address, &ask(""), |json| json["ready"] == 600).await;
    assert_eq!((&found["workers"], &found["needed"]), (&json!(3), &json!(3)), "{found}");
    assert_eq!((&found["run_ms"], &found["slots_per_worker"]), (&json!(100.0), &json!(2.0)));
    for (bounds, workers) in [("&max=2", 2), ("&min=5", 5)] {
        let found = json_when(site.address, &ask(bounds), |json| json["ready"] == 600).await;
        assert_eq!((&found["workers"], &found["needed"]), (&json!(workers), &json!(3)));
    }
    let idle = site.get("/api/v1/scale?queue=mail,nobody&min=1").await.json();
    assert_eq!((&idle["workers"], &idle["needed"]), (&json!(1), &json!(0)));
    site.get("/api/v1/scale?queue=q&target=now").await.problem(400, "invalid-query");
}
