//! Processes: what they print, how they end, what remains of them.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use celeriac_testkit::{Process, eventually};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(100);

fn shell(script: &str) -> Process {
    Process::spawn(Command::new("/bin/sh").args(["-c", script]))
}

/// A process that runs until it is ended.
const ENDLESS: &str = "echo ready; while :; do sleep 1; done";

async fn ready(process: &Process) {
    process.wait_for_line(|line| line == "ready", LONG).await;
}

/// The state of a process as `ps` prints it, empty if there is none.
fn state(pid: u32) -> String {
    let mut ps = Command::new("ps");
    let output = ps.args(["-o", "stat=", "-p", &pid.to_string()]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

/// Whether a process exists and has not ended.
fn is_alive(pid: u32) -> bool {
    let state = state(pid);
    !state.is_empty() && !state.starts_with('Z')
}

async fn wait_until_dead(pid: u32) {
    eventually(LONG, async || match is_alive(pid) {
        false => Ok(()),
        true => Err(format!("{pid} is alive")),
    })
    .await;
}

#[tokio::test]
async fn lines_of_both_outputs_are_events() {
    let process = shell("echo one; echo two >&2; echo three");
    for line in ["three", "two", "one"] {
        assert_eq!(process.wait_for_line(|l| l == line, LONG).await, line);
    }
    assert!(process.wait(LONG).await.success());
    assert_eq!(process.lines().len(), 3);
}

#[tokio::test]
#[should_panic(expected = "without the line")]
async fn a_line_that_can_not_come_any_more_is_a_failure_at_once() {
    let process = shell("echo one");
    process.wait_for_line(|line| line == "two", LONG).await;
}

#[tokio::test]
#[should_panic(expected = "no such line")]
async fn a_line_that_does_not_come_is_a_failure_at_the_deadline() {
    let process = shell(ENDLESS);
    process.wait_for_line(|line| line == "two", SHORT).await;
}

#[tokio::test]
#[should_panic(expected = "still running")]
async fn a_process_that_does_not_end_is_a_failure() {
    shell(ENDLESS).wait(SHORT).await;
}

#[tokio::test]
async fn the_end_is_told_with_code_or_signal() {
    let process = shell("exit 7");
    assert_eq!(process.wait(LONG).await.code(), Some(7));
    assert_eq!(process.wait(LONG).await.code(), Some(7), "as often as asked");
    process.terminate();

    let process = shell("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done");
    ready(&process).await;
    assert_eq!(process.exited(), None);
    process.terminate();
    assert_eq!(process.wait(LONG).await.code(), Some(3));
    process.wait_for_line(|line| line == "bye", LONG).await;

    let process = shell(ENDLESS);
    process.kill();
    assert_eq!(process.exited().unwrap().signal(), Some(9));
}

#[tokio::test]
async fn a_frozen_process_stands_still_until_it_is_thawed() {
    let process = shell("trap 'echo heard' USR1; echo ready; while :; do sleep 0.01; done");
    ready(&process).await;

    process.freeze();
    assert!(state(process.id()).starts_with('T'));
    process.signal(rustix::process::Signal::USR1);
    assert_eq!(process.lines(), ["ready"]);
    process.thaw();

    process.wait_for_line(|line| line == "heard", LONG).await;
}

#[tokio::test]
async fn dropping_kills_the_whole_group() {
    let process = shell("sleep 1000 & echo $!; echo ready; wait");
    ready(&process).await;
    let (parent, child) = (process.id(), process.lines()[0].parse().unwrap());
    process.freeze();
    drop(process);
    wait_until_dead(parent).await;
    wait_until_dead(child).await;
}

#[tokio::test]
async fn a_crash_leaves_its_children_until_the_drop() {
    let process = shell("sleep 1000 & echo $!; echo ready; wait");
    ready(&process).await;
    let child = process.lines()[0].parse().unwrap();
    process.kill();
    assert!(is_alive(child));
    drop(process);
    wait_until_dead(child).await;
}

/// Makes this test binary, run again, hold a child and wait to be killed.
const HOLD: &str = "CELERIAC_TESTKIT_HOLD";

#[test]
#[ignore = "no test: the victim of the test below"]
fn victim() {
    if std::env::var_os(HOLD).is_some() {
        let (forgotten, held) = (shell("exit"), shell(ENDLESS));
        drop(forgotten);
        eprintln!("child {}", held.id());
        loop {
            std::thread::park();
        }
    }
}

#[tokio::test]
async fn the_processes_of_a_killed_test_die_with_it() {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["process::victim", "--exact", "--ignored", "--nocapture"]);
    let test = Process::spawn(again.env(HOLD, "1"));
    let line = test.wait_for_line(|line| line.starts_with("child "), LONG).await;
    let child = line["child ".len()..].parse().unwrap();

    test.kill();

    wait_until_dead(child).await;
}
