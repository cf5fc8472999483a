//! Dead letters: what broke, how often, and since when.

use celeriac_broker_schema::{DeadGroup, DeadLetter};
use maud::{Markup, html};

use crate::actions::Kind;
use crate::auth::Role;
use crate::model::Dead;
use crate::topic::{DeadPlace, Topic};
use crate::views::action::action_form;
use crate::views::format::{number, short_id};
use crate::views::json::json;
use crate::views::parts::{ago, empty, section, short_failure};
use crate::views::table::{Column, Row, figures, table, text, wide};

pub(crate) fn dead(dead: &Dead, place: &DeadPlace, role: Role) -> Markup {
    html! {
        div #detail.stack {
            header.head {
                h1 { "Dead letters" }
                p.muted { "What failed for good, with its arguments and attempts: " (number(dead.total)) " kept." }
            }
            (filter(place))
            @if place.fingerprint.is_some() { (letters(dead, place, role)) }
            @else { (groups(dead, place, role)) }
        }
    }
}

fn filter(place: &DeadPlace) -> Markup {
    let queue = place.queue.as_ref().map(ToString::to_string);
    let is_set = *place != DeadPlace::default();
    html! {
        form.filter action="/dead" method="get" role="search" aria-label="Dead letters" {
            (field("task", "Task", place.task.as_deref()))
            (field("queue", "Queue", queue.as_deref()))
            (field("error", "Error says", place.error.as_deref()))
            button { "Filter" }
            @if is_set { a href="/dead" { "Show all" } }
        }
    }
}

fn field(name: &str, label: &str, value: Option<&str>) -> Markup {
    html! {
        label { span { (label) } input name=(name) value=[value] autocomplete="off" spellcheck="false"; }
    }
}

fn groups(dead: &Dead, place: &DeadPlace, role: Role) -> Markup {
    const COLUMNS: [Column; 5] =
        [wide("Error"), text("Task"), figures("Count"), figures("First"), figures("Last")];
    let row = |group: &DeadGroup| Row {
        key: format!("{} {}", group.task, group.fingerprint),
        cells: [
            html! { (error(group, place)) (of_group(role, &group.task, &group.fingerprint)) },
            html! { (group.task) },
            html! { span.strong { (number(group.count)) } },
            ago(group.first, dead.now),
            ago(group.last, dead.now),
        ],
    };
    let aside = html! {
        @if dead.next.is_some() { "of the newest " (number(dead.looked_at)) }
        @else { (dead.groups.len()) " groups" }
    };
    let content = html! {
        @if dead.groups.is_empty() { (nothing(dead)) }
        @else { (table("Groups of dead letters", &COLUMNS, dead.groups.iter().map(row))) }
        (pager(dead, place))
    };
    section("groups", "By error", &aside, &content)
}

/// What may be done with all of a group.
fn of_group(role: Role, task: &str, fingerprint: &str) -> Markup {
    let fields = [("task", task), ("fingerprint", fingerprint)];
    html! {
        @if role.may_act() {
            div.actions {
                (action_form(role, Kind::ReviveMatching, &fields, "Revive all …", false))
                (action_form(role, Kind::DiscardMatching, &fields, "Discard all …", true))
            }
        }
    }
}

/// What may be done with one of them. What belongs to a job has ended with it.
fn of_letter(role: Role, letter: &DeadLetter) -> Markup {
    let id = letter.id.to_string();
    let act = |kind, label, danger| action_form(role, kind, &[("id", &id)], label, danger);
    html! {
        @if role.may_act() {
            div.actions {
                @if !letter.of_job { (act(Kind::Revive, "Revive", false)) }
                (act(Kind::Discard, "Discard …", true))
            }
        }
    }
}

fn error(group: &DeadGroup, place: &DeadPlace) -> Markup {
    let there = DeadPlace {
        task: Some(group.task.clone()),
        fingerprint: Some(group.fingerprint.clone()),
        after: None,
        ..place.clone()
    };
    html! {
        a.name href=(Topic::Dead(there)) { (group.message) }
        span.sub { "newest: " a.id href={ "/tasks/" (group.newest) } { (short_id(&group.newest.to_string())) } }
    }
}

fn nothing(dead: &Dead) -> Markup {
    html! {
        @if dead.total == 0 { (empty("Nothing is dead", &html! { "What fails for good is kept here until somebody has looked at it." })) }
        @else { (empty("None of them is meant", &html! { "The filter leaves nothing of those that were looked at." })) }
    }
}

fn letters(dead: &Dead, place: &DeadPlace, role: Role) -> Markup {
    const COLUMNS: [Column; 4] =
        [wide("Task"), wide("Error"), figures("Attempts"), figures("Died")];
    let row = |letter: &DeadLetter| Row {
        key: letter.id.to_string(),
        cells: [
            html! { (letter_name(letter)) (of_letter(role, letter)) },
            short_failure(&letter.error),
            html! { (letter.attempts.len()) },
            ago(letter.at, dead.now),
        ],
    };
    let aside = html! { a href="/dead" { "All groups" } };
    let content = html! {
        @if dead.letters.is_empty() { (nothing(dead)) }
        @else { (table("Dead letters of this group", &COLUMNS, dead.letters.iter().map(row))) }
        (pager(dead, place))
    };
    section("letters", "Of this group", &aside, &content)
}

fn letter_name(letter: &DeadLetter) -> Markup {
    let id = letter.id.to_string();
    html! {
        a.name href={ "/tasks/" (id) } { (letter.task) }
        span.sub { code title=(id) { (short_id(&id)) } " in " a href={ "/queues/" (letter.queue) } { (letter.queue) } }
        @if let Some(args) = &letter.args { details { summary { "Arguments" } (json(args)) } }
    }
}

fn pager(dead: &Dead, place: &DeadPlace) -> Markup {
    let at = |after| Topic::Dead(DeadPlace { after, ..place.clone() });
    html! {
        @if place.after.is_some() || dead.next.is_some() {
            nav.pager aria-label="Pages of the list" {
                @if place.after.is_some() { a href=(at(None)) { "‹ Newest" } }
                @if dead.next.is_some() { a href=(at(dead.next)) rel="next" { "Older ›" } }
            }
        }
    }
}
