//! Tasks whose attempts are child processes: what goes in and comes out, what their exits mean, and
//! that nothing of them outlives the attempt.

use std::collections::BTreeMap;
use std::time::Duration;

use celeriac_broker_schema::retry::Wish;
use celeriac_broker_schema::{ErrorKind, Headers, Meta, Outcome, State};
use celeriac_worker::process::{Guard, ProcessTask};
use celeriac_worker::task::{
    CancelReason, Context, ContextParts, ErasedTask, RunResult, TaskError, Tasks,
};
use celeriac_worker::{WorkerConfig, builtin};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::pipe;

use crate::common::{
    LONG, Running, assert_finished, broker, config, one_slot, producer, task, with_retries,
};

/// A script as a task.
struct Script {
    dir: TempDir,
    task: ProcessTask,
}

/// Starts a process of its own that heeds no `SIGTERM`. All three hold the pipe `alive` open.
const STUBBORN: &str = r#"
exec 3>alive
sh -c 'trap "" TERM; echo ready >&3; sleep 1000; sleep 1000' &
wait
"#;

impl Script {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("script.sh"), text).unwrap();
        let task = ProcessTask::new("sh", ["script.sh", "fixed"]).dir(dir.path());
        Self { dir, task }
    }

    fn with(mut self, change: impl FnOnce(ProcessTask) -> ProcessTask) -> Self {
        self.task = change(self.task);
        self
    }

    /// One attempt, without a worker.
    async fn run_in(&self, ctx: &Context, args: &Value) -> RunResult {
        let name = "script".parse().unwrap();
        let ErasedTask::Async(run) = self.task.clone().into_task(&name, &Guard::new()) else {
            panic!("it awaits")
        };
        let args: Box<RawValue> = serde_json::value::to_raw_value(args).unwrap();
        run(ctx, &args).await
    }

    async fn run(&self, args: Value) -> Result<Value, TaskError> {
        let result = self.run_in(&Context::for_test(), &args).await?;
        Ok(serde_json::from_str(result.get()).unwrap())
    }

    async fn error(&self) -> TaskError {
        self.run(json!({})).await.expect_err("fails")
    }

    /// For a worker.
    fn tasks(&self) -> Tasks {
        let name = "script".parse().unwrap();
        let task = self.task.clone().into_task(&name, &Guard::new());
        builtin::registry().erased(&name, task).build()
    }

    /// The pipe that its processes hold open as long as they live.
    fn alive(&self) -> Alive {
        let path = self.dir.path().join("alive");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        Alive(BufReader::new(pipe::OpenOptions::new().open_receiver(path).unwrap()))
    }
}

/// See [`Script::alive`].
struct Alive(BufReader<pipe::Receiver>);

