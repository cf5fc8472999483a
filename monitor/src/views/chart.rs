//! Figures over time as SVG: no script, no inline style. What is not known is a gap, and what one
//! points at tells its exact values.

use std::fmt::Write;

use maud::{Markup, html};

use crate::model::{History, Point, Series};
use crate::topic::{Span, Topic};
use crate::views::format::{UNKNOWN, duration, instant, number, rate};

/// The drawing's own units; it is stretched to the room that there is.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 100.0;

/// Points that a chart has at least, however short the time is of which anything is known.
const LEAST: usize = 12;

/// A line of a chart.
struct Line {
    name: &'static str,
    /// A class of the stylesheet: its colour.
    class: &'static str,
    /// One value for each point; None: not known.
    values: Vec<Option<f64>>,
    /// Whether what is below it is filled.
    area: bool,
}

/// The charts of the overview, with the ways to longer and shorter ones.
pub(crate) fn charts(history: &History, span: Span) -> Markup {
    html! {
        section #charts aria-labelledby="charts-title" {
            header.row {
                h2 #charts-title { "Over time" }
                ul.tabs.small aria-label="How far back" {
                    @for each in Span::ALL {
                        li { a href=(Topic::Overview(each)) aria-current=[(each == span).then_some("page")] { (each.words()) } }
                    }
                }
            }
            (four(history))
        }
    }
}

/// Throughput, failures, latency and backlog.
pub(crate) fn four(history: &History) -> Markup {
    let Some(series) = history.series.first() else {
        return html! { p.muted { "Nothing has been told yet: charts begin with the first worker or producer." } };
    };
    let points = shown_of(series);
    let of = |what: fn(&Point) -> Option<f64>| -> Vec<Option<f64>> {
        points.iter().map(|point| what(point).filter(|_| point.known)).collect()
    };
    let line = |name, class, values| Line { name, class, values, area: false };
    let throughput = [
        Line { area: true, ..line("succeeded", "l-done", of(|p| Some(p.succeeded_per_s))) },
        line("enqueued", "l-in", of(|p| Some(p.enqueued_per_s))),
    ];
    let failures = [
        Line { area: true, ..line("failed", "l-failed", of(|p| Some(p.failed_per_s))) },
        line("retried", "l-retried", of(|p| Some(p.retried_per_s))),
    ];
    let latency = [
        line("waits, p50", "l-wait", of(|p| p.wait.as_ref().map(|wait| wait.p50_ms))),
        line("waits, p95", "l-wait-high", of(|p| p.wait.as_ref().map(|wait| wait.p95_ms))),
        line("runs, p95", "l-run", of(|p| p.run.as_ref().map(|run| run.p95_ms))),
    ];
    let backlog =
        [Line { area: true, ..line("ready", "l-ready", of(|p| p.ready.map(|n| n as f64))) }];
    html! {
        div.charts {
            (chart("Throughput", history, points, &throughput, rate))
            (chart("Failures", history, points, &failures, rate))
            (chart("Latency", history, points, &latency, |ms| duration(ms as u64)))
            (chart("Backlog", history, points, &backlog, |n| number(n as u64)))
        }
    }
}

/// Without the time before anything was known, but for a little of it.
fn shown_of(series: &Series) -> &[Point] {
    let points = &series.points;
    let unknown = points.iter().take_while(|point| !point.known).count();
    &points[unknown.min(points.len().saturating_sub(LEAST))..]
}

/// The successes of a series as a line as high as a row.
pub(crate) fn spark(series: &Series) -> Markup {
    let points = shown_of(series);
    let values = points.iter().map(|p| p.known.then_some(p.succeeded_per_s)).collect();
    let line = Line { name: "", class: "l-done", values, area: true };
    let top = top(std::slice::from_ref(&line));
    html! {
        svg.spark viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" aria-hidden="true" {
            @if top > 0.0 { (drawn(&line, top)) }
            path.base d={ "M0 " (HEIGHT) "H" (WIDTH) } {}
        }
    }
}

