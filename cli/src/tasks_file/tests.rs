//! What is taken and what is refused.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use celeriac_worker::process::ProcessTask;
use tempfile::TempDir;

use super::*;

fn read_text(dir: &TempDir, text: &str) -> Result<Vec<(TaskName, ProcessTask)>, Vec<String>> {
    let path = dir.path().join("tasks.json");
    std::fs::write(&path, text).expect("a file");
    read(&path, &["echo"]).map_err(|error| match error {
        CliError::TasksFile { problems, .. } => problems,
        other => panic!("{other}"),
    })
}

fn program(dir: &TempDir, name: &str, mode: u32) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, "#!/bin/sh\n").expect("a file");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("a mode");
    path
}

#[test]
fn all_fields_are_taken_and_paths_are_seen_from_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let place = dir.path().join("bin");
    std::fs::create_dir(&place).expect("a directory");
    let (run, listed) = (program(&dir, "run", 0o755), program(&dir, "bin/listed", 0o755));
    let text = r#"{"tasks": {
        "short": {"command": ["./run"]},
        "long": {"command": ["listed", "a b", "$X"], "dir": "bin", "env": {"PATH": "/no:.", "K": "V"},
                 "timeout": "1m30s", "grace": "0s", "max_output": "64KiB"}
    }}"#;
    let tasks = read_text(&dir, text).expect("is valid");
    let short = ProcessTask::new(dir.path().join("./run"), [""; 0]).dir(dir.path());
    assert!(run.is_file() && listed.is_file());
    let long = ProcessTask::new(place.join("./listed"), ["a b", "$X"])
        .dir(&place)
        .env("PATH", "/no:.")
        .env("K", "V")
        .timeout(Duration::from_secs(90))
        .grace(Duration::ZERO)
        .max_output(64 << 10);
    let expected = [("short", short), ("long", long)];
    assert_eq!(tasks, expected.map(|(name, task)| (name.parse().expect("a name"), task)));
}

#[test]
fn every_problem_is_told_with_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    program(&dir, "data", 0o644);
    let text = r#"{"task": 1, "tasks": {
        "echo": {"command": ["sh"]},
        "bad name": {"command": ["sh"]},
        "empty": {"command": []},
        "none": {"dir": ".", "dir": "."},
        "text": {"command": "rm -rf /"},
        "missing": {"command": ["no-such-program-here"]},
        "data": {"command": ["./data"]},
        "list": [],
        "wrong": {"command": ["sh", 1], "dir": "nowhere", "env": {"A=B": "", "C": 1},
                  "timeout": "0s", "grace": 5, "max_output": "2MiB", "shell": true}
    }}"#;
    let problems = read_text(&dir, text).expect_err("is not valid");
    let places: Vec<&str> =
        problems.iter().map(|problem| problem.split_once(": ").expect("a place").0).collect();
    let expected = [
        "task",
        "tasks.echo",
        "tasks.bad name",
        "tasks.empty.command",
        "tasks.none",
        "tasks.text.command",
        "tasks.missing.command",
        "tasks.data.command",
        "tasks.list",
        "tasks.wrong.command",
        "tasks.wrong.dir",
        "tasks.wrong.env.A=B",
        "tasks.wrong.env.C",
        "tasks.wrong.timeout",
        "tasks.wrong.grace",
        "tasks.wrong.max_output",
        "tasks.wrong.shell",
    ];
    assert_eq!(places, expected, "{problems:#?}");
    assert!(problems[4].contains("twice") && problems[6].contains("on PATH"), "{problems:#?}");
}

#[test]
fn what_is_no_such_file_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    for (text, problem) in [
        ("{", "the file: it is no JSON: EOF"),
        ("[]", "the file: it must be an object"),
        ("{}", "tasks: missing"),
        (r#"{"tasks": {"a": {}}}"#, "tasks.a.command: missing"),
    ] {
        let problems = read_text(&dir, text).expect_err("is not valid");
        assert!(problems.len() == 1 && problems[0].starts_with(problem), "{problems:?}");
    }
    assert!(read_text(&dir, r#"{"tasks": {}}"#).expect("is valid").is_empty());
    let missing = read(&dir.path().join("none"), &[]).expect_err("is not there");
    assert!(matches!(missing, CliError::File { .. }));
}
