//! The small parts of which the pages are made.

use celeriac_broker_schema::{TaskFailure, Timestamp};
use maud::{Markup, html};

use crate::views::format::{UNKNOWN, duration, instant, percent, short_id};

/// A state: colour and glyph come from the stylesheet, by class.
pub(crate) fn chip(word: &str) -> Markup {
    let known = [
        "waiting",
        "delayed",
        "ready",
        "running",
        "reducing",
        "succeeded",
        "failed",
        "cancelled",
        "expired",
        "lost",
        "draining",
        "paused",
        "silent",
    ];
    let class = known.iter().find(|known| **known == word).unwrap_or(&"unknown");
    html! { span class={ "chip s-" (class) } { (word) } }
}

/// How much of something is done. A total of 0 is one that is not known.
pub(crate) fn bar(label: &str, done: u64, total: u64, class: &str) -> Markup {
    html! {
        @if total > 0 {
            progress class=(class) max=(total) value=(done.min(total)) aria-label=(label) { (percent(done, total)) }
        }
    }
}

pub(crate) fn task_link(id: &str) -> Markup {
    html! { a.id href={ "/tasks/" (id) } title=(id) { (short_id(id)) } }
}

pub(crate) fn job_link(id: &str) -> Markup {
    html! { a.id href={ "/jobs/" (id) } title=(id) { (short_id(id)) } }
}

/// A lease: sixteen hex digits that mean nothing to people.
pub(crate) fn lease(id: &str) -> Markup {
    html! { code.id title={ "lease " (id) } { (id.get(..8).unwrap_or(id)) } }
}

/// A point in time, with how long ago that was.
pub(crate) fn time(at: Timestamp, now: Timestamp) -> Markup {
    let shown = instant(at);
    html! {
        span.ago {
            @if at <= now { (duration(now.since(at))) " ago" } @else { "in " (duration(at.since(now))) }
        }
        " " time.sub datetime=(shown.machine) title=(shown.text) data-exact { (shown.text) }
    }
}

/// How long ago a point in time was, or how far it is; the exact value is told when one points at it.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> Markup {
    let shown = instant(at);
    html! {
        time.num datetime=(shown.machine) title=(shown.text) {
            @if at <= now { (duration(now.since(at))) } @else { "in " (duration(at.since(now))) }
        }
    }
}

/// A duration, or a dash.
pub(crate) fn maybe_duration(ms: Option<u64>) -> Markup {
    html! { @match ms { Some(ms) => (duration(ms)), None => (unknown()) } }
}

pub(crate) fn unknown() -> Markup {
    html! { span.muted { (UNKNOWN) } }
}

/// A list of names and values; values that do not exist are left out.
pub(crate) fn facts(facts: Vec<(&str, Option<Markup>)>) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts {
                @if let Some(value) = value { div { dt { (name) } dd { (value) } } }
            }
        }
    }
}

/// A titled part of a page.
pub(crate) fn section(id: &str, title: &str, aside: &Markup, content: &Markup) -> Markup {
    html! {
        section.card aria-labelledby={ (id) "-title" } {
            header { h2 id={ (id) "-title" } { (title) } p.muted { (aside) } }
            (content)
        }
    }
}

/// What is shown where there is nothing, with what to do about it.
pub(crate) fn empty(title: &str, hint: &Markup) -> Markup {
    html! { div.empty { p.lead { (title) } p { (hint) } } }
}

pub(crate) fn failure(failure: &TaskFailure) -> Markup {
    let kind = serde_json::to_value(failure.kind);
    let kind = kind.as_ref().ok().and_then(|kind| kind.as_str()).unwrap_or("error");
    html! {
        div.failure {
            p { strong { (kind.replace('_', " ")) } ": " (failure.message) }
            @if let Some(trace) = &failure.trace { pre tabindex="0" { (trace) } }
        }
    }
}

/// Text in which what stands between backticks is code.
pub(crate) fn with_code(text: &str) -> Markup {
    html! {
        @for (i, part) in text.split('`').enumerate() {
            @if i % 2 == 0 { (part) } @else { code { (part) } }
        }
    }
}

/// A failure as part of a table: its trace takes a click.
pub(crate) fn short_failure(failure: &TaskFailure) -> Markup {
    html! {
        p.failure { (failure.message) }
        @if let Some(trace) = &failure.trace {
            details { summary { "Trace" } pre tabindex="0" { (trace) } }
        }
    }
}
