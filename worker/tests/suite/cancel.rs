//! Cancelling: what does not run ends at once, what runs is told and ends as cancelled unless it
//! succeeds, whatever happens to its worker. And the soft time-out, which only tells.

use std::time::Duration;

use celeriac_broker_schema::script::Cancelled;
use celeriac_broker_schema::{Broker, Outcome, Requester, State};
use celeriac_producer::task::Task;
use celeriac_producer::{NewJob, NewTask, ResultError};
use celeriac_testkit::TestRedis;
use celeriac_worker::WorkerConfig;
use celeriac_worker::task::{CancelReason, Context, Data, TaskError};
use serde::{Deserialize, Serialize};

use crate::common::{
    LONG, Running, assert_finished, broker, broker_on, config, leases, lose, one_slot, producer,
    snapshot, stat, state, task, told, until, with_retries,
};
use crate::stage::{Stage, hold_task, note_task, spin_task, stubborn_task};

fn ada() -> Requester {
    Requester::new("ada").because("a test")
}

/// A worker that waits for no task that was cancelled.
fn impatient() -> WorkerConfig {
    WorkerConfig { cancel_grace: Duration::ZERO, ..config() }
}

/// Its renewals are so far apart that a test ends before the next one: what it hears is a message.
fn seldom_renewed() -> WorkerConfig {
    WorkerConfig { visibility: Duration::from_secs(3_600), ..config() }
}

fn assert_cancelled_by_ada(outcome: &Outcome) {
    let who = Requester { by: outcome.by.clone(), why: outcome.why.clone() };
    assert_eq!((outcome.state, who), (State::Cancelled, ada()), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_run_ends_at_once_and_never_runs() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let mut cancelled = Vec::new();
    for task in [note_task("ready"), note_task("delayed").delay(Duration::from_millis(1))] {
        cancelled.push(producer.enqueue_task(task).await.unwrap());
    }
    for handle in &cancelled {
        assert_eq!(handle.cancel_as(&ada()).await.unwrap(), Cancelled::Done);
        assert_cancelled_by_ada(&handle.outcome_within(LONG).await.unwrap());
        assert_eq!(handle.cancel().await.unwrap(), Cancelled::Ended);
    }
    producer.enqueue_task(note_task("other")).await.unwrap();
    assert_eq!(snapshot(&broker).await.queues[0].ready, 1);

    let worker = Running::start(&broker, stage.tasks(), one_slot());
    stage.heard("other").await;
    worker.drain().await;

    assert_eq!(stage.log(), ["other"]);
    assert_eq!(stat(&broker, "cancelled").await, 2);
    let handle = cancelled.pop().unwrap().typed::<String>();
    let result = handle.result_within(LONG).await;
    assert!(matches!(result, Err(ResultError::Cancelled(id)) if id == handle.id()));
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_hears_of_it_at_once_and_stops() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), seldom_renewed());
    for task in [hold_task("awaits"), spin_task("computes")] {
        let handle = producer.enqueue_task(with_retries(task, 5)).await.unwrap();
        let name = if stage.log().is_empty() { "awaits" } else { "computes" };
        stage.heard(&format!("{name} begins")).await;

        let answer = handle.cancel_as(&ada()).await.unwrap();

        let [lease] = &leases(&broker).await[..] else { panic!("one worker") };
        assert!(matches!(answer, Cancelled::Told(told) if told.as_str() == lease));
        let outcome = handle.outcome_within(LONG).await.unwrap();
        assert_cancelled_by_ada(&outcome);
        assert_eq!((outcome.attempt, outcome.worker.as_ref()), (Some(1), Some(lease)));
        assert_eq!(stage.count(&format!("{name} stops: Requested")), 1);
    }
    let summary = worker.drain().await;
    assert_eq!((summary.succeeded, summary.failed), (0, 0));
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_succeeds_in_spite_of_it_has_succeeded() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), config());
    let handle = producer(&broker).enqueue_task(stubborn_task("stubborn")).await.unwrap();
    stage.heard("stubborn 1 begins").await;
    assert!(matches!(handle.cancel().await.unwrap(), Cancelled::Told(_)));

    stage.open("stubborn 1");

    assert_eq!(handle.outcome_within(LONG).await.unwrap().state, State::Succeeded);
    assert_eq!(worker.drain().await.succeeded, 1);
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_and_has_not_begun_never_begins() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    // Short tasks teach the worker to fetch ahead.
    producer.enqueue_many((0..500).map(|_| note_task("short"))).await.unwrap();
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    let mut many = producer.many();
    many.push(hold_task("first")).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(many.push(note_task("unwanted")).await.unwrap());
    }
    many.finish().await.unwrap();

    // Whether they are still held or were handed back meanwhile.
    let answers = broker.cancel(&ids, &ada()).await.unwrap();

    assert!(answers.iter().all(|a| matches!(a, Cancelled::Done | Cancelled::Told(_))));
    for id in ids {
        let outcome = producer.handle(id).outcome_within(LONG).await.unwrap();
        assert_cancelled_by_ada(&outcome);
    }
    stage.open("first");
    worker.drain().await;
    assert_eq!(stage.count("unwanted"), 0);
    assert_finished(&broker).await;
}

