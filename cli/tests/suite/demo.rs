//! `celeriac demo` from end to end with real processes, and what it leaves behind: nothing,
//! however it ends.

use std::net::TcpListener;

use celeriac_testkit::{Process, TestRedis, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::{Celeriac, Ran, SOON, bare, run};
use crate::processes::Mark;

/// No test takes the usual port from whoever works on this machine.
const SMALL: &str = "demo --samples 2_000_000 --chunks 20 --port 0";
/// More than anybody can wait for.
const ENDLESS: &str = "demo --samples 9_000_000_000_000 --chunks 1_000_000 --port 0";

fn demo(args: &str) -> (std::process::Command, Mark) {
    let mut command = bare();
    command.args(args.split_whitespace());
    let mark = Mark::on(&mut command);
    (command, mark)
}

fn last_object(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap()
}

async fn nothing_is_left(mark: &Mark) {
    eventually(SOON, async || match mark.processes() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    })
    .await;
}

#[test]
fn it_ends_with_one_json_object_and_leaves_nothing() {
    let (mut command, mark) = demo(SMALL);
    let ran = run(command.arg("--json"));
    // At the very moment of its end: all was stopped before.
    assert_eq!(mark.processes(), []);
    let object = last_object(&ran);
    assert_eq!(
        (object["samples"].as_u64(), object["chunks"].as_u64(), object["workers"].as_u64()),
        (Some(2_000_000), Some(20), Some(2))
    );
    assert!((object["pi"].as_f64().unwrap() - std::f64::consts::PI).abs() < 0.01, "{object}");
    for name in [
        "seconds",
        "samples_per_second",
        "one_worker_seconds",
        "speedup_over_one_worker",
        "speedup_over_one_thread",
        "ratio_to_threads",
    ] {
        assert!(object[name].as_f64().unwrap() > 0.0, "{name}: {object}");
    }
    assert!(object["monitor"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{object}");
    assert!(ran.stderr.contains("\n2 workers: done\n"), "{ran:?}");
}

#[test]
fn it_tells_people_the_same() {
    let (mut command, _mark) = demo("demo --samples 20000 --chunks 20 --port 0 --workers 1");
    let ran = run(&mut command);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].starts_with("pi is about 3.1"), "{ran:?}");
    assert!(lines[1].starts_with("20,000 samples in 20 chunks on 1 worker: "), "{ran:?}");
    // So little work is no measure.
    assert!(lines[2].starts_with("too short to compare: "), "{ran:?}");
    assert!(lines.last().unwrap().starts_with("the monitor was at http://127.0.0.1:"), "{ran:?}");
    let (mut quiet, _mark) = demo(&format!("{SMALL} --quiet"));
    assert_eq!(run(&mut quiet).stderr, "");
}

#[tokio::test]
async fn a_given_redis_is_touched_in_a_fresh_namespace_only() {
    let redis = TestRedis::start().await;
    let celeriac = Celeriac::at(redis.url());
    celeriac.ok("enqueue echo");
    let before = celeriac_testkit::dump(redis.url(), "*").await;
    let ran = run(&mut celeriac.command(SMALL));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains(", namespace demo-"), "{ran:?}");
    let after = celeriac_testkit::dump(redis.url(), "*").await;
    let (ours, others): (Vec<_>, Vec<_>) =
        after.into_iter().partition(|(key, _)| key.starts_with("{demo-"));
    assert!(!ours.is_empty());
    assert_eq!(others, Vec::from_iter(before));
}

#[tokio::test]
async fn it_stays_if_told_so_and_goes_at_an_interrupt() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (mut command, mark) =
        demo(&format!("demo --samples 2_000_000 --chunks 20 --keep --port {port}"));
    let demo = Process::spawn(&mut command);
    demo.wait_for_line(|line| line == "all keeps running until Ctrl-C", SOON).await;
    assert!(demo.lines().contains(&format!("(port {port} is taken)")), "{demo}");
    assert_eq!(
        (mark.with(" worker ").len(), mark.with(" monitor ").len()),
        (2, 1),
        "{:?}",
        mark.processes()
    );
    let line = demo.wait_for_line(|line| line.starts_with("the monitor is at http://"), SOON).await;
    let address = line["the monitor is at http://".len()..].trim_end_matches('/');
    Celeriac::at("").ok(&format!("monitor --check --listen {address}"));
    demo.signal(Signal::INT);
    assert_eq!(demo.wait(SOON).await.code(), Some(0), "{demo}");
    assert_eq!(mark.processes(), []);
}

/// A demo in the middle of its first job.
async fn in_mid_run() -> (Process, Mark) {
    let (mut command, mark) = demo(ENDLESS);
    let demo = Process::spawn(&mut command);
    demo.wait_for_line(|line| line.starts_with("one worker: "), SOON).await;
    (demo, mark)
}

#[tokio::test]
async fn an_interrupt_in_mid_run_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (demo, mark) = in_mid_run().await;
        demo.signal(signal);
        assert_eq!(demo.wait(SOON).await.code(), Some(130), "{demo}");
        assert_eq!(mark.processes(), [], "{signal:?}");
    }
}

#[tokio::test]
async fn an_impatient_second_interrupt_leaves_nothing_either() {
    let (demo, mark) = in_mid_run().await;
    demo.signal(Signal::INT);
    demo.signal(Signal::TERM);
    assert_eq!(demo.wait(SOON).await.code(), Some(130), "{demo}");
    assert_eq!(mark.processes(), []);
}

#[tokio::test]
async fn a_killed_demo_leaves_nothing() {
    let (demo, mark) = in_mid_run().await;
    assert!(mark.processes().len() >= 4, "{:?}", mark.processes());
    demo.kill();
    nothing_is_left(&mark).await;
}

#[tokio::test]
async fn without_any_worker_it_gives_up() {
    let (demo, mark) = in_mid_run().await;
    for worker in mark.with(" worker ") {
        kill_process(Pid::from_raw(worker.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    }
    assert_eq!(demo.wait(SOON).await.code(), Some(9), "{demo}");
    assert!(demo.lines().contains(&"error: all workers have ended".to_owned()), "{demo}");
    assert_eq!(mark.processes(), []);
}

#[test]
fn without_a_server_program_it_says_so() {
    let (mut command, _mark) = demo(SMALL);
    let ran = run(command.env("CELERIAC_REDIS_SERVER", "/no/such/server"));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(9), ""), "{ran:?}");
    assert!(ran.stderr.contains("/no/such/server cannot be run"), "{ran:?}");
}
