//! Wait for results, and follow what happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use celeriac_broker_schema::Broker;
use celeriac_producer::task::Task;
use celeriac_producer::{NewTask, Producer};
use celeriac_worker::task::{Context, Data, Registry, TaskError, Tasks};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::document::{document, faults};
use super::world::World;
use crate::support::fleet::Fleet;
use crate::support::http::{Event, Events, json_when, request};
use crate::support::seed::{self, Worker};
use crate::support::site::{Site, fresh_broker};

/// Sends numbers up to this one, waits at the gate, and sends one more.
#[derive(Serialize, Deserialize)]
struct Tell(u32);

impl Task for Tell {
    const NAME: &'static str = "tell";
    type Output = u32;
}

async fn tell(gate: Data<Arc<Semaphore>>, ctx: Context, task: Tell) -> Result<u32, TaskError> {
    for n in 1..=task.0 {
        ctx.emit(&json!({ "n": n })).await?;
    }
    gate.acquire().await?.forget();
    ctx.emit(&"last").await?;
    Ok(task.0)
}

fn tasks(gate: &Arc<Semaphore>) -> Tasks {
    Registry::new(Arc::clone(gate)).task(tell).build()
}

async fn told(broker: &Broker, upto: u32) -> String {
    let task = NewTask::of(&Tell(upto)).expect("a task");
    Producer::new(broker.clone()).enqueue_task(task).await.expect("it is enqueued").id().to_string()
}

#[tokio::test]
async fn a_result_is_there_at_once_later_or_not_at_all() {
    let world = World::new().await;
    let site = Site::start(world.broker.clone()).await;
    let document = document(&site).await;
    let result = async |id: &dyn std::fmt::Display, query: &str| {
        let answer = site.get(&format!("/api/v1/tasks/{id}/result{query}")).await;
        assert_eq!(
            faults(&document, "get", "/api/v1/tasks/{id}/result", &answer),
            Vec::<String>::new()
        );
        answer
    };
    let ended = result(&world.succeeded, "").await.json();
    assert_eq!(
        (&ended["state"], &ended["result"]),
        (&json!("succeeded"), &json!({"sent": u64::MAX}))
    );
    let failed = result(&world.dead, "?wait=5s").await.json();
    assert_eq!(
        (&failed["state"], &failed["error"]["message"]),
        (&json!("failed"), &json!("no such address"))
    );
    for id in [world.ready, world.delayed, world.running, world.job.task()] {
        let not_yet = result(&id, "").await;
        assert_eq!(
            (not_yet.status, not_yet.json()),
            (202, json!({"id": id.to_string(), "has_ended": false}))
        );
    }
    let began = Instant::now();
    assert_eq!(result(&world.ready, "?wait=300ms").await.status, 202);
    assert!(began.elapsed() >= Duration::from_millis(300));
    result(&"0193a7c2b5e07d4e8a1f3c5d7e9b1a00", "?wait=5s").await.problem(404, "unknown-task");
    result(&format!("{}:1", world.job), "").await.problem(404, "no-result");
    for bad in ["?wait=soon", "?wait=2h", "?wait=5", "?wait="] {
        result(&world.ready, bad).await.problem(400, "invalid-query");
    }
}

#[tokio::test]
async fn many_wait_for_results_on_one_subscription() {
    let broker = fresh_broker().await;
    let gate = Arc::new(Semaphore::new(0));
    let _fleet = Fleet::start(&broker, tasks(&gate));
    let site = Site::start(broker.clone()).await;
    let ids = [told(&broker, 1).await, told(&broker, 2).await];
    let waits: Vec<_> = (0..20)
        .map(|n| {
            let (address, path) =
                (site.address, format!("/api/v1/tasks/{}/result?wait=30s", ids[n % 2]));
            tokio::spawn(async move { request(address, "GET", &path, "").await.json() })
        })
        .collect();
    let running = |json: &Value| json["state"] == "running";
    json_when(site.address, &format!("/api/v1/tasks/{}", ids[1]), running).await;
    gate.add_permits(2);
    for (n, wait) in waits.into_iter().enumerate() {
        let ended = wait.await.expect("no panic");
        assert_eq!((&ended["state"], &ended["result"]), (&json!("succeeded"), &json!(n % 2 + 1)));
    }
}