/// Ignores everything but its end.
#[derive(Serialize, Deserialize)]
struct Deaf {}

impl Task for Deaf {
    const NAME: &'static str = "deaf";
    type Output = ();
}

struct SayWhenDropped(Stage);

impl Drop for SayWhenDropped {
    fn drop(&mut self) {
        self.0.say("dropped");
    }
}

async fn deaf(stage: Data<Stage>, _: Deaf) -> Result<(), TaskError> {
    let _dropped = SayWhenDropped(stage.0.clone());
    stage.say("begins");
    std::future::pending().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_awaits_and_does_not_listen_is_dropped() {
    let (broker, stage) = (broker().await, Stage::new());
    let tasks = stage.registry().task(deaf).build();
    let worker = Running::start(&broker, tasks, impatient());
    let handle = producer(&broker).enqueue_task(task(Deaf::NAME, &Deaf {})).await.unwrap();
    stage.heard("begins").await;

    handle.cancel_as(&ada()).await.unwrap();

    assert_cancelled_by_ada(&handle.outcome_within(LONG).await.unwrap());
    stage.heard("dropped").await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_computes_on_is_settled_and_keeps_its_slot() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker =
        Running::start(&broker, stage.tasks(), WorkerConfig { concurrency: 1, ..impatient() });
    let stubborn = producer.enqueue_task(stubborn_task("stubborn")).await.unwrap();
    stage.heard("stubborn 1 begins").await;

    stubborn.cancel_as(&ada()).await.unwrap();
    assert_cancelled_by_ada(&stubborn.outcome_within(LONG).await.unwrap());

    let (_, info) = told(&broker, |_, info| {
        info.running.first().is_some_and(|running| running.wedged.is_some())
    })
    .await;
    assert_eq!((info.busy, info.wedged, info.failed), (1, 1, 0));
    let next = producer.enqueue_task(note_task("next")).await.unwrap();
    assert_eq!(stage.count("next"), 0);
    stage.open("stubborn 1");
    next.outcome_within(LONG).await.unwrap();
    assert_eq!(worker.drain().await.succeeded, 1);
    assert_eq!(stat(&broker, "cancelled").await, 1);
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_between_two_attempts_is_not_tried_again() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), config());
    let task = NewTask::new("no.such.task", &()).unwrap().retries(9);
    let handle = producer.enqueue_task(task).await.unwrap();
    until(&broker, |snapshot| snapshot.delayed == 1).await;

    assert_eq!(handle.cancel_as(&ada()).await.unwrap(), Cancelled::Done);

    let outcome = handle.outcome_within(LONG).await.unwrap();
    assert_cancelled_by_ada(&outcome);
    assert!(!outcome.attempts.is_empty(), "what was tried before is kept");
    worker.drain().await;
    assert_finished(&broker).await;
}

