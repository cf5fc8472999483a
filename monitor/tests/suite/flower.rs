//! Flower's HTTP API: the shapes that scripts rely on, field by field and type by type.

use celeriac_broker_schema::Broker;
use serde_json::{Value, json};

use crate::api::world::World;
use crate::support::fleet::Fleet;
use crate::support::http::{Answer, json_when, with_body};
use crate::support::site::{OPERATOR, Site, VIEWER, fresh_broker};

/// An example of a task as Flower 2 tells one, with null where it may be null.
fn task_of_flower() -> Value {
    json!({
        "uuid": "text", "name": "text?", "state": "text", "received": "number?", "sent": "number?",
        "started": "number?", "rejected": "number?", "succeeded": "number?", "failed": "number?",
        "retried": "number?", "revoked": "number?", "args": "text?", "kwargs": "text?", "result": "text?",
        "eta": "number?", "expires": "number?", "retries": "number", "worker": "text?",
        "exception": "text?", "timestamp": "number?", "runtime": "number?", "traceback": "text?",
        "exchange": "text?", "routing_key": "text?", "clock": "number", "client": "text?", "root": "text?",
        "root_id": "text?", "parent": "text?", "parent_id": "text?", "children": "list",
    })
}

/// And a worker.
fn worker_of_flower() -> Value {
    json!({
        "stats": {
            "broker": { "hostname": "text", "transport": "text" },
            "clock": "text", "pid": "number",
            "pool": { "max-concurrency": "number", "processes": "list", "max-tasks-per-child": "text", "timeouts": "list" },
            "prefetch_count": "number", "rusage": { "maxrss": "number?" }, "total": { "*": "number" }, "uptime": "number",
        },
        "active": "list", "reserved": "list", "scheduled": "list", "revoked": "list", "registered": "list",
        "active_queues": "list", "conf": {}, "timestamp": "number",
    })
}

/// Asserts that a document has just the fields of a shape, each of its type.
#[track_caller]
fn assert_shape(found: &Value, shape: &Value) {
    match shape {
        Value::Object(fields) => {
            let keys = |object: &Value| {
                object.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>())
            };
            assert_eq!(keys(found), keys(shape), "{found}");
            fields.iter().for_each(|(name, shape)| assert_shape(&found[name], shape));
        }
        Value::String(kind) => {
            let fits = match kind.trim_end_matches('?') {
                "text" => found.is_string(),
                "number" => found.is_number(),
                _ => found.is_array(),
            };
            assert!(fits || (kind.ends_with('?') && found.is_null()), "{found} is no {kind}");
        }
        other => unreachable!("{other} is no shape"),
    }
}

async fn site(broker: &Broker) -> Site {
    let site = Site::for_operators(broker.clone()).await;
    json_when(site.address, "/api/queues/length", |_| true).await;
    site
}

async fn post(site: &Site, path: &str, body: &str) -> Answer {
    with_body(site.address, "POST", path, OPERATOR, body.as_bytes()).await
}

#[tokio::test]
async fn workers_have_the_shape_of_flower() {
    let world = World::new().await;
    let site = site(&world.broker).await;
    let name = format!("{}@host-1", world.worker.lease);
    let workers = json_when(site.address, "/api/workers", |json| json[&name].is_object()).await;
    assert_shape(&workers[&name], &worker_of_flower());
    let worker = &workers[&name];
    assert_eq!(
        (&worker["registered"], &worker["stats"]["pool"]["max-concurrency"]),
        (&json!(["pi"]), &json!(4))
    );
    assert_eq!(
        (&worker["active"][0]["id"], &worker["active_queues"][0]["name"]),
        (&json!(world.running.to_string()), &json!("mail"))
    );
    let status = site.get("/api/workers?status=1&refresh=True").await.json();
    assert_eq!(status[&name], true);
    let one = site.get(&format!("/api/workers?workername={name}")).await.json();
    assert_eq!(one.as_object().map(serde_json::Map::len), Some(1));
    let none = site.get("/api/workers?workername=nobody").await;
    assert_eq!((none.status, none.body.as_str()), (404, "Unknown worker 'nobody'"));
    assert_eq!(site.get("/api/task/types").await.json(), json!({"task-types": ["pi"]}));
    let length = site.get("/api/queues/length").await.json();
    assert!(
        length["active_queues"]
            .as_array()
            .is_some_and(|queues| queues.contains(&json!({"name": "mail", "messages": 1}))),
        "{length}"
    );
}

