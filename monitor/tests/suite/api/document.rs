//! The OpenAPI document: it is committed, it tells all that is served, and what is served is as it
//! tells.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::world::World;
use crate::support::http::{Answer, json_when};
use crate::support::site::{Site, fresh_broker};

pub(super) async fn document(site: &Site) -> Value {
    site.get("/api/v1/openapi.json").await.json()
}

/// What is wrong with an answer, by the document.
pub(super) fn faults(document: &Value, method: &str, path: &str, answer: &Answer) -> Vec<String> {
    let status = answer.status.to_string();
    let described = &document["paths"][path][method]["responses"][&status];
    let media = answer.header("content-type").split(';').next().unwrap_or_default();
    let schema = &described["content"][media]["schema"];
    if schema.is_null() {
        return vec![format!("{method} {path} answers {status} {media}, which is not documented")];
    }
    let mut root = Map::new();
    root.insert("components".to_owned(), document["components"].clone());
    root.insert("allOf".to_owned(), json!([schema]));
    let validator = jsonschema::draft202012::new(&Value::Object(root)).expect("a schema");
    let body = answer.json();
    let errors = validator.iter_errors(&body);
    errors
        .map(|error| format!("{method} {path} {status}: {error} at {}", error.instance_path()))
        .collect()
}

#[tokio::test]
async fn the_document_is_committed() {
    let site = Site::start(fresh_broker().await).await;
    let served = site.get("/api/v1/openapi.json").await.ok();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/openapi.json");
    if std::env::var("OPENAPI").as_deref() == Ok("overwrite") {
        std::fs::write(&path, &served).expect("the document is written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == served,
        "docs/reference/openapi.json is not what is served: run this test with OPENAPI=overwrite, and look at what changed"
    );
}

#[tokio::test]
async fn the_document_is_a_valid_one() {
    let site = Site::start(fresh_broker().await).await;
    let document = document(&site).await;
    assert_eq!(document["openapi"], "3.1.0");
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        assert!(jsonschema::draft202012::meta::is_valid(schema), "{name} is no schema");
    }
    let mut ids = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            ids.push(operation["operationId"].as_str().expect("an id").to_owned());
            assert!(
                operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
                "{method} {path}"
            );
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let of_path = parameters.iter().any(|parameter| parameter["in"] == "path");
            assert_eq!(of_path, path.contains('{'), "{method} {path}");
            let silent = parameters.iter().find(|parameter| parameter["description"] == "");
            assert_eq!(silent, None, "{method} {path}");
        }
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "each operation has an id of its own");
    let text = document.to_string();
    for name in
        text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next())
    {
        assert!(document["components"]["schemas"][name].is_object(), "{name} is not there");
    }
}

#[tokio::test]
async fn every_answer_is_as_the_document_tells() {
    let world = World::new().await;
    let site = Site::start(world.broker.clone()).await;
    json_when(site.address, "/api/v1/overview", |json| json["totals"]["workers"] == 1).await;
    let document = document(&site).await;
    let ids: Vec<String> = [
        world.ready,
        world.delayed,
        world.succeeded,
        world.dead,
        world.retried,
        world.running,
        world.job.task(),
        "0193a7c2b5e07d4e8a1f3c5d7e9b1a00".parse().unwrap(),
    ]
    .iter()
    .map(ToString::to_string)
    .chain([format!("{}:1", world.failed_job), "nonsense".to_owned()])
    .collect();
    let mut faults_found = Vec::new();
    let mut seen = 0;
    for (path, operations) in document["paths"].as_object().expect("paths") {
        if operations["get"].is_null()
            || operations["get"]["responses"]["200"]["content"]["text/event-stream"].is_object()
        {
            continue;
        }
        let values = match path.rsplit("/api/v1/").next().and_then(|path| path.split('/').next()) {
            Some("tasks" | "jobs" | "dead") => ids.clone(),
            Some("workers") => vec![world.worker.lease.to_string(), "nobody".to_owned()],
            Some("queues") => {
                vec!["mail".to_owned(), "default".to_owned(), "none".to_owned(), "a%20b".to_owned()]
            }
            Some("schedules") => vec!["nightly".to_owned(), "often".to_owned(), "none".to_owned()],
            _ => Vec::new(),
        };
        let name = path.split(['{', '}']).nth(1);
        let values = if name.is_some() { values } else { vec![String::new()] };
        assert!(!values.is_empty(), "this test has no example for {path}");
        let mut well = false;
        for value in values {
            let asked = name
                .map_or_else(|| path.clone(), |name| path.replace(&format!("{{{name}}}"), &value));
            let asked =
                if path.ends_with("/scale") { format!("{asked}?queue=mail") } else { asked };
            let answer = site.get(&asked).await;
            well |= answer.status == 200;
            seen += 1;
            faults_found.extend(faults(&document, "get", path, &answer));
        }
        assert!(well, "no example of {path} succeeded");
        let bad = site.get(&format!("{}?nonsense=1", path.replace(['{', '}'], ""))).await;
        faults_found.extend(faults(&document, "get", path, &bad));
    }
    assert!(faults_found.is_empty(), "{faults_found:#?}");
    assert!(seen > 40, "{seen}");
}