fn chart(
    title: &str,
    history: &History,
    points: &[Point],
    lines: &[Line],
    shown: impl Fn(f64) -> String,
) -> Markup {
    let top = top(lines);
    let last = |line: &Line| {
        let last = line.values.iter().rev().find_map(|value| *value);
        last.map_or_else(|| UNKNOWN.to_owned(), &shown)
    };
    let words: Vec<String> =
        lines.iter().map(|line| format!("{} {}", line.name, last(line))).collect();
    html! {
        figure.chart.card {
            figcaption {
                h3 { (title) }
                span.muted.num { @if top > 0.0 { "up to " (shown(top)) } }
            }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label={ (title) ": at last " (words.join(", ")) } {
                path.grid d={ "M0 " (HEIGHT / 2.0) "H" (WIDTH) } {}
                @if top > 0.0 { @for line in lines { (drawn(line, top)) } }
                path.base d={ "M0 " (HEIGHT) "H" (WIDTH) } {}
                (hovered(points, lines, &shown))
            }
            (axis(history, points))
            ul.legend {
                @for line in lines {
                    li { span class={ "swatch line " (line.class) } {} (line.name) " " span.num { (last(line)) } }
                }
            }
        }
    }
}

fn top(lines: &[Line]) -> f64 {
    lines.iter().flat_map(|line| &line.values).flatten().copied().fold(0.0, f64::max)
}

/// The left edge of a point, and how wide it is.
fn column(i: usize, points: usize) -> (f64, f64) {
    let width = WIDTH / points.max(1) as f64;
    (i as f64 * width, width)
}

fn drawn(line: &Line, top: f64) -> Markup {
    let (mut path, mut area) = (String::new(), String::new());
    let points = line.values.len();
    let mut begun: Option<f64> = None;
    let mut end = 0.0;
    for (i, value) in line.values.iter().enumerate() {
        let (x, width) = column(i, points);
        let x = x + width / 2.0;
        // Writing to a string cannot fail, here and below.
        match value {
            Some(value) => {
                // The stroke of the peak needs room, too.
                let y = HEIGHT - (HEIGHT - 4.0) * value / top;
                let command = if begun.is_some() { 'L' } else { 'M' };
                let _ = write!(path, "{command}{x:.1} {y:.1}");
                if begun.is_none() {
                    begun = Some(x);
                    let _ = write!(area, "M{x:.1} {HEIGHT}");
                }
                let _ = write!(area, "L{x:.1} {y:.1}");
                end = x;
            }
            None => close(&mut area, &mut begun, end),
        }
    }
    close(&mut area, &mut begun, end);
    html! {
        @if line.area { path class={ "area " (line.class) } d=(area) {} }
        path class={ "line " (line.class) } d=(path) {}
    }
}

/// Where a gap begins, the filled part goes down to the ground.
fn close(area: &mut String, begun: &mut Option<f64>, end: f64) {
    if begun.take().is_some() {
        let _ = write!(area, "L{end:.1} {HEIGHT}Z");
    }
}

/// Columns that tell their values when one points at them.
fn hovered(points: &[Point], lines: &[Line], shown: &impl Fn(f64) -> String) -> Markup {
    html! {
        @for (i, point) in points.iter().enumerate() {
            @let (x, width) = column(i, points.len());
            rect.hit x=(format!("{x:.1}")) y="0" width=(format!("{width:.1}")) height=(HEIGHT) {
                title {
                    (instant(point.at).text)
                    @for line in lines {
                        "\n" (line.name) " " (line.values[i].map_or_else(|| UNKNOWN.to_owned(), shown))
                    }
                    @if point.late_ms > 0 { "\nsome of it was told " (duration(point.late_ms)) " late" }
                }
            }
        }
    }
}

fn axis(history: &History, points: &[Point]) -> Markup {
    let at = |i: usize| points.get(i).map_or(history.from, |point| point.at);
    let (first, middle) = (at(0), at(points.len() / 2));
    html! {
        p.axis {
            @for at in [first, middle, history.now] {
                @let shown = instant(at);
                time datetime=(shown.machine) title=(shown.text) data-minute { (shown.clock[..5]) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_a_gap() {
        let values = vec![Some(1.0), Some(2.0), None, Some(1.0)];
        let line = Line { name: "n", class: "l-done", values, area: true };
        let svg = drawn(&line, 2.0).into_string();
        assert!(svg.contains("d=\"M75.0 52.0L225.0 4.0M525.0 52.0\""), "{svg}");
        let area = "d=\"M75.0 100L75.0 52.0L225.0 4.0L225.0 100ZM525.0 100L525.0 52.0L525.0 100Z\"";
        assert!(svg.contains(area), "{svg}");
    }
}