impl Alive {
    async fn ready(&mut self) {
        let mut line = String::new();
        let said = async {
            // Before the first writer is there, it looks like the end.
            while line.is_empty() {
                self.0.read_line(&mut line).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, said).await.unwrap();
        assert_eq!(line, "ready\n");
    }

    /// Waits until all are gone.
    async fn gone(mut self) {
        let mut rest = String::new();
        tokio::time::timeout(LONG, self.0.read_to_string(&mut rest)).await.unwrap().unwrap();
        assert_eq!(rest, "");
    }
}

fn trace_of(error: TaskError) -> String {
    error.into_failure().0.trace.unwrap_or_default()
}

#[tokio::test]
async fn arguments_go_in_and_a_result_comes_out() {
    let args = json!({"path": "a.png", "width": 300, "note": "two\nlines"});
    assert_eq!(Script::new("cat").run(args.clone()).await.unwrap(), args);
    assert_eq!(Script::new("exit 0").run(args).await.unwrap(), Value::Null);
    // What it does not read is no error, also if no pipe holds it.
    let large = json!("x".repeat(500_000));
    assert_eq!(Script::new("echo 1").run(large).await.unwrap(), json!(1));
}

#[tokio::test]
async fn nothing_of_a_message_is_executed_or_an_argument() {
    let script = Script::new(
        r#"printf '{"argv":"%s %s","attempt":%s,"queue":"%s","tenant":"%s","task":"%s","id":"%s","own":"%s","headers":%s,"args":' \
            "$#" "$*" "$CELERIAC_ATTEMPT" "$CELERIAC_QUEUE" "$CELERIAC_TENANT" "$CELERIAC_TASK" "$CELERIAC_TASK_ID" "$OWN" "$CELERIAC_HEADERS"
        cat; echo '}'"#,
    )
    .with(|task| task.env("OWN", "$(touch made) `touch made`"));
    let mut headers = Headers::new();
    headers.set("PATH", "; touch made");
    let meta = Meta { headers: headers.clone(), ..Meta::default() };
    let (tenant, meta) = (Some("ada@example.org".parse().unwrap()), Some(meta.into()));
    let parts = ContextParts { attempt: 2, tenant, meta, ..ContextParts::default() };
    let ctx = Context::new(parts);
    let args = json!(["; touch made", "$(touch made)", "--help"]);

    let result = script.run_in(&ctx, &args).await.unwrap();

    let result: Value = serde_json::from_str(result.get()).unwrap();
    let expected = json!({
        "argv": "1 fixed",
        "attempt": 2,
        "queue": "default",
        "tenant": "ada@example.org",
        "task": "script",
        "id": ctx.id().to_string(),
        "own": "$(touch made) `touch made`",
        "headers": headers,
        "args": args,
    });
    assert_eq!(result, expected);
    assert!(!script.dir.path().join("made").exists());
}

#[tokio::test]
async fn a_task_of_nobody_has_no_tenant() {
    let script = Script::new(r#"echo "\"${CELERIAC_TENANT-none}\"""#);
    assert_eq!(script.run(json!({})).await.unwrap(), json!("none"));
}

#[tokio::test]
async fn what_is_no_json_is_a_bad_result() {
    for (text, reason) in [
        ("echo done", "no JSON to standard output: expected value at line 1 column 1: \"done\""),
        ("echo 1 2", "trailing characters"),
        (r"printf '\377'", "no UTF-8"),
    ] {
        let error = Script::new(text).error().await;
        assert_eq!((error.kind(), error.wish()), (ErrorKind::BadResult, Wish::Fatal), "{text}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn exits_mean_what_is_documented() {
    let mut wishes = BTreeMap::new();
    for code in [1, 2, 64, 65, 75, 127] {
        let error = Script::new(&format!("echo null; echo sorry >&2; exit {code}")).error().await;
        let said = error.to_string();
        let expected = format!("`script` ended with exit status: {code}: sorry");
        assert!(error.kind() == ErrorKind::Error && said.contains(&expected), "{said}");
        wishes.insert(code, error.wish());
    }
    let fatal: Vec<i32> =
        wishes.iter().filter(|(_, wish)| **wish == Wish::Fatal).map(|(code, _)| *code).collect();
    assert_eq!(fatal, [64, 65]);
    assert_eq!((wishes[&1], wishes[&75]), (Wish::Retry, Wish::Retry));

    let killed = Script::new("kill -SEGV $$").error().await;
    assert_eq!(killed.wish(), Wish::Retry);
    assert!(killed.to_string().contains("signal: 11 (SIGSEGV)"), "{killed}");

    let missing = Script::new("").with(|_| ProcessTask::new("/no/such/program", [""; 0]));
    let error = missing.error().await;
    assert_eq!(error.wish(), Wish::Retry);
    assert!(error.to_string().contains("cannot be started: /no/such/program"), "{error}");
}

#[tokio::test]
async fn the_end_of_standard_error_is_kept() {
    let script = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i >&2; done; exit 1";
    let error = Script::new(script).error().await;
    assert!(error.to_string().ends_with(": line 3000"), "{error}");
    let trace = trace_of(error);
    assert!(trace.len() <= 8 << 10 && trace.ends_with("line 2999\nline 3000"), "{trace}");
}

#[tokio::test]
async fn who_writes_too_much_is_killed() {
    let script = Script::new("exec 3>alive; echo ready >&3; yes; sleep 1000")
        .with(|task| task.max_output(10_000));
    let mut alive = script.alive();
    let (error, ()) = tokio::join!(script.error(), alive.ready());
    assert_eq!((error.kind(), error.wish()), (ErrorKind::BadResult, Wish::Fatal));
    assert!(error.to_string().contains("more than 10000 bytes"), "{error}");
    alive.gone().await;
}

#[tokio::test]
async fn what_a_process_leaves_behind_is_killed() {
    let script =
        Script::new("exec 3>alive; sh -c 'echo ready >&3; sleep 1000' & echo '\"done\"'; exit 0");
    let alive = script.alive();
    assert_eq!(script.run(json!({})).await.unwrap(), json!("done"));
    alive_to_its_end(alive).await;
}

/// As [`Alive::gone`], whether or not it became ready before.
async fn alive_to_its_end(mut alive: Alive) {
    let mut said = String::new();
    tokio::time::timeout(LONG, alive.0.read_to_string(&mut said)).await.unwrap().unwrap();
    assert!(said.is_empty() || said == "ready\n", "{said}");
}

#[tokio::test]
async fn its_own_time_out_ends_the_whole_group() {
    let limit = Duration::from_millis(500);
    let text = format!("echo about to wait >&2; {STUBBORN}");
    let script = Script::new(&text).with(|task| task.timeout(limit).grace(Duration::ZERO));
    let alive = script.alive();
    let error = script.error().await;
    assert_eq!((error.kind(), error.wish()), (ErrorKind::Timeout, Wish::Retry));
    assert_eq!(trace_of(error), "about to wait");
    alive_to_its_end(alive).await;
}

/// Runs a script in a worker until it is ready, does something, and returns its outcome.
async fn outcome_after(
    script: &Script,
    config: WorkerConfig,
    limit: Option<Duration>,
    cancel: bool,
) -> Outcome {
    let broker = broker().await;
    let mut alive = script.alive();
    let worker = Running::start(&broker, script.tasks(), config);
    let mut order = task("script", &json!({}));
    if let Some(limit) = limit {
        order = order.timeout(limit);
    }
    let handle = producer(&broker).enqueue_task(order).await.unwrap();
    if limit.is_none() {
        alive.ready().await;
    }
    if cancel {
        handle.cancel().await.unwrap();
    }
    let outcome = handle.outcome_within(LONG).await.unwrap();
    alive_to_its_end(alive).await;
    worker.drain().await;
    assert_finished(&broker).await;
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_the_whole_group_after_its_grace() {
    let script = Script::new(STUBBORN).with(|task| task.grace(Duration::from_millis(50)));
    assert_eq!(outcome_after(&script, config(), None, true).await.state, State::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_waits_for_nobody_ends_the_group_all_the_same() {
    let script = Script::new(STUBBORN).with(|task| task.grace(Duration::from_millis(50)));
    let impatient = WorkerConfig { cancel_grace: Duration::ZERO, ..config() };
    assert_eq!(outcome_after(&script, impatient, None, true).await.state, State::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_out_of_the_message_ends_the_whole_group() {
    let script = Script::new(STUBBORN).with(|task| task.grace(Duration::from_millis(50)));
    let limit = Some(Duration::from_millis(500));
    let outcome = outcome_after(&script, config(), limit, false).await;
    assert_eq!(outcome.error.map(|error| error.kind), Some(ErrorKind::Timeout));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_saves_its_work_when_it_is_told_to_stop_has_succeeded() {
    let script = Script::new(
        "exec 3>alive; trap 'echo \"[1,2]\"; exit 0' TERM; echo ready >&3; while :; do sleep 1000 & wait; done",
    );
    let outcome = outcome_after(&script, config(), None, true).await;
    assert_eq!(outcome.state, State::Succeeded);
    assert_eq!(outcome.result.unwrap().get(), "[1,2]");
    let quiet = Script::new(
        "exec 3>alive; trap 'exit 0' TERM; echo ready >&3; while :; do sleep 1000 & wait; done",
    );
    assert_eq!(outcome_after(&quiet, config(), None, true).await.state, State::Cancelled);
}

/// Becomes ready when it listens, and would go on for ever.
const LISTENS: &str = r#"
exec 3>alive
trap 'echo "\"saved\""; exit 0' WINCH
echo ready >&3
while :; do sleep 1000 & wait; done
"#;

#[tokio::test]
async fn a_soft_time_out_is_a_signal_to_those_who_listen() {
    let script = Script::new(LISTENS);
    let mut alive = script.alive();
    let ctx = Context::for_test();
    let soft = async {
        alive.ready().await;
        ctx.cancel(CancelReason::SoftTimeout);
    };
    let args = json!({});
    let (result, ()) = tokio::join!(script.run_in(&ctx, &args), soft);
    assert_eq!(result.unwrap().get(), "\"saved\"");
    alive_to_its_end(alive).await;
}

#[tokio::test]
async fn those_who_do_not_listen_go_on_after_their_soft_time_out() {
    // It and its child know nothing of the signal; the last word goes through a pipe of its own.
    let script = Script::new("exec 3>alive; echo ready >&3; sh -c 'read line <go; echo \"$line\"'");
    let mut alive = script.alive();
    let go = script.dir.path().join("go");
    assert!(std::process::Command::new("mkfifo").arg(&go).status().unwrap().success());
    let ctx = Context::for_test();
    let soft = async {
        alive.ready().await;
        ctx.cancel(CancelReason::SoftTimeout);
        tokio::task::yield_now().await;
        tokio::task::spawn_blocking(move || std::fs::write(go, "7\n")).await.unwrap().unwrap();
    };
    let args = json!({});
    let (result, ()) = tokio::join!(script.run_in(&ctx, &args), soft);
    assert_eq!(result.unwrap().get(), "7");

    // And a reason that is no hint still ends it.
    let script = Script::new(&STUBBORN.replace("trap", "trap '' WINCH; trap"))
        .with(|task| task.grace(Duration::ZERO));
    let mut alive = script.alive();
    let ctx = Context::for_test();
    let stop = async {
        alive.ready().await;
        ctx.cancel(CancelReason::SoftTimeout);
        tokio::task::yield_now().await;
        ctx.cancel(CancelReason::Requested);
    };
    let (result, ()) = tokio::join!(script.run_in(&ctx, &args), stop);
    assert!(result.unwrap_err().is_cancelled());
    alive_to_its_end(alive).await;
}

#[tokio::test]
async fn one_that_has_closed_its_pipes_may_be_told_again_and_again() {
    let script = Script::new("exec 3>alive; exec >&- 2>&- <&-; echo ready >&3; exec sleep 1000");
    let mut alive = script.alive();
    let ctx = Context::for_test();
    let told = async {
        alive.ready().await;
        // Its pipes are found closed in between.
        for reason in [CancelReason::SoftTimeout, CancelReason::Requested] {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            ctx.cancel(reason);
        }
    };
    let args = json!({});
    let (result, ()) = tokio::join!(script.run_in(&ctx, &args), told);
    assert!(result.unwrap_err().is_cancelled());
    alive_to_its_end(alive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_soft_time_out_of_the_message_comes_to_the_process() {
    let broker = broker().await;
    // On a busy machine it may listen too late; then another attempt is given the chance.
    let script = Script::new(
        "trap 'echo \"$CELERIAC_ATTEMPT\"; exit 0' WINCH; while :; do sleep 1000 & wait; done",
    );
    let script = script.with(|task| task.grace(Duration::ZERO));
    let worker = Running::start(&broker, script.tasks(), one_slot());
    let order = with_retries(task("script", &json!({})), 5);
    let order = order.soft_timeout(Duration::from_millis(300)).timeout(Duration::from_secs(5));
    let handle = producer(&broker).enqueue_task(order).await.unwrap();
    let outcome = handle.outcome_within(2 * LONG).await.unwrap();
    assert_eq!(outcome.state, State::Succeeded);
    assert_eq!(outcome.result.unwrap().get(), outcome.attempt.unwrap().to_string());
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_leaves_hands_it_back_and_leaves_no_process() {
    let broker = broker().await;
    let script = Script::new(STUBBORN);
    let mut alive = script.alive();
    let worker = Running::start(&broker, script.tasks(), one_slot());
    let handle = producer(&broker).enqueue_task(task("script", &json!({}))).await.unwrap();
    alive.ready().await;

    worker.shutdown.now();

    assert_eq!(worker.left().await.failed, 0);
    alive.gone().await;
    std::fs::write(script.dir.path().join("script.sh"), "echo 7").unwrap();
    let next = Running::start(&broker, script.tasks(), one_slot());
    let outcome = handle.outcome_within(LONG).await.unwrap();
    assert_eq!((outcome.state, outcome.attempt), (State::Succeeded, Some(1)));
    next.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_retry_policy_decides_about_the_next_attempt() {
    let broker = broker().await;
    let script = Script::new("[ $CELERIAC_ATTEMPT = 3 ] && echo 3 && exit; exit 7");
    let worker = Running::start(&broker, script.tasks(), config());
    let order = with_retries(task("script", &json!({})), 2);
    let handle = producer(&broker).enqueue_task(order).await.unwrap();
    let outcome = handle.outcome_within(LONG).await.unwrap();
    assert_eq!((outcome.state, outcome.attempt), (State::Succeeded, Some(3)));
    worker.drain().await;
    assert_finished(&broker).await;
}
