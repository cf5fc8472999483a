//! One job.

use celeriac_broker_schema::{RunningTask, Timestamp};
use maud::{Markup, html};

use crate::actions::Kind;
use crate::auth::Role;
use crate::model::{Job, JobDetail, Worker, running_of};
use crate::views::action::action_form;
use crate::views::format::{duration, number, rate, setting};
use crate::views::jobs::{elapsed, progress};
use crate::views::json::json;
use crate::views::lanes::{Bar, Lane, lanes};
use crate::views::parts::{chip, facts, failure, maybe_duration, section, task_link, time};
use crate::views::table::{Column, Row, figures, table, text};
use crate::views::workers::{host, task_progress};

/// Most lanes of what runs.
const LANES: usize = 40;

/// What is known of a job, but for the map of its chunks.
pub(crate) fn job(detail: &JobDetail, role: Role) -> Markup {
    let job = &detail.job;
    html! {
        div #detail.stack {
            header.head {
                h1 { (job.title()) " " (chip(&job.state)) }
                p.muted { "Job " code { (job.id) } }
                @if job.ended.is_none() {
                    div.actions { (action_form(role, Kind::Cancel, &[("id", &job.id.to_string())], "Cancel …", true)) }
                }
            }
            (counts(detail))
            @if let Some(error) = &detail.unreadable { p.notice { "Its description is not readable: " (error) } }
            @if let Some(error) = &detail.error { (failed(detail.failed_task.as_deref(), &failure(error))) }
            @if let Some(result) = &detail.result { (section("result", "Result", &html! {}, &json(result))) }
            @if !detail.accumulators.is_empty() { (accumulators(detail)) }
        }
    }
}

/// What runs of it, and its description.
pub(crate) fn more(detail: &JobDetail, workers: &[Worker]) -> Markup {
    html! {
        div #more.stack {
            @if detail.job.ended.is_none() { (running(detail, workers)) }
            (description(detail))
        }
    }
}

fn counts(detail: &JobDetail) -> Markup {
    let job = &detail.job;
    let average = if job.ended.is_some() { " on average" } else { "" };
    html! {
        section.card.hero aria-label="Progress" {
            (progress(job))
            (facts(vec![
                ("Elapsed", Some(elapsed(job, detail.now))),
                ("Time left", job.ended.is_none().then(|| maybe_duration(job.left_ms))),
                ("Rate", job.done_per_s.map(|r| html! { (rate(r)) (average) })),
                ("Retried", Some(html! { (number(job.retried)) })),
                ("Enqueued", Some(time(job.created, detail.now))),
                ("Begun", job.started.map(|at| time(at, detail.now))),
                ("Ended", job.ended.map(|at| time(at, detail.now))),
            ]))
            (what_now(job, detail))
        }
    }
}

/// The state of the job in a sentence, where the figures do not tell.
fn what_now(job: &Job, detail: &JobDetail) -> Markup {
    let reducer = detail.reduce.as_deref().unwrap_or("its reducer");
    let sentence = match job.state.as_str() {
        "running" if job.started.is_none() => "No worker has begun yet.".to_owned(),
        "reducing" => format!("All chunks are done; {reducer} makes the result of them."),
        _ => return html! {},
    };
    html! { p.muted { (sentence) } }
}

fn failed(task: Option<&str>, failure: &Markup) -> Markup {
    let aside = html! { @if let Some(id) = task { "by " (task_link(id)) } };
    section("error", "Ended by a failure", &aside, failure)
}

fn accumulators(detail: &JobDetail) -> Markup {
    const COLUMNS: [Column; 3] = [text("Accumulator"), text("Operation"), figures("So far")];
    let rows = detail.accumulators.iter().map(|(name, value)| {
        let operation = detail.accumulate.get(name).map(|operation| format!("{operation:?}"));
        Row {
            key: name.clone(),
            cells: [
                html! { (name) },
                html! { (operation.unwrap_or_default().to_lowercase()) },
                html! { code { (value.get()) } },
            ],
        }
    });
    section("accumulators", "Accumulators", &html! {}, &table("Accumulators", &COLUMNS, rows))
}

