//! Workflows from JSON: enqueued, refused with all that is wrong with them, and looked at.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use celeriac_testkit::eventually;
use serde_json::{Value, json};

use crate::common::{Celeriac, Ran, SOON, bare, run};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../celeriac/examples/workflows").join(name)
}

/// Runs `celeriac enqueue --file -` with this on its standard input.
pub(crate) fn enqueue(celeriac: &Celeriac, workflow: &Value, args: &str) -> Ran {
    let mut command = celeriac.command(&format!("enqueue --file - {args}"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(workflow.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[tokio::test]
async fn every_example_ends_with_its_result() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("--concurrency 2").await;
    for (name, result) in [
        ("chain", json!({ "n": 3, "before": [["first"], "second"] })),
        ("chord", json!([[[1], [[2]]], "all"])),
        ("graph", json!({ "report": [[[["page"], "words"], [["page"], "links"]]] })),
        ("chunks", json!([[[[[["a", "b"]], [["c", "d"]]]], [[[["e"]]]]]])),
        ("starmap", json!([[1, 2, "more"], [3, 4, "more"]])),
    ] {
        let file = example(&format!("{name}.json"));
        let found = celeriac.ok(&format!("enqueue --wait --file {}", file.display()));
        assert_eq!(serde_json::from_str::<Value>(&found).unwrap(), result, "{name}");
    }
    let pi = celeriac.json(&format!("enqueue --wait --file {}", example("pi.json").display()));
    assert_eq!(pi["result"]["samples"], 80_000, "{pi}");
    let file = example("collect.json");
    let both = celeriac.ok(&format!("enqueue --wait --file {}", file.display()));
    let both: Value = serde_json::from_str(&both).unwrap();
    assert_eq!(both[0][0], json!({ "Ok": ["fine"] }));
    assert_eq!(both[0][1]["Err"]["message"], "boom", "{both}");
    let names = std::fs::read_dir(example("")).unwrap();
    assert_eq!(names.count(), 7, "each example is here");
}

#[tokio::test]
async fn a_workflow_comes_from_standard_input_too() {
    let celeriac = Celeriac::shared().await;
    let chain = json!({ "workflow": { "chain": [{ "task": "echo", "args": [1] }, { "task": "echo" }] }, "key": "k", "label": "two" });
    let first = enqueue(&celeriac, &chain, "--json");
    let first: Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(first["duplicate"], false);
    let again = enqueue(&celeriac, &chain, "--json");
    assert_eq!(serde_json::from_str::<Value>(&again.stdout).unwrap()["id"], first["id"]);
    let _worker = celeriac.worker("").await;
    let id = first["id"].as_str().unwrap();
    assert_eq!(celeriac.ok(&format!("result --wait {id}")), "[[1]]");
    assert_eq!(celeriac.json("jobs")["jobs"][0]["label"], "two");
}

#[tokio::test]
async fn all_that_is_wrong_is_told_and_nothing_is_enqueued() {
    let celeriac = Celeriac::shared().await;
    let wrong =
        json!({ "chain": [{ "task": "echo", "retrys": 1 }, { "task": "echo", "args": {} }] });
    let ran = enqueue(&celeriac, &wrong, "");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(7), ""), "{ran:?}");
    let told = "/chain/0/retrys: unknown field `retrys`: did you mean `retries`?";
    assert!(ran.stderr.contains(told), "{ran:?}");
    assert!(ran.stderr.contains("/chain/1: it follows another task"), "{ran:?}");
    let ran = enqueue(&celeriac, &wrong, "--json");
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &told["error"]), (Some(7), &json!("invalid_workflow")));
    assert_eq!(told["problems"][1]["path"], "/chain/1");
    assert_eq!(celeriac.json("jobs")["open"], 0);
    assert_eq!(celeriac.run("enqueue --file /nowhere.json").code, Some(9));
    assert_eq!(celeriac.run("enqueue echo --file /nowhere.json").code, Some(2));
    assert_eq!(celeriac.run("enqueue --queue q --file /nowhere.json").code, Some(2));
}

#[tokio::test]
async fn a_dry_run_needs_no_redis_and_tells_the_size() {
    let nowhere = Celeriac::at("redis://127.0.0.1:1/");
    let chord = json!({ "chord": { "map": { "task": "echo", "over": [1, 2, 3] }, "then": { "task": "echo" } } });
    let ran = enqueue(&nowhere, &chord, "--dry-run --json");
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&told["members"], &told["begin_at_once"]), (&json!(4), &json!(3)), "{told}");
    let ran = enqueue(&nowhere, &chord, "--dry-run");
    assert!(ran.stdout.starts_with("valid: 4 members with "), "{ran:?}");
    assert_eq!(enqueue(&nowhere, &json!({}), "--dry-run").code, Some(7));
}

