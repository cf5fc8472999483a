//! Layers around enqueueing and running, what travels with a task, and events to subscribe to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use celeriac_broker_schema::ErrorKind;
use celeriac_producer::task::Task;
use celeriac_producer::trace::TraceContext;
use celeriac_producer::{BoxError, EnqueueError, NewJob, NewTask, Producer, ResultError};
use celeriac_worker::layers::{RunEnd, RunTiming, Timing};
use celeriac_worker::task::{Context, Data, Next, Registry, Run, TaskError};
use celeriac_worker::{Event, Shutdown, Worker, WorkerConfig, builtin};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::common::{
    LONG, Running, assert_finished, broker, config, one_slot, producer, state, task, with_retries,
};
use crate::stage::{Stage, hold_task, note_task};

#[derive(Serialize, Deserialize)]
struct Tell {}

impl Task for Tell {
    const NAME: &'static str = "tell";
    type Output = Value;
}

/// Everything that came with the task.
async fn tell(ctx: Context, _: Tell) -> Result<Value, TaskError> {
    Ok(came_with(&ctx))
}

#[derive(Serialize, Deserialize)]
struct TellComputing {
    n: u64,
}

impl Task for TellComputing {
    const NAME: &'static str = "tell-computing";
    type Output = Value;
}

fn tell_computing(ctx: Context, _: TellComputing) -> Result<Value, TaskError> {
    match ctx.chunk() {
        Some(_) => {
            let own = ctx.tenant().is_some_and(|tenant| tenant.as_str() == "acme");
            Ok(json!({ "tenants": u8::from(own && ctx.header("tenant") == Some("acme")) }))
        }
        None => Ok(came_with(&ctx)),
    }
}

fn came_with(ctx: &Context) -> Value {
    let meta = ctx.meta();
    json!([ctx.queue(), ctx.tenant(), meta.label, meta.tags, meta.headers])
}

