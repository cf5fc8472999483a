//! Bars in time: who runs what of a job since when, and the life of a task.

use celeriac_broker_schema::Timestamp;
use maud::{Markup, html};

use crate::views::format::{duration, instant};

/// The drawing's own units; it is stretched to the width that there is.
const WIDTH: f64 = 1_000.0;
const HEIGHT: u32 = 18;

/// A stretch of time.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// A class of the stylesheet: `b-run`, `b-wait` …
    pub(crate) class: &'static str,
    /// What it was.
    pub(crate) what: String,
}

/// A row of bars, with what stands before it.
pub(crate) struct Lane {
    pub(crate) key: String,
    pub(crate) name: Markup,
    pub(crate) bars: Vec<Bar>,
    /// What stands behind it.
    pub(crate) note: Markup,
}

/// Lanes over one stretch of time.
pub(crate) fn lanes(label: &str, from: Timestamp, to: Timestamp, lanes: &[Lane]) -> Markup {
    html! {
        ul.lanes aria-label=(label) {
            @for lane in lanes {
                li data-key=(lane.key) {
                    span.lane-name { (lane.name) }
                    svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(words(&lane.bars)) {
                        @for bar in &lane.bars { (drawn(bar, from, to)) }
                    }
                    span.lane-note { (lane.note) }
                }
            }
        }
        p.axis { (clock(from)) (clock(to)) }
    }
}

fn drawn(bar: &Bar, from: Timestamp, to: Timestamp) -> Markup {
    let all = to.since(from).max(1) as f64;
    let x = WIDTH * bar.from.since(from) as f64 / all;
    // What is too short to be seen is drawn as wide as it takes.
    let width = (WIDTH * bar.to.since(bar.from) as f64 / all).clamp(2.0, WIDTH);
    let x = x.min(WIDTH - width);
    html! {
        rect class=(bar.class) x=(format!("{x:.1}")) y="2" width=(format!("{width:.1}")) height=(HEIGHT - 4) {
            title { (told(bar)) }
        }
    }
}

fn told(bar: &Bar) -> String {
    format!("{}: {}", bar.what, duration(bar.to.since(bar.from)))
}

fn words(bars: &[Bar]) -> String {
    bars.iter().map(told).collect::<Vec<_>>().join(", ")
}

fn clock(at: Timestamp) -> Markup {
    let shown = instant(at);
    html! { time datetime=(shown.machine) title=(shown.text) data-clock { (shown.clock) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_within_their_lane() {
        let bar = |from, to| Bar {
            from: Timestamp(from),
            to: Timestamp(to),
            class: "b-run",
            what: "run".to_owned(),
        };
        let svg = |from, to| drawn(&bar(from, to), Timestamp(0), Timestamp(1_000)).into_string();
        assert!(svg(0, 500).contains(r#"x="0.0" y="2" width="500.0""#));
        assert!(svg(1_000, 1_000).contains(r#"x="998.0" y="2" width="2.0""#));
    }
}
