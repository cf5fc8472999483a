//! How the namespace and its Redis are: what `celeriac doctor` says, and what is set.

use celeriac_broker_schema::Setting;
use celeriac_broker_schema::health::{Finding, Severity};
use maud::{Markup, html};

use crate::model::Health;
use crate::observation::Reading;
use crate::state::Monitor;
use crate::views::format::{bytes, number, setting};
use crate::views::parts::{bar, empty, facts, section, with_code};
use crate::views::table::{Column, Row, table, text, wide};

pub(crate) fn health(health: &Health, monitor: &Monitor, reading: Option<&Reading>) -> Markup {
    html! {
        div #detail.stack {
            header.head { h1 { "Health" } p.muted { "What " code { "celeriac doctor" } " says, and what is set." } }
            (findings(health))
            (server(health, monitor, reading))
            (settings(health))
            (this_monitor(monitor))
        }
    }
}

fn findings(health: &Health) -> Markup {
    let problems = health.findings.iter().filter(|finding| finding.severity == Severity::Problem);
    let problems = problems.count();
    let aside = html! {
        @if !health.findings.is_empty() { (problems) " problems, " (health.findings.len() - problems) " notices" }
    };
    let content = html! {
        @if health.findings.is_empty() { (empty("All is well", &html! { "Nothing stands out about server, workers, queues and jobs." })) }
        @else { ul.findings { @for found in &health.findings { (finding(found)) } } }
    };
    section("findings", "Findings", &aside, &content)
}

fn finding(finding: &Finding) -> Markup {
    let (class, word) = match finding.severity {
        Severity::Problem => ("chip s-failed", "problem"),
        Severity::Notice => ("chip s-expired", "notice"),
    };
    html! {
        li {
            span class=(class) { (word) }
            div { p { (with_code(&finding.what)) } p.muted { "Do: " (with_code(&finding.todo)) } }
        }
    }
}

fn server(health: &Health, monitor: &Monitor, reading: Option<&Reading>) -> Markup {
    let memory = health.memory;
    let content = facts(vec![
        ("Address", Some(html! { (monitor.broker().server()) })),
        (
            "Server",
            reading.map(|reading| html! { (reading.server.product) " " (reading.server.version) }),
        ),
        ("Namespace", Some(html! { (monitor.namespace()) })),
        (
            "Round trip",
            Some(html! { (format!("{:.2} ms", health.round_trip.as_secs_f64() * 1e3)) }),
        ),
        (
            "Memory",
            Some(html! {
                (bytes(memory.used_bytes))
                @if memory.max_bytes > 0 {
                    " of " (bytes(memory.max_bytes))
                    (bar("Memory in use", memory.used_bytes, memory.max_bytes, "s-running small"))
                } @else { span.sub { "no limit is set" } }
            }),
        ),
    ]);
    section("server", "Redis", &html! {}, &content)
}

fn settings(health: &Health) -> Markup {
    const COLUMNS: [Column; 3] = [text("Setting"), text("Value"), wide("Meaning")];
    let rows = Setting::ALL.into_iter().map(|one| {
        let value = health.settings.get(&one).copied();
        let shown = match (value.unwrap_or(one.default_value()), one.duration_name()) {
            (ms, Some(_)) => setting(ms),
            (n, None) => number(n),
        };
        Row {
            key: one.as_str().to_owned(),
            cells: [
                html! { code { (one.duration_name().unwrap_or(one.as_str())) } },
                html! { (shown) @if value.is_none() { " " span.muted { "default" } } },
                html! { (one.meaning()) },
            ],
        }
    });
    let aside = html! { "changed by " code { "celeriac settings" } };
    section("settings", "Settings", &aside, &table("Settings", &COLUMNS, rows))
}

fn this_monitor(monitor: &Monitor) -> Markup {
    let content = facts(vec![
        ("Version", Some(html! { (env!("CARGO_PKG_VERSION")) })),
        (
            "Live pages",
            Some(
                html! { (monitor.viewers().count()) " of " (monitor.config().max_viewers) " at most" },
            ),
        ),
    ]);
    section("monitor", "This monitor", &html! {}, &content)
}
