//! Enqueue over HTTP: what is taken, what is refused, and that repeating is safe.

use celeriac_broker_schema::Requester;
use celeriac_broker_schema::script::Control;
use serde_json::{Value, json};

use super::document::{document, faults};
use crate::support::fleet::Fleet;
use crate::support::http::{Answer, json_when, with_body};
use crate::support::site::{OPERATOR, Site, fresh_broker};

pub(super) const JSON: &str = "content-type: application/json\r\n";

pub(super) async fn post(site: &Site, path: &str, body: &Value) -> Answer {
    send(site, path, "", body.to_string().as_bytes()).await
}

async fn send(site: &Site, path: &str, headers: &str, body: &[u8]) -> Answer {
    with_body(site.address, "POST", path, &format!("{OPERATOR}{JSON}{headers}"), body).await
}

/// The answer, which is as the document tells.
async fn checked(site: &Site, path: &str, answer: Answer) -> Answer {
    assert_eq!(faults(&document(site).await, "post", path, &answer), Vec::<String>::new());
    answer
}

/// All pointers of a refusal.
fn pointers(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().expect("errors");
    errors.iter().filter_map(|fault| fault["pointer"].as_str()).collect()
}

#[tokio::test]
async fn a_task_is_enqueued_with_all_that_is_said_of_it() {
    let broker = fresh_broker().await;
    let site = Site::for_operators(broker.clone()).await;
    let task = json!({
        "task": "mail.send", "args": {"to": "ada", "n": 7}, "queue": "mail", "needs": "eu",
        "priority": 8, "delay": "10m", "expires": "1d", "retries": 5, "backoff": "1s..1m",
        "timeout": "30s", "soft_timeout": "20s", "keep": "2h", "label": "welcome", "tags": ["a", "b"],
        "headers": {"Trace": "1-2"}, "tenant": "acme", "cost": 2, "key": "welcome/ada", "unique": "for=1h",
    });
    let made = checked(&site, "/api/v1/tasks", post(&site, "/api/v1/tasks", &task).await).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(made.header("location"), format!("/api/v1/tasks/{id}"));
    let there = json_when(site.address, &format!("/api/v1/tasks/{id}"), |_| true).await;
    assert_eq!((&there["state"], &there["queue"]), (&json!("delayed"), &json!("mail@eu")));
    assert_eq!((&there["args"], &there["priority"]), (&task["args"], &json!(8)));
    assert_eq!((&there["retries"], &there["timeout_ms"]), (&json!(5), &json!(30_000)));
    assert_eq!(
        (&there["keep_ms"], &there["backoff"]["cap_ms"]),
        (&json!(7_200_000), &json!(60_000))
    );
    let records = broker.records(&[id.parse().expect("an id")]).await.expect("Redis answers");
    let record: Value =
        serde_json::from_str(records[0].as_deref().expect("a record")).expect("JSON");
    assert_eq!(
        (&record["tenant"], &record["cost"], &record["label"]),
        (&json!("acme"), &json!(2), &json!("welcome"))
    );
    assert_eq!(
        (&record["tags"], &record["headers"]),
        (&json!(["a", "b"]), &json!({"trace": "1-2"}))
    );
    // Its key stands for it.
    let again = checked(&site, "/api/v1/tasks", post(&site, "/api/v1/tasks", &task).await).await;
    assert_eq!((again.status, again.json()), (200, json!({"id": id, "duplicate": true})));
}

#[tokio::test]
async fn large_integers_arrive_as_they_were_sent() {
    let broker = fresh_broker().await;
    let _fleet = Fleet::built_in(&broker);
    let site = Site::for_operators(broker).await;
    let body = br#"{"task":"echo","args":{"n":18446744073709551615,"x":1.10}}"#;
    let id = send(&site, "/api/v1/tasks", "", body).await.json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let ended = site.get(&format!("/api/v1/tasks/{id}/result?wait=30s")).await;
    assert_eq!(ended.json()["result"]["n"], u64::MAX, "{ended:?}");
}

