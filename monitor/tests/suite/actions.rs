//! What operators do: each action does what it says, and is in the audit list.

use std::time::Duration;

use celeriac_broker_schema::script::Renewed;
use celeriac_broker_schema::{Broker, DeadFilter, JobId, QueueName, TaskId};
use celeriac_producer::{NewTask, Replace, Schedule};
use serde_json::{Value, json};

use crate::support::browser_like::{
    OPERATOR_TOKEN, Person, VIEWER_TOKEN, bearer, options, site_of, token,
};
use crate::support::http::{Answer, request, with_body};
use crate::support::seed::{Producer, Worker, failed};
use crate::support::site::{Site, fresh_broker};

async fn post(site: &Site, action: &str, body: &str) -> Answer {
    let headers = format!("content-type: application/json\r\n{}", bearer(OPERATOR_TOKEN));
    let path = format!("/api/v1/actions/{action}");
    with_body(site.address, "POST", &path, &headers, body.as_bytes()).await
}

/// Does something by the API, which must succeed, and looks for it in the audit list.
async fn act(site: &Site, broker: &Broker, action: &str, fields: Value) -> Value {
    let mut with_why = fields.clone();
    with_why["why"] = "because".into();
    let answer = post(site, action, &with_why.to_string()).await;
    assert_eq!(answer.status, 200, "{action} {fields}: {answer:?}");
    let done = answer.json();
    let line = broker.audit(None, 1).await.expect("a page").lines.remove(0);
    assert_eq!(line.deed.action, action);
    assert_eq!(line.deed.who.to_string(), "by deploy: because", "{action}");
    assert_eq!(
        (line.deed.with.as_str(), line.deed.from.as_deref()),
        ("monitor", Some("127.0.0.1"))
    );
    assert_eq!((line.deed.changed, line.deed.failed), (done["changed"].as_u64().unwrap(), false));
    assert!(line.deed.result.starts_with(done["what"].as_str().unwrap()), "{line:?}");
    for (name, value) in fields.as_object().unwrap() {
        let value = value.as_str().map_or(value.to_string(), str::to_owned);
        let value = value.replace("true", "yes");
        let shown = value.starts_with('[') || line.deed.target.contains(&format!("{name}={value}"));
        assert!(shown, "{name}={value} in {line:?}");
    }
    done
}

fn brief(done: &Value) -> (String, u64, bool) {
    let what = done["what"].as_str().expect("a sentence").to_owned();
    (what, done["changed"].as_u64().expect("a number"), done["more"].as_bool().expect("a word"))
}

fn said(what: &str, changed: u64) -> (String, u64, bool) {
    (what.to_owned(), changed, false)
}

/// Some tasks of a queue that failed for good.
async fn dead(broker: &Broker, queue: &str, messages: &[&str]) -> Vec<TaskId> {
    let mut producer = Producer::new(broker);
    let mut ids = Vec::new();
    for _ in messages {
        ids.push(producer.task(queue, None).await);
    }
    let mut worker = Worker::open(broker, queue).await;
    let now = worker.hold(ids.len()).await;
    let endings: Vec<_> =
        ids.iter().zip(messages).map(|(id, message)| failed(*id, message, now)).collect();
    worker.complete(&endings, 0).await;
    ids
}

async fn left_dead(broker: &Broker) -> Vec<TaskId> {
    let page = broker.dead_where(&DeadFilter::default(), None).await.expect("a page");
    page.letters.iter().map(|letter| letter.id).collect()
}

