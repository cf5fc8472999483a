//! What is around every page: head, header, footer, and where live updates come from.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::auth::Viewer;
use crate::observation::Observation;
use crate::routes::assets;
use crate::state::Monitor;
use crate::topic::Topic;
use crate::views::{self, Fragment, action, dialogs, nav, parts};

/// A live page of these fragments.
pub(crate) fn page(
    monitor: &Monitor,
    viewer: &Viewer,
    topic: &Topic,
    observation: &Observation,
    fragments: &[Fragment],
) -> Markup {
    let raw = |fragment: &Fragment| PreEscaped(fragment.html.clone());
    let [status, outage, nav, content @ ..] = fragments else {
        unreachable!("every page begins with the status, the outage and the ways to others");
    };
    let main = html! {
        @if content.is_empty() { (not_read(topic)) }
        @for fragment in content { (raw(fragment)) }
        // What may be added later needs a place.
        @for id in views::ids(topic) {
            @if !content.is_empty() && content.iter().all(|fragment| fragment.id != *id) { div id=(id) hidden {} }
        }
    };
    let parts = Parts {
        status: raw(status),
        outage: raw(outage),
        nav: raw(nav),
        main,
        footer: footer(observation),
    };
    frame(monitor, viewer, Some(topic), &title(topic), &parts)
}

/// A page that shows something else, and is not live.
pub(crate) fn still(monitor: &Monitor, viewer: &Viewer, title: &str, main: Markup) -> Markup {
    let nothing = || html! {};
    let nav = nav::nav(&viewer.here, &monitor.present());
    let parts = Parts { status: nothing(), outage: nothing(), nav, main, footer: nothing() };
    frame(monitor, viewer, None, title, &parts)
}

fn title(topic: &Topic) -> String {
    match topic {
        Topic::Overview(_) => "Overview".to_owned(),
        Topic::Tasks(_) => "Tasks".to_owned(),
        Topic::Queues => "Queues".to_owned(),
        Topic::Queue(name, _) => format!("Queue {name}"),
        Topic::Jobs => "Jobs".to_owned(),
        Topic::Job(id) => format!("Job {id}"),
        Topic::Task(id) => format!("Task {id}"),
        Topic::Workers => "Workers".to_owned(),
        Topic::Dead(_) => "Dead letters".to_owned(),
        Topic::Schedules => "Schedules".to_owned(),
        Topic::Limits => "Limits".to_owned(),
        Topic::Health => "Health".to_owned(),
    }
}

/// The place of a detail while Redis is away.
fn not_read(topic: &Topic) -> Markup {
    html! {
        div #detail.stack {
            h1 { (title(topic)) }
            (parts::empty("Not read yet", &html! { "This page fills by itself as soon as Redis answers." }))
        }
    }
}

struct Parts {
    status: Markup,
    outage: Markup,
    nav: Markup,
    main: Markup,
    footer: Markup,
}

fn frame(
    monitor: &Monitor,
    viewer: &Viewer,
    topic: Option<&Topic>,
    title: &str,
    parts: &Parts,
) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (monitor.namespace()) " · Celeriac" }
                link rel="icon" type="image/svg+xml" href=(assets::url("icon.svg"));
                link rel="stylesheet" href=(assets::url("monitor.css"));
                // Sets the colours before anything is painted.
                script src=(assets::url("theme.js")) {}
                script src=(assets::url("monitor.js")) defer {}
                script src=(assets::url("keys.js")) defer {}
                @if topic.is_some() { noscript { meta http-equiv="refresh" content="10"; } }
            }
            body data-events=[topic.map(Topic::events_path)] data-build=(assets::build()) {
                a.skip href="#main" { "Skip to content" }
                (header(monitor, viewer, &parts.status))
                (parts.nav)
                div.page {
                    (parts.outage)
                    p #stream.banner role="status" {}
                    (action::form(viewer))
                    main #main tabindex="-1" { (action::notice(viewer)) (parts.main) }
                    footer.foot {
                        (parts.footer)
                        p {
                            "Celeriac " (env!("CARGO_PKG_VERSION")) " · "
                            a href="/api" { "API" } " · "
                            a href="/metrics" { "Metrics" } " · "
                            a href="/audit" { "Audit" }
                        }
                    }
                }
                (dialogs::palette())
                (dialogs::help())
            }
        }
    }
}

fn header(monitor: &Monitor, viewer: &Viewer, status: &Markup) -> Markup {
    html! {
        header.top {
            a.brand href="/" {
                img src=(assets::url("icon.svg")) alt="" width="24" height="24";
                "Celeriac"
            }
            dl.where {
                div { dt { "Namespace" } dd { (monitor.namespace()) } }
                div { dt { "Redis" } dd title=(monitor.broker().server()) { (monitor.broker().server()) } }
            }
            form.find role="search" action="/find" method="get" {
                label.unseen for="find" { "Id of a task or job" }
                input #find name="id" type="search" placeholder="Task or job id" autocomplete="off" spellcheck="false" required;
                button { "Find" }
            }
            div.tools {
                // Shown by the script, without which they do nothing.
                button #open-palette type="button" hidden aria-keyshortcuts="Control+K Meta+K" { "Go to …" kbd { "Ctrl K" } }
                button #theme type="button" hidden { span.unless-narrow { "Theme: " } span #theme-now { "system" } }
                button #open-help type="button" hidden aria-keyshortcuts="?" aria-label="Keyboard shortcuts" { "?" }
                (status)
                (action::who(viewer))
            }
        }
    }
}

fn footer(observation: &Observation) -> Markup {
    html! {
        @if let Some(reading) = &observation.reading {
            p { (reading.server.product) " " (reading.server.version) }
        }
    }
}
