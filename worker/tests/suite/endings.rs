//! How attempts end: errors, panics, time-outs, and input that nobody can run. Each is an ending of
//! that task alone (G9), with its payload kept.

use std::time::Duration;

use celeriac_broker_schema::{Attempt, ErrorKind, Outcome, State};
use celeriac_producer::task::Task;
use celeriac_producer::{NewJob, NewTask, Producer, ResultError};
use celeriac_worker::task::TaskError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::common::{
    LONG, Running, assert_finished, broker, config, key, one_slot, producer, raw, stat, state,
    task, told, with_retries,
};
use crate::stage::{Stage, hold_task, note_task, stubborn_task};

/// Enqueues a task and waits for its end.
async fn end_of(producer: &Producer, task: NewTask) -> Outcome {
    let handle = producer.enqueue_task(task).await.unwrap();
    handle.outcome_within(LONG).await.unwrap()
}

fn numbers(attempts: &[Attempt]) -> Vec<u32> {
    attempts.iter().map(|attempt| attempt.attempt).collect()
}

fn kinds(attempts: &[Attempt]) -> Vec<ErrorKind> {
    attempts.iter().map(|attempt| attempt.error.as_ref().unwrap().kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_an_unknown_task_is_retried_then_dead_with_its_payload() {
    let broker = broker().await;
    let worker = Running::stock(&broker);
    let unknown = with_retries(task("no.such", &json!({"keep": "me"})), 2);

    let outcome = end_of(&producer(&broker), unknown).await;

    assert_eq!((outcome.state, outcome.attempt), (State::Failed, Some(3)));
    assert_eq!(numbers(&outcome.attempts), [1, 2, 3]);
    assert_eq!(kinds(&outcome.attempts), [ErrorKind::UnknownTask; 3]);
    let message = outcome.error.unwrap().message;
    assert!(message.contains("\"no.such\"") && message.contains("echo"), "{message}");
    let dead = state(&broker).await["dead:tasks"].to_string();
    assert!(dead.contains(r#"\"args\":{\"keep\":\"me\"}"#), "{dead}");
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_arguments_that_do_not_decode_are_not_tried_again() {
    let broker = broker().await;
    let worker = Running::stock(&broker);

    let wrong = with_retries(task("sleep", &json!({"ms": "soon"})), 5);
    let outcome = end_of(&producer(&broker), wrong).await;

    assert_eq!(kinds(&outcome.attempts), [ErrorKind::BadArguments]);
    let message = outcome.error.unwrap().message;
    assert!(message.contains("`sleep`") && message.contains("invalid type"), "{message}");
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_records_that_cannot_be_read_end_alone() {
    let broker = broker().await;
    let producer = producer(&broker);
    let (mut handles, mut raw) = (Vec::new(), raw(&broker).await);
    let unreadable: [(&[u8], &str); 3] = [
        (b"\xff\xfe\x00", "not readable"),
        (b"no JSON", "not readable"),
        (br#"{"v":99,"task":"echo","will":"be read"}"#, "format 99"),
    ];
    for (record, _) in unreadable {
        let handle = producer.enqueue_task(task("echo", &1)).await.unwrap();
        let id = handle.id().to_string();
        let mut overwrite = redis::cmd("HSET");
        overwrite.arg(key(&broker, "tasks")).arg(id).arg(record);
        let _: () = overwrite.query_async(&mut raw).await.unwrap();
        handles.push(handle);
    }
    let innocent = producer.enqueue_task(task("echo", &"fine")).await.unwrap();
    let worker = Running::stock(&broker);

    for (handle, (record, reason)) in handles.into_iter().zip(unreadable) {
        let outcome = handle.outcome_within(LONG).await.unwrap();
        assert_eq!(kinds(&outcome.attempts), [ErrorKind::BadRecord]);
        let message = outcome.error.unwrap().message;
        assert!(message.contains(reason), "{message}");
        let mut kept = redis::cmd("HGET");
        kept.arg(key(&broker, "dead:tasks")).arg(handle.id().to_string());
        let kept: Vec<u8> = kept.query_async(&mut raw).await.unwrap();
        assert!(kept.windows(record.len()).any(|part| part == record), "the payload is gone");
    }
    assert_eq!(innocent.typed::<String>().result_within(LONG).await.unwrap(), "fine");
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_a_job_of_a_newer_version_fails_and_others_go_on() {
    let broker = broker().await;
    let producer = producer(&broker);
    let job = NewJob::new(task("noop", &json!({})), 100);
    let job = producer.enqueue_job(job).await.unwrap();
    let mut overwrite = redis::cmd("HSET");
    overwrite.arg(key(&broker, &format!("job:{}", job.id()))).arg("spec");
    overwrite.arg(r#"{"v":99,"chunk":{"v":99,"task":"noop","args":{}},"chunks":100}"#);
    let _: () = overwrite.query_async(&mut raw(&broker).await).await.unwrap();
    let worker = Running::stock(&broker);

    let failed = job.typed::<Value>().result_within(LONG).await;

    let Err(ResultError::Failed { id, failed_task: Some(chunk), failure }) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!((chunk, failure.kind), (format!("{id}:0"), ErrorKind::BadRecord));
    end_of(&producer, task("noop", &1)).await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_an_error_with_its_place() {
    let broker = broker().await;
    let worker = Running::stock(&broker);
    let producer = producer(&broker);

    let outcome = end_of(&producer, task("fail", &json!({"panic": true, "message": "ouch"}))).await;

    let error = outcome.error.unwrap();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Panic, "ouch"));
    let place = error.trace.unwrap();
    assert!(place.contains("builtin/mod.rs:"), "{place}");
    end_of(&producer, task("noop", &1)).await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[derive(Serialize, Deserialize)]
struct Divide {
    by: i64,
}

impl Task for Divide {
    const NAME: &'static str = "divide";
    type Output = i64;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_on_a_thread_of_its_own_costs_no_slot() {
    let broker = broker().await;
    let tasks = Stage::new().registry().cpu_task(|task: Divide| Ok::<_, TaskError>(1 / task.by));
    let worker = Running::start(&broker, tasks.build(), one_slot());
    let producer = producer(&broker);
    for _ in 0..3 {
        let outcome = end_of(&producer, task("divide", &json!({"by": 0}))).await;
        let error = outcome.error.unwrap();
        assert_eq!(error.kind, ErrorKind::Panic);
        assert!(error.message.contains("divide by zero"), "{error}");
        assert!(error.trace.unwrap().contains("endings.rs:"));
    }
    assert_eq!(end_of(&producer, task("divide", &json!({"by": 1}))).await.state, State::Succeeded);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_attempts_stand_side_by_side() {
    let broker = broker().await;
    let worker = Running::stock(&broker);

    let fail = with_retries(task("fail", &json!({"message": "not today"})), 2);
    let outcome = end_of(&producer(&broker), fail).await;

    assert_eq!(outcome.state, State::Failed);
    assert_eq!(numbers(&outcome.attempts), [1, 2, 3]);
    for attempt in &outcome.attempts {
        assert_eq!(attempt.error.as_ref().unwrap().message, "not today");
        assert!(attempt.started.unwrap() <= attempt.ended, "{attempt:?}");
        assert_eq!(Some(&attempt.worker), outcome.worker.as_ref());
    }
    let waits: Vec<_> = outcome.attempts.iter().map(|attempt| attempt.retry_in_ms).collect();
    assert_eq!(waits, [Some(0), Some(0), None]);
    assert_eq!(stat(&broker, "retried").await, 2);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fails_twice_succeeds_at_its_third_attempt() {
    let broker = broker().await;
    let worker = Running::stock(&broker);

    let fail = with_retries(task("fail", &json!({"times": 2})), 2);
    let outcome = end_of(&producer(&broker), fail).await;

    assert_eq!((outcome.state, outcome.attempt), (State::Succeeded, Some(3)));
    assert_eq!(outcome.result.unwrap().get(), r#""succeeded at attempt 3""#);
    assert_eq!(numbers(&outcome.attempts), [1, 2]);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fatal_error_is_not_tried_again() {
    let broker = broker().await;
    let worker = Running::stock(&broker);

    let fail = with_retries(task("fail", &json!({"fatal": true})), 5);
    let outcome = end_of(&producer(&broker), fail).await;

    assert_eq!((outcome.state, outcome.attempt), (State::Failed, Some(1)));
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_awaits_is_dropped_at_its_time_out() {
    let broker = broker().await;
    let worker = Running::start(&broker, Stage::new().tasks(), one_slot());
    let producer = producer(&broker);

    let late = with_retries(hold_task("late"), 1).timeout(Duration::from_millis(20));
    let outcome = end_of(&producer, late).await;

    assert_eq!(kinds(&outcome.attempts), [ErrorKind::Timeout; 2]);
    assert!(outcome.error.unwrap().message.contains("20ms"));
    // Its slot is free.
    end_of(&producer, note_task("next")).await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_computes_past_its_time_out_keeps_its_slot() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    let producer = producer(&broker);
    let late = stubborn_task("late").timeout(Duration::from_millis(20));

    let outcome = end_of(&producer, late).await;

    assert_eq!(kinds(&outcome.attempts), [ErrorKind::Timeout]);
    let next = producer.enqueue_task(note_task("next")).await.unwrap();
    // The worker has heard of it by the time it tells of itself once more, and let it lie.
    let (before, _) = told(&broker, |_, info| info.busy == 1).await;
    let (_, info) = told(&broker, |view, _| view.expires > before.expires).await;
    assert_eq!((info.busy, info.buffered), (1, 0));
    stage.open("late 1");
    next.outcome_within(LONG).await.unwrap();
    assert_eq!(stage.log(), ["late 1 begins", "late 1 ends", "next"]);
    // What it returned in the end counts for nothing.
    assert_eq!((stat(&broker, "succeeded").await, stat(&broker, "failed").await), (1, 1));
    worker.drain().await;
    assert_finished(&broker).await;
}

#[derive(Serialize, Deserialize)]
struct Large {
    bytes: usize,
}

impl Task for Large {
    const NAME: &'static str = "large";
    type Output = String;
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_a_result_over_the_limit_fails_once_and_says_so() {
    let broker = broker().await;
    let tasks = Stage::new()
        .registry()
        .task(async |task: Large| Ok::<_, TaskError>("x".repeat(task.bytes)));
    let worker = Running::start(&broker, tasks.build(), config());

    let large = with_retries(task("large", &json!({"bytes": 1 << 20})), 5);
    let outcome = end_of(&producer(&broker), large).await;

    assert_eq!(kinds(&outcome.attempts), [ErrorKind::BadResult]);
    let message = outcome.error.unwrap().message;
    assert!(message.contains("1048578 bytes and 1048576 are allowed"), "{message}");
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_cannot_be_accumulated_fails_the_job_and_names_the_chunk() {
    let broker = broker().await;
    let worker = Running::stock(&broker);
    let producer = producer(&broker);
    for (result, reason) in [
        (json!({"m": 1}), "field `n` of the result is accumulated but missing"),
        (json!({"n": "7"}), "field `n` of the result is accumulated but is no number"),
        (json!({"n": 9_007_199_254_740_993_u64}), "up to 2^53"),
        (json!(7), "must be a JSON object"),
    ] {
        let job = NewJob::new(with_retries(task("echo", &result), 5), 3).sum("n");
        let job = producer.enqueue_job(job).await.unwrap();
        let failed = job.typed::<Value>().result_within(LONG).await;
        let Err(ResultError::Failed { id, failed_task: Some(chunk), failure }) = failed else {
            panic!("{failed:?}")
        };
        assert_eq!(failure.kind, ErrorKind::BadAccumulator);
        assert!(failure.message.contains(reason), "{failure}");
        assert!(chunk.starts_with(&format!("{id}:")), "{chunk}");
    }
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sum_beyond_64_bits_fails_the_job_instead_of_wrapping() {
    let broker = broker().await;
    let worker = Running::stock(&broker);
    // 2^53 is the largest number that a chunk may add, and 2^62 the largest sum.
    let most = task("echo", &json!({"n": 1_u64 << 53}));
    let job = producer(&broker).enqueue_job(NewJob::new(most, 600).sum("n")).await.unwrap();

    let failed = job.typed::<Value>().result_within(LONG).await;

    let Err(ResultError::Failed { id, failed_task: Some(chunk), failure }) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!(failure.kind, ErrorKind::BadAccumulator);
    assert!(chunk.starts_with(&format!("{id}:")), "{chunk}");
    worker.drain().await;
    assert_finished(&broker).await;
}