#[tokio::test]
async fn a_list_is_enqueued_as_a_whole_and_safe_to_repeat() {
    let broker = fresh_broker().await;
    let site = Site::for_operators(broker.clone()).await;
    let tasks = json!([{"task": "a"}, {"task": "b", "queue": "other"}, {"task": "c"}]);
    let key = "idempotency-key: order-17\r\n";
    let body = tasks.to_string();
    let first =
        checked(&site, "/api/v1/tasks", send(&site, "/api/v1/tasks", key, body.as_bytes()).await)
            .await;
    assert_eq!(first.status, 201, "{first:?}");
    let ids = |answer: &Answer| {
        let told = answer.json();
        let of = |task: &Value| task["id"].as_str().expect("an id").to_owned();
        told["tasks"].as_array().expect("tasks").iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(ids(&first).len(), 3);
    let again = send(&site, "/api/v1/tasks", key, body.as_bytes()).await;
    assert_eq!((again.status, ids(&again)), (200, ids(&first)));
    assert_eq!(again.json()["tasks"][1]["duplicate"], true);
    assert_eq!(broker.snapshot(1, 1).await.expect("Redis answers").tasks, 3);
    let other =
        send(&site, "/api/v1/tasks", "idempotency-key: order-18\r\n", body.as_bytes()).await;
    assert_eq!(other.status, 201);
    for bad in [String::new(), "x".repeat(401), "ü".to_owned()] {
        let key = format!("idempotency-key: {bad}\r\n");
        send(&site, "/api/v1/tasks", &key, body.as_bytes()).await.problem(400, "invalid-header");
    }
    let both = json!({"task": "a", "key": "mine"}).to_string();
    let both =
        send(&site, "/api/v1/tasks", key, both.as_bytes()).await.problem(422, "invalid-body");
    assert_eq!(pointers(&both), ["/key"]);
}

#[tokio::test]
async fn all_that_is_wrong_is_told_and_nothing_is_enqueued() {
    let broker = fresh_broker().await;
    let site = Site::for_operators(broker.clone()).await;
    let tasks = json!([
        {"task": "fine"},
        {"queue": "a b", "priority": 10, "dealy": "1s"},
        {"task": "x y", "delay": "soon", "retries": -1, "tags": "a", "a/b~c": 1},
        {"task": "t", "delay": "1s", "at": 1_900_000_000, "unique": "queued", "cost": 0},
        {"task": "t", "headers": {"a b": ""}}, {"task": "t", "label": "x".repeat(201)}, 7,
    ]);
    let answer = post(&site, "/api/v1/tasks", &tasks).await;
    let problem = checked(&site, "/api/v1/tasks", answer).await.problem(422, "invalid-body");
    let mut wrong = pointers(&problem);
    wrong.sort_unstable();
    assert_eq!(
        wrong,
        [
            "/1/dealy",
            "/1/priority",
            "/1/queue",
            "/1/task",
            "/2/a~1b~0c",
            "/2/delay",
            "/2/retries",
            "/2/tags",
            "/2/task",
            "/3/cost",
            "/3/delay",
            "/3/unique",
            "/4/headers",
            "/5/label",
            "/6",
        ],
        "{problem}"
    );
    assert_eq!(broker.snapshot(1, 1).await.expect("Redis answers").tasks, 0);
    let large = json!({"task": "t", "args": "x".repeat(1 << 20)});
    let problem = post(&site, "/api/v1/tasks", &large).await.problem(422, "invalid-body");
    assert_eq!(pointers(&problem), ["/args"]);
}

#[tokio::test]
async fn bodies_that_are_none_are_refused() {
    let site = Site::for_operators(fresh_broker().await).await;
    for path in ["/api/v1/tasks", "/api/v1/jobs", "/api/v1/workflows"] {
        let bad: [&[u8]; 6] =
            [b"{", b"", b"{\"task\":\"t\"} x", b"\0", b"\xff\xfe", b"{\"task\":\"t\","];
        for body in bad {
            let answer = checked(&site, path, send(&site, path, "", body).await).await;
            answer.problem(400, "invalid-json");
        }
        for body in ["null", "7", "[]", "\"t\""] {
            send(&site, path, "", body.as_bytes()).await.problem(422, "invalid-body");
        }
        let deep = format!("{{\"task\":\"t\",\"args\":{}", "[".repeat(100_000));
        send(&site, path, "", deep.as_bytes()).await.problem(400, "invalid-json");
        let large = vec![b' '; 5 << 20];
        checked(&site, path, send(&site, path, "", &large).await).await.problem(413, "too-large");
        for kind in [
            "",
            "content-type: text/plain\r\n",
            "content-type: application/x-www-form-urlencoded\r\n",
        ] {
            let answer =
                with_body(site.address, "POST", path, &format!("{OPERATOR}{kind}"), b"{}").await;
            checked(&site, path, answer).await.problem(415, "unsupported-media-type");
        }
        let charset = with_body(
            site.address,
            "POST",
            path,
            &format!("{OPERATOR}content-type: Application/JSON; charset=utf-8\r\n"),
            b"{}",
        )
        .await;
        assert_eq!(charset.status, 422);
    }
    let many = Value::from(vec![json!({"task": "t"}); 1_001]);
    post(&site, "/api/v1/tasks", &many).await.problem(422, "invalid-body");
}

#[tokio::test]
async fn a_queue_that_takes_nothing_says_so() {
    let broker = fresh_broker().await;
    let site = Site::for_operators(broker.clone()).await;
    let ada = Requester::new("ada").because("moving house");
    broker.control_queue(&"shut".parse().unwrap(), Control::Close, &ada).await.unwrap();
    let answer = post(&site, "/api/v1/tasks", &json!({"task": "t", "queue": "shut"})).await;
    let closed = checked(&site, "/api/v1/tasks", answer).await.problem(409, "queue-closed");
    assert!(
        closed["detail"].as_str().is_some_and(|text| text.contains("by ada: moving house")),
        "{closed}"
    );
    broker
        .control_queue(&"small".parse().unwrap(), Control::Limit(1.try_into().unwrap()), &ada)
        .await
        .unwrap();
    let one = json!({"task": "t", "queue": "small"});
    let answer = post(&site, "/api/v1/tasks", &json!([one, one])).await;
    let full = checked(&site, "/api/v1/tasks", answer).await;
    assert_eq!(full.header("retry-after"), "2");
    let full = full.problem(429, "queue-full");
    assert!(
        full["detail"].as_str().is_some_and(|text| text.contains("1 of 2 were enqueued")),
        "{full}"
    );
}

#[tokio::test]
async fn a_job_is_enqueued_and_ends_with_its_result() {
    let broker = fresh_broker().await;
    let _fleet = Fleet::built_in(&broker);
    let site = Site::for_operators(broker).await;
    let body = json!({
        "task": "pi", "args": {"seed": 7}, "chunks": 20, "split": {"field": "samples", "total": 20_000},
        "sum": ["hits", "samples"], "reduce": "pi.estimate", "label": "a little pi", "timeout": "1m",
    });
    let made = checked(&site, "/api/v1/jobs", post(&site, "/api/v1/jobs", &body).await).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(made.header("location"), format!("/api/v1/jobs/{id}"));
    let ended = site.get(&format!("/api/v1/tasks/{id}/result?wait=30s")).await.json();
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let job =
        json_when(site.address, &format!("/api/v1/jobs/{id}"), |job| job["state"] == "succeeded")
            .await;
    assert_eq!((&job["label"], &job["done"]), (&json!("a little pi"), &json!(20)));
    assert_eq!(job["submitted_by"], "tests over HTTP");
    let chunks = site.get(&format!("/api/v1/jobs/{id}/chunks?limit=4")).await.json();
    assert_eq!(
        (&chunks["stretch"], &chunks["stretches"][2]),
        (&json!(8), &json!({"first": 16, "chunks": 4, "done": 4, "retried": 0, "running": 0}))
    );

    let bad = json!({"task": "pi", "args": 7, "chunks": 0, "split": "samples=1", "sum": "hits", "size": 1});
    let problem = post(&site, "/api/v1/jobs", &bad).await.problem(422, "invalid-body");
    assert_eq!(pointers(&problem), ["/split", "/sum", "/size"]);
    let none = post(&site, "/api/v1/jobs", &json!({"task": "pi", "chunks": 0}))
        .await
        .problem(422, "invalid-body");
    assert_eq!(pointers(&none), ["/chunks"]);
    let missing =
        post(&site, "/api/v1/jobs", &json!({"task": "pi"})).await.problem(422, "invalid-body");
    assert_eq!(pointers(&missing), ["/chunks"]);
    let split = json!({"task": "pi", "args": [], "chunks": 2, "split": {"field": "n", "total": 5}});
    assert_eq!(
        pointers(&post(&site, "/api/v1/jobs", &split).await.problem(422, "invalid-body")),
        ["/args"]
    );
}

#[tokio::test]
async fn a_workflow_is_enqueued_and_ends_with_its_result() {
    let broker = fresh_broker().await;
    let _fleet = Fleet::built_in(&broker);
    let site = Site::for_operators(broker).await;
    let body = json!({
        "label": "two and one",
        "workflow": {"chain": [
            {"group": [{"task": "echo", "args": [1]}, {"task": "echo", "args": [2]}]},
            {"task": "echo", "args": ["behind"]},
        ]},
    });
    let made =
        checked(&site, "/api/v1/workflows", post(&site, "/api/v1/workflows", &body).await).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let ended = site.get(&format!("/api/v1/tasks/{id}/result?wait=30s")).await.json();
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(ended["result"], json!([[[1], [2]], "behind"]));

    let bad = json!({"chain": [{"tsk": "echo"}, {"group": [{"task": "no name"}]}]});
    let problem = post(&site, "/api/v1/workflows", &bad).await.problem(422, "invalid-body");
    assert_eq!(pointers(&problem).len(), 2, "{problem}");
}

#[tokio::test]
async fn nobody_writes_without_being_let_in() {
    let broker = fresh_broker().await;
    let site = Site::start(broker.clone()).await;
    let task = json!({"task": "t"}).to_string();
    for path in ["/api/v1/tasks", "/api/v1/jobs", "/api/v1/workflows"] {
        let answer = with_body(site.address, "POST", path, JSON, task.as_bytes()).await;
        checked(&site, path, answer).await.problem(403, "forbidden");
    }
    let site = Site::for_operators(broker.clone()).await;
    let viewer = with_body(
        site.address,
        "POST",
        "/api/v1/tasks",
        &format!("{}{JSON}", crate::support::site::VIEWER),
        task.as_bytes(),
    )
    .await;
    assert!(matches!(viewer.status, 401 | 403), "{viewer:?}");
    assert_eq!(broker.snapshot(1, 1).await.expect("Redis answers").tasks, 0);
}