#[tokio::test]
async fn tasks_have_the_shape_and_the_states_of_flower() {
    let world = World::new().await;
    let site = site(&world.broker).await;
    for (id, state) in [
        (world.ready, "PENDING"),
        (world.delayed, "PENDING"),
        (world.succeeded, "SUCCESS"),
        (world.dead, "FAILURE"),
        (world.retried, "RETRY"),
        (world.running, "STARTED"),
    ] {
        let task = site.get(&format!("/api/task/info/{id}")).await.json();
        assert_shape(&task, &task_of_flower());
        assert_eq!((&task["uuid"], &task["state"]), (&json!(id.to_string()), &json!(state)));
    }
    let dead = site.get(&format!("/api/task/info/{}", world.dead)).await.json();
    assert_eq!(
        (&dead["exception"], &dead["traceback"]),
        (&json!("no such address"), &json!("at mail/send.rs:88"))
    );
    let ready = site.get(&format!("/api/task/info/{}", world.ready)).await.json();
    assert_eq!(
        (&ready["args"], &ready["kwargs"], &ready["routing_key"]),
        (&json!("[]"), &json!("{\"order\":4711}"), &json!("mail"))
    );

    let tasks = site.get("/api/tasks").await.json();
    for (id, task) in tasks.as_object().expect("tasks by id") {
        assert_shape(task, &task_of_flower());
        assert_eq!(task["uuid"], *id);
    }
    let ids = async |query: &str| {
        let tasks = site.get(&format!("/api/tasks?{query}")).await.json();
        tasks.as_object().expect("tasks by id").keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(ids("state=STARTED").await, [world.running.to_string()]);
    assert_eq!(ids("state=FAILURE&taskname=mail/send").await, [world.dead.to_string()]);
    assert_eq!(ids("search=NO+SUCH").await, [world.dead.to_string()]);
    let all = ids("").await.len();
    assert!(ids("limit=2").await.len() == 2 && ids("offset=1").await.len() == all - 1);
    assert!(ids("received_end=2000-01-01+00:00").await.is_empty());
    for bad in ["limit=x", "sort_by=colour", "received_start=noon"] {
        assert_eq!(site.get(&format!("/api/tasks?{bad}")).await.status, 400, "{bad}");
    }
    for unknown in ["nonsense", "0193a7c2b5e07d4e8a1f3c5d7e9b1a00"] {
        for path in ["info", "result"] {
            let answer = site.get(&format!("/api/task/{path}/{unknown}")).await;
            assert_eq!((answer.status, answer.body), (404, format!("Unknown task '{unknown}'")));
        }
    }
    // The built-in worker tells what has succeeded.
    let _fleet = Fleet::built_in(&world.broker);
    let knows = |json: &Value| {
        json["task-types"].as_array().is_some_and(|types| types.contains(&json!("echo")))
    };
    json_when(site.address, "/api/task/types", knows).await;
    let done = post(&site, "/api/task/apply/echo", "").await.json()["task-id"].clone();
    let path = "/api/tasks?state=SUCCESS&taskname=echo";
    let told =
        json_when(site.address, path, |json| json[done.as_str().expect("an id")].is_object()).await;
    assert_shape(&told[done.as_str().expect("an id")], &task_of_flower());
}

#[tokio::test]
async fn results_are_told_as_flower_tells_them() {
    let world = World::new().await;
    let site = site(&world.broker).await;
    let result = async |id: celeriac_broker_schema::TaskId, query: &str| {
        site.get(&format!("/api/task/result/{id}{query}")).await.json()
    };
    let id = world.succeeded;
    assert_eq!(
        result(id, "").await,
        json!({"task-id": id, "state": "SUCCESS", "result": {"sent": u64::MAX}})
    );
    let id = world.dead;
    assert_eq!(
        result(id, "?timeout=5").await,
        json!({"task-id": id, "state": "FAILURE", "result": "no such address", "traceback": "at mail/send.rs:88"})
    );
    let id = world.ready;
    assert_eq!(result(id, "?timeout=0.2").await, json!({"task-id": id, "state": "PENDING"}));
    assert_eq!(site.get(&format!("/api/task/result/{id}?timeout=soon")).await.status, 400);
}

#[tokio::test]
async fn tasks_are_applied_sent_and_revoked() {
    let broker = fresh_broker().await;
    let _fleet = Fleet::built_in(&broker);
    let site = site(&broker).await;
    let knows = |json: &Value| {
        json["task-types"].as_array().is_some_and(|types| types.contains(&json!("echo")))
    };
    json_when(site.address, "/api/task/types", knows).await;
    let applied = post(&site, "/api/task/apply/echo", r#"{"args": [1, 2]}"#).await.json();
    assert_eq!((&applied["state"], &applied["result"]), (&json!("SUCCESS"), &json!([1, 2])));
    let later =
        post(&site, "/api/task/async-apply/echo", r#"{"kwargs": {"x": 1}, "countdown": 600}"#)
            .await
            .json();
    assert_shape(&later, &json!({"task-id": "text", "state": "text"}));
    let id = later["task-id"].as_str().expect("an id").to_owned();
    let info = site.get(&format!("/api/task/info/{id}")).await.json();
    assert_eq!((&info["state"], &info["kwargs"]), (&json!("PENDING"), &json!("{\"x\": 1}")));
    for path in ["apply", "async-apply"] {
        let unknown = post(&site, &format!("/api/task/{path}/no/such.task"), "").await;
        assert_eq!((unknown.status, unknown.body.as_str()), (404, "Unknown task 'no/such.task'"));
    }
    let sent = post(&site, "/api/task/send-task/no/such.task", r#"{"queue": "other"}"#).await;
    assert_eq!((sent.status, &sent.json()["state"]), (200, &json!("PENDING")));
    for bad in ["{", r#"{"args": 7}"#, r#"{"queue": "a b"}"#] {
        assert_eq!(post(&site, "/api/task/send-task/t", bad).await.status, 400, "{bad}");
    }

    let revoked = post(&site, &format!("/api/task/revoke/{id}?terminate=true"), "").await;
    assert_eq!(
        (revoked.status, revoked.json()),
        (200, json!({"message": format!("Revoked '{id}'")}))
    );
    let info = site.get(&format!("/api/task/info/{id}")).await.json();
    assert_eq!(info["state"], "REVOKED");
    let noted = site.get("/api/v1/audit").await.body;
    assert!(noted.contains(&id), "{noted}");
    let unknown = post(&site, "/api/task/revoke/0193a7c2b5e07d4e8a1f3c5d7e9b1a00", "").await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn nobody_applies_or_revokes_without_being_let_in() {
    let world = World::new().await;
    let site = site(&world.broker).await;
    let before = world.broker.snapshot(1, 1).await.expect("Redis answers").tasks;
    for path in [
        "apply/pi".to_owned(),
        "async-apply/pi".to_owned(),
        "send-task/pi".to_owned(),
        format!("revoke/{}", world.ready),
    ] {
        for who in ["", VIEWER] {
            let answer =
                with_body(site.address, "POST", &format!("/api/task/{path}"), who, b"{}").await;
            assert!(matches!(answer.status, 401 | 403), "{path}: {answer:?}");
        }
    }
    assert_eq!(world.broker.snapshot(1, 1).await.expect("Redis answers").tasks, before);
}

#[tokio::test]
async fn metrics_have_names_of_flower_if_asked() {
    let world = World::new().await;
    let site = site(&world.broker).await;
    json_when(site.address, "/api/workers", |json| {
        json.as_object().is_some_and(|workers| !workers.is_empty())
    })
    .await;
    let own = site.get("/metrics").await.ok();
    assert!(!own.contains("flower_"));
    let text = site.get("/metrics?flower=1").await.ok();
    let name = format!("{}@host-1", world.worker.lease);
    for line in [
        format!("flower_worker_online{{worker=\"{name}\"}} 1"),
        format!("flower_worker_number_of_currently_executing_tasks{{worker=\"{name}\"}} 1"),
        format!("flower_worker_prefetched_tasks{{worker=\"{name}\",task=\"*\"}} 0"),
        format!("flower_events_total{{worker=\"{name}\",task=\"*\",type=\"task-succeeded\"}} 5"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert!(!text.contains("celeriac_"));
}
