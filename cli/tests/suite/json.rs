//! `--json` of every subcommand: what it prints is JSON, line by line. The list is compared with
//! `--help`, so that whoever adds a subcommand says here how it is.

use std::collections::BTreeSet;

use celeriac_testkit::{Process, TestRedis};
use rustix::process::Signal;
use serde_json::Value;

use crate::common::{Celeriac, SOON, bare, run};

/// Those that have no data: one prints a script, the other one help.
const WITHOUT_DATA: [&str; 2] = ["completions", "help"];
/// Those that do nothing without a subcommand of theirs.
const GROUPS: [&str; 1] = ["schedule"];
/// Those that run on until they are told to stop, and print a line for what happens.
const RUNNING_ON: [&str; 3] = ["up", "worker", "monitor"];
/// All others in an order in which each finds something to do: subcommand, arguments, exit code.
/// `DONE`, `JOB`, `FAILED`, `DEAD` and `OTHER` stand for ids: a task and a job that have succeeded, a workflow and
/// two tasks that have failed for good.
const ENDING: [(&str, &str, i32); 52] = [
    ("worker", "--check", 0),
    ("monitor", "--check --listen 127.0.0.1:1", 8),
    ("enqueue", "echo --arg a=1", 0),
    ("enqueue", "echo --arg a=1 --wait", 0),
    ("enqueue", "pi --chunks 2 --split samples=10", 0),
    ("enqueue", "--file ../celeriac/examples/workflows/chord.json", 0),
    ("status", "DONE", 0),
    ("explain", "DONE", 0),
    ("result", "DONE", 0),
    ("cancel", "DONE", 0),
    ("jobs", "", 0),
    ("history", "", 0),
    ("job", "JOB", 0),
    ("job pause", "JOB", 0),
    ("job resume", "JOB", 0),
    ("job cancel", "JOB", 0),
    ("job retry", "FAILED", 0),
    ("job delete", "JOB", 0),
    ("queues", "", 0),
    ("queues pause", "q", 0),
    ("queues resume", "q", 0),
    ("queues close", "q", 0),
    ("queues open", "q", 0),
    ("queues limit", "q 10", 0),
    ("queues purge", "q --yes", 0),
    ("queues move", "q r", 0),
    ("limits", "", 0),
    ("limits", "set task:echo --concurrency 5", 0),
    ("limits", "remove task:echo", 0),
    ("dead", "", 0),
    ("dead", "--group", 0),
    ("dead show", "DEAD", 0),
    ("dead revive", "DEAD", 0),
    ("dead delete", "OTHER", 0),
    ("audit", "", 0),
    ("settings", "", 0),
    ("settings set", "dead_max=10", 0),
    ("schedule add", "s echo --every 1h", 0),
    ("schedule edit", "s --every 2h", 0),
    ("schedule list", "", 0),
    ("schedule show", "s", 0),
    ("schedule next", "s", 0),
    ("schedule pause", "s", 0),
    ("schedule resume", "s", 0),
    ("schedule run", "s", 0),
    ("schedule skip", "s", 0),
    ("schedule remove", "s", 0),
    ("doctor", "", 0),
    ("doctor", "--memory", 0),
    ("workers", "", 0),
    ("demo", "--samples 20000 --chunks 20 --port 0 --workers 1", 0),
    ("bench", "--only end-to-end --tasks 1000", 0),
];
/// What is done to the worker, at the end.
const TO_THE_WORKER: [(&str, &str, i32); 4] = [
    ("workers pause", "--all --wait 20s", 0),
    ("workers resume", "--all --wait 20s", 0),
    ("workers set", "--all --concurrency 2 --wait 20s", 0),
    ("workers drain", "--all --wait 20s", 0),
];

/// The subcommands in the help of a command, and theirs.
fn subcommands(path: &str) -> BTreeSet<String> {
    let help = run(bare().args(path.split_whitespace()).arg("--help")).stdout;
    let listed = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
    let lines = listed.lines().take_while(|line| !line.is_empty());
    // What runs on in a second line stands further to the right.
    let names = lines.filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let mut found = BTreeSet::new();
    for name in names.filter(|name| path.is_empty() || *name != "help") {
        let path = format!("{path} {name}").trim().to_owned();
        if name != "help" {
            found.extend(subcommands(&path));
        }
        found.insert(path);
    }
    found
}

