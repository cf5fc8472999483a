//! The text of metrics as it grows: the format of Prometheus, or OpenMetrics for those that ask
//! for it. They differ in the names of counters, and in a last line.

use std::fmt::{Display, Write};

use celeriac_broker_schema::figures::Histogram;

/// The upper ends of the buckets that are told of histograms, in µs with their text in seconds. All are
/// bounds of our own buckets, so that the numbers are exact.
const UPPER: [(u64, &str); 19] = [
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1.0"),
    (2_500_000, "2.5"),
    (5_000_000, "5.0"),
    (10_000_000, "10.0"),
    (25_000_000, "25.0"),
    (50_000_000, "50.0"),
    (100_000_000, "100.0"),
    (250_000_000, "250.0"),
    (1_000_000_000, "1000.0"),
    (10_000_000_000, "10000.0"),
];

/// Which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// The text format of Prometheus.
    Plain,
    /// OpenMetrics 1.0.
    Open,
}

impl Format {
    /// What somebody who accepts this wants.
    pub(super) fn wanted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::Open } else { Self::Plain }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
            Self::Open => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The text.
pub(super) struct Exposition {
    text: String,
    format: Format,
}

/// A metric whose values are being written.
pub(super) struct Metric<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Exposition {
    pub(super) fn new(format: Format) -> Self {
        Self { text: String::new(), format }
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Metric<'_> {
        self.metric(name, name, "gauge", help)
    }

    /// `name` ends with `_total`.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Metric<'_> {
        let family = match self.format {
            Format::Plain => name,
            Format::Open => name.strip_suffix("_total").unwrap_or(name),
        };
        self.metric(name, family, "counter", help)
    }

    pub(super) fn histogram(&mut self, name: &'static str, help: &str) -> Metric<'_> {
        self.metric(name, name, "histogram", help)
    }

    fn metric(&mut self, name: &'static str, family: &str, kind: &str, help: &str) -> Metric<'_> {
        let text = &mut self.text;
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "# HELP celeriac_{family} {help}");
        let _ = writeln!(text, "# TYPE celeriac_{family} {kind}");
        Metric { text, name }
    }

    pub(super) fn finish(mut self) -> String {
        if self.format == Format::Open {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

impl Metric<'_> {
    pub(super) fn value(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.sample("", labels, value);
    }

    /// All samples of a histogram.
    pub(super) fn times(&mut self, labels: &[(&str, &str)], histogram: &Histogram) {
        let mut with_le = labels.to_vec();
        for (upper_us, upper) in UPPER {
            with_le.push(("le", upper));
            self.sample("_bucket", &with_le, histogram.up_to_us(upper_us));
            with_le.pop();
        }
        with_le.push(("le", "+Inf"));
        self.sample("_bucket", &with_le, histogram.count());
        self.sample("_sum", labels, histogram.sum_us() as f64 / 1_000_000.0);
        self.sample("_count", labels, histogram.count());
    }

    fn sample(&mut self, ending: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "celeriac_{}{ending}", self.name);
        for (i, (name, label)) in labels.iter().enumerate() {
            let open = if i == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{name}=\"{}\"", escaped(label));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = Exposition::new(Format::Plain);
        text.gauge("queue_ready", "Help").value(&[("queue", "a\"} 1\nb\\"), ("x", "y")], 2);
        let expected = "# HELP celeriac_queue_ready Help\n# TYPE celeriac_queue_ready gauge\n\
            celeriac_queue_ready{queue=\"a\\\"} 1\\nb\\\\\",x=\"y\"} 2\n";
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn open_metrics_name_their_counters_otherwise() {
        let of = |format| {
            let mut text = Exposition::new(format);
            text.counter("tasks_total", "Help").value(&[], 1);
            text.finish()
        };
        let plain = "# HELP celeriac_tasks_total Help\n# TYPE celeriac_tasks_total counter\n\
            celeriac_tasks_total 1\n";
        let open = "# HELP celeriac_tasks Help\n# TYPE celeriac_tasks counter\n\
            celeriac_tasks_total 1\n# EOF\n";
        assert_eq!((of(Format::Plain).as_str(), of(Format::Open).as_str()), (plain, open));
    }

    #[test]
    fn histograms_count_upwards() {
        let mut histogram = Histogram::default();
        for us in [900, 1_000, 2_000, 700_000, 90_000_000_000] {
            histogram.add_us(us);
        }
        let mut text = Exposition::new(Format::Plain);
        text.histogram("run_seconds", "Help").times(&[("task", "t")], &histogram);

        let text = text.finish();
        let value = |sample: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(sample));
            line.map(|rest| rest.trim().to_owned()).unwrap_or_else(|| panic!("{sample} in {text}"))
        };
        let upto =
            |le: &str| value(&format!("celeriac_run_seconds_bucket{{task=\"t\",le=\"{le}\"}}"));
        assert_eq!([upto("0.001"), upto("0.0025"), upto("0.5")], ["2", "3", "3"]);
        assert_eq!([upto("1.0"), upto("10000.0"), upto("+Inf")], ["4", "4", "5"]);
        assert_eq!(value("celeriac_run_seconds_count{task=\"t\"}"), "5");
        assert_eq!(value("celeriac_run_seconds_sum{task=\"t\"}"), "90000.7039");
    }
}
