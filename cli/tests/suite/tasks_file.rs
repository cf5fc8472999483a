//! `celeriac worker --tasks-file`: commands as tasks.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::common::{Celeriac, SOON};

/// A directory with a file of tasks, each a script.
fn tasks(scripts: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut tasks = serde_json::Map::new();
    for (name, script) in scripts {
        let file = format!("{name}.sh");
        std::fs::write(dir.path().join(&file), script).unwrap();
        tasks.insert((*name).to_owned(), json!({"command": ["sh", file], "grace": "100ms"}));
    }
    write(dir.path(), &json!({ "tasks": tasks }).to_string());
    dir
}

fn write(dir: &Path, text: &str) {
    std::fs::write(dir.join("tasks.json"), text).unwrap();
}

fn option(dir: &TempDir) -> String {
    format!("--tasks-file {}", dir.path().join("tasks.json").display())
}

#[tokio::test]
async fn commands_run_as_tasks_besides_the_built_in_ones() {
    let celeriac = Celeriac::shared().await;
    let dir = tasks(&[
        ("cat", "cat"),
        ("environment", r#"printf '"%s %s"' "$CELERIAC_TASK" "${CELERIAC_REDIS_URL-none}""#),
        ("fails", "echo no such image >&2; exit 65"),
    ]);
    let _worker = celeriac.worker(&option(&dir)).await;
    assert_eq!(celeriac.ok("enqueue cat --arg width=300 --wait"), r#"{"width":300}"#);
    assert_eq!(celeriac.ok("enqueue echo --arg a=1 --wait"), r#"{"a":1}"#);
    // Where the worker gets its tasks from is no matter of its tasks.
    assert_eq!(celeriac.ok("enqueue environment --wait").trim_matches('"'), "environment none");
    let failed = celeriac.run("enqueue fails --wait");
    assert_eq!(failed.code, Some(1));
    assert!(failed.stderr.contains("exit status: 65: no such image"), "{failed:?}");
}

#[tokio::test]
async fn a_file_that_is_not_valid_is_refused_as_a_whole() {
    let celeriac = Celeriac::shared().await;
    let dir = tasks(&[]);
    write(
        dir.path(),
        r#"{"tasks": {"echo": {"command": ["sh"]}, "a": {"command": ["no-such-program-here"], "tmeout": "1s"}}}"#,
    );
    let ran = celeriac.run(&format!("worker {}", option(&dir)));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(7), ""));
    for problem in [
        "tasks.json is not valid:",
        "tasks.echo: a built-in task has this name",
        "tasks.a.command: no program \"no-such-program-here\" that may be run is on PATH",
        "tasks.a.tmeout: there is no such field",
    ] {
        assert!(ran.stderr.contains(problem), "{problem}: {ran:?}");
    }
    assert_eq!(celeriac.run("worker --tasks-file /no/such/file").code, Some(9));
    assert_eq!(celeriac.json("workers")["workers"], json!([]));
}

/// The guide to commands as tasks.
const GUIDE: &str = include_str!("../../../docs/processes.md");

/// The block of code that follows this text in the guide.
fn block_after(text: &str) -> &'static str {
    let (_, rest) = GUIDE.split_once(text).unwrap_or_else(|| panic!("{text:?} is in the guide"));
    let (_, block) = rest.split_once("```").unwrap();
    let (_language, block) = block.split_once('\n').unwrap();
    block.split_once("```").unwrap().0
}

#[tokio::test]
async fn the_examples_of_the_guide_run() {
    let celeriac = Celeriac::shared().await;
    let dir = tempfile::tempdir().unwrap();
    for (file, intro) in [
        ("resize.py", "`resize.py`:"),
        ("usage.sh", "`usage.sh`:"),
        ("improve.sh", "`improve.sh` is the better"),
    ] {
        std::fs::write(dir.path().join(file), block_after(intro)).unwrap();
    }
    let mut file: serde_json::Value =
        serde_json::from_str(block_after("No Rust is needed:")).unwrap();
    let python = Command::new("python3").args(["-c", ""]).status().is_ok_and(|ran| ran.success());
    if !python {
        eprintln!("skipped: there is no python3 here for the example in Python");
        file["tasks"].as_object_mut().unwrap().remove("resize");
    }
    write(dir.path(), &file.to_string());
    let _worker = celeriac.worker(&option(&dir)).await;

    let usage: serde_json::Value =
        serde_json::from_str(&celeriac.ok("enqueue disk.usage --wait")).unwrap();
    assert!(usage["kib"].as_u64().is_some(), "{usage}");
    // On a busy machine it may listen too late; then there is another attempt.
    let times = "--soft-timeout 500ms --timeout 5s --retries 5 --backoff 1ms";
    let best = celeriac.ok(&format!("enqueue improve {times} --wait"));
    assert!(best.parse::<u64>().unwrap() > 0, "{best}");
    if python {
        let line = GUIDE.lines().find(|line| line.starts_with("celeriac enqueue resize")).unwrap();
        let resized = celeriac.ok(line.strip_prefix("celeriac ").unwrap());
        let resized: serde_json::Value = serde_json::from_str(&resized).unwrap();
        assert_eq!(resized, json!({ "path": "a.png", "width": 300 }));
        let failed = celeriac.run("enqueue resize --arg path=a.png --arg width=0 --wait");
        assert_eq!(failed.code, Some(1));
        assert!(failed.stderr.contains("65: an image of width 0 has no pixels"), "{failed:?}");
    }
}

/// A worker that runs a command which starts another process, and a pipe that both hold open as
/// long as they live.
async fn running(
    celeriac: &Celeriac,
    dir: &TempDir,
) -> (celeriac_testkit::Process, BufReader<File>) {
    let alive = dir.path().join("alive");
    assert!(Command::new("mkfifo").arg(&alive).status().unwrap().success());
    let worker = celeriac.worker(&format!("{} --drain-timeout 100ms", option(dir))).await;
    celeriac.ok("enqueue wait");
    let opened = on_a_thread(move || {
        let mut alive = BufReader::new(File::open(alive).unwrap());
        let mut line = String::new();
        alive.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        alive
    });
    let alive = tokio::time::timeout(SOON, opened).await.unwrap().unwrap();
    (worker, alive)
}

const WAIT: (&str, &str) = (
    "wait",
    "trap '' TERM; exec 3>alive; (echo ready >&3; sleep 1000; sleep 1000) & wait; sleep 1000",
);

async fn gone(mut alive: BufReader<File>) {
    let end = on_a_thread(move || alive.read_to_end(&mut Vec::new()).unwrap());
    assert_eq!(tokio::time::timeout(SOON, end).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn no_process_outlives_a_worker_that_leaves() {
    let celeriac = Celeriac::shared().await;
    let dir = tasks(&[WAIT]);
    let (worker, alive) = running(&celeriac, &dir).await;
    worker.terminate();
    assert_eq!(worker.wait(SOON).await.code(), Some(0), "{worker}");
    gone(alive).await;
}

#[tokio::test]
async fn no_process_outlives_a_worker_that_is_killed() {
    let celeriac = Celeriac::shared().await;
    let dir = tasks(&[WAIT]);
    let (worker, alive) = running(&celeriac, &dir).await;
    worker.kill();
    gone(alive).await;
}

/// What blocks for ever ends with the tests, not with their runtime, which would wait for it.
fn on_a_thread<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> tokio::sync::oneshot::Receiver<T> {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || tell.send(run()));
    told
}
