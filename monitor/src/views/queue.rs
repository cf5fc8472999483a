//! One queue: what is said of it, and what waits in it, in the order in which it goes.

use celeriac_broker_schema::QueueName;
use maud::{Markup, html};

use crate::actions::Kind;
use crate::auth::Role;
use crate::model::{History, Line, Queue, QueueDetail, What};
use crate::observation::Reading;
use crate::read::LINES;
use crate::topic::{Peek, Topic};
use crate::views::action::action_form;
use crate::views::chart::four;
use crate::views::format::{number, short_id};
use crate::views::parts::{ago, empty, facts, job_link, section, task_link, time, unknown};
use crate::views::queues::said_of;
use crate::views::table::{Column, Row, figures, table, text, wide};

/// Characters of the arguments in a line.
const ARGS: usize = 120;

pub(crate) fn queue(
    detail: &QueueDetail,
    history: &History,
    peek: &Peek,
    role: Role,
    reading: Option<&Reading>,
) -> Markup {
    let known = reading
        .and_then(|reading| reading.queues.iter().find(|queue| queue.name == detail.name.as_str()));
    html! {
        div #detail.stack {
            header.head {
                h1 { (detail.name) @if let Some(queue) = known { (said_of(&queue.controls)) } }
                p.muted { "Queue" }
                (actions(role, &detail.name, known))
            }
            @if let Some(queue) = known { (what_is_said(queue)) }
            (figures_of(known, &detail.name, reading))
            section aria-labelledby="charts-title" {
                h2.unseen #charts-title { "The last hour" }
                (four(history))
            }
            (waiting(detail, peek, known))
        }
    }
}

/// What may be done with it.
fn actions(role: Role, name: &QueueName, queue: Option<&Queue>) -> Markup {
    let controls = queue.map(|queue| &queue.controls);
    let paused = controls.is_some_and(|controls| controls.paused.is_some());
    let closed = controls.is_some_and(|controls| controls.closed.is_some());
    let act =
        |kind, label, danger| action_form(role, kind, &[("queue", name.as_str())], label, danger);
    html! {
        div.actions {
            @if paused { (act(Kind::ResumeQueue, "Resume", false)) } @else { (act(Kind::PauseQueue, "Pause", false)) }
            @if closed { (act(Kind::OpenQueue, "Open", false)) } @else { (act(Kind::CloseQueue, "Close", false)) }
            (act(Kind::LimitQueue, "Limit its length …", false))
            (act(Kind::MoveQueue, "Move what waits …", false))
            (act(Kind::CancelMatching, "Cancel some …", true))
            (act(Kind::PurgeQueue, "Purge …", true))
        }
    }
}

/// Who paused or closed it, and why.
fn what_is_said(queue: &Queue) -> Markup {
    let controls = &queue.controls;
    let notes = [("Paused", &controls.paused), ("Closed to producers", &controls.closed)];
    html! {
        @for (word, note) in notes {
            @if let Some(note) = note { p.notice { (word) " " (note.who) } }
        }
    }
}

fn figures_of(queue: Option<&Queue>, name: &QueueName, reading: Option<&Reading>) -> Markup {
    let serving: Vec<_> = reading.map_or(Vec::new(), |reading| {
        reading.workers.iter().filter(|worker| worker.serves(name.as_str())).collect()
    });
    let limit = queue.and_then(|queue| queue.controls.limit.as_ref());
    html! {
        section.card aria-label="Figures" {
            (facts(vec![
                ("Ready", queue.map(|queue| html! { span.strong { (number(queue.ready)) } })),
                ("Oldest", queue.and_then(|queue| queue.oldest).zip(reading).map(|(since, reading)| ago(since, reading.now))),
                ("Suspects", queue.filter(|queue| queue.suspects > 0).map(|queue| html! { span.bad { (number(queue.suspects)) } })),
                ("Most that may wait", limit.map(|limit| html! { (number(limit.max)) " " span.muted { (limit.note.who) } })),
                ("Workers", Some(html! {
                    @if serving.is_empty() { span.bad { "none" } }
                    @else { a href="/workers" { (serving.len()) } }
                })),
            ]))
            @if queue.is_none() { p.muted { "Nothing waits in it, as far as is known." } }
        }
    }
}

fn waiting(detail: &QueueDetail, peek: &Peek, queue: Option<&Queue>) -> Markup {
    let content = html! {
        (places(detail, peek, queue))
        @if detail.lines.is_empty() { (nothing(peek, queue)) }
        @else if matches!(peek, Peek::Delayed(_)) { (delayed_lines(detail)) }
        @else { (ready_lines(detail)) }
        (pager(detail, peek))
    };
    let aside = html! { "the first goes first; at most " (LINES) " at a time" };
    section("waiting", "What waits", &aside, &content)
}

