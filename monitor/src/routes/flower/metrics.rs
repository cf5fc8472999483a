//! The metrics of Flower that dashboards are made of, by its names, as far as workers tell them. Only
//! for those who ask: beside our own they would count twice.

use std::fmt::Write;

use super::shapes::worker_name;
use crate::model::Worker;
use crate::observation::Reading;

/// The metrics in the text format of Prometheus.
pub(in crate::routes) fn exposition(reading: &Reading) -> String {
    let mut text = String::new();
    let workers = &reading.workers;
    family(&mut text, "flower_worker_online", "gauge", "Worker online status", workers, |_| {
        vec![(String::new(), 1)]
    });
    let executing = "Number of tasks currently executing at a worker";
    family(
        &mut text,
        "flower_worker_number_of_currently_executing_tasks",
        "gauge",
        executing,
        workers,
        |worker| vec![(String::new(), worker.busy())],
    );
    let prefetched = "Number of tasks of all types that a worker holds and has not begun";
    family(&mut text, "flower_worker_prefetched_tasks", "gauge", prefetched, workers, |worker| {
        let held = worker.info.as_ref().map_or(0, |info| info.buffered.into());
        vec![(",task=\"*\"".to_owned(), held)]
    });
    let events = "Number of attempts of all tasks that ended at a worker";
    family(&mut text, "flower_events_total", "counter", events, workers, |worker| {
        let told = worker.info.as_ref().map_or((0, 0), |info| (info.succeeded, info.failed));
        let of = |kind: &str, count| (format!(",task=\"*\",type=\"task-{kind}\""), count);
        vec![of("succeeded", told.0), of("failed", told.1)]
    });
    text
}

fn family(
    text: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    workers: &[Worker],
    values: impl Fn(&Worker) -> Vec<(String, u64)>,
) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for worker in workers {
        let named =
            worker_name(worker).replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        for (labels, value) in values(worker) {
            let _ = writeln!(text, "{name}{{worker=\"{named}\"{labels}}} {value}");
        }
    }
}
