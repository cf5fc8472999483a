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
                    path.area d=(area(series, reading.now, top, all)) {}
                    path.line d=(line(series, reading.now, top, all)) {}
                    @if series.iter().any(|point| point.rates.failed_per_s > 0.0) {
                        path.bad d=(area(series, reading.now, top, |rates| rates.failed_per_s)) {}
                    }
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

fn line(series: &[Point], now: Timestamp, top: f64, of: fn(&Rates) -> f64) -> String {
    let mut path = String::new();
    for point in series {
        let age = now.since(point.at) as f64 / SERIES_MS as f64;
        let x = WIDTH * (1.0 - age);
        // The stroke of the peak needs room, too.
        let y = HEIGHT - (HEIGHT - 2.0) * of(&point.rates) / top;
        let command = if path.is_empty() { 'M' } else { 'L' };
        let _ = write!(path, "{command}{x:.1} {y:.1}");
    }
    path
}

fn area(series: &[Point], now: Timestamp, top: f64, of: fn(&Rates) -> f64) -> String {
    let (Some(first), false) = (series.first(), series.is_empty()) else {
        return String::new();
    };
    let left = WIDTH * (1.0 - now.since(first.at) as f64 / SERIES_MS as f64);
    let line = line(series, now, top, of);
    format!("{line}V{HEIGHT}H{left:.1}Z")
}