#[tokio::test]
async fn partial_results_are_streamed_to_the_end() {
    let broker = fresh_broker().await;
    let gate = Arc::new(Semaphore::new(0));
    let _fleet = Fleet::start(&broker, tasks(&gate));
    let site = Site::start(broker.clone()).await;
    let path = format!("/api/v1/tasks/{}/stream", told(&broker, 2).await);
    let mut events = site.events(&path).await;
    let mut data = Vec::new();
    let mut second = String::new();
    for n in 1..=2 {
        let event = events.next().await.expect("a part");
        assert_eq!(event.event, "part");
        data.push(event.data);
        if n == 2 {
            second = event.id;
        }
    }
    gate.add_permits(1);
    while let Some(event) = events.next().await {
        if event != Event::default() {
            data.push(format!("{} {}", event.event, event.data));
        }
    }
    assert_eq!(
        data,
        [
            r#"{"attempt":1,"value":{"n":1}}"#,
            r#"{"attempt":1,"value":{"n":2}}"#,
            r#"part {"attempt":1,"value":"last"}"#,
            r#"end {"state":"succeeded"}"#,
        ]
    );
    // A dropped connection goes on behind what it has.
    let again = request(site.address, "GET", &path, &format!("last-event-id: {second}\r\n")).await;
    assert!(!again.body.contains("\"n\"") && again.body.contains("\"last\""), "{again:?}");
    for bad in ["x", "1", "1-x", "0-0 x"] {
        let bad = request(site.address, "GET", &path, &format!("last-event-id: {bad}\r\n")).await;
        bad.problem(400, "invalid-header");
    }
    site.get("/api/v1/tasks/0193a7c2b5e07d4e8a1f3c5d7e9b1a00/stream")
        .await
        .problem(404, "unknown-task");
}

#[tokio::test]
async fn a_job_is_followed_to_its_end() {
    let broker = fresh_broker().await;
    let id = seed::Producer::new(&broker).job("a job", 4, None).await;
    let mut worker = Worker::open(&broker, "default").await;
    let site = Site::start(broker).await;
    let mut events = site.events(&format!("/api/v1/jobs/{id}/events")).await;
    let mut done = async |wanted: u64| loop {
        let event = events.next().await.expect("the stream goes on");
        let job: Value = serde_json::from_str(&event.data).unwrap_or_default();
        if job["done"] == wanted {
            return job;
        }
    };
    assert_eq!(done(0).await["label"], "a job");
    worker.succeed_chunks(2).await;
    done(2).await;
    worker.succeed_chunks(2).await;
    let last = done(4).await;
    assert_eq!((&last["state"], &last["result"]), (&json!("succeeded"), &json!({"hits": 40})));
    assert_eq!(next(&mut events).await.map(|event| event.event).as_deref(), Some("end"));
    assert_eq!(next(&mut events).await, None);
    site.get("/api/v1/jobs/0193a7c2b5e07d4e8a1f3c5d7e9b1a00/events")
        .await
        .problem(404, "unknown-job");
}

/// The next event that is no sign of life alone.
async fn next(events: &mut Events) -> Option<Event> {
    loop {
        let event = events.next().await?;
        if event != Event::default() {
            return Some(event);
        }
    }
}

#[tokio::test]
async fn streams_are_bounded_and_end_with_the_monitor() {
    let world = World::new().await;
    let site = Site::start_with(world.broker.clone(), 1).await;
    let path = format!("/api/v1/tasks/{}/stream", world.running);
    let mut open = site.events(&path).await;
    site.get(&path).await.problem(503, "too-many-viewers");
    site.stop().await;
    assert_eq!(next(&mut open).await, None);
}
