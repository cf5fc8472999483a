//! Workflows from JSON: enqueued, refused with all that is wrong with them, and looked at.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::common::{Celeriac, Ran, bare, run};

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
