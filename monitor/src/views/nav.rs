//! The ways to all pages, with the figures that say where to look.

use maud::{Markup, html};

use crate::observation::Observation;
use crate::views::format::short_number;

/// A page that is always there.
struct Place {
    path: &'static str,
    name: &'static str,
    /// The key that leads there, after `g`.
    key: char,
    /// Why it is listed at all, for the palette.
    hint: &'static str,
}

const fn place(path: &'static str, name: &'static str, key: char, hint: &'static str) -> Place {
    Place { path, name, key, hint }
}

const PLACES: [Place; 10] = [
    place("/", "Overview", 'o', "what needs attention, rates, totals"),
    place("/queues", "Queues", 'q', "what waits, for how long"),
    place("/jobs", "Jobs", 'j', "progress of chunked work"),
    place("/tasks", "Tasks", 't', "what runs, waits and ended"),
    place("/workers", "Workers", 'w', "who runs what"),
    place("/dead", "Dead letters", 'd', "what failed for good, by error"),
    place("/schedules", "Schedules", 's', "what runs by the clock"),
    place("/limits", "Limits", 'l', "rates and concurrency"),
    place("/health", "Health", 'h', "what the doctor says, settings"),
    place("/audit", "Audit", 'a', "who did what"),
];

/// `here`: the address of the page that is shown.
pub(crate) fn nav(here: &str, observation: &Observation) -> Markup {
    html! {
        nav #nav.nav aria-label="Pages" {
            ul {
                @for place in &PLACES {
                    li {
                        a href=(place.path) aria-current=[current(place.path, here)] data-go=(place.key) data-hint=(place.hint) {
                            span { (place.name) }
                            (figure(place.path, observation))
                        }
                    }
                }
            }
        }
    }
}

fn current(path: &str, here: &str) -> Option<&'static str> {
    let under =
        here.strip_prefix(path).filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    // A task is shown in nobody's list but that of its queue or job.
    match under {
        Some("") => Some("page"),
        Some(_) if path != "/" => Some("true"),
        _ => None,
    }
}

fn figure(path: &str, observation: &Observation) -> Markup {
    let Some(reading) = &observation.reading else { return html! {} };
    let totals = &reading.totals;
    let (figure, what, bad) = match path {
        "/queues" => (totals.ready, "ready", false),
        "/jobs" => (totals.open_jobs, "open", false),
        "/workers" => (totals.workers, "alive", totals.workers == 0 && totals.ready > 0),
        "/dead" => (totals.dead, "kept", totals.dead > 0),
        "/health" => (reading.notices.len() as u64, "to look at", !reading.notices.is_empty()),
        _ => return html! {},
    };
    html! {
        @if figure > 0 || bad {
            span.count.bad[bad] { (short_number(figure)) span.unseen { " " (what) } }
        }
    }
}
