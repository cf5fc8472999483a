//! `celeriac bench --against`: two builds in turns.

use serde_json::Value;

use crate::common::{bare, run};

#[test]
fn figures_of_two_builds_are_told_side_by_side() {
    let own = env!("CARGO_BIN_EXE_celeriac");
    let args = format!("bench --json --only range --tasks 200000 --against {own}");

    let ran = run(bare().args(args.split_whitespace()));

    assert_eq!(ran.code, Some(0), "{ran:?}");
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((told["against"].as_str(), told["turns"].as_u64()), (Some(own), Some(3)));
    let figures = told["figures"].as_array().unwrap();
    let bytes = figures.iter().find(|figure| figure["name"] == "bytes_per_queued_chunk").unwrap();
    let number = |name: &str| bytes[name].as_f64().unwrap();
    assert!(number("before") > 0.0 && number("after") > 0.0, "{bytes}");
    // The same program takes as much memory, whatever the machine does meanwhile; so many chunks that the
    // figures which producers tell now and then do not count.
    assert!((0.9..1.1).contains(&number("ratio")), "{bytes}");
}

#[test]
fn what_cannot_be_compared_is_told() {
    let ran = run(bare().args(["bench", "--against", "/nowhere/celeriac", "--aof", "both"]));
    assert_eq!(ran.code, Some(7), "{ran:?}");
    let ran = run(bare().args(["bench", "--against", "/nowhere/celeriac", "--only", "enqueue"]));
    assert!(ran.code == Some(9) && ran.stderr.contains("/nowhere/celeriac"), "{ran:?}");
}
