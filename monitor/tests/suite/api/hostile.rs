//! Queries that are not meant well.

use celeriac_monitor::{MonitorConfig, Redaction};
use serde_json::json;

use super::world::World;
use crate::support::http::json_when;
use crate::support::site::{Site, fresh_broker};

#[tokio::test]
async fn all_that_is_wrong_with_a_query_is_told_at_once() {
    let site = Site::start(fresh_broker().await).await;
    let path = "/api/v1/dead?limit=0&queue=a%20b&since=noon&colour=red&error=";
    let problem = site.get(path).await.problem(400, "invalid-query");
    let mut wrong: Vec<&str> = problem["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .filter_map(|fault| fault["parameter"].as_str())
        .collect();
    wrong.sort_unstable();
    assert_eq!(wrong, ["colour", "error", "limit", "queue", "since"]);
    let text = problem.to_string();
    assert!(text.contains("1 to 200") && text.contains("there are queue, task, error"), "{text}");
    let twice = site.get("/api/v1/dead?limit=1&limit=2").await.problem(400, "invalid-query");
    assert_eq!(
        twice["errors"],
        json!([{"parameter": "limit", "detail": "it is given more than once"}])
    );
    site.get("/api/v1/overview?x").await.problem(400, "invalid-query");
}

#[tokio::test]
async fn bad_cursors_ids_and_names_are_refused() {
    let site = Site::start(fresh_broker().await).await;
    json_when(site.address, "/api/v1/overview", |_| true).await;
    let long = "0".repeat(5_000);
    // `dead 5`, `jobs 5`, and what no list writes.
    for cursor in ["0", "zz", "6465616420", "64656164203520", "6a6f62732035", "%00", &long, "ff"] {
        site.get(&format!("/api/v1/dead?cursor={cursor}")).await.problem(400, "invalid-query");
        site.get(&format!("/api/v1/schedules?cursor={cursor}")).await.problem(400, "invalid-query");
    }
    for name in ["a%20b", "%00", "%ff", "%22%3E%3Cscript%3E", &"x".repeat(200)] {
        site.get(&format!("/api/v1/queues/{name}")).await.problem(400, "invalid-name");
        site.get(&format!("/api/v1/queues/{name}/tasks")).await.problem(400, "invalid-name");
    }
    for id in ["%00", "0193a7c2b5e07d4e8a1f3c5d7e9b1a00%00", "0193a7c2b5e07d4e8a1f3c5d7e9b1a00:-1"]
    {
        for path in ["tasks/{}", "tasks/{}/explain", "dead/{}", "jobs/{}"] {
            site.get(&format!("/api/v1/{}", path.replace("{}", id)))
                .await
                .problem(400, "invalid-id");
        }
    }
    for lease in ["%00", "x", "%ff"] {
        site.get(&format!("/api/v1/workers/{lease}")).await.problem(404, "unknown-worker");
    }
    for place in ["10", "-1", "parked:", "turn:5", "x%00"] {
        site.get(&format!("/api/v1/queues/mail/tasks?place={place}"))
            .await
            .problem(400, "invalid-query");
    }
    let page = site.get("/api/v1/queues/mail/tasks?place=parked:task:%00").await;
    assert_eq!(page.status, 400, "{page:?}");
}

#[tokio::test]
async fn what_is_redacted_is_told_nowhere() {
    let world = World::new().await;
    let rules =
        ["*:args.order", "*:args.n", "*:result.sent", "*:error"].map(|rule| rule.parse().unwrap());
    let redaction = Redaction(rules.to_vec());
    let site = Site::configured(
        world.broker.clone(),
        MonitorConfig { redaction, ..MonitorConfig::default() },
    )
    .await;
    json_when(site.address, "/api/v1/queues/mail", |_| true).await;
    for path in [
        format!("tasks/{}", world.ready),
        format!("tasks/{}/result", world.succeeded),
        format!("tasks/{}/result", world.dead),
        format!("tasks/{}/explain", world.dead),
        format!("tasks/{}/explain", world.retried),
        format!("dead/{}", world.dead),
        "dead".to_owned(),
        "dead/groups".to_owned(),
        "queues/mail/tasks".to_owned(),
        "queues/mail/tasks?place=delayed".to_owned(),
        "schedules".to_owned(),
        "schedules/nightly".to_owned(),
        format!("jobs/{}", world.failed_job),
    ] {
        let told = site.get(&format!("/api/v1/{path}")).await.ok();
        for hidden in
            ["4711", "\"n\":7", "18446744073709551615", "no such address", "try later", "row 17"]
        {
            assert!(!told.contains(hidden), "{hidden} in {path}: {told}");
        }
        assert!(told.contains("redacted"), "{path}: {told}");
    }
}
