//! `celeriac bench`: that it measures what it promises, where it measures, and what it leaves behind:
//! nothing, however it ends.

use std::fs;
use std::path::Path;
use std::process::Command;

use celeriac_testkit::{Process, TestRedis, dump, eventually};
use rustix::process::Signal;
use serde_json::Value;

use crate::common::{Ran, SOON, bare, run};
use crate::processes::Mark;

/// The command with these arguments, with its files in a folder of its own.
fn bench(args: &str, dir: &Path) -> (Command, Mark) {
    let mut command = bare();
    command.arg("bench").args(args.split_whitespace());
    command.env("TMPDIR", dir).env("XDG_RUNTIME_DIR", dir);
    let mark = Mark::on(&mut command);
    (command, mark)
}

/// Neither processes (servers and workers are some) nor files.
async fn nothing_is_left(mark: &Mark, dir: &Path) {
    let files = || fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    eventually(SOON, async || match (mark.processes(), files().collect::<Vec<_>>()) {
        (processes, files) if processes.is_empty() && files.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    })
    .await;
}

fn json(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[tokio::test]
async fn every_promised_name_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let parts = "enqueue,drain,end-to-end,latency,range";
    let (mut command, mark) = bench(&format!("--json --tasks 1000 --only {parts}"), dir.path());
    // What `up` advises to set is not to be measured on: it is in use.
    let ran = run(command.env("CELERIAC_REDIS_URL", "redis://127.0.0.1:1/"));
    let report = json(&ran);
    for name in [
        "enqueue_one_per_s",
        "enqueue_many_per_s",
        "drain_per_s",
        "drain_two_per_s",
        "floor_drain_per_s",
        "drain_ratio",
        "end_to_end_per_s",
        "redis_us_per_task",
        "redis_us_per_chunk",
        "round_trip_ms",
        "bytes_per_queued_task",
        "bytes_per_finished_task",
    ] {
        assert!(report[name].as_f64().is_some_and(|figure| figure > 0.0), "{name}: {report}");
    }
    let latency = ["p50", "p95", "p99"].map(|share| report["latency_ms"][share].as_f64().unwrap());
    assert!(latency[0] > 0.0 && latency.is_sorted(), "{report}");
    assert_eq!((&report["append_only"], &report["tasks"]), (&false.into(), &1_000.into()));
    assert!(ran.stderr.contains("measuring: enqueue\n"), "{ran:?}");
    nothing_is_left(&mark, dir.path()).await;
}

#[tokio::test]
async fn every_feature_has_its_price() {
    let dir = tempfile::tempdir().unwrap();
    let (mut command, mark) = bench("--json --tasks 1000 --only features", dir.path());
    let report = json(&run(&mut command));
    let rows = report["features"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["feature"]), (19, &"none".into()), "{report}");
    for row in rows {
        assert!(row["redis_us_per_task"].as_f64().unwrap() > 0.0, "{row}");
    }
    nothing_is_left(&mark, dir.path()).await;
}

#[tokio::test]
async fn both_forms_of_the_file_are_one_document() {
    let dir = tempfile::tempdir().unwrap();
    let (mut command, mark) = bench("--json --aof both --tasks 1000 --only end-to-end", dir.path());
    let reports = json(&run(&mut command));
    let forms: Vec<&Value> =
        reports.as_array().unwrap().iter().map(|report| &report["append_only"]).collect();
    assert_eq!(forms, [&Value::Bool(false), &Value::Bool(true)], "{reports}");
    nothing_is_left(&mark, dir.path()).await;
}

#[tokio::test]
async fn a_given_server_is_left_as_it_was() {
    let redis = TestRedis::start().await;
    let celeriac = crate::common::Celeriac::at(redis.url());
    celeriac.ok("enqueue echo");
    let before = dump(redis.url(), "*").await;
    let dir = tempfile::tempdir().unwrap();
    let here = format!("--redis {}", redis.url());
    let (mut command, mark) =
        bench(&format!("{here} --json --tasks 1000 --only end-to-end,range"), dir.path());
    let report = json(&run(&mut command));
    assert!(report["end_to_end_per_s"].as_f64().unwrap() > 0.0, "{report}");
    assert_eq!(report["append_only"], Value::Null);
    assert_eq!(dump(redis.url(), "*").await, before);
    nothing_is_left(&mark, dir.path()).await;

    // The file is that server's affair.
    let (mut command, _mark) = bench(&format!("{here} --aof on --only range"), dir.path());
    let ran = run(&mut command);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(7), ""), "{ran:?}");
    assert!(ran.stderr.contains("--aof is about the private server"), "{ran:?}");
}

#[tokio::test]
async fn an_interrupt_in_mid_run_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (bench, mark, dir) = in_mid_run("").await;
        bench.signal(signal);
        assert_eq!(bench.wait(SOON).await.code(), Some(130), "{bench}");
        nothing_is_left(&mark, dir.path()).await;
    }
}

#[tokio::test]
async fn an_interrupt_leaves_nothing_on_a_given_server_either() {
    let redis = TestRedis::start().await;
    let (bench, mark, dir) = in_mid_run(&format!("--redis {}", redis.url())).await;
    // The small key that is there as soon as tasks are.
    eventually(SOON, async || match dump(redis.url(), "{bench-*}:stats").await {
        found if found.len() == 1 => Ok(()),
        found => Err(format!("{found:?}")),
    })
    .await;
    bench.signal(Signal::INT);
    assert_eq!(bench.wait(SOON).await.code(), Some(130), "{bench}");
    nothing_is_left(&mark, dir.path()).await;
    assert_eq!(dump(redis.url(), "*").await, std::collections::BTreeMap::new());
}

#[tokio::test]
async fn a_killed_bench_leaves_nothing() {
    let (bench, mark, dir) = in_mid_run("").await;
    bench.kill();
    nothing_is_left(&mark, dir.path()).await;
}

/// With a worker under way, and so many tasks that nobody can wait for their end.
async fn in_mid_run(place: &str) -> (Process, Mark, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let (mut command, mark) =
        bench(&format!("{place} --only end-to-end --tasks 100_000_000"), dir.path());
    let bench = Process::spawn(&mut command);
    bench.wait_for_line(|line| line == "measuring: end-to-end", SOON).await;
    eventually(SOON, async || match mark.with(" worker ").len() {
        1 => Ok(()),
        number => Err(format!("{number} workers")),
    })
    .await;
    (bench, mark, dir)
}
