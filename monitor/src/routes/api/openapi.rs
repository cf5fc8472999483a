//! The OpenAPI document (3.1), made of the table.

use std::collections::BTreeSet;

use schemars::Schema;
use serde_json::{Map, Value, json};

use super::table::Operation;

/// What all paths of the table begin with.
pub(super) const BASE: &str = "/api/v1";

const ABOUT: &str = "What the pages of the monitor show, as JSON, and the ways to enqueue and to wait. \
Names are those of the glossary in ARCHITECTURE.md. Times are milliseconds since the Unix epoch by the \
clock of Redis, `…_ms` are milliseconds, `…_per_s` is per second. Errors are problem documents (RFC 9457), \
which may name each single thing that is wrong. Lists come in pages: pass `next` as `cursor`, unchanged, \
until it is null. Answers may get new fields; do not depend on their order.";

/// The nouns, in the order in which people want to read them.
const TAGS: [(&str, &str); 13] = [
    ("overview", "How things stand."),
    ("queues", "Where ready tasks wait."),
    ("tasks", "Units of work."),
    ("jobs", "Computations enqueued as one thing: chunks, and a reducer."),
    ("workers", "Processes that run tasks."),
    ("dead letters", "Tasks that failed for good, kept for people to look at."),
    ("schedules", "Tasks that are enqueued again and again."),
    ("limits", "How much may be handed out in a time or held at once."),
    ("health", "Redis, and what is worth knowing of it."),
    ("settings", "What operators set for a namespace."),
    ("actions", "What operators do, and did."),
    ("figures", "How much was done over time, and how many workers that takes."),
    ("document", "This document."),
];

pub(super) fn document(
    operations: &[Operation],
    schemas: Map<String, Value>,
    problem: &Schema,
) -> Value {
    let mut paths = Map::new();
    for operation in operations {
        let path = paths.entry(format!("{BASE}{}", operation.path)).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_lowercase()] = describe(operation, problem);
    }
    let used: BTreeSet<&str> = operations.iter().map(|operation| operation.words.tag).collect();
    let tags = TAGS.iter().filter(|(name, _)| used.contains(name));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Celeriac",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags.map(|(name, description)| json!({ "name": name, "description": description })).collect::<Value>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn describe(operation: &Operation, problem: &Schema) -> Value {
    let words = operation.words;
    let mut responses = Map::new();
    for (status, description, media, schema) in &operation.replies {
        responses.insert(
            status.to_string(),
            json!({ "description": description, "content": { *media: { "schema": schema } } }),
        );
    }
    for (status, description) in problems(operation) {
        let content = json!({ "application/problem+json": { "schema": problem } });
        responses
            .insert(status.to_string(), json!({ "description": description, "content": content }));
    }
    let mut described = json!({
        "operationId": words.id,
        "tags": [words.tag],
        "summary": words.summary,
        "parameters": parameters(operation),
        "responses": responses,
    });
    if !words.text.is_empty() {
        described["description"] = words.text.into();
    }
    if let Some(body) = &operation.body {
        described["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": body } } });
    }
    if operation.writes {
        described["security"] = json!([{ "token": [] }]);
    }
    described
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let name = operation.path.split(['{', '}']).nth(1);
    let of_path = name.zip(operation.parameter.as_ref()).map(|(name, (schema, description))| {
        json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
    });
    let of_query = operation.query.iter().map(|(name, description, schema)| {
        json!({ "name": name, "in": "query", "description": description, "schema": schema })
    });
    of_path.into_iter().chain(of_query).chain(header(operation)).collect()
}

fn header(operation: &Operation) -> Option<Value> {
    operation.body.as_ref().map(|_| {
        json!({
            "name": "Idempotency-Key", "in": "header",
            "description": "The same request with the same key is carried out once a day: 1 to 400 bytes of ASCII.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 400 },
        })
    })
}

/// The statuses of problems that an operation may answer with.
fn problems(operation: &Operation) -> Vec<(u16, &'static str)> {
    let mut problems = Vec::new();
    problems.push((400, "A parameter, a header or the JSON is not valid."));
    if operation.writes {
        problems.push((401, "Nobody is logged in."));
        problems.push((403, "Who is logged in may not do this."));
    }
    if operation.parameter.is_some() {
        problems.push((404, "There is nothing of this id or name."));
    }
    if operation.body.is_some() {
        problems.push((409, "The queue is closed."));
        problems.push((413, "The body is too large."));
        problems.push((415, "The body is no `application/json`."));
        problems.push((422, "The body is not what is expected; all that is wrong is told."));
    }
    if operation.body.is_some() || operation.query.iter().any(|(name, ..)| *name == "wait") {
        problems.push((429, "Not now: the queue is full, or too many wait. Try again later."));
    }
    problems.push((503, "Redis is away, or too many streams are open. Try again later."));
    problems
}
