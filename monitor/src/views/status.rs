//! The state of the link to Redis, at the top of every page. It is announced when it changes,
//! so it holds nothing that changes all the time.

use maud::{Markup, html};

use crate::observation::{Link, Observation};
use crate::state::Monitor;
use crate::views::format::system_instant;

pub(crate) fn status(monitor: &Monitor, observation: &Observation) -> Markup {
    let server = monitor.broker().server();
    let (link, words) = match &observation.link {
        Link::Connecting => ("connecting", "connecting"),
        Link::Connected => ("connected", "connected"),
        Link::Away(_) => ("away", "no contact"),
    };
    html! {
        p #status.link role="status" data-link=(link) {
            span.dot {} (words) span.unseen { " to Redis at " (server) }
        }
    }
}

/// What is known of an outage, while there is one.
pub(crate) fn outage(observation: &Observation) -> Markup {
    html! {
        div #outage role="status" {
            @if let Link::Away(outage) = &observation.link {
                @let since = system_instant(outage.since);
                div.outage {
                    p.lead { "No contact with Redis since " time datetime=(since.machine) data-clock { (since.clock) " UTC" } }
                    p { (outage.error) }
                    p.muted { (what_is_shown(observation)) }
                }
            }
        }
    }
}

fn what_is_shown(observation: &Observation) -> String {
    let then = match &observation.reading {
        Some(reading) => {
            let at = crate::views::format::instant(reading.now);
            format!("What is shown was read at {} UTC. ", at.clock)
        }
        None => String::new(),
    };
    format!("{then}The monitor keeps trying; this page recovers by itself.")
}