fn tellers() -> Registry {
    Registry::new(()).task(tell).cpu_task(tell_computing)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_producer_layer_adds_comes_to_the_handler() {
    let broker = broker().await;
    let worker = Running::start(&broker, tellers().build(), config());
    let plain = producer(&broker);
    let acme = plain.clone().layer(|task: &mut NewTask| -> Result<(), BoxError> {
        task.meta.headers.set("Tenant", "acme");
        task.options.tenant = Some("acme".parse()?);
        Ok(())
    });

    let tasks = ["tell", "tell-computing"].map(|name| {
        let task = task(name, &json!({ "n": 0 }));
        task.label("the first").tag("b").tag("a")
    });
    for task in tasks {
        let handle = acme.enqueue_task(task.clone()).await.unwrap();
        let told: Value = handle.typed().result_within(LONG).await.unwrap();
        assert_eq!(told, json!(["default", "acme", "the first", ["a", "b"], { "tenant": "acme" }]));
        // The layer is that of the other value only.
        let handle = plain.enqueue_task(task).await.unwrap();
        let told: Value = handle.typed().result_within(LONG).await.unwrap();
        assert_eq!(told, json!(["default", null, "the first", ["a", "b"], {}]));
    }
    let mut many = acme.many();
    let id = many.push(task("tell", &json!({}))).await.unwrap();
    many.finish().await.unwrap();
    let told: Value = plain.handle(id).typed().result_within(LONG).await.unwrap();
    assert_eq!(told, json!(["default", "acme", null, [], { "tenant": "acme" }]));

    // Chunks and reducer of a job.
    let chunk = task("tell-computing", &json!({ "n": 0 }));
    let job = NewJob::new(chunk, 5).sum("tenants").reduce(task("tell", &json!({})));
    let job = acme.enqueue_job(job).await.unwrap();
    let told: Value = job.clone().typed().result_within(LONG).await.unwrap();
    assert_eq!(told, json!(["default", "acme", null, [], { "tenant": "acme" }]));
    let (_, view) = broker.job(job.id().job()).await.unwrap();
    assert_eq!(view.unwrap().accumulators, [("tenants".to_owned(), "5".to_owned())].into());
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test]
async fn what_a_layer_or_a_bound_refuses_is_not_stored() {
    let broker = broker().await;
    let closed = producer(&broker).layer(|task: &mut NewTask| -> Result<(), BoxError> {
        Err(format!("{} is closed", task.name()).into())
    });
    let refused = closed.enqueue_task(task("echo", &1)).await.unwrap_err();
    assert_eq!(refused.to_string(), "the task was not enqueued: echo is closed");
    assert!(matches!(refused, EnqueueError::Layer(_)), "{refused:?}");
    let job = NewJob::new(task("echo", &1), 10);
    assert!(matches!(closed.enqueue_job(job).await, Err(EnqueueError::Layer(_))));
    assert!(matches!(closed.many().push(task("echo", &1)).await, Err(EnqueueError::Layer(_))));

    let open = producer(&broker);
    let long = task("echo", &1).header("h", "x".repeat(4096));
    let refused = open.enqueue_task(long.clone()).await.unwrap_err();
    assert!(matches!(refused, EnqueueError::Invalid(_)), "{refused:?}");
    let job = open.enqueue_job(NewJob::new(task("echo", &1), 10).reduce(long)).await;
    assert!(matches!(job, Err(EnqueueError::Invalid(_))), "{job:?}");
    assert!(state(&broker).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_layer_does_is_the_end_of_one_attempt() {
    let broker = broker().await;
    let ends = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&ends);
    let timing = Timing::new(move |run: &RunTiming<'_>| {
        noted.lock().unwrap().push((run.task.to_owned(), run.end));
    });
    let tasks = builtin::tasks().layer(trouble).layer(timing);
    let worker = Running::start(&broker, tasks, config());
    let producer = producer(&broker);
    let limit = Duration::from_millis(50);
    let cases = [
        (task("noop", &json!({})).header("do", "panic"), ErrorKind::Panic, RunEnd::Panicked),
        (task("pi", &pi()).header("do", "panic"), ErrorKind::Panic, RunEnd::Panicked),
        (task("noop", &json!({})).header("do", "fail"), ErrorKind::Error, RunEnd::Failed),
        (
            task("noop", &json!({})).header("do", "hang").timeout(limit),
            ErrorKind::Timeout,
            RunEnd::TimedOut,
        ),
    ];
    for (task, kind, end) in cases {
        let name = task.name().as_str().to_owned();
        let handle = producer.enqueue_task(task).await.unwrap();
        let failed = handle.typed::<Value>().result_within(LONG).await.unwrap_err();
        let ResultError::Failed { failure, .. } = failed else { panic!("{failed:?}") };
        assert_eq!(failure.kind, kind);
        assert_eq!(ends.lock().unwrap().drain(..).collect::<Vec<_>>(), [(name, end)]);
    }
    let fine = producer.enqueue_task(task("pi", &pi())).await.unwrap();
    fine.typed::<Value>().result_within(LONG).await.unwrap();
    worker.drain().await;
    assert_finished(&broker).await;
}

fn pi() -> Value {
    json!({ "samples": 10, "seed": 1 })
}

async fn trouble(run: Run, next: Next) -> Result<Box<serde_json::value::RawValue>, TaskError> {
    match run.headers().get("do") {
        Some("panic") => panic!("a layer panics"),
        Some("fail") => Err(TaskError::fatal("a layer refuses")),
        Some("hang") => std::future::pending().await,
        _ => next.run(run).await,
    }
}

fn four_slots() -> WorkerConfig {
    WorkerConfig { concurrency: 4, ..config() }
}

/// Enqueues the next hop, and returns the trace that it was given.
#[derive(Serialize, Deserialize)]
struct Hop {
    left: u32,
}

impl Task for Hop {
    const NAME: &'static str = "hop";
    type Output = Vec<String>;
}

async fn hop(producer: Data<Producer>, ctx: Context, hop: Hop) -> Result<Vec<String>, TaskError> {
    let own = ctx.header("traceparent").unwrap_or("none").to_owned();
    let mut all = vec![own];
    if let Some(left) = hop.left.checked_sub(1) {
        let next = producer.enqueue(&Hop { left }).await?;
        all.extend(next.result().await.map_err(TaskError::from)?);
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_goes_on_from_task_to_task() {
    let broker = broker().await;
    let producer = producer(&broker).layer(TraceContext::begin_traces());
    let tasks = Registry::new(producer.clone()).task(hop).layer(TraceContext::new()).build();
    let worker = Running::start(&broker, tasks, four_slots());
    let hops = producer.enqueue(&Hop { left: 2 }).await.unwrap();
    let parents = hops.result_within(LONG).await.unwrap();
    assert_eq!(parents.len(), 3);
    let ids: Vec<_> = parents.iter().map(|parent| parent.split('-').collect::<Vec<_>>()).collect();
    assert!(ids.iter().all(|id| id[1] == ids[0][1]), "one trace: {parents:?}");
    assert!(ids[0][2] != ids[1][2] && ids[1][2] != ids[2][2], "spans: {parents:?}");
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_hears_what_happens_in_order() {
    let (broker, stage) = (broker().await, Stage::new());
    let settings = WorkerConfig { drain_timeout: Duration::from_millis(1), ..one_slot() };
    let mut worker = Worker::new(broker.separate().unwrap(), stage.tasks(), settings).unwrap();
    let mut events = worker.events();
    let shutdown = Shutdown::new();
    let ended = tokio::spawn(worker.run(shutdown.clone()));
    let producer = producer(&broker);

    let fine = producer.enqueue_task(note_task("fine")).await.unwrap();
    fine.outcome_within(LONG).await.unwrap();
    let unknown = with_retries(task("unknown", &json!({})), 1);
    let unknown = producer.enqueue_task(unknown).await.unwrap();
    unknown.outcome_within(LONG).await.unwrap();
    let held = producer.enqueue_task(hold_task("held")).await.unwrap();
    stage.heard("held begins").await;
    shutdown.drain();
    ended.await.unwrap().unwrap();

    let mut heard = Vec::new();
    while let Some(event) = events.next().await {
        heard.push(match event {
            Event::Opened { .. } => "opened".to_owned(),
            Event::Claimed { units } => format!("claimed {units}"),
            Event::Started { id, task, attempt } if id == fine.id() || id == held.id() => {
                format!("{task} {attempt} started")
            }
            Event::Succeeded { id, task, attempt, .. } if id == fine.id() => {
                format!("{task} {attempt} succeeded")
            }
            Event::Retried { id, attempt, failure, after } if id == unknown.id() => {
                format!("unknown {attempt} retried: {:?} {after:?}", failure.kind)
            }
            Event::Failed { id, attempt, failure } if id == unknown.id() => {
                format!("unknown {attempt} failed: {:?}", failure.kind)
            }
            Event::Released { id, attempt, reason } if id == held.id() => {
                format!("held {attempt} released: {reason:?}")
            }
            other => format!("{other:?}"),
        });
    }
    let expected = [
        "opened",
        "claimed 1",
        "note 1 started",
        "note 1 succeeded",
        "claimed 1",
        "unknown 1 retried: UnknownTask 0ns",
        "claimed 1",
        "unknown 2 failed: UnknownTask",
        "claimed 1",
        "hold 1 started",
        "Draining",
        "held 1 released: Some(Stopping)",
        "Left",
    ];
    assert_eq!(heard, expected);
}
