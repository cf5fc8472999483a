//! The list of queues.

use celeriac_broker_schema::Note;
use celeriac_broker_schema::figures::Event;
use celeriac_broker_schema::script::Controls;
use maud::{Markup, html};

use crate::model::{History, Queue, Ready};
use crate::observation::Reading;
use crate::poller::QUEUES;
use crate::views::chart::spark;
use crate::views::format::{number, rate};
use crate::views::parts::{ago, empty, section, unknown};
use crate::views::table::{Column, Row, figures, table, text, wide};

const COLUMNS: [Column; 6] = [
    text("Queue"),
    figures("Ready"),
    figures("Oldest"),
    text("By priority"),
    figures("Suspects"),
    figures("Workers"),
];

/// With what happened lately.
const LONG: [Column; 8] = [
    text("Queue"),
    figures("Ready"),
    figures("Oldest"),
    figures("In"),
    figures("Out"),
    wide("Succeeded, 1 hour"),
    text("By priority"),
    figures("Workers"),
];

/// `history`: what happened in each queue, if that was asked for.
pub(crate) fn queues(reading: &Reading, history: Option<&History>) -> Markup {
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
        } @else if let Some(history) = history {
            (table("Queues", &LONG, queues.iter().map(|queue| Row {
                key: queue.name.clone(),
                cells: with_past(queue, reading, history),
            })))
        } @else {
            (table("Queues", &COLUMNS, queues.iter().map(|queue| Row {
                key: queue.name.clone(),
                cells: cells(queue, reading),
            })))
        }
    };
    html! { div #queues { (section("queues", "Queues", &aside, &content)) } }
}

fn with_past(queue: &Queue, reading: &Reading, history: &History) -> [Markup; 8] {
    let [name, ready, oldest, priorities, suspects, workers] = cells(queue, reading);
    let series = history.series.iter().find(|series| series.name.as_ref() == Some(&queue.name));
    // The last point has hardly begun when its minute has.
    let points = series.map_or(&[][..], |series| &series.points);
    let last = &points[points.len().saturating_sub(2)..];
    let per_s = |event| {
        let over: u64 = last.iter().map(|point| point.over_ms).sum();
        let count: u64 = last.iter().map(|point| point.counts.of(event)).sum();
        match last.iter().any(|point| point.known) {
            true => html! { (rate(count as f64 * 1_000.0 / over.max(1_000) as f64)) },
            false => unknown(),
        }
    };
    let name = html! { (name) @if queue.suspects > 0 { span.sub { (suspects) " suspects" } } };
    let spark = html! { @if let Some(series) = series { (spark(series)) } @else { (unknown()) } };
    [
        name,
        ready,
        oldest,
        per_s(Event::Enqueued),
        per_s(Event::Succeeded),
        spark,
        priorities,
        workers,
    ]
}

fn cells(queue: &Queue, reading: &Reading) -> [Markup; 6] {
    [
        html! { a.name href={ "/queues/" (queue.name) } { (queue.name) } (said_of(&queue.controls)) },
        html! { span.strong[queue.ready > 0] { (number(queue.ready)) } },
        html! { @match queue.oldest { Some(since) => (ago(since, reading.now)), None => (unknown()) } },
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
