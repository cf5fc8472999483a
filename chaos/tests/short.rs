//! The laboratory in short: a mixed load under all faults, on real processes and a real Redis.

use std::path::PathBuf;
use std::time::Duration;

use celeriac_chaos::faults::Mix;
use celeriac_chaos::{Options, run};

fn options(mix: Mix) -> Options {
    Options {
        seed: std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7),
        rounds: 1,
        duration: Duration::from_secs(10),
        tasks: 2_500,
        faults: 120.0,
        mix,
        workers: 3,
        slots: 8,
        visibility: Duration::from_secs(2),
        programs: vec![PathBuf::from(env!("CARGO_BIN_EXE_celeriac-chaos"))],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_g2_g4_g8_under_all_faults_nothing_is_lost_counted_twice_or_stuck() {
    let report = run(&options(Mix::All), |_, _| {}).await;
    assert_eq!(report.violations, [""; 0], "{}", report.text());
    assert!(report.tasks() > 2_500 && report.faults() >= 5, "{}", report.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_g8_while_leases_survive_nothing_runs_twice_whatever_redis_and_the_network_do() {
    let report = run(&options(Mix::Once), |_, _| {}).await;
    assert_eq!(report.violations, [""; 0], "{}", report.text());
    assert_eq!(report.executed_again, 0);
    assert!(report.faults() >= 5, "{}", report.text());
}
