//! Tasks, recent ones first: a search by what is known of them.

use celeriac_broker_schema::State;
use celeriac_broker_schema::find::{TaskRow, TasksFound};
use maud::{Markup, html};

use crate::topic::{Span, TaskPlace, Topic};
use crate::views::format::{duration, number, short_id};
use crate::views::parts::{ago, chip, empty, section, unknown};
use crate::views::table::{Column, Row, figures, table, text, wide};

const COLUMNS: [Column; 6] = [
    wide("Task"),
    text("State"),
    text("Queue"),
    figures("Waited"),
    figures("Ran"),
    figures("When"),
];

pub(crate) fn tasks(found: &TasksFound, place: &TaskPlace) -> Markup {
    let aside = html! {
        (found.tasks.len()) " shown, " (number(found.searched)) " looked at"
        @if found.untold > 0 { "; " (number(found.untold)) " more succeeded in between, which workers only count" }
    };
    let content = html! {
        @if found.tasks.is_empty() { (nothing(found)) }
        @else {
            (table("Tasks", &COLUMNS, found.tasks.iter().map(|task| Row {
                key: format!("{} {}", task.id, task.state.as_str()),
                cells: cells(task, found),
            })))
        }
        (pager(found, place))
    };
    html! {
        div #detail.stack {
            header.head {
                h1 { "Tasks" }
                p.muted { "What runs, then what waits, then what ended, the newest first. An id is found by the field at the top." }
            }
            (filter(place))
            (section("tasks", "Found", &aside, &content))
        }
    }
}

fn filter(place: &TaskPlace) -> Markup {
    let queue = place.queue.as_ref().map(ToString::to_string);
    let is_set = *place != TaskPlace::default();
    html! {
        form.filter action="/tasks" method="get" role="search" aria-label="Tasks" {
            label {
                span { "State" }
                select name="state" {
                    option value="" { "any" }
                    @for state in TaskPlace::STATES {
                        option value=(state.as_str()) selected[place.state == Some(state)] { (state.as_str()) }
                    }
                }
            }
            (field("queue", "Queue", queue.as_deref()))
            (field("task", "Name", place.task.as_deref()))
            (field("worker", "Worker", place.worker.as_deref()))
            label {
                span { "Within" }
                select name="within" {
                    option value="" { "any time" }
                    @for span in Span::ALL {
                        option value=(span) selected[place.within == Some(span)] { (span.words()) }
                    }
                }
            }
            button { "Filter" }
            @if is_set { a href="/tasks" { "Show all" } }
        }
    }
}

fn field(name: &str, label: &str, value: Option<&str>) -> Markup {
    html! {
        label { span { (label) } input name=(name) value=[value] autocomplete="off" spellcheck="false"; }
    }
}

fn nothing(found: &TasksFound) -> Markup {
    html! {
        @if found.next.is_some() {
            (empty("None among those that were looked at", &html! { "The next page looks further." }))
        } @else {
            (empty("No such tasks", &html! { "What expired, waits for others or is kept back by a limit is in no list, but is found by its id." }))
        }
    }
}

fn cells(task: &TaskRow, found: &TasksFound) -> [Markup; 6] {
    [
        name(task),
        chip(task.state.as_str()),
        html! {
            @match &task.queue {
                Some(queue) => a href={ "/queues/" (queue) } { (queue) },
                None => (unknown()),
            }
        },
        html! { @match task.wait_ms { Some(ms) => (duration(ms)), None => (unknown()) } },
        html! { @match ran_ms(task, found) { Some(ms) => (duration(ms)), None => (unknown()) } },
        when(task, found),
    ]
}

fn name(task: &TaskRow) -> Markup {
    let id = task.id.to_string();
    html! {
        a.name href={ "/tasks/" (id) } { (task.task.as_deref().unwrap_or("task")) }
        span.sub {
            code title=(id) { (short_id(&id)) }
            @if let Some(attempt) = task.attempt { @if attempt > 1 { " attempt " (attempt) } }
            @if let Some(worker) = &task.worker { " on " code title={ "lease " (worker) } { (worker.get(..8).unwrap_or(worker)) } }
        }
        @if let Some(error) = &task.error { span.sub.bad.line { (error) } }
    }
}

fn ran_ms(task: &TaskRow, found: &TasksFound) -> Option<u64> {
    match (task.run_us, task.started) {
        (Some(us), _) => Some(us / 1_000),
        (None, Some(started)) if task.state == State::Running => Some(found.now.since(started)),
        _ => None,
    }
}

/// When it ended, began, is due or was enqueued.
fn when(task: &TaskRow, found: &TasksFound) -> Markup {
    let at = task.ended.or(task.due).or(task.started).unwrap_or(task.enqueued);
    html! { (ago(at, found.now)) @if at <= found.now { " ago" } }
}

fn pager(found: &TasksFound, place: &TaskPlace) -> Markup {
    let at = |after| Topic::Tasks(TaskPlace { after, ..place.clone() });
    html! {
        @if place.after.is_some() || found.next.is_some() {
            nav.pager aria-label="Pages of the list" {
                @if place.after.is_some() { a href=(at(None)) { "‹ First" } }
                @if found.next.is_some() { a href=(at(found.next.as_ref().map(ToString::to_string))) rel="next" { "Next ›" } }
            }
        }
    }
}
