//! The list of workers.

use celeriac_broker_schema::{Progress, RunningTask, Timestamp};
use maud::{Markup, html};

use crate::actions::Kind;
use crate::auth::Role;
use crate::model::Worker;
use crate::observation::Reading;
use crate::views::action::action_form;
use crate::views::format::{bytes, duration, number, percent};
use crate::views::parts::{bar, chip, empty, lease, section, unknown};
use crate::views::table::{Column, Row, figures, table, text, wide};

const COLUMNS: [Column; 6] = [
    text("Worker"),
    wide("Slots busy"),
    wide("Runs"),
    figures("Ended"),
    figures("Memory"),
    figures("Last sign of life"),
];

/// Running tasks of a worker that are shown without a click.
const SHOWN: usize = 3;

pub(crate) fn workers(reading: &Reading, role: Role) -> Markup {
    let totals = &reading.totals;
    let aside = html! {
        @if totals.workers_read < totals.workers {
            (number(totals.workers_read)) " of " (number(totals.workers))
        } @else if totals.slots > 0 {
            (number(totals.running)) " of " (number(totals.slots)) " slots busy"
        }
    };
    let content = html! {
        @if reading.workers.is_empty() {
            (empty("No workers", &html! { "Tasks wait until one comes: " code { "celeriac worker" } }))
        } @else {
            (table("Workers", &COLUMNS, reading.workers.iter().map(|worker| Row {
                key: worker.lease.clone(),
                cells: cells(worker, role, reading.now),
            })))
        }
    };
    html! { div #workers { (section("workers", "Workers", &aside, &content)) } }
}

fn cells(worker: &Worker, role: Role, now: Timestamp) -> [Markup; 6] {
    [
        html! { (name(worker)) (actions(worker, role)) },
        slots(worker),
        runs(worker.running(), now),
        ended(worker),
        memory(worker),
        last_sign(worker, now),
    ]
}

/// What may be done with it.
fn actions(worker: &Worker, role: Role) -> Markup {
    let paused = worker.info.as_ref().is_some_and(|info| info.paused.is_some());
    let act =
        |kind, label, danger| action_form(role, kind, &[("worker", &worker.lease)], label, danger);
    html! {
        @if role.may_act() && !worker.is_draining() {
            div.actions {
                @if paused { (act(Kind::ResumeWorker, "Resume", false)) } @else { (act(Kind::PauseWorker, "Pause", false)) }
                (act(Kind::SetSlots, "Slots …", false))
                (act(Kind::SetQueues, "Queues …", false))
                (act(Kind::DrainWorker, "Drain …", true))
            }
        }
    }
}

/// `host:pid`, and what tells this worker from others.
pub(crate) fn host(worker: &Worker) -> Markup {
    html! {
        @match &worker.info {
            Some(info) => { (info.host) ":" (info.pid) }
            None => { "lease " (worker.lease) }
        }
    }
}

fn name(worker: &Worker) -> Markup {
    html! {
        span.name { (host(worker)) } " "
        @if worker.is_draining() { (chip("draining")) }
        @if worker.info.as_ref().is_some_and(|info| info.paused.is_some()) { span.muted { "paused" } }
        span.sub {
            (lease(&worker.lease))
            @if let Some(info) = &worker.info { " v" (info.version) " " (info.queues.join(", ")) }
        }
    }
}

fn slots(worker: &Worker) -> Markup {
    html! {
        div.progress {
            (bar("Slots that are busy", worker.busy(), worker.slots(), "s-running small"))
            span.figures {
                b { (number(worker.busy())) } " / " (number(worker.slots()))
                @if let Some(info) = &worker.info {
                    @if info.buffered > 0 { " " span.muted { "+ " (number(info.buffered.into())) " held" } }
                }
            }
        }
    }
}

fn runs(running: &[RunningTask], now: Timestamp) -> Markup {
    let (shown, more) = running.split_at(running.len().min(SHOWN));
    html! {
        @if running.is_empty() { span.muted { "nothing" } }
        @else {
            ul.runs { @for task in shown { (runs_task(task, now)) } }
            @if !more.is_empty() {
                details {
                    summary { (more.len()) " more" }
                    ul.runs { @for task in more { (runs_task(task, now)) } }
                }
            }
        }
    }
}

fn runs_task(task: &RunningTask, now: Timestamp) -> Markup {
    html! {
        li data-key=(task.id) {
            a href={ "/tasks/" (task.id) } title=(task.id) { (task.task) }
            @if let Some((_, chunk)) = task.id.split_once(':') { span.muted { " #" (chunk) } }
            @if task.wedged.is_some() { span.muted { " wedged" } }
            @if task.attempt > 1 { span.muted { " attempt " (task.attempt) } }
            " " span.num { (duration(now.since(task.since))) }
            @if let Some(progress) = &task.progress { " " (task_progress(progress)) }
        }
    }
}

/// How far an attempt is, in a line.
pub(crate) fn task_progress(progress: &Progress) -> Markup {
    html! {
        span.inline {
            (bar("Progress of the attempt", progress.done, progress.total, "s-running small"))
            @if progress.total > 0 { span.num { (percent(progress.done, progress.total)) } }
            @else { span.num { (number(progress.done)) } }
            @if let Some(note) = &progress.note { span.muted.note { (note) } }
        }
    }
}

fn ended(worker: &Worker) -> Markup {
    html! {
        @match &worker.info {
            Some(info) => {
                (number(info.succeeded))
                @if info.failed > 0 { " " span.bad { (number(info.failed)) " failed" } }
            }
            None => (unknown()),
        }
    }
}

fn memory(worker: &Worker) -> Markup {
    let rss = worker.info.as_ref().and_then(|info| info.rss_bytes);
    html! { @match rss { Some(n) => (bytes(n)), None => (unknown()) } }
}

fn last_sign(worker: &Worker, now: Timestamp) -> Markup {
    html! {
        @match worker.heard {
            Some(heard) => {
                @if worker.silent_ms(now).is_some() { (chip("silent")) " " }
                (ago(now.since(heard)))
            }
            None => (unknown()),
        }
    }
}

/// Not more exact than the looks at Redis are frequent.
fn ago(ms: u64) -> String {
    match ms {
        0..2_500 => "just now".to_owned(),
        _ => format!("{} ago", duration(ms)),
    }
}
