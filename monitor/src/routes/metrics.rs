//! Metrics for Prometheus, in its text format. The help texts are the documentation. Nothing
//! about Redis is told while there is no contact: old values would look like new ones. Queues
//! are those that the poller reads, a hundred at most; no label has a task, job or worker in it.

use std::fmt::Write;

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use serde::Deserialize;

use crate::observation::Reading;
use crate::routes::flower;
use crate::state::Monitor;

/// `?flower=1`: those that have names of Flower, instead.
#[derive(Deserialize)]
pub(super) struct Ask {
    flower: Option<String>,
}

pub(super) async fn metrics(State(monitor): State<Monitor>, Query(ask): Query<Ask>) -> Response {
    if ask.flower.as_deref() == Some("1") {
        return of_flower(&monitor).await;
    }

    let observation = monitor.latest().await;
    let reading = observation.current();
    let mut text = Exposition::default();
    text.gauge("build_info", "1, with the version of Celeriac")
        .value(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.gauge("redis_up", "Whether the last look at Redis was answered")
        .value(&[], u8::from(reading.is_ok()));
    text.gauge("monitor_viewers", "Live pages that are open").value(&[], monitor.viewers().count());
    if let Ok(reading) = reading {
        write_tasks(&mut text, reading);
        write_workers(&mut text, reading);
    }
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text.text).into_response()
}

/// Nothing, while there is no contact.
async fn of_flower(monitor: &Monitor) -> Response {
    let observation = monitor.latest().await;
    let text = observation.current().map(flower::exposition).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn write_tasks(text: &mut Exposition, reading: &Reading) {
    let totals = &reading.totals;
    let mut ready = text.gauge("queue_ready", "Tasks and chunks in a queue that are ready");
    for queue in &reading.queues {
        ready.value(&[("queue", &queue.name)], queue.ready);
    }
    let mut suspects =
        text.gauge("queue_suspects", "Of them suspects: they lost their worker twice or more");
    for queue in &reading.queues {
        suspects.value(&[("queue", &queue.name)], queue.suspects);
    }
    text.gauge("tasks_delayed", "Tasks and chunks that wait for a time").value(&[], totals.delayed);
    text.gauge("tasks_waiting", "Tasks that wait for other tasks").value(&[], totals.waiting);
    text.gauge("dead", "Tasks that failed for good and are kept").value(&[], totals.dead);
    text.gauge("jobs_open", "Jobs that have not ended").value(&[], totals.open_jobs);
    let mut events = text.counter(
        "tasks_total",
        "Tasks and chunks since the namespace began, by event: enqueued, succeeded, failed, retried, reclaimed, expired",
    );
    for (event, count) in totals.events() {
        events.value(&[("event", event)], count);
    }
}

fn write_workers(text: &mut Exposition, reading: &Reading) {
    let totals = &reading.totals;
    text.gauge("workers", "Workers that show signs of life").value(&[], totals.workers);
    text.gauge("leases", "Leases, one for each worker that may hold tasks")
        .value(&[], totals.leases);
    text.gauge("orphans", "Expired leases whose tasks are on their way back")
        .value(&[], totals.orphans);
    // Sums over a part of the workers would look like sums over all.
    if totals.workers_read == totals.workers {
        text.gauge("worker_slots", "Slots of all workers").value(&[], totals.slots);
        text.gauge("worker_slots_busy", "Slots that are taken").value(&[], totals.running);
    }
}

/// The text as it grows.
#[derive(Default)]
struct Exposition {
    text: String,
}

/// A metric whose values are being written.
struct Metric<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Exposition {
    fn gauge(&mut self, name: &'static str, help: &str) -> Metric<'_> {
        self.metric(name, "gauge", help)
    }

    fn counter(&mut self, name: &'static str, help: &str) -> Metric<'_> {
        self.metric(name, "counter", help)
    }

    fn metric(&mut self, name: &'static str, kind: &str, help: &str) -> Metric<'_> {
        let text = &mut self.text;
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "# HELP celeriac_{name} {help}");
        let _ = writeln!(text, "# TYPE celeriac_{name} {kind}");
        Metric { text, name }
    }
}

impl Metric<'_> {
    fn value(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let _ = write!(self.text, "celeriac_{}", self.name);
        for (i, (name, label)) in labels.iter().enumerate() {
            let open = if i == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{name}=\"{}\"", escaped(label));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = Exposition::default();
        text.gauge("queue_ready", "Help").value(&[("queue", "a\"} 1\nb\\"), ("x", "y")], 2);
        let expected = "# HELP celeriac_queue_ready Help\n# TYPE celeriac_queue_ready gauge\n\
            celeriac_queue_ready{queue=\"a\\\"} 1\\nb\\\\\",x=\"y\"} 2\n";
        assert_eq!(text.text, expected);
    }
}