#[tokio::test]
async fn queues_are_paused_closed_limited_and_turned_fair() {
    let broker = fresh_broker().await;
    let site = site_of(&broker, &options()).await;
    Producer::new(&broker).task("mail", None).await;
    let mail = json!({"queue": "mail"});
    let queue = async || {
        let queues = broker.snapshot(10, 1).await.expect("Redis answers").queues;
        let view = queues.into_iter().find(|view| view.name == "mail").expect("it is there");
        let controls = view.controls;
        let limit = controls.limit.map(|limit| limit.max);
        (controls.paused.map(|note| note.who.to_string()), controls.closed.is_some(), limit)
    };
    let by = Some("by deploy: because".to_owned());

    let done = act(&site, &broker, "pause-queue", mail.clone()).await;
    assert_eq!(brief(&done), said("queue mail is paused", 1));
    assert_eq!(queue().await, (by, false, None));
    let again = act(&site, &broker, "pause-queue", mail.clone()).await;
    assert_eq!(brief(&again), said("queue mail is paused, as it was before", 0));
    act(&site, &broker, "close-queue", mail.clone()).await;
    act(&site, &broker, "limit-queue", json!({"queue": "mail", "max": 7})).await;
    act(&site, &broker, "resume-queue", mail.clone()).await;
    assert_eq!(queue().await, (None, true, Some(7)));
    act(&site, &broker, "open-queue", mail.clone()).await;
    act(&site, &broker, "limit-queue", mail.clone()).await;
    assert_eq!(queue().await, (None, false, None));
    let fair = async || broker.limits(10).await.expect("limits").fair.len();
    act(&site, &broker, "fair-on", mail.clone()).await;
    assert_eq!(fair().await, 1);
    act(&site, &broker, "fair-off", mail).await;
    assert_eq!(fair().await, 0);
}

#[tokio::test]
async fn queues_are_purged_and_moved() {
    let broker = fresh_broker().await;
    let site = site_of(&broker, &options()).await;
    let mut producer = Producer::new(&broker);
    for _ in 0..3 {
        producer.task("mail", None).await;
    }
    let late = producer.task("mail", Some(600_000)).await;
    let moved = act(&site, &broker, "move-queue", json!({"queue": "mail", "to": "post"})).await;
    assert_eq!(brief(&moved), said("moved from mail to post: 3 tasks", 3));
    let purged = act(&site, &broker, "purge-queue", json!({"queue": "post"})).await;
    assert_eq!(brief(&purged), said("queue post purged: 3 tasks and 0 jobs cancelled", 3));
    let none = act(&site, &broker, "purge-queue", json!({"queue": "mail"})).await;
    assert_eq!(none["changed"], 0, "what is delayed stays unless it is asked for");
    let fields = json!({"queue": "mail", "delayed": true});
    assert_eq!(act(&site, &broker, "purge-queue", fields).await["changed"], 1);
    let (path, viewer) = (format!("/api/v1/tasks/{late}"), bearer(VIEWER_TOKEN));
    let task = request(site.address, "GET", &path, &viewer).await.json();
    assert_eq!(task["state"], "cancelled");
}

#[tokio::test]
async fn tasks_are_cancelled_by_id_and_by_filter() {
    let broker = fresh_broker().await;
    let site = site_of(&broker, &options()).await;
    let mut producer = Producer::new(&broker);
    let (waits, runs) = (producer.task("mail", None).await, producer.task("other", None).await);
    let job: JobId = producer.job("Pi", 3, None).await;
    Worker::open(&broker, "other").await.hold(1).await;
    let never = TaskId::new(celeriac_broker_schema::Timestamp(1));
    let ids = json!({"id": [waits, runs, job, never, waits]});
    let done = act(&site, &broker, "cancel", ids).await;
    let what = format!("2 tasks cancelled; 1 running task told to stop; {never} is not known");
    assert_eq!(brief(&done), said(&what, 3));
    assert_eq!(done["left"], json!([{"id": never, "why": "is not known"}]));

    for _ in 0..3 {
        producer.task("mail", None).await;
    }
    let tagged = r#"{"v":1,"task":"t","args":1,"tags":["blue"]}"#;
    producer.record(tagged.to_owned(), "mail", None).await;
    let fields = json!({"queue": "mail", "tag": "blue"});
    let done = act(&site, &broker, "cancel-matching", fields).await;
    assert_eq!(brief(&done), said("1 task cancelled", 1));
    let fields = json!({"queue": "mail", "task": "mail/send", "state": "ready"});
    assert_eq!(act(&site, &broker, "cancel-matching", fields).await["changed"], 3);
}