/// The places of the queue, as links.
fn places(detail: &QueueDetail, peek: &Peek, queue: Option<&Queue>) -> Markup {
    let mut places = vec![(Peek::Next, "Next".to_owned(), None)];
    for ready in queue.map_or(&[][..], |queue| &queue.priorities) {
        let place = Peek::Priority(ready.priority, 0);
        places.push((place, format!("Priority {}", ready.priority), ready.ready));
    }
    places.push((Peek::Delayed(0), "Delayed".to_owned(), None));
    let suspects = queue.map_or(0, |queue| queue.suspects);
    if suspects > 0 {
        places.push((Peek::Suspects(0), "Suspects".to_owned(), Some(suspects)));
    }
    html! {
        ul.tabs aria-label="Places" {
            @for (place, name, figure) in places {
                li {
                    a href=(Topic::Queue(detail.name.clone(), place.clone())) aria-current=[(peek.at(0) == place).then_some("page")] {
                        (name) @if let Some(n) = figure { " " span.count { (number(n)) } }
                    }
                }
            }
        }
    }
}

fn nothing(peek: &Peek, queue: Option<&Queue>) -> Markup {
    if *peek == Peek::Next && queue.is_some_and(|queue| queue.ready > 0) {
        let hint = html! { "Which one is told by " a href="/limits" { "limits" } "." };
        return empty("All that is ready is kept back by a limit", &hint);
    }
    let title = match peek {
        Peek::Delayed(_) => "Nothing waits for a time",
        Peek::Suspects(_) => "No suspects",
        _ => "Nothing is ready",
    };
    html! { (empty(title, &html! { "What is put here later appears by itself." })) }
}

fn ready_lines(detail: &QueueDetail) -> Markup {
    const COLUMNS: [Column; 4] =
        [wide("What"), figures("Priority"), wide("Arguments"), text("Enqueued")];
    let row = |line: &Line| Row {
        key: key(line),
        cells: [
            what(line),
            html! { @match line.priority { Some(priority) => (priority), None => (unknown()) } },
            arguments(line),
            enqueued(line, detail),
        ],
    };
    table("What is ready", &COLUMNS, detail.lines.iter().map(row))
}

fn delayed_lines(detail: &QueueDetail) -> Markup {
    const COLUMNS: [Column; 4] = [wide("What"), text("Due"), wide("Arguments"), text("Enqueued")];
    let row = |line: &Line| Row {
        key: key(line),
        cells: [
            what(line),
            html! { @match line.due { Some(due) => (time(due, detail.now)), None => (unknown()) } },
            arguments(line),
            enqueued(line, detail),
        ],
    };
    table("What is delayed", &COLUMNS, detail.lines.iter().map(row))
}

fn key(line: &Line) -> String {
    match &line.what {
        What::Task(id) => id.to_string(),
        What::Chunks(job, lo, _) => format!("{job}:{lo}-"),
        What::Turn(tenant, _) => format!("@{tenant}"),
    }
}

fn what(line: &Line) -> Markup {
    html! {
        @match &line.what {
            What::Task(id) => {
                @if let Some(task) = &line.task { a.name href={ "/tasks/" (id) } { (task) } span.sub { (short_id(&id.to_string())) } }
                @else { (task_link(&id.to_string())) }
            }
            What::Chunks(job, lo, hi) => {
                span.name { (number(hi - lo)) " chunks" } span.sub { (number(*lo)) " to " (number(hi - 1)) " of job " (job_link(&job.to_string())) }
            }
            What::Turn(tenant, behind) => { span.name { "Turn of " (tenant) } span.sub { (number(*behind)) " behind it" } }
        }
    }
}

fn arguments(line: &Line) -> Markup {
    html! { @match &line.args { Some(args) => code.line { (args.get().chars().take(ARGS).collect::<String>()) }, None => (unknown()) } }
}

/// An id tells when it was made.
fn enqueued(line: &Line, detail: &QueueDetail) -> Markup {
    html! {
        @match &line.what {
            What::Task(id) => (time(id.time(), detail.now)),
            What::Chunks(job, ..) => (time(job.task().time(), detail.now)),
            What::Turn(..) => (unknown()),
        }
    }
}

fn pager(detail: &QueueDetail, peek: &Peek) -> Markup {
    let link = |from| Topic::Queue(detail.name.clone(), peek.at(from));
    html! {
        @if peek.from() > 0 || detail.next.is_some() {
            nav.pager aria-label="Pages of the list" {
                @if peek.from() > 0 { a href=(link(0)) { "‹ First" } }
                @if let Some(next) = detail.next { a href=(link(next)) rel="next" { "Next ›" } }
            }
        }
    }
}