/// The flag of a task that runs under a lease that never renews again.
async fn given_flagged_by_a_dead_worker(broker: &Broker, stage: &Stage) -> (Running, String) {
    let worker = Running::start(broker, stage.tasks(), one_slot());
    let handle = producer(broker).enqueue_task(stubborn_task("stubborn")).await.unwrap();
    stage.heard("stubborn 1 begins").await;
    assert!(matches!(handle.cancel_as(&ada()).await.unwrap(), Cancelled::Told(_)));
    (worker, handle.id().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_a_cancelled_task_whose_worker_is_lost_is_cancelled() {
    let (broker, stage) = (broker().await, Stage::new());
    let (worker, id) = given_flagged_by_a_dead_worker(&broker, &stage).await;
    let [lease] = &leases(&broker).await[..] else { panic!("one worker") };
    worker.abandon();
    stage.open("stubborn 1");

    lose(&broker, lease).await;

    let outcome = producer(&broker).handle(id.parse().unwrap()).outcome_within(LONG).await.unwrap();
    assert_cancelled_by_ada(&outcome);
    assert_eq!(snapshot(&broker).await.tasks, 0);
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_a_cancel_outlives_redis() {
    let mut redis = TestRedis::start().await;
    let (broker, stage) = (broker_on(redis.url()), Stage::new());
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    let handle = producer(&broker).enqueue_task(stubborn_task("stubborn")).await.unwrap();
    stage.heard("stubborn 1 begins").await;
    handle.cancel_as(&ada()).await.unwrap();
    let flag = state(&broker).await["cancels"].clone();

    redis.kill();
    redis.restart().await;

    assert_eq!(state(&broker).await["cancels"], flag);
    // It is told to stop, does not, and is handed back: nobody gets it.
    worker.shutdown.now();
    assert_cancelled_by_ada(&handle.outcome_within(LONG).await.unwrap());
    stage.open("stubborn 1");
    worker.left().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled_with_all_its_chunks() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), seldom_renewed());
    let job = NewJob::new(hold_task("chunk"), 100);
    let handle = producer(&broker).enqueue_job(job).await.unwrap();
    stage.heard_times(2, "chunk begins").await;

    assert_eq!(handle.cancel_as(&ada()).await.unwrap(), Cancelled::Done);

    assert_cancelled_by_ada(&handle.outcome_within(LONG).await.unwrap());
    stage.heard_times(2, "chunk stops: Requested").await;
    let after = producer(&broker).enqueue_task(note_task("after")).await.unwrap();
    after.outcome_within(LONG).await.unwrap();
    worker.drain().await;
    assert_eq!(stage.count("chunk begins"), stage.count("chunk stops: Requested"));
    assert_finished(&broker).await;
}

/// Goes on after its soft time-out until it is stopped, and says what it hears.
#[derive(Serialize, Deserialize)]
struct Listen {
    computes: bool,
    save: bool,
}

impl Task for Listen {
    const NAME: &'static str = "listen";
    type Output = String;
}

async fn listen(stage: Data<Stage>, ctx: Context, task: Listen) -> Result<String, TaskError> {
    let first = ctx.cancelled().await;
    stage.say(format!("{first:?}"));
    if task.save {
        return Ok("saved".to_owned());
    }
    stage.say(format!("{:?}", ctx.interrupted().await));
    Err(TaskError::cancelled())
}

#[derive(Serialize, Deserialize)]
struct Compute {}

impl Task for Compute {
    const NAME: &'static str = "compute";
    type Output = String;
}

fn compute(ctx: Context, _: Compute) -> Result<String, TaskError> {
    while !ctx.is_cancelled() {
        std::thread::yield_now();
    }
    match ctx.cancel_reason() {
        Some(CancelReason::SoftTimeout) => Ok("saved".to_owned()),
        other => Err(TaskError::fatal(format!("{other:?}"))),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soft_timeout_tells_and_a_hard_one_stops() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let tasks = stage.registry().task(listen).cpu_task(compute).build();
    let worker = Running::start(&broker, tasks, config());
    let listening = |save| task(Listen::NAME, &Listen { computes: false, save });
    let soft = Duration::from_millis(10);
    let saved = [
        listening(true).soft_timeout(soft).timeout(LONG),
        listening(true).soft_timeout(soft),
        task(Compute::NAME, &Compute {}).soft_timeout(soft),
    ];
    for task in saved {
        let handle = producer.enqueue_task(task).await.unwrap().typed::<String>();
        assert_eq!(handle.result_within(LONG).await.unwrap(), "saved");
    }

    let stopped = listening(false).soft_timeout(soft).timeout(Duration::from_millis(100));
    let outcome = producer.enqueue_task(stopped).await.unwrap().outcome_within(LONG).await.unwrap();

    assert_eq!(outcome.state, State::Failed);
    let said: Vec<String> = stage.log();
    assert_eq!(said, ["SoftTimeout"; 3]);
    worker.drain().await;
}