/// Who runs what of it since when, the longest first; and what takes far longer than the others.
fn running(detail: &JobDetail, workers: &[Worker]) -> Markup {
    let mut running = running_of(workers, detail.job.id);
    running.sort_by_key(|(_, task)| task.since);
    let begin = running.first().map_or(detail.now, |(_, task)| task.since);
    let usual = usual_ms(detail, running.len());
    let stragglers =
        running.iter().filter(|(_, task)| is_straggler(task, detail.now, usual)).count();
    let aside = html! {
        (running.len()) " as far as workers tell"
        @if stragglers > 0 { ", " span.bad { (stragglers) @if stragglers == 1 { " straggler" } @else { " stragglers" } } }
        @if let Some(ms) = usual { ", about " (duration(ms)) " each" }
    };
    let content = html! {
        @if running.is_empty() { p.muted { "Nothing right now." } }
        @else {
            @let rows: Vec<Lane> = running.iter().take(LANES).map(|(worker, task)| lane(worker, task, detail, usual)).collect();
            (lanes("What runs, since when", begin, detail.now, &rows))
            @if running.len() > LANES { p.muted { (running.len() - LANES) " more" } }
        }
    };
    section("running", "Running", &aside, &content)
}

fn lane(worker: &Worker, task: &RunningTask, detail: &JobDetail, usual: Option<u64>) -> Lane {
    let late = is_straggler(task, detail.now, usual);
    Lane {
        key: format!("{}-{}", task.id, task.attempt),
        name: html! { (host(worker)) },
        bars: vec![Bar {
            from: task.since,
            to: detail.now,
            class: if late { "b-late" } else { "b-run" },
            what: format!("{} on {}", task.id, worker.lease),
        }],
        note: html! {
            (task_link(&task.id))
            @if task.attempt > 1 { span.muted { " attempt " (task.attempt) } }
            " " span.num { (duration(detail.now.since(task.since))) }
            @if late { " " span.bad { "straggler" } }
            @if let Some(progress) = &task.progress { " " (task_progress(progress)) }
        },
    }
}

/// How long a chunk takes about, by Little's law: those that run, over those that end in a second.
fn usual_ms(detail: &JobDetail, running: usize) -> Option<u64> {
    let rate = detail.job.done_per_s.filter(|rate| *rate > 0.0 && detail.job.done >= 10)?;
    Some((running as f64 * 1_000.0 / rate) as u64)
}

/// A chunk that runs three times as long as the others, and long enough to be noticed.
fn is_straggler(task: &RunningTask, now: Timestamp, usual: Option<u64>) -> bool {
    let ran = now.since(task.since);
    usual.is_some_and(|usual| ran > 3 * usual && ran > 1_000)
}

fn description(detail: &JobDetail) -> Markup {
    let job = &detail.job;
    let text = |text: &Option<String>| text.as_ref().map(|text| html! { (text) });
    let content = html! {
        (facts(vec![
            ("Task", text(&job.task)),
            ("Chunks", Some(html! { (number(job.total)) })),
            ("Split", detail.split.as_ref().map(|split| html! { (split.field) " = " (number(split.total)) })),
            ("Then", text(&detail.reduce)),
            ("Queue", job.queue.as_ref().map(|queue| html! { a href={ "/queues/" (queue) } { (queue) } })),
            ("Priority", detail.priority.map(|priority| html! { (priority) })),
            ("Retries", detail.retries.map(|retries| html! { (retries) " of each chunk" })),
            ("Time-out", detail.timeout_ms.map(|ms| html! { (setting(ms)) })),
            ("Kept for", detail.keep_ms.map(|ms| html! { (setting(ms)) })),
            ("Submitted by", text(&detail.submitted_by)),
        ]))
        @if let Some(args) = &detail.args { h3 { "Arguments" } (json(args)) }
    };
    section("description", "Description", &html! {}, &content)
}