#[test]
fn every_subcommand_is_in_a_list() {
    let ending = ENDING.iter().chain(&TO_THE_WORKER).map(|(path, ..)| *path);
    let listed = ending.chain(RUNNING_ON).chain(WITHOUT_DATA).chain(GROUPS);
    assert_eq!(listed.map(str::to_owned).collect::<BTreeSet<_>>(), subcommands(""));
}

/// Objects or arrays: a bare id or a number might be what is printed without `--json`.
fn is_data(line: &str) -> bool {
    let read = serde_json::from_str::<Value>(line);
    read.is_ok_and(|value| value.is_object() || value.is_array())
}

#[tokio::test]
async fn what_ends_prints_json() {
    let redis = TestRedis::start().await;
    let celeriac = Celeriac::at(redis.url());
    let worker = celeriac.worker("--queues default,q,r").await;
    let tasks = ["echo", "noop --chunks 2", "fail --retries 0", "fail --retries 0"];
    let [done, job, dead, other] = tasks.map(|task| {
        let id = celeriac.ok(&format!("enqueue {task}"));
        celeriac.run(&format!("result {id} --wait"));
        id
    });
    let failed = celeriac.ok("enqueue --file tests/suite/failing.json");
    celeriac.run(&format!("result {failed} --wait"));
    for (path, args, code) in ENDING.into_iter().chain(TO_THE_WORKER) {
        let args = args.replace("DONE", &done).replace("JOB", &job);
        let args = args.replace("FAILED", &failed).replace("DEAD", &dead).replace("OTHER", &other);
        let ran = celeriac.run(&format!("{path} {args} --json"));
        assert_eq!(ran.code, Some(code), "{path} {args}: {ran:?}");
        assert!(
            !ran.stdout.is_empty() && ran.stdout.lines().all(is_data),
            "{path} {args}: {ran:?}"
        );
    }
    worker.wait(SOON).await;
}

#[tokio::test]
async fn what_runs_on_prints_a_line_for_what_happens() {
    let redis = TestRedis::start().await;
    let dir = tempfile::tempdir().unwrap();
    for (command, args, field) in [
        ("up", "--port 0", "monitor"),
        ("worker", "", "lease"),
        ("monitor", "--listen 127.0.0.1:0", "url"),
    ] {
        let mut line = Celeriac::at(redis.url()).command(&format!("{command} {args} --json"));
        let process = Process::spawn(line.current_dir(dir.path()));
        let first: Value = {
            let line = process.wait_for_line(is_data, SOON).await;
            serde_json::from_str(&line).unwrap()
        };
        assert!(first[field].is_string(), "{command}: {first}");
        process.signal(Signal::TERM);
        assert_eq!(process.wait(SOON).await.code(), Some(0), "{process}");
        if command != "up" {
            assert_eq!(first["event"], "ready", "{process}");
            let stopped = process.wait_for_line(|line| line.contains(r#""event":"stopped""#), SOON);
            assert!(is_data(&stopped.await), "{process}");
        }
    }
}

#[tokio::test]
async fn checks_say_what_they_found() {
    let celeriac = Celeriac::shared().await;
    let found = |args: &str| {
        let ran = celeriac.run(&format!("{args} --json"));
        (ran.code, serde_json::from_str::<Value>(&ran.stdout).unwrap(), ran.stderr)
    };
    let (code, answer, stderr) = found("worker --check");
    assert_eq!((code, &answer["alive"], &answer["pid"]), (Some(8), &false.into(), &Value::Null));
    assert!(stderr.starts_with("error: no worker of "), "{stderr}");
    let worker = celeriac.worker("").await;
    let answer = celeriac_testkit::eventually(SOON, async || match found("worker --check") {
        (Some(0), answer, _) => Ok(answer),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!((&answer["alive"], &answer["pid"]), (&true.into(), &worker.id().into()));

    let (code, answer, stderr) = found("monitor --check --listen 127.0.0.1:1");
    assert_eq!((code, &answer["healthy"]), (Some(8), &false.into()), "{stderr}");
    assert_eq!(answer["address"], "127.0.0.1:1");
    assert!(answer["reason"].as_str().unwrap().contains("refused"), "{answer}");
}
