//! Metrics for Prometheus. The help texts are the documentation. Nothing about Redis is told while
//! there is no contact: old values would look like new ones. Queues are those that the poller reads, a
//! hundred at most, and of pairs of queue and task there are about a hundred; no label has a task's id,
//! a job or a worker in it.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use celeriac_broker_schema::FiguresInAll;
use celeriac_broker_schema::figures::Event;

use serde::Deserialize;

use super::exposition::{Exposition, Format};
use crate::observation::Reading;
use crate::routes::flower;
use crate::state::Monitor;

/// `?flower=1`: those that have names of Flower, instead.
#[derive(Deserialize)]
pub(super) struct Ask {
    flower: Option<String>,
}

pub(super) async fn metrics(
    State(monitor): State<Monitor>,
    Query(ask): Query<Ask>,
    headers: HeaderMap,
) -> Response {
    if ask.flower.as_deref() == Some("1") {
        return of_flower(&monitor).await;
    }
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::wanted(accept.unwrap_or(""));
    let observation = monitor.latest().await;
    let reading = observation.current();
    let in_all = if reading.is_ok() { monitor.in_all().await.ok() } else { None };
    let mut text = Exposition::new(format);
    text.gauge("build_info", "1, with the version of Celeriac")
        .value(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.gauge("redis_up", "Whether the last look at Redis was answered")
        .value(&[], u8::from(reading.is_ok()));
    text.gauge("monitor_viewers", "Live pages that are open").value(&[], monitor.viewers().count());
    if let Ok(reading) = reading {
        write_queues(&mut text, reading);
        write_tasks(&mut text, reading);
        write_workers(&mut text, reading);
    }
    if let Some(in_all) = in_all {
        write_figures(&mut text, &in_all);
    }
    ([(header::CONTENT_TYPE, format.content_type())], text.finish()).into_response()
}

/// Nothing, while there is no contact.
async fn of_flower(monitor: &Monitor) -> Response {
    let observation = monitor.latest().await;
    let text = observation.current().map(flower::exposition).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn write_queues(text: &mut Exposition, reading: &Reading) {
    let mut ready = text.gauge("queue_ready", "Tasks and chunks in a queue that are ready");
    for queue in &reading.queues {
        ready.value(&[("queue", &queue.name)], queue.ready);
    }
    let mut suspects =
        text.gauge("queue_suspects", "Of them suspects: they lost their worker twice or more");
    for queue in &reading.queues {
        suspects.value(&[("queue", &queue.name)], queue.suspects);
    }
    let mut oldest = text.gauge(
        "queue_oldest_seconds",
        "For how long the oldest ready task of a queue waits; 0 if nothing is ready",
    );
    for queue in &reading.queues {
        let age_ms = queue.oldest.map_or(0, |oldest| reading.now.since(oldest));
        oldest.value(&[("queue", &queue.name)], age_ms as f64 / 1000.0);
    }
    let mut paused = text.gauge("queue_paused", "Whether a queue is paused");
    for queue in &reading.queues {
        paused.value(&[("queue", &queue.name)], u8::from(queue.controls.paused.is_some()));
    }
    // Of some of the workers it would look like all.
    if reading.totals.workers_read == reading.totals.workers {
        let mut workers = text.gauge("queue_workers", "Workers that serve a queue");
        for queue in &reading.queues {
            let serve = reading.workers.iter().filter(|worker| worker.serves(&queue.name));
            workers.value(&[("queue", &queue.name)], serve.count());
        }
    }
}

fn write_tasks(text: &mut Exposition, reading: &Reading) {
    let totals = &reading.totals;
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

/// What workers and producers have told.
fn write_figures(text: &mut Exposition, in_all: &FiguresInAll) {
    const TOLD: [Event; 6] = [
        Event::Enqueued,
        Event::Succeeded,
        Event::Failed,
        Event::Retried,
        Event::Snoozed,
        Event::Cancelled,
    ];
    let mut events = text.counter(
        "task_events_total",
        "Tasks and chunks by queue, name and event, as workers and producers have told",
    );
    for (queue, task, figures) in &in_all.pairs {
        for event in TOLD.into_iter().filter(|event| figures.counts.of(*event) > 0) {
            let labels = [("queue", queue.as_str()), ("task", task), ("event", event.name())];
            events.value(&labels, figures.counts.of(event));
        }
    }
    let mut wait = text.histogram("task_wait_seconds", "How long attempts waited for a worker");
    for (queue, task, figures) in in_all.pairs.iter().filter(|pair| pair.2.wait.count() > 0) {
        wait.times(&[("queue", queue), ("task", task)], &figures.wait);
    }
    let mut run = text.histogram("task_run_seconds", "How long attempts ran");
    for (queue, task, figures) in in_all.pairs.iter().filter(|pair| pair.2.run.count() > 0) {
        run.times(&[("queue", queue), ("task", task)], &figures.run);
    }
}
