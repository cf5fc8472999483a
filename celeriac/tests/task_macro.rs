//! What `#[celeriac::task]` makes of a function, seen from a user's crate.

use std::time::Duration;

use celeriac::{
    Attempt, Backoff, Chunk, Context, ContextParts, Data, FromContext, Label, NewJob, NewTask,
    Registry, RetryPolicy, Task, TaskError, TaskOptions,
};
use serde::{Deserialize, Serialize};

/// Adds two numbers.
#[celeriac::task(name = "add")]
async fn add(a: i64, mut b: i64) -> Result<i64, TaskError> {
    b += a;
    Ok(b)
}

#[celeriac::task(
    name = "math/power.v2",
    queue = "math",
    needs = "big-memory",
    tenant = "ada@example.org",
    priority = 7,
    cost = 2,
    retries = 10,
    backoff = "500ms..2h",
    timeout = "30s",
    soft_timeout = "25s",
    keep = "1d",
    idempotent,
    cpu
)]
fn power(base: u32, exponent: u32) -> Result<u32, TaskError> {
    base.checked_pow(exponent).ok_or_else(|| TaskError::fatal("too large"))
}

#[tokio::test]
async fn a_function_becomes_a_task_that_runs() {
    let tasks = Registry::new(()).add::<add>().add::<power>().build();
    assert_eq!(tasks.names(), ["add", "math/power.v2"]);
    let ctx = Context::for_test();
    assert_eq!(tasks.call(&ctx, add(2, 3)).await.expect("succeeds"), 5);
    assert_eq!(tasks.call(&ctx, power(2, 10)).await.expect("succeeds"), 1024);
    assert_eq!(tasks.call(&ctx, power(2, 99)).await.expect_err("fails").to_string(), "too large");
}

