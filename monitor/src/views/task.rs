//! One task or chunk.

use celeriac_broker_schema::{Attempt, Explanation, State, TaskId, Timestamp};
use maud::{Markup, html};

use crate::actions::Kind;
use crate::auth::Role;
use crate::model::Task;
use crate::views::action::action_form;
use crate::views::format::{duration, number, setting};
use crate::views::json::json;
use crate::views::lanes::{Bar, Lane, lanes};
use crate::views::parts::{
    chip, facts, failure, job_link, lease, maybe_duration, section, short_failure, task_link, time,
    unknown,
};
use crate::views::table::{Column, Row, figures, table, text, wide};
use crate::views::workers::task_progress;

/// `why`: why it does not run, of one that waits.
pub(crate) fn task(task: &Task, role: Role, why: Option<&Explanation>) -> Markup {
    html! {
        div #detail.stack {
            header.head {
                h1 { (title(task)) " " (chip(task.state.map_or("unknown", State::as_str))) }
                p.muted { @if task.chunk.is_some() { "Chunk " } @else { "Task " } code { (task.id) } }
                (actions(task, role))
            }
            (life(task, why))
            (line_of_life(task))
            @if let Some(error) = &task.unreadable { p.notice { (error) } }
            @if let Some(error) = &task.error { (section("error", "Error", &failed_task(task), &failure(error))) }
            @if let Some(result) = &task.result { (section("result", "Result", &html! {}, &json(result))) }
            @if !task.attempts.is_empty() { (attempts(task)) }
            (description(task))
        }
    }
}

/// What may be done with it.
fn actions(task: &Task, role: Role) -> Markup {
    let act = |kind, label, danger| action_form(role, kind, &[("id", &task.id)], label, danger);
    html! {
        @match task.state {
            Some(State::Waiting | State::Delayed | State::Ready | State::Running) if task.chunk.is_none() => {
                div.actions { (act(Kind::Cancel, "Cancel …", true)) }
            }
            Some(State::Failed) if task.args.is_some() && task.job.is_none() => {
                div.actions { (act(Kind::Revive, "Revive", false)) (act(Kind::Discard, "Discard …", true)) }
            }
            _ => {}
        }
    }
}

fn title(task: &Task) -> String {
    match (&task.task, task.chunk) {
        (Some(name), Some(chunk)) => format!("{name} #{chunk}"),
        (Some(name), None) => name.clone(),
        (None, Some(chunk)) => format!("Chunk {chunk}"),
        (None, None) => "Task".to_owned(),
    }
}

fn life(task: &Task, why: Option<&Explanation>) -> Markup {
    let at = |at: Option<Timestamp>| at.map(|at| time(at, task.now));
    let ran = task.started.map(|started| task.ended.unwrap_or(task.now).since(started));
    html! {
        section.card aria-label="Life" {
            @if let Some(progress) = &task.progress { p { (task_progress(progress)) } }
            (facts(vec![
                ("Job", task.job.map(|job| job_link(&job.to_string()))),
                ("Attempt", task.attempt.map(|attempt| html! { (attempt) })),
                ("Worker", task.worker.as_deref().map(lease)),
                ("Due", at(task.due)),
                ("Claimed", at(task.claimed)),
                ("Begun", at(task.started)),
                ("Ended", at(task.ended)),
                ("Ran for", ran.map(|ms| html! { (duration(ms)) })),
            ]))
            @if let Some(sentence) = standing(task) { p.muted { (sentence) } }
            @if let Some(why) = why { (reasons(why)) }
        }
    }
}

/// Why it does not run.
fn standing(task: &Task) -> Option<String> {
    let queue = task.queue.as_deref().unwrap_or("its queue");
    Some(match task.state? {
        State::Waiting => "It waits for all chunks of its job.".to_owned(),
        State::Delayed if task.failures > 0 => {
            "The last attempt failed; the next one waits until it is due.".to_owned()
        }
        State::Delayed => "It waits until it is due.".to_owned(),
        State::Ready => format!("It waits in {queue} for a worker."),
        State::Cancelled if task.chunk.is_some() => "Its job ended before it.".to_owned(),
        State::Cancelled => cancelled(task),
        State::Expired => "No worker began it in time.".to_owned(),
        State::Running | State::Succeeded | State::Failed => return None,
    })
}

/// Why it waits, in order of what matters.
fn reasons(why: &Explanation) -> Markup {
    html! {
        @if !why.reasons.is_empty() {
            h2 { "Why it waits" }
            ul.reasons { @for reason in &why.reasons { li { (reason) } } }
        }
    }
}

/// Waits and attempts side by side, as long as they took.
fn line_of_life(task: &Task) -> Markup {
    let Ok(id) = task.id.parse::<TaskId>() else { return html! {} };
    let bars = bars(task, id.time());
    let Some(last) = bars.last() else { return html! {} };
    let (begin, end) = (bars[0].from, last.to);
    let lane = Lane {
        key: "life".to_owned(),
        name: html! {},
        bars: bars.clone(),
        note: html! { (duration(end.since(begin))) },
    };
    let content = html! {
        (lanes("Waits and attempts", begin, end, &[lane]))
        ul.legend {
            @for (class, word) in KINDS {
                @if bars.iter().any(|bar| bar.class == class) { li { span class={ "swatch " (class) } {} (word) } }
            }
        }
    };
    section("line", "Line of life", &html! { "waits and attempts, as long as they took" }, &content)
}

