//! The list of jobs.

use celeriac_broker_schema::Timestamp;
use maud::{Markup, html};

use crate::model::Job;
use crate::observation::Reading;
use crate::views::format::{duration, number, percent, rate, short_id};
use crate::views::parts::{bar, chip, empty, maybe_duration, section, unknown};
use crate::views::table::{Column, Row, figures, table, text, wide};

const COLUMNS: [Column; 6] = [
    text("Job"),
    wide("Progress"),
    text("State"),
    figures("Rate"),
    figures("Time left"),
    figures("Elapsed"),
];

/// `jobs`: those to be shown, of all that the reading counts.
pub(crate) fn jobs(reading: &Reading, jobs: &[Job]) -> Markup {
    let open = reading.totals.open_jobs;
    let ended = jobs.iter().filter(|job| job.ended.is_some()).count();
    let aside = html! {
        @if !jobs.is_empty() { (number(open)) " open" @if ended > 0 { ", " (ended) " ended lately" } }
    };
    let content = html! {
        @if jobs.is_empty() {
            (empty("No jobs", &html! {
                "A job is work that is split into chunks. Try one: "
                code { "celeriac enqueue pi --split samples=100000000 --chunks 100 --wait" }
            }))
        } @else {
            (table("Jobs", &COLUMNS, jobs.iter().map(|job| Row {
                key: job.id.to_string(),
                cells: cells(job, reading.now),
            })))
        }
    };
    html! { div #jobs { (section("jobs", "Jobs", &aside, &content)) } }
}

fn cells(job: &Job, now: Timestamp) -> [Markup; 6] {
    [
        name(job),
        progress(job),
        chip(&job.state),
        html! { @match job.done_per_s { Some(r) => (rate(r)), None => (unknown()) } },
        maybe_duration(job.left_ms),
        elapsed(job, now),
    ]
}

fn name(job: &Job) -> Markup {
    let id = job.id.to_string();
    html! {
        a.name href={ "/jobs/" (id) } { (job.title()) }
        span.sub {
            code title=(id) { (short_id(&id)) }
            @if let (Some(_), Some(task)) = (&job.label, &job.task) { " " (task) }
        }
    }
}

/// The bar, the share that is done, and the counts.
pub(crate) fn progress(job: &Job) -> Markup {
    let class = if job.state == "failed" {
        "s-failed"
    } else if job.done == job.total {
        "s-succeeded"
    } else {
        "s-running"
    };
    html! {
        div.progress {
            (bar(&format!("Chunks of {} that are done", job.title()), job.done, job.total, class))
            span.figures {
                b { (percent(job.done, job.total)) }
                " " span.muted { (number(job.done)) " / " (number(job.total)) }
                @if job.failed > 0 { " " span.bad { (number(job.failed)) " failed" } }
            }
        }
    }
}

pub(crate) fn elapsed(job: &Job, now: Timestamp) -> Markup {
    html! {
        @match job.elapsed_ms {
            Some(ms) => (duration(ms)),
            None => span.muted title={ "enqueued " (duration(now.since(job.created))) " ago" } { "not begun" },
        }
    }
}