#[tokio::test]
async fn dead_letters_are_revived_and_deleted() {
    let broker = fresh_broker().await;
    let site = site_of(&broker, &options()).await;
    let ids = dead(&broker, "mail", &["no mail", "no mail", "no disk", "no disk", "odd"]).await;
    let done = act(&site, &broker, "revive", json!({"id": [ids[0]]})).await;
    assert_eq!(brief(&done), said("1 task revived", 1));
    let again = act(&site, &broker, "revive", json!({"id": [ids[0]]})).await;
    let what = format!("0 tasks revived; {} is no dead letter", ids[0]);
    assert_eq!(brief(&again), said(&what, 0));

    let letter = broker.dead_letter(ids[2]).await.expect("an answer").expect("it is there");
    let group = json!({"fingerprint": letter.error.fingerprint});
    let done = act(&site, &broker, "revive-matching", group).await;
    assert_eq!(brief(&done), said("2 tasks revived", 2));
    let done = act(&site, &broker, "discard", json!({"id": [ids[1], ids[2]]})).await;
    let what = format!("1 dead letter deleted; {} is no dead letter", ids[2]);
    assert_eq!(brief(&done), said(&what, 1));
    assert_eq!(left_dead(&broker).await, [ids[4]]);
    let none = act(&site, &broker, "discard-matching", json!({"queue": "other"})).await;
    assert_eq!(none["changed"], 0);
    let all = act(&site, &broker, "discard-matching", json!({"all": true})).await;
    assert_eq!(brief(&all), said("1 dead letter deleted", 1));
    assert_eq!(left_dead(&broker).await, []);
}

#[tokio::test]
async fn limits_are_set_and_removed() {
    let broker = fresh_broker().await;
    let site = site_of(&broker, &options()).await;
    let subject = "task:mail.send";
    let fields = json!({"subject": subject, "rate": "100/s", "concurrency": 5});
    let done = act(&site, &broker, "set-limit", fields.clone()).await;
    assert_eq!(brief(&done), said("the limit on task:mail.send is set", 1));
    let set = broker.limits(10).await.expect("limits").set;
    let rate = set[0].limit.rate().expect("a rate");
    assert_eq!((rate.tasks, rate.per_ms, rate.burst), (100, 1_000, 100));
    assert_eq!(set[0].limit.concurrency(), Some(5));
    assert_eq!(act(&site, &broker, "set-limit", fields).await["changed"], 0);
    act(&site, &broker, "remove-limit", json!({"subject": subject})).await;
    assert_eq!(broker.limits(10).await.expect("limits").set, []);
}

