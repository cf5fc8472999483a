//! One job.

use celeriac_broker_schema::RunningTask;
use maud::{Markup, html};

use crate::model::{Job, JobDetail, Worker, running_of};
use crate::views::format::{duration, number, rate, setting};
use crate::views::jobs::{elapsed, progress};
use crate::views::json::json;
use crate::views::parts::{chip, facts, failure, maybe_duration, section, task_link, time};
use crate::views::table::{Column, Row, figures, table, text};
use crate::views::workers::{host, task_progress};

pub(crate) fn job(detail: &JobDetail, workers: &[Worker]) -> Markup {
    let job = &detail.job;
    html! {
        div #detail.stack {
            header.head {
                h1 { (job.title()) " " (chip(&job.state)) }
                p.muted { "Job " code { (job.id) } }
            }
            (counts(detail))
            @if let Some(error) = &detail.unreadable { p.notice { "Its description is not readable: " (error) } }
            @if let Some(error) = &detail.error { (failed(detail.failed_task.as_deref(), &failure(error))) }
            @if let Some(result) = &detail.result { (section("result", "Result", &html! {}, &json(result))) }
            @if !detail.accumulators.is_empty() { (accumulators(detail)) }
            @if job.ended.is_none() { (running(detail, workers)) }
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

fn running(detail: &JobDetail, workers: &[Worker]) -> Markup {
    const COLUMNS: [Column; 3] = [text("Task"), text("Worker"), figures("Runs for")];
    let running = running_of(workers, detail.job.id);
    let aside = html! { (running.len()) " of its tasks, as far as workers tell" };
    let rows = running.iter().map(|(worker, task)| Row {
        key: task.id.clone(),
        cells: [what_runs(task), host(worker), html! { (duration(detail.now.since(task.since))) }],
    });
    let content = html! {
        @if running.is_empty() { p.muted { "Nothing right now." } }
        @else { (table("Running tasks of this job", &COLUMNS, rows)) }
    };
    section("running", "Running", &aside, &content)
}

fn what_runs(task: &RunningTask) -> Markup {
    html! {
        (task_link(&task.id))
        @if task.attempt > 1 { span.muted { " attempt " (task.attempt) } }
        @if let Some(progress) = &task.progress { " " (task_progress(progress)) }
    }
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
            ("Queue", text(&job.queue)),
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
