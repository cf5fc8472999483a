//! The audit list: who did what, when, to what, from where, and what came of it.

use celeriac_broker_schema::{AuditLine, AuditPage, Timestamp};
use maud::{Markup, html};

use crate::auth::Viewer;
use crate::state::Monitor;
use crate::views::format::number;
use crate::views::frame::still;
use crate::views::parts::{chip, empty, time};
use crate::views::table::{Column, Row, figures, table, text, wide};

/// A page of it.
pub(crate) fn audit(monitor: &Monitor, viewer: &Viewer, page: &AuditPage, first: bool) -> Markup {
    const COLUMNS: [Column; 6] = [
        text("When"),
        text("Who"),
        text("What"),
        wide("To what"),
        wide("What came of it"),
        figures("Changed"),
    ];
    let rows =
        page.lines.iter().map(|line| Row { key: line.place.clone(), cells: cells(line, page.now) });
    let main = html! {
        section.card {
            header { h1 { "Audit" } p.muted { "What operators did, the newest first" } }
            @if page.lines.is_empty() && first {
                (empty("Nothing yet", &html! { "What operators do here is kept: about the last ten thousand actions." }))
            } @else if page.lines.is_empty() {
                (empty("No more", &html! { "This is where the list ends." }))
            } @else {
                (table("What operators did", &COLUMNS, rows))
            }
            nav.pager aria-label="Pages of the list" {
                @if !first { a href="/audit" { "Newest" } " " }
                @if let Some(next) = &page.next { a href={ "/audit?after=" (next) } { "Older" } }
            }
        }
    };
    still(monitor, viewer, "Audit", main)
}

fn cells(line: &AuditLine, now: Timestamp) -> [Markup; 6] {
    let deed = &line.deed;
    [
        time(line.at, now),
        html! {
            (deed.who.by.as_deref().unwrap_or("somebody"))
            @if let Some(from) = &deed.from { " " span.sub { (from) } }
            @if !deed.with.is_empty() { " " span.sub { (deed.with) } }
        },
        html! { (deed.action) },
        html! { code { (deed.target) } @if let Some(why) = &deed.who.why { p.muted { (why) } } },
        html! { @if deed.failed { (chip("failed")) " " } (deed.result) },
        html! { (number(deed.changed)) },
    ]
}
