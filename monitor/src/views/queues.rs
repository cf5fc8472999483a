//! The list of queues.

use celeriac_broker_schema::Note;
use celeriac_broker_schema::script::Controls;
use maud::{Markup, html};

use crate::model::{Queue, Ready};
use crate::observation::Reading;
use crate::poller::QUEUES;
use crate::views::format::number;
use crate::views::parts::{empty, section, unknown};
use crate::views::table::{Column, Row, figures, table, text};

const COLUMNS: [Column; 5] =
    [text("Queue"), figures("Ready"), text("By priority"), figures("Suspects"), figures("Workers")];

pub(crate) fn queues(reading: &Reading) -> Markup {
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
            (table("Queues", &COLUMNS, queues.iter().map(|queue| Row {
                key: queue.name.clone(),
                cells: cells(queue, reading),
            })))
        }
    };
    html! { div #queues { (section("queues", "Queues", &aside, &content)) } }
}

fn cells(queue: &Queue, reading: &Reading) -> [Markup; 5] {
    [
        html! { span.name { (queue.name) } (said_of(&queue.controls)) },
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
fn said_of(controls: &Controls) -> Markup {
    let Controls { paused, closed, limit } = controls;
    let title = |note: &Note| note.who.to_string();
    html! {
        @if let Some(note) = paused { " " span.bad title=(title(note)) { "paused" } }
        @if let Some(note) = closed { " " span.bad title=(title(note)) { "closed" } }
        @if let Some(limit) = limit {
            " " span title=(title(&limit.note)) { "limit " (number(limit.max)) }
        }
    }
}
