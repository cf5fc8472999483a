//! The list of queues.

use std::collections::BTreeMap;

use celeriac_broker_schema::script::Controls;
use celeriac_broker_schema::{Note, Timestamp};
use maud::{Markup, html};

use crate::model::{Queue, Ready};
use crate::observation::Reading;
use crate::poller::QUEUES;
use crate::views::format::number;
use crate::views::parts::{ago, empty, section, unknown};
use crate::views::table::{Column, Row, figures, table, text};

const COLUMNS: [Column; 6] = [
    text("Queue"),
    figures("Ready"),
    figures("Oldest"),
    text("By priority"),
    figures("Suspects"),
    figures("Workers"),
];

/// Where ages are not asked for.
const SHORT: [Column; 5] =
    [text("Queue"), figures("Ready"), text("By priority"), figures("Suspects"), figures("Workers")];

/// `oldest`: since when what is ready waits, by queue, where that is known.
pub(crate) fn queues(reading: &Reading, oldest: Option<&BTreeMap<String, Timestamp>>) -> Markup {
    let queues = &reading.queues;
    let aside = html! {
        @if queues.len() >= QUEUES as usize { (QUEUES) " of more" }
        @else if !queues.is_empty() { (queues.len()) " so far" }
    };
    let content = html! {
        @if queues.is_empty() {
            (empty("No queues", &html! {
                "A queue is there as soon as something is put into it: "
                code { "celeriac enqueue echo --arg text=hello" }
            }))
        } @else {
            @if let Some(oldest) = oldest {
                (table("Queues", &COLUMNS, queues.iter().map(|queue| Row {
                    key: queue.name.clone(),
                    cells: with_age(queue, reading, oldest.get(&queue.name)),
                })))
            } @else {
                (table("Queues", &SHORT, queues.iter().map(|queue| Row {
                    key: queue.name.clone(),
                    cells: cells(queue, reading),
                })))
            }
        }
    };
    html! { div #queues { (section("queues", "Queues", &aside, &content)) } }
}

fn with_age(queue: &Queue, reading: &Reading, oldest: Option<&Timestamp>) -> [Markup; 6] {
    let [name, ready, priorities, suspects, workers] = cells(queue, reading);
    let age =
        html! { @match oldest { Some(since) => (ago(*since, reading.now)), None => (unknown()) } };
    [name, ready, age, priorities, suspects, workers]
}

fn cells(queue: &Queue, reading: &Reading) -> [Markup; 5] {
    [
        html! { a.name href={ "/queues/" (queue.name) } { (queue.name) } (said_of(&queue.controls)) },
        html! { span.strong[queue.ready > 0] { (number(queue.ready)) } },
        by_priority(&queue.priorities),
        html! { span.bad[queue.suspects > 0] { (number(queue.suspects)) } },
        serving(queue, reading),
    ]
}

fn by_priority(priorities: &[Ready]) -> Markup {
    html! {
        @if priorities.is_empty() { (unknown()) }
        @else {
            ul.priorities {
                @for ready in priorities {
                    li title={ "priority " (ready.priority) } {
                        span.unseen { "Priority " } b { (ready.priority) } span.unseen { ": " }
                        span {
                            @match ready.ready {
                                Some(n) => (number(n)),
                                // Ranges at several priorities: their chunks are not told apart.
                                None => { (number(ready.elements)) "+" },
                            }
                        }
                    }
                }
            }
        }
    }
}

fn serving(queue: &Queue, reading: &Reading) -> Markup {
    let serving = reading.workers.iter().filter(|worker| worker.serves(&queue.name)).count();
    let more = reading.totals.workers_read < reading.totals.workers;
    html! {
        span.bad[serving == 0 && queue.ready > 0 && !more] { (serving) @if more { "+" } }
    }
}

/// What people said of the queue; who, when and why are told when one points at it.
pub(crate) fn said_of(controls: &Controls) -> Markup {
    let Controls { paused, closed, limit } = controls;
    let title = |note: &Note| note.who.to_string();
    html! {
        @if let Some(note) = paused { " " span.chip.s-paused title=(title(note)) { "paused" } }
        @if let Some(note) = closed { " " span.chip.s-paused title=(title(note)) { "closed" } }
        @if let Some(limit) = limit {
            " " span.muted title=(title(&limit.note)) { "limit " (number(limit.max)) }
        }
    }
}
