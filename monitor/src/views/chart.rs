//! The throughput of the last two minutes as an SVG: no script, no inline style.

use std::fmt::Write;

use celeriac_broker_schema::Timestamp;
use maud::{Markup, html};

use crate::observation::Reading;
use crate::rates::{Point, Rates, SERIES_MS};
use crate::views::format::rate;

/// The drawing's own units; it is stretched to the width that there is.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 60.0;

pub(crate) fn throughput(reading: &Reading) -> Markup {
    let series = &reading.series;
    let top = series.iter().map(|point| all(&point.rates)).fold(0.0, f64::max);
    html! {
        figure.chart {
            figcaption {
                "Throughput, last 2 minutes"
                span.num { @if top > 0.0 { "peak " (rate(top)) } }
            }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(summary(reading, top)) {
                @if top > 0.0 {
                    path.area d=(area(reading, top)) {}
                    path.line d=(line(reading, top)) {}
                    path.failures d=(failures(reading, top)) {}
                }
                path.base d={ "M0 " (HEIGHT) "H" (WIDTH) } {}
            }
        }
    }
}

/// Everything that ended.
fn all(rates: &Rates) -> f64 {
    rates.succeeded_per_s + rates.failed_per_s
}

fn summary(reading: &Reading, top: f64) -> String {
    match &reading.rates {
        Some(rates) if top > 0.0 => {
            format!(
                "Throughput of the last 2 minutes: at most {}, now {}",
                rate(top),
                rate(all(rates))
            )
        }
        _ => "Throughput of the last 2 minutes: nothing ended".to_owned(),
    }
}

fn x(reading: &Reading, at: Timestamp) -> f64 {
    WIDTH * (1.0 - reading.now.since(at) as f64 / SERIES_MS as f64)
}

fn y(rate: f64, top: f64) -> f64 {
    // The stroke of the peak needs room, too.
    HEIGHT - (HEIGHT - 2.0) * rate / top
}

fn line(reading: &Reading, top: f64) -> String {
    let mut path = String::new();
    for Point { at, rates } in &reading.series {
        let command = if path.is_empty() { 'M' } else { 'L' };
        // Writing to a string cannot fail, here and below.
        let _ = write!(path, "{command}{:.1} {:.1}", x(reading, *at), y(all(rates), top));
    }
    path
}

fn area(reading: &Reading, top: f64) -> String {
    let left = reading.series.first().map_or(WIDTH, |first| x(reading, first.at));
    format!("{}V{HEIGHT}H{left:.1}Z", line(reading, top))
}

/// A mark for every look that saw failures: as high as they are many, and never too low to see.
fn failures(reading: &Reading, top: f64) -> String {
    let mut path = String::new();
    for Point { at, rates } in reading.series.iter().filter(|point| point.rates.failed_per_s > 0.0)
    {
        let height = y(rates.failed_per_s, top).min(HEIGHT - 8.0);
        let _ = write!(path, "M{:.1} {HEIGHT}V{height:.1}", x(reading, *at));
    }
    path
}