#[test]
fn the_schema_is_the_one_of_the_reference() {
    let ran = run(bare().args(["enqueue", "--schema"]));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/workflow.schema.json");
    let hint = "celeriac enqueue --schema > docs/reference/workflow.schema.json";
    assert_eq!(std::fs::read_to_string(path).unwrap(), ran.stdout, "make it anew: {hint}");
}

#[tokio::test]
async fn a_job_is_paused_resumed_and_deleted() {
    let celeriac = Celeriac::shared().await;
    let chain = json!({ "chain": [{ "task": "echo", "args": [1] }, { "task": "echo" }] });
    let job = enqueue(&celeriac, &chain, "").stdout.trim_end().to_owned();

    let paused = celeriac.json(&format!("job pause {job} --why moving"));
    assert_eq!(paused, json!({ "id": job, "answer": "paused" }));
    let _worker = celeriac.worker("").await;
    let seen = celeriac.json(&format!("job {job}"));
    assert_eq!((&seen["state"], &seen["paused"]["why"]), (&json!("running"), &json!("moving")));
    assert!(celeriac.ok(&format!("job {job}")).contains("running, paused"), "{seen}");
    let why = celeriac.ok(&format!("explain {job}:0"));
    assert!(why.contains(&format!("job {job} was paused")), "{why}");
    let under_way = celeriac.run(&format!("job delete {job}"));
    assert_eq!(under_way.code, Some(7), "{under_way:?}");

    celeriac.ok(&format!("job resume {job}"));
    assert_eq!(celeriac.ok(&format!("result {job} --wait")), "[[1]]");
    assert_eq!(celeriac.ok(&format!("job {job} --watch --json")).lines().count(), 1);
    assert_eq!(celeriac.json(&format!("job pause {job}"))["answer"], "ended");
    assert_eq!(celeriac.json(&format!("job delete {job}"))["answer"], "deleted");
    for command in ["job", "job pause", "job resume", "job cancel", "job delete"] {
        assert_eq!(celeriac.run(&format!("{command} {job}")).code, Some(5), "{command}");
    }
    assert_eq!(celeriac.run(&format!("job {job}:0")).code, Some(7));
    assert_eq!(celeriac.run("job").code, Some(2));
}

#[tokio::test]
async fn the_parts_of_a_result_are_shown_wherever_it_is() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("").await;
    let group =
        json!({ "group": [{ "task": "echo", "args": [1] }, { "task": "echo", "args": [2] }] });
    let ended = enqueue(&celeriac, &group, "--wait --json");
    let ended: Value = serde_json::from_str(&ended.stdout).unwrap();
    let job = ended["id"].as_str().unwrap();
    let parts = json!([[1], [2]]);
    assert_eq!((&ended["result"], &ended["members"]), (&parts, &Value::Null));
    let stored = celeriac.json(&format!("result {job}"));
    assert_eq!((&stored["result"], &stored["members"]), (&parts, &Value::Null));
    assert_eq!(celeriac.ok(&format!("result {job}")), "[[1],[2]]");
}

#[tokio::test]
async fn a_cancelled_workflow_ends_and_its_members_with_it() {
    let celeriac = Celeriac::shared().await;
    let _worker = celeriac.worker("--cancel-grace 0s").await;
    let chord = json!({ "chord": {
        "map": { "task": "sleep", "over": [600_000, 600_000], "as": "ms" },
        "then": { "task": "echo" } } });
    let job = enqueue(&celeriac, &chord, "").stdout.trim_end().to_owned();
    eventually(SOON, async || match celeriac.json(&format!("status {job}:0"))["state"].as_str() {
        Some("running") => Ok(()),
        state => Err(format!("{state:?}")),
    })
    .await;
    assert_eq!(celeriac.json(&format!("status {job}:2"))["state"], "waiting");

    assert_eq!(celeriac.json(&format!("job cancel {job} --why tired"))["answer"], "cancelled");

    assert_eq!(celeriac.run(&format!("result {job} --wait")).code, Some(1));
    for member in [0, 2] {
        let state = celeriac.json(&format!("status {job}:{member}"))["state"].clone();
        assert_eq!(state, "cancelled", "{member}");
    }
    // The worker heard of it: its slots are free.
    assert_eq!(celeriac.ok("enqueue echo --args [7] --wait --wait-timeout 30s"), "[7]");
}

