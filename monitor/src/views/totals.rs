//! The first things to see: what is not as it should be, the sums, and the throughput.

use maud::{Markup, html};

use crate::model::{Notice, Totals};
use crate::observation::Reading;
use crate::rates::Rates;
use crate::views::format::{number, rate};
use crate::views::parts::{unknown, with_code};

/// What somebody should look at.
pub(crate) fn notices(notices: &[Notice]) -> Markup {
    html! {
        div #notices.stack {
            h1.unseen { "Overview" }
            @if !notices.is_empty() {
                ul.notices aria-label="Needs attention" {
                    @for notice in notices { li { (with_code(&notice.text)) } }
                }
            }
        }
    }
}

pub(crate) fn totals(reading: &Reading) -> Markup {
    let totals = &reading.totals;
    let of = |what: fn(&Rates) -> f64| reading.rates.as_ref().map(what);
    html! {
        section #totals.totals aria-label="Totals" {
            dl.stats {
                (stat("ready", "Ready", totals.ready, &waits(totals)))
                (stat("delayed", "Delayed", totals.delayed, &retried(totals)))
                (stat("running", "Running", totals.running, &html! { "of " (number(totals.slots)) " slots" }))
                (stat("workers", "Workers", totals.workers, &draining(reading)))
                (stat("succeeded", "Succeeded", totals.succeeded, &maybe_rate(of(|r| r.succeeded_per_s))))
                (stat("failed", "Failed", totals.failed, &failed(totals, of(|r| r.failed_per_s))))
            }
        }
    }
}

/// `name` is also the name of a state, where there is one; the stylesheet colours it.
fn stat(name: &str, title: &str, value: u64, note: &Markup) -> Markup {
    html! {
        div class={ "stat s-" (name) @if value == 0 { " none" } } {
            dt { (title) }
            dd { span.value data-stat=(name) { (number(value)) } span.note { (note) } }
        }
    }
}

fn waits(totals: &Totals) -> Markup {
    html! {
        @if totals.waiting > 0 { (number(totals.waiting)) " waiting for others" }
        @else { (number(totals.enqueued)) " enqueued so far" }
    }
}

fn retried(totals: &Totals) -> Markup {
    html! { (number(totals.retried)) " retried so far" }
}

fn draining(reading: &Reading) -> Markup {
    let draining = reading.workers.iter().filter(|worker| worker.is_draining()).count();
    html! {
        @if draining > 0 { (draining) " draining" }
        @else if reading.totals.reclaimed > 0 { (number(reading.totals.reclaimed)) " tasks reclaimed" }
        @else { "none lost" }
    }
}

fn failed(totals: &Totals, per_second: Option<f64>) -> Markup {
    html! {
        @match per_second {
            Some(r) if r > 0.0 => (rate(r)),
            _ => { (number(totals.dead)) " kept as dead" }
        }
    }
}

fn maybe_rate(per_second: Option<f64>) -> Markup {
    html! { @match per_second { Some(r) => (rate(r)), None => (unknown()) } }
}