#[tokio::test]
async fn workers_are_given_orders() {
    let broker = fresh_broker().await;
    let site = site_of(&broker, &options()).await;
    let lease = Worker::open(&broker, "mail").await.lease;
    let worker = json!({"worker": lease.as_str()});
    let with = |name: &str, value: Value| {
        let mut fields = worker.clone();
        fields[name] = value;
        fields
    };
    act(&site, &broker, "pause-worker", worker.clone()).await;
    act(&site, &broker, "set-slots", with("slots", 3.into())).await;
    act(&site, &broker, "set-queues", with("queues", "mail, post".into())).await;
    act(&site, &broker, "drain-worker", worker.clone()).await;
    let renew = async || match broker.renew(&lease, Duration::from_secs(60), &[]).await {
        Ok(Renewed::Until { orders, .. }) => *orders,
        other => panic!("{other:?}"),
    };
    let orders = renew().await;
    assert_eq!(orders.number, 4);
    assert!(orders.drain.expect("told").value && orders.pause.expect("told").value);
    assert_eq!(orders.concurrency.expect("told").value, 3);
    let queues: Vec<QueueName> = ["mail", "post"].map(|name| name.parse().unwrap()).to_vec();
    assert_eq!(orders.queues.expect("told").value, queues);
    act(&site, &broker, "resume-worker", worker).await;
    assert!(!renew().await.pause.expect("told").value);

    let gone = post(&site, "pause-worker", r#"{"worker":"0123456789abcdef"}"#).await;
    gone.problem(404, "unknown");
    let line = broker.audit(None, 1).await.expect("a page").lines.remove(0);
    assert!(line.deed.failed && line.deed.result.contains("no worker"), "{line:?}");
}

#[tokio::test]
async fn schedules_are_paused_run_and_deleted() {
    let broker = fresh_broker().await;
    let site = site_of(&broker, &options()).await;
    let name = "nightly".parse().expect("a name");
    let task = NewTask::new("report", &()).expect("a task");
    let hourly = Schedule::every(Duration::from_secs(3_600), task);
    let schedules = celeriac_producer::Producer::new(broker.clone()).schedules();
    schedules.put(&name, &hourly, Replace::Nothing).await.expect("it is put");
    let view = async || broker.schedules(Some(&name), 0, 1).await.expect("schedules").page.pop();
    let nightly = json!({"schedule": "nightly"});

    let done = act(&site, &broker, "pause-schedule", nightly.clone()).await;
    assert_eq!(brief(&done), said("schedule nightly is paused", 1));
    assert_eq!(view().await.unwrap().paused.expect("it is paused").by, "deploy");
    act(&site, &broker, "resume-schedule", nightly.clone()).await;
    let due = view().await.unwrap().due.expect("it is due");
    act(&site, &broker, "skip-schedule", nightly.clone()).await;
    assert!(view().await.unwrap().due.expect("it is due") > due);
    let done = act(&site, &broker, "run-schedule", nightly.clone()).await;
    assert!(
        done["what"].as_str().unwrap().starts_with("schedule nightly runs now, as 0"),
        "{done}"
    );
    assert_eq!(view().await.unwrap().runs, 1);
    act(&site, &broker, "remove-schedule", nightly.clone()).await;
    assert!(view().await.is_none());
    post(&site, "run-schedule", &nightly.to_string()).await.problem(404, "unknown");
}

#[tokio::test]
async fn forms_do_it_and_say_so_without_a_script() {
    let broker = fresh_broker().await;
    let site = site_of(&broker, &options()).await;
    let mut ada = Person::logged_in(&site, "ada").await;
    let page = ada.get("/").await.ok();
    let csrf = token(&page).to_owned();
    let fields = [("csrf", csrf.as_str()), ("back", "/audit"), ("why", "<i>an outage</i>")];
    let answer = ada.send("/actions/pause-queue?queue=mail", &fields).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/audit"), "{answer:?}");
    let shown = ada.get("/audit").await.ok();
    for text in [
        "role=\"status\">Queue mail is paused.</p>",
        "queue=mail",
        "&lt;i&gt;an outage",
        "ada",
        "127.0.0.1",
    ] {
        assert!(shown.contains(text), "{text} is not in {shown}");
    }
    assert!(!ada.get("/audit").await.ok().contains("role=\"status\">Queue"), "it is said once");

    // A button that says less than is needed leads to a page that asks for the rest.
    let page = ada.send("/actions/limit-queue?queue=a%20b", &fields).await;
    assert!(page.body.contains("name=\"max\""), "{page:?}");
    assert_eq!(page.status, 200);
    let wrong =
        [fields.as_slice(), &[("confirmed", "yes"), ("queue", "mail"), ("max", "0")]].concat();
    let page = ada.send("/actions/limit-queue", &wrong).await;
    assert_eq!(page.status, 400);
    assert!(page.body.contains("role=\"alert\"") && page.body.contains("value=\"0\""), "{page:?}");
}

#[tokio::test]
async fn what_destroys_asks_first() {
    let broker = fresh_broker().await;
    let site = site_of(&broker, &options()).await;
    let mut producer = Producer::new(&broker);
    for _ in 0..3 {
        producer.task("mail", None).await;
    }
    let ids = dead(&broker, "sick", &["a", "b"]).await;
    let mut ada = Person::logged_in(&site, "ada").await;
    let csrf = token(&ada.get("/").await.ok()).to_owned();
    let form = [("csrf", csrf.as_str()), ("back", "/")];
    for (path, about) in [
        ("/actions/purge-queue?queue=mail", "3 tasks"),
        ("/actions/move-queue?queue=mail&to=post", "3 tasks"),
        ("/actions/cancel-matching?queue=mail", "3 tasks"),
        ("/actions/discard-matching?all=yes", "2 dead letters"),
        ("/actions/revive-matching?queue=sick", "2 dead letters"),
        (&format!("/actions/discard?id={}&id={}", ids[0], ids[1]), "Delete dead letters?"),
        (&format!("/actions/cancel?id={}", ids[0]), "Cancel tasks?"),
        ("/actions/remove-schedule?schedule=x", "Delete a schedule?"),
        ("/actions/drain-worker?worker=abc", "Drain a worker?"),
    ] {
        for answer in [ada.send(path, &form).await, ada.get(path).await] {
            let page = answer.ok();
            assert!(
                page.contains(about) && page.contains("cannot")
                    || page.contains("name=\"confirmed\""),
                "{path}: {page}"
            );
            assert!(page.contains(about), "{about} is not in {path}: {page}");
            assert!(page.contains("Do nothing"), "{path}");
        }
    }
    assert_eq!(broker.audit(None, 1).await.expect("a page").lines, [], "nothing was done yet");
    assert_eq!(left_dead(&broker).await.len(), 2);
    let yes = [form.as_slice(), &[("confirmed", "yes"), ("queue", "mail")]].concat();
    assert_eq!(ada.send("/actions/purge-queue", &yes).await.status, 303);
    assert!(ada.get("/").await.ok().contains("Queue mail purged: 3 tasks"));
    // A link cannot say yes.
    let linked = "/actions/purge-queue?queue=mail&confirmed=yes";
    assert_eq!(ada.get(linked).await.status, 200);
    assert_eq!(broker.audit(None, 9).await.expect("a page").lines.len(), 1);
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_do_nothing() {
    let broker = fresh_broker().await;
    let site = site_of(&broker, &options()).await;
    let deep = "[".repeat(100_000);
    let long = format!(r#"{{"queue":"{}"}}"#, "q".repeat(100_000));
    for body in [
        "",
        "null",
        "[]",
        "{",
        "\u{0}",
        "{\"queue\":{\"$gt\":1}}",
        "{\"queue\":[[1]]}",
        r#"{"queue":["a","b"]}"#,
        r#"{"queue":"a","queue ":"b"}"#,
        r#"{"queue":"a:b"}"#,
        r#"{"queue":"a\u0000b"}"#,
        r#"{"queue":"../../etc"}"#,
        r#"{"queue":"a","csrf":"x"}"#,
        "{\"queue\":\"'; redis.call('FLUSHALL')\"}",
        &deep,
        &long,
    ] {
        let answer = post(&site, "pause-queue", body).await;
        assert!([400, 413].contains(&answer.status), "{body:.80}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(answer.body.len() < 3_000, "{} bytes for {body:.80}", answer.body.len());
    }
    for action in ["", "no-such", "pause-queue%00", "..%2f", "Pause-Queue"] {
        let answer = post(&site, action, r#"{"queue":"a"}"#).await;
        assert_eq!(answer.status, 404, "{action}: {answer:?}");
    }
    let headers = bearer(OPERATOR_TOKEN);
    let path = "/api/v1/actions/pause-queue";
    for kind in
        ["", "content-type: text/plain\r\n", "content-type: application/x-www-form-urlencoded\r\n"]
    {
        let headers = format!("{kind}{headers}");
        let answer = with_body(site.address, "POST", path, &headers, br#"{"queue":"a"}"#).await;
        answer.problem(415, "not-json");
    }
    let huge = format!(r#"{{"queue":"{}"}}"#, "q".repeat(300_000));
    assert!([400, 413].contains(&post(&site, "pause-queue", &huge).await.status));

    let mut ada = Person::logged_in(&site, "ada").await;
    let csrf = token(&ada.get("/").await.ok()).to_owned();
    for bad in ["<script>alert(1)</script>", "\u{202e}\"'>", "a\r\nset-cookie: x=y", "%00"] {
        let fields = [("csrf", csrf.as_str()), ("confirmed", "yes"), ("queue", bad), ("back", bad)];
        let answer = ada.send("/actions/pause-queue", &fields).await;
        assert_eq!(answer.status, 400, "{bad}");
        assert!(!answer.body.contains("<script>") && !answer.body.contains("\"'>"), "{answer:?}");
        assert!(answer.body.contains("<a href=\"/\">Do nothing"), "{answer:?}");
    }
    assert_eq!(broker.audit(None, 1).await.expect("a page").lines, []);
}

#[tokio::test]
async fn the_audit_list_is_read_in_pages() {
    let broker = fresh_broker().await;
    let site = site_of(&broker, &options()).await;
    for queue in ["a", "b", "c"] {
        act(&site, &broker, "pause-queue", json!({"queue": queue})).await;
    }
    let viewer = bearer(VIEWER_TOKEN);
    let get = async |path: &str| request(site.address, "GET", path, &viewer).await;
    let first = get("/api/v1/audit?limit=2").await.json();
    let targets = |page: &Value| -> Vec<String> {
        let lines = page["lines"].as_array().expect("lines").iter();
        lines.map(|line| line["target"].as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(targets(&first), ["queue=c", "queue=b"]);
    let next = first["next"].as_str().expect("a place");
    let rest = get(&format!("/api/v1/audit?limit=2&cursor={next}")).await.json();
    assert_eq!((targets(&rest), &rest["next"]), (vec!["queue=a".to_owned()], &Value::Null));
    let page = get("/audit?limit=2").await.ok();
    let older = page.split("href=\"/audit?after=").nth(1).and_then(|rest| rest.split('"').next());
    let page = get(&format!("/audit?after={}", older.expect("a link"))).await.ok();
    assert!(page.contains("queue=a") && !page.contains("queue=c") && page.contains("Newest"));
    let kinds = get("/api/v1/actions").await.json();
    assert_eq!(kinds.as_array().map(Vec::len), Some(27));
    assert!(kinds[0]["danger"].is_string() && kinds[0]["fields"][0]["name"] == "id", "{kinds}");
}

#[tokio::test]
async fn a_queue_with_more_than_one_bite_says_that_there_is_more() {
    let broker = fresh_broker().await;
    let site = site_of(&broker, &options()).await;
    let task = || NewTask::new("t", &()).expect("a task").queue("mail".parse().expect("a name"));
    let producer = celeriac_producer::Producer::new(broker.clone());
    producer.enqueue_many((0..6_000).map(|_| task())).await.expect("they are enqueued");
    let cancel = async || act(&site, &broker, "cancel-matching", json!({"queue": "mail"})).await;
    let first = cancel().await;
    assert_eq!((first["changed"].as_u64().unwrap() >= 5_000, &first["more"]), (true, &json!(true)));
    let line = broker.audit(None, 1).await.expect("a page").lines.remove(0);
    assert!(line.deed.result.ends_with("; there is more"), "{line:?}");
    let second = cancel().await;
    let sum = first["changed"].as_u64().unwrap() + second["changed"].as_u64().unwrap();
    assert_eq!((sum, &second["more"]), (6_000, &json!(false)));
}
