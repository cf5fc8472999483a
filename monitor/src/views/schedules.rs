//! The list of schedules.

use celeriac_broker_schema::{Missed, Overlap};
use maud::{Markup, html};

use crate::actions::Kind;
use crate::auth::Role;
use crate::model::{Schedule, Schedules, When};
use crate::views::action::action_form;
use crate::views::format::{number, setting};
use crate::views::parts::{ago, chip, empty, section, task_link, time, unknown};
use crate::views::table::{Column, Row, figures, table, text, wide};

const COLUMNS: [Column; 5] =
    [wide("Schedule"), text("Runs"), text("Next run"), text("Last run"), figures("So far")];

pub(crate) fn schedules(schedules: &Schedules, role: Role) -> Markup {
    let aside = html! {
        @if (schedules.page.len() as u64) < schedules.total { (schedules.page.len()) " of " (number(schedules.total)) }
        @else if schedules.total > 0 { (number(schedules.total)) " in all" }
    };
    let content = html! {
        @if schedules.page.is_empty() {
            (empty("No schedules", &html! {
                "A schedule enqueues a task by the clock: "
                code { "celeriac schedule set report --cron '0 9 * * 1-5' --task report" }
            }))
        } @else {
            (table("Schedules", &COLUMNS, schedules.page.iter().map(|schedule| Row {
                key: schedule.name.clone(),
                cells: cells(schedule, schedules, role),
            })))
        }
    };
    html! {
        div #detail.stack {
            header.head { h1 { "Schedules" } p.muted { "Tasks that are enqueued by the clock." } }
            (section("schedules", "Schedules", &aside, &content))
        }
    }
}

fn cells(schedule: &Schedule, schedules: &Schedules, role: Role) -> [Markup; 5] {
    [
        html! { (name(schedule)) (actions(schedule, role)) },
        html! {
            @match &schedule.timing {
                Some(When::Cron { expression, zone }) => { code { (expression) } span.sub { (zone) } }
                Some(When::Every(ms)) => { "every " (setting(*ms)) }
                None => (unknown()),
            }
        },
        next(schedule, schedules),
        last(schedule, schedules),
        counts(schedule),
    ]
}

/// What may be done with it.
fn actions(schedule: &Schedule, role: Role) -> Markup {
    let act = |kind, label, danger| {
        action_form(role, kind, &[("schedule", &schedule.name)], label, danger)
    };
    html! {
        @if role.may_act() {
            div.actions {
                (act(Kind::RunSchedule, "Run now", false))
                @if schedule.paused.is_some() { (act(Kind::ResumeSchedule, "Resume", false)) }
                @else { (act(Kind::PauseSchedule, "Pause", false)) (act(Kind::SkipSchedule, "Skip the next", false)) }
                (act(Kind::RemoveSchedule, "Remove …", true))
            }
        }
    }
}

fn name(schedule: &Schedule) -> Markup {
    html! {
        span.name { (schedule.name) }
        @if let Some(error) = &schedule.unreadable { span.sub.bad { (error) } }
        span.sub {
            @if let Some(task) = &schedule.task { (task) }
            @if let Some(queue) = &schedule.queue { " in " a href={ "/queues/" (queue) } { (queue) } }
        }
    }
}

fn next(schedule: &Schedule, schedules: &Schedules) -> Markup {
    html! {
        @if let Some(paused) = &schedule.paused {
            (chip("paused")) " " span.muted { "for " (ago(paused.at, schedules.now)) }
            @if !paused.by.is_empty() { span.sub { "by " (paused.by) @if !paused.why.is_empty() { ": " (paused.why) } } }
        } @else {
            @match schedule.due { Some(due) => (time(due, schedules.now)), None => span.muted { "never again" } }
        }
    }
}

fn last(schedule: &Schedule, schedules: &Schedules) -> Markup {
    html! {
        @match &schedule.last {
            Some(last) => {
                (ago(last.at, schedules.now)) " ago " @if last.running { (chip("running")) }
                span.sub { (task_link(&last.task.to_string())) }
            }
            None => span.muted { "not yet" },
        }
    }
}

fn counts(schedule: &Schedule) -> Markup {
    let missed = match schedule.missed {
        Missed::Skip => "missed and left out",
        Missed::Once | Missed::All { .. } => "missed",
    };
    let overlapped = match schedule.overlap {
        Overlap::Skip => "left out, as the last one had not ended",
        Overlap::Allow => "overlapped",
    };
    let troubles = [
        (schedule.times_missed, missed),
        (schedule.overlapped, overlapped),
        (schedule.refused, "refused by the queue"),
    ];
    html! {
        (number(schedule.runs)) " runs"
        @for (n, what) in troubles {
            @if n > 0 { span.sub { (number(n)) " " (what) } }
        }
    }
}
