//! What is delivered for other programs speaks of metrics and addresses that exist.

use std::collections::BTreeSet;

use celeriac_testkit::eventually;

use crate::support::SOON;
use crate::support::site::{Site, fresh_broker};

const DASHBOARD: &str = include_str!("../../../deploy/grafana-dashboard.json");
const RULES: &str = include_str!("../../../deploy/prometheus-rules.yaml");
const KEDA: &str = include_str!("../../../deploy/keda.yaml");
const PAGE: &str = include_str!("../../../docs/reference/metrics.md");

/// All names of metrics in a text.
fn named(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begin = text.match_indices("celeriac_").map(|(at, _)| at);
    begin.map(|at| text[at..].split(|c| !is_part(c)).next().unwrap_or("")).collect()
}

#[tokio::test]
async fn every_metric_that_is_used_exists() {
    let site = Site::start(fresh_broker().await).await;
    let told = eventually(SOON, async || match site.get("/metrics").await.ok() {
        text if text.contains("\nceleriac_redis_up 1\n") => Ok(text),
        text => Err(text),
    })
    .await;
    let mut exist = BTreeSet::new();
    for line in told.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("a kind");
        exist.insert(name.to_owned());
        if kind == "histogram" {
            exist.extend(["_bucket", "_sum", "_count"].map(|ending| format!("{name}{ending}")));
        }
    }
    for (file, text, least) in
        [("dashboard", DASHBOARD, 12), ("rules", RULES, 8), ("page", PAGE, 20)]
    {
        let named = named(text);
        let unknown: Vec<_> = named.iter().filter(|name| !exist.contains(**name)).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
        assert!(named.len() >= least, "{file}: {named:?}");
    }
    serde_json::from_str::<serde_json::Value>(DASHBOARD).expect("the dashboard is JSON");
}

#[tokio::test]
async fn what_the_autoscaler_asks_is_answered() {
    let site = Site::start(fresh_broker().await).await;
    let url = KEDA.lines().find_map(|line| line.trim().strip_prefix("url: ")).expect("a URL");
    let path = url.trim_matches('"').split_once(":5555").expect("the port of the monitor").1;
    let field = KEDA.lines().find_map(|line| line.trim().strip_prefix("valueLocation: "));

    let answer = eventually(SOON, async || {
        let answer = site.get(path).await;
        if answer.status == 200 { Ok(answer.json()) } else { Err(format!("{answer:?}")) }
    })
    .await;

    assert_eq!(answer[field.expect("a field").trim_matches('"')], 0);
}