/// Kinds of bars.
const KINDS: [(&str, &str); 6] = [
    ("b-wait", "waits"),
    ("b-held", "taken, not begun"),
    ("b-run", "runs"),
    ("b-done", "succeeded"),
    ("b-failed", "failed"),
    ("b-lost", "lost its worker"),
];

fn bars(task: &Task, created: Timestamp) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    let mut at = created;
    // A chunk is made with its job, and each stretch of time ends where the next one begins.
    let mut add = |to: Timestamp, class: &'static str, what: String| {
        if to > at {
            bars.push(Bar { from: at, to, class, what });
            at = to;
        }
    };
    for attempt in &task.attempts {
        let class = if attempt.outcome == "lost" { "b-lost" } else { "b-failed" };
        let began = attempt.started.or(attempt.claimed).unwrap_or(attempt.ended);
        add(attempt.claimed.unwrap_or(began), "b-wait", "waited".to_owned());
        add(began, "b-held", "was taken, had not begun".to_owned());
        add(attempt.ended, class, format!("attempt {} {}", attempt.attempt, attempt.outcome));
    }
    let is_new = |ended: Timestamp| task.attempts.last().is_none_or(|last| last.ended < ended);
    match (task.started, task.ended) {
        (started, Some(ended)) if is_new(ended) => {
            let (class, word) = match task.state {
                Some(State::Succeeded) => ("b-done", "succeeded"),
                Some(State::Failed) => ("b-failed", "failed"),
                _ => ("b-wait", "waited"),
            };
            add(started.unwrap_or(ended), "b-wait", "waited".to_owned());
            add(ended, class, format!("attempt {} {word}", task.attempt.unwrap_or(1)));
        }
        (_, Some(_)) => {}
        (started, None) if task.state == Some(State::Running) => {
            add(task.claimed.unwrap_or(task.now), "b-wait", "waited".to_owned());
            add(started.unwrap_or(task.now), "b-held", "taken, not begun".to_owned());
            add(task.now, "b-run", format!("attempt {} runs", task.attempt.unwrap_or(1)));
        }
        (_, None) if task.state == Some(State::Succeeded) => {}
        _ => add(task.now, "b-wait", "waits".to_owned()),
    }
    bars
}

/// Who cancelled it, and why.
fn cancelled(task: &Task) -> String {
    let who = task.cancelled.clone().unwrap_or_default();
    let by = who.by.map(|by| format!(" by {by}")).unwrap_or_default();
    let why = who.why.map(|why| format!(": {why}")).unwrap_or_default();
    format!("It was cancelled{by}{why}.")
}

fn failed_task(task: &Task) -> Markup {
    html! { @if let Some(id) = &task.failed_task { "by " (task_link(id)) } }
}

fn attempts(task: &Task) -> Markup {
    const COLUMNS: [Column; 6] = [
        text("Attempt"),
        wide("Outcome"),
        text("Worker"),
        figures("Ran for"),
        text("Ended"),
        figures("Next after"),
    ];
    let aside = html! {
        (number(task.failures.into())) " failed, " (number(task.crashes.into())) " lost their worker"
    };
    let rows = task.attempts.iter().map(|attempt| Row {
        key: attempt.attempt.to_string(),
        cells: attempt_cells(attempt, task.now),
    });
    let content = table("Attempts that did not succeed", &COLUMNS, rows);
    section("attempts", "Attempts that did not succeed", &aside, &content)
}

fn attempt_cells(attempt: &Attempt, now: Timestamp) -> [Markup; 6] {
    let began = attempt.started.or(attempt.claimed);
    [
        html! { "#" (attempt.attempt) },
        html! {
            (chip(&attempt.outcome))
            @if let Some(error) = &attempt.error { (short_failure(error)) }
        },
        lease(&attempt.worker),
        maybe_duration(began.map(|began| attempt.ended.since(began))),
        time(attempt.ended, now),
        html! { @match attempt.retry_in_ms { Some(ms) => (duration(ms)), None => (unknown()) } },
    ]
}

fn description(task: &Task) -> Markup {
    let backoff = task.backoff.as_ref().map(|backoff| {
        html! {
            @match backoff.delays_ms.as_slice() {
                [] if backoff.base_ms == backoff.cap_ms => (setting(backoff.base_ms)),
                [] => { (setting(backoff.base_ms)) ", doubled up to " (setting(backoff.cap_ms)) }
                listed => @for (i, ms) in listed.iter().enumerate() {
                    @if i > 0 { ", " }
                    (setting(*ms))
                },
            }
        }
    });
    let content = html! {
        (facts(vec![
            ("Queue", task.queue.as_ref().map(|queue| html! { a href={ "/queues/" (queue) } { (queue) } })),
            ("Priority", task.priority.map(|priority| html! { (priority) })),
            ("Retries", task.retries.map(|retries| html! { (retries) })),
            ("Backoff", backoff),
            ("Time-out", task.timeout_ms.map(|ms| html! { (setting(ms)) })),
            ("Kept for", task.keep_ms.map(|ms| html! { (setting(ms)) })),
        ]))
        @match &task.args {
            Some(args) => { h3 { "Arguments" } (json(args)) }
            None => p.muted { "Name and arguments are not kept once a task has ended." },
        }
    };
    section("description", "Description", &html! {}, &content)
}