#[test]
fn arguments_are_an_object_with_the_names_of_the_parameters() {
    let json = serde_json::to_string(&add(2, 3)).expect("JSON");
    assert_eq!(json, r#"{"a":2,"b":3}"#);
    let back: add = serde_json::from_str(&json).expect("a task");
    assert_eq!((back.a, back.b), (2, 3));
}

#[test]
fn options_are_those_of_the_attribute() {
    let expected = TaskOptions {
        queue: "math".parse().expect("a queue"),
        priority: "7".parse().expect("a priority"),
        retry: RetryPolicy {
            retries: 10,
            backoff: Backoff { base_ms: 500, cap_ms: 7_200_000, ..Default::default() },
        },
        timeout_ms: Some(30_000),
        soft_timeout_ms: Some(25_000),
        keep_ms: 86_400_000,
        keep_failed_ms: None,
        tenant: Some("ada@example.org".parse().expect("a tenant")),
        cost: 2,
    };
    assert_eq!(power::options(), expected);
    assert_eq!(
        (power::needs(), power::IDEMPOTENT),
        (Some("big-memory".parse().expect("a label")), true)
    );
    assert_eq!(add::options(), TaskOptions::default());
    assert_eq!((add::needs(), add::IDEMPOTENT), (None, false));
}

#[celeriac::task(name = "audit", keep_on_failure = "1h")]
async fn audit() -> Result<(), TaskError> {
    Ok(())
}

#[test]
fn an_outcome_may_be_kept_on_failure_only() {
    let by_hand =
        NewTask::of(&add(1, 2)).expect("JSON").keep_on_failure(Duration::from_secs(3_600));
    assert_eq!(audit::options(), by_hand.options);
    assert_eq!((by_hand.options.keep_ms, by_hand.options.keep_failed_ms), (0, Some(3_600_000)));
}

#[test]
fn what_a_task_needs_can_be_said_otherwise() {
    let task = NewTask::of(&power(2, 10)).expect("JSON");
    assert_eq!(task.needs.as_ref().map(Label::as_str), Some("big-memory"));
    let elsewhere: Label = "gpu".parse().expect("a label");
    assert_eq!(task.needs(elsewhere.clone()).needs, Some(elsewhere));
}

#[tokio::test]
async fn only_what_may_run_twice_at_once_is_started_twice() {
    let (producer, recorder) = celeriac::testing::recording();
    let job = |task: NewTask| NewJob::new(task, 10).speculate(300);
    let refused = producer.enqueue_job(job(NewTask::of(&add(1, 2)).expect("JSON"))).await;
    let said = refused.expect_err("it may not").to_string();
    assert!(said.contains("second start of chunks of task `add` is not valid"), "{said}");
    assert!(recorder.jobs().is_empty());

    let by_type = NewTask::of(&power(2, 10)).expect("JSON");
    let by_name = NewTask::new("add", &serde_json::json!({})).expect("a task");
    for task in [by_type, by_name] {
        producer.enqueue_job(job(task)).await.expect("enqueued");
    }
    let without = NewJob::of(&add(1, 2), 10).expect("JSON");
    producer.enqueue_job(without).await.expect("enqueued");
    assert_eq!(recorder.jobs().len(), 3);
}

struct Locale(String);

impl FromContext<String> for Locale {
    fn from_context(_: &Context, state: &String) -> Result<Self, TaskError> {
        Ok(Self(state.to_uppercase()))
    }
}

/// Extractors stand where they like.
#[celeriac::task(name = "everything")]
async fn everything(
    before: u8,
    state: Data<String>,
    Attempt(attempt): Attempt,
    between: u8,
    chunk: celeriac::Chunk,
    #[extract] locale: Locale,
    _maybe: Option<Chunk>,
    _: Context,
    after: u8,
) -> Result<String, std::io::Error> {
    let Locale(locale) = locale;
    Ok(format!("{before}{between}{after} {} {attempt} {} {locale}", *state, chunk.index))
}

#[tokio::test]
async fn extractors_are_no_arguments() {
    let tasks = Registry::new("en".to_owned()).add::<everything>().build();
    let parts = ContextParts { attempt: 4, ..ContextParts::default() };
    let chunk = Chunk::new(parts.id.job(), 6, 9, None);
    let ctx = Context::new(ContextParts { chunk: Some(chunk), ..parts });
    let said = tasks.call(&ctx, everything(1, 2, 3)).await.expect("succeeds");
    assert_eq!(said, "123 en 4 6 EN");
}

#[celeriac::task(name = "grown")]
async fn grown(
    old: u8,
    #[serde(default)] new: Vec<u8>,
    r#type: Option<Kind>,
) -> Result<Kind, TaskError> {
    Ok(r#type.unwrap_or(Kind { size: usize::from(old) + new.len() }))
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Kind {
    size: usize,
}

#[test]
fn arguments_may_be_added_while_tasks_are_queued() {
    let stored: grown = serde_json::from_str(r#"{"old":7}"#).expect("a task");
    assert_eq!((stored.old, stored.new.len(), stored.r#type), (7, 0, None));
    let json = serde_json::to_string(&grown(1, vec![], Some(Kind { size: 2 }))).expect("JSON");
    assert_eq!(json, r#"{"old":1,"new":[],"type":{"size":2}}"#);
}

type Alias<T> = Result<T, std::num::ParseIntError>;

#[celeriac::task(name = "match")]
async fn r#match(text: String) -> Alias<i32> {
    text.parse()
}

#[celeriac::task(name = "nothing", cpu)]
fn nothing() -> Result<(), TaskError> {
    Ok(())
}

#[tokio::test]
async fn names_and_types_may_be_unusual() {
    let tasks = Registry::new(()).add::<r#match>().add::<nothing>().build();
    assert_eq!(<r#match as Task>::NAME, "match");
    let ctx = Context::for_test();
    assert_eq!(tasks.call(&ctx, r#match("12".to_owned())).await.expect("succeeds"), 12);
    tasks.call(&ctx, nothing()).await.expect("succeeds");
}

mod images {
    use super::*;

    pub(crate) const LIMIT: u32 = 10;

    #[celeriac::task(name = "resize")]
    pub(crate) async fn resize(width: u32) -> Result<u32, TaskError> {
        // The body sees its module, and under its own name the task.
        Ok(resize(width.min(LIMIT)).width)
    }
}

#[tokio::test]
async fn tasks_may_live_in_modules() {
    let tasks = Registry::new(()).add::<images::resize>().build();
    let width = tasks.call(&Context::for_test(), images::resize(images::LIMIT + 1)).await;
    assert_eq!(width.expect("succeeds"), images::LIMIT);
}

#[test]
#[should_panic(expected = "task `add` is registered twice")]
fn a_task_is_added_once() {
    let _ = Registry::new(()).add::<add>().add::<add>();
}