#[tokio::test]
async fn a_job_is_drawn_as_a_tree() {
    let celeriac = Celeriac::shared().await;
    let chord = json!({ "chord": {
        "map": { "task": "echo", "over": [1, 2, 3, 4], "label": "each" },
        "then": { "graph": { "end": { "task": "echo" } } } } });
    let job = enqueue(&celeriac, &chord, "").stdout.trim_end().to_owned();
    let waiting = celeriac.json(&format!("job {job}"));
    let group = &waiting["tree"]["parts"][0];
    assert_eq!(
        (&group["kind"], &group["tasks"], &group["done"]),
        (&json!("group"), &json!(4), &json!(0))
    );
    assert_eq!((&group["begun"], &group["state"]), (&json!(4), &json!("ready")));
    assert_eq!(waiting["tree"]["parts"][1]["state"], "waiting");
    assert_eq!(waiting["tree"]["tasks"], 5);

    let _worker = celeriac.worker("").await;
    let watched = celeriac.ok(&format!("job {job} --watch"));
    let tree: Vec<&str> = watched.lines().rev().take(5).collect();
    assert_eq!(
        tree.into_iter().rev().collect::<Vec<_>>(),
        [
            "chain                  [####################] 5 of 5 (100 %)",
            "├─ group               [####################] 4 of 4 (100 %)",
            "│  └─ echo × 4 \"each\"  [####################] 4 of 4 (100 %)",
            "└─ graph               done",
            "   └─ end: echo        done",
        ]
    );
    // A job of chunks has one bar.
    let chunks = celeriac.ok("enqueue noop --chunks 10");
    celeriac.ok(&format!("result {chunks} --wait"));
    let drawn = celeriac.ok(&format!("job {chunks}"));
    assert!(drawn.ends_with("noop × 10  [####################] 10 of 10 (100 %)"), "{drawn}");
}

#[tokio::test]
async fn the_failed_part_of_a_job_is_tried_again() {
    let celeriac = Celeriac::shared().await;
    // Fails until the file is there.
    let dir = tempfile::tempdir().unwrap();
    let (tasks, file) = (dir.path().join("tasks.json"), dir.path().join("mended"));
    let command = json!({ "tasks": { "mend": { "command": ["test", "-e", file] } } });
    std::fs::write(&tasks, command.to_string()).unwrap();
    let _worker = celeriac.worker(&format!("--tasks-file {}", tasks.display())).await;
    let chain = json!({ "chain": [
        { "task": "echo", "args": [1] },
        { "task": "mend", "into": "none", "retries": 0 },
        { "task": "echo", "args": ["end"] } ] });
    let ran = enqueue(&celeriac, &chain, "--wait --json");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let old: Value = serde_json::from_str(&ran.stdout).unwrap();
    let old = old["id"].as_str().unwrap();

    // What stands for a whole group has failed with it.
    let mend = json!({ "task": "mend", "retries": 0 });
    let strict = json!({ "chord": {
        "group": [mend, { "task": "echo", "args": [2] }], "on_error": { "tolerate": 0 },
        "then": { "task": "echo" } } });
    let ran = enqueue(&celeriac, &strict, "--wait --json");
    let strict: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(strict["state"], "failed", "{ran:?}");

    std::fs::write(&file, "").unwrap();
    let strict = celeriac.ok(&format!("job retry {}", strict["id"].as_str().unwrap()));
    let both: Value =
        serde_json::from_str(&celeriac.ok(&format!("result {strict} --wait --wait-timeout 30s")))
            .unwrap();
    assert_eq!(both[0][1], json!({ "Ok": [2] }));
    assert!(both[0][0].get("Ok").is_some(), "{both}");
    let retried = celeriac.json(&format!("job retry {old} --why mended"));
    let new = retried["job"].as_str().unwrap();
    assert_eq!((&retried["answer"], &retried["id"]), (&json!("retried"), &json!(old)));
    assert_eq!(celeriac.json(&format!("job retry {old}"))["answer"], "continued");
    assert_eq!(celeriac.json(&format!("job {old}"))["continued_as"], json!(new));
    let told = celeriac.ok(&format!("job {old}"));
    assert!(told.contains("goes on as") && told.contains(new), "{told}");
    let end = celeriac.run(&format!("result {new} --wait"));
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(end.stdout.contains("end"), "{end:?}");
    assert_eq!(celeriac.json(&format!("job {new}"))["tree"]["done"], 3);
    assert_eq!(celeriac.run(&format!("job retry {new}")).code, Some(7));
    let nobody = "0193a7c2b5e07d4e8a1f3c5d7e9b1a00";
    assert_eq!(celeriac.run(&format!("job retry {nobody}")).code, Some(5));
}

#[test]
fn a_dry_run_is_for_workflows() {
    let ran = run(bare().args(["enqueue", "echo", "--dry-run"]));
    assert!(ran.code == Some(7) && ran.stderr.contains("--file"), "{ran:?}");
}
