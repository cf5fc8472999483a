//! The report: what people and scripts see of figures that are there, and of those that are not.

use serde_json::json;

use super::*;

fn report() -> Report {
    Report {
        server: "Redis 7.0.15".to_owned(),
        append_only: Some(true),
        tasks: 200_000,
        cores: 2,
        ..Report::default()
    }
}

#[test]
fn what_was_not_measured_is_absent() {
    assert_eq!(report().render(), "Redis 7.0.15, append-only file on; 200000 tasks; 2 cores");
    let given = Report { append_only: None, load_average: Some(1.5), ..report() };
    assert_eq!(
        given.render(),
        "Redis 7.0.15, a server that was given; 200000 tasks; 2 cores, load average 1.50"
    );
    let expected =
        json!({ "server": "Redis 7.0.15", "append_only": true, "tasks": 200_000, "cores": 2 });
    assert_eq!(serde_json::to_value(report()).unwrap(), expected);
}

#[test]
fn figures_have_their_names_and_units() {
    let report = Report {
        drain_per_s: Some(123_456.7),
        drain_ratio: Some(0.8129),
        latency_ms: Some(Latency { p50: 0.4, p95: 0.6, p99: 0.8 }),
        ..report()
    };
    let expected = "                                       measured  unit
drain, 1 worker process, results kept   123,457  tasks/s
  its share of the floor                  0.813
latency when idle, p50                    0.400  ms
latency when idle, p95                    0.600  ms
latency when idle, p99                    0.800  ms";
    assert_eq!(report.render().split_once("\n\n").unwrap().1, expected);
}

#[test]
fn whether_due_tasks_start_in_time_is_said() {
    for (in_time, word) in [(true, "yes"), (false, "NO")] {
        let report = Report { delay_in_time: Some(in_time), ..report() };
        let expected = format!("half of the due tasks start within 20 ms: {word}");
        assert_eq!(report.render().split_once("\n\n").unwrap().1, expected);
        assert_eq!(serde_json::to_value(report).unwrap()["delay_in_time"], in_time);
    }
}

#[test]
fn features_stand_beside_none() {
    let features = vec![FeatureRow::new("none", 5.0), FeatureRow::new("expiry", 12.5)];
    let expected = "\
feature  µs/task  beside none
none        5.00        +0.00
expiry     12.50        +7.50";
    let report = Report { features, ..report() };
    assert_eq!(report.render().split_once("\n\n").unwrap().1, expected);
}

#[test]
fn pi_is_the_classic_table() {
    let pi = vec![
        PiRow::new(1_000_000, 0, 0.5, 0.5, 3.140_000_4),
        PiRow::new(1_000_000, 2, 0.25, 0.5, 3.140_000_4),
    ];
    let expected = "  samples   workers  seconds  samples/s  speed-up  estimate
1,000,000  1 thread   0.5000  2,000,000      1.00  3.140000
1,000,000         2   0.2500  4,000,000      2.00  3.140000";
    let report = Report { pi, ..report() };
    assert_eq!(report.render().split_once("\n\n").unwrap().1, expected);
    let row = &serde_json::to_value(&report).unwrap()["pi"][1];
    let told = json!({
        "samples": 1_000_000, "workers": 2, "seconds": 0.25, "samples_per_second": 4_000_000.0,
        "speedup": 2.0, "pi": 3.140_000_4,
    });
    assert_eq!(row, &told);
}

#[test]
fn the_middle_is_found() {
    assert_eq!(
        [median(&mut [3.0, 1.0, 2.0]), median(&mut []), percentile(&[1.0, 9.0], 1.0)],
        [2.0, 0.0, 9.0]
    );
    // Round by round: 2/1, 4/1, 9/3.
    assert_eq!(median_ratio(&[2.0, 4.0, 9.0], &[1.0, 1.0, 3.0]), 3.0);
}
