//! Limits across the fleet, and queues whose tenants take turns.

use celeriac_broker_schema::Subject;
use celeriac_broker_schema::script::{LimitView, Limits, SubjectView};
use maud::{Markup, html};

use crate::actions::Kind;
use crate::auth::Role;
use crate::read::MOST;
use crate::views::action::action_form;
use crate::views::format::{number, setting};
use crate::views::parts::{ago, bar, empty, section, unknown};
use crate::views::table::{Column, Row, figures, table, text, wide};

const COLUMNS: [Column; 5] =
    [wide("On"), text("Rate"), wide("At once"), figures("Kept back"), text("Set")];

pub(crate) fn limits(limits: &Limits, role: Role) -> Markup {
    // Subjects that fall under a limit for all of their kind have none of their own.
    let others =
        limits.busy.iter().filter(|busy| limits.set.iter().all(|set| set.subject != busy.subject));
    let aside =
        html! { @if limits.set.len() >= MOST as usize { "the first " (MOST) " of each kind" } };
    let content = html! {
        @if limits.set.is_empty() {
            (empty("No limits", &html! {
                "A limit holds for all workers together: "
                code { "celeriac limits set task:mail/send --rate 10/s" }
            }))
        } @else {
            (table("Limits", &COLUMNS, limits.set.iter().map(|limit| row(limit, limits, role))))
        }
    };
    html! {
        div #detail.stack {
            header.head { h1 { "Limits" } p.muted { "How many tasks may begin, and be held at once, across all workers." }
                @if role.may_act() { div.actions { (action_form(role, Kind::SetLimit, &[], "Set a limit …", false)) (action_form(role, Kind::FairOn, &[], "Let tenants take turns …", false)) } } }
            (section("limits", "Limits", &aside, &content))
            (busy(others.collect()))
            (fair(limits, role))
        }
    }
}

fn row(limit: &LimitView, limits: &Limits, role: Role) -> Row<5> {
    let busy = limits.busy.iter().find(|busy| busy.subject == limit.subject);
    let held = busy.map_or(0, |busy| busy.held);
    Row {
        key: limit.subject.to_string(),
        cells: [
            html! { (subject(&limit.subject)) (actions(limit, role)) },
            rate(limit),
            html! {
                @match limit.limit.concurrency() {
                    Some(most) => {
                        div.progress {
                            (bar(&format!("Held of {}", limit.subject), held, most, "s-running small"))
                            span.figures { (number(held)) " / " (number(most)) }
                        }
                    }
                    None => (unknown()),
                }
            },
            kept_back(busy, limits),
            set(limit, limits),
        ],
    }
}

/// What may be done with it.
fn actions(limit: &LimitView, role: Role) -> Markup {
    let fields = [("subject", limit.subject.as_str())];
    html! {
        @if role.may_act() {
            div.actions {
                (action_form(role, Kind::SetLimit, &fields, "Change …", false))
                (action_form(role, Kind::RemoveLimit, &fields, "Remove", true))
            }
        }
    }
}

fn subject(subject: &Subject) -> Markup {
    let every = match subject.name() {
        "*" => Some(format!("each {}", subject.kind())),
        _ => None,
    };
    html! {
        @if subject.kind() == "queue" && every.is_none() { a.name href={ "/queues/" (subject.name()) } { (subject) } }
        @else { span.name { (subject) } }
        @if let Some(every) = every { span.sub { (every) " by itself" } }
    }
}

fn rate(limit: &LimitView) -> Markup {
    html! {
        @match limit.limit.rate() {
            Some(rate) => {
                (number(rate.tasks)) " per " (setting(rate.per_ms))
                @if rate.burst > 1 { span.sub { (number(rate.burst)) " at once" } }
            }
            None => (unknown()),
        }
    }
}

fn kept_back(busy: Option<&SubjectView>, limits: &Limits) -> Markup {
    let waiting = busy.map_or(0, |busy| busy.waiting);
    let next = busy.and_then(|busy| busy.next).filter(|next| *next > limits.now);
    html! {
        span.strong[waiting > 0] { (number(waiting)) }
        @if let Some(next) = next { span.sub { "next " (ago(next, limits.now)) } }
    }
}

fn set(limit: &LimitView, limits: &Limits) -> Markup {
    html! {
        @match &limit.note {
            Some(note) if note.at.0 > 0 => { (ago(note.at, limits.now)) " ago" span.sub { (note.who) } }
            Some(note) => (note.who),
            None => (unknown()),
        }
    }
}

fn busy(others: Vec<&SubjectView>) -> Markup {
    const COLUMNS: [Column; 3] = [wide("On"), figures("Held"), figures("Kept back")];
    if others.is_empty() {
        return html! {};
    }
    let aside = html! { "under a limit for all of their kind" };
    let rows = others.into_iter().map(|busy| Row {
        key: busy.subject.to_string(),
        cells: [
            subject(&busy.subject),
            html! { (number(busy.held)) },
            html! { span.strong[busy.waiting > 0] { (number(busy.waiting)) } },
        ],
    });
    section("busy", "Busy", &aside, &table("Busy subjects", &COLUMNS, rows))
}

fn fair(limits: &Limits, role: Role) -> Markup {
    html! {
        @if !limits.fair.is_empty() {
            section.card aria-labelledby="fair-title" {
                header { h2 #fair-title { "Queues whose tenants take turns" } }
                ul.plain {
                    @for queue in &limits.fair {
                        li { a.name href={ "/queues/" (queue.queue) } { (queue.queue) }
                            @if let Some(note) = &queue.note { " " span.muted { (note.who) } }
                            " " (action_form(role, Kind::FairOff, &[("queue", &queue.queue)], "First come, first served", false))
                        }
                    }
                }
            }
        }
    }
}
