//! Figures: what workers and producers count, and how long tasks waited and ran, added up in
//! memory and told about once a second. Sums of figures are figures, so that seconds become minutes,
//! and minutes hours.

use std::borrow::Cow;
use std::fmt::Write;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};

/// How many durations are told apart, besides those that are longer than all.
pub const BOUNDS: usize = 110;

/// The upper ends of the buckets, in µs: ten in each power of ten (1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.4, 8),
/// from 10 µs to 9 days. What is read out of a bucket is wrong by an eighth at most.
const UPPER_US: [u64; BOUNDS] = {
    const DECADE: [u64; 10] = [100, 125, 160, 200, 250, 320, 400, 500, 640, 800];
    let mut bounds = [0; BOUNDS];
    let (mut i, mut power) = (0, 1);
    while i < BOUNDS {
        bounds[i] = (DECADE[i % 10] * power).div_ceil(10);
        i += 1;
        if i % 10 == 0 {
            power *= 10;
        }
    }
    bounds
};

/// How many durations there were of which length, and their sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Buckets with something in them, by their number.
    buckets: Vec<(u8, u64)>,
    sum_us: u64,
}

/// A few numbers out of a histogram. All in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Percentiles {
    /// How many durations there were. Of a few, the higher percentiles say little.
    pub count: u64,
    /// The mean.
    pub mean_ms: f64,
    /// Half of them were at most so long.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// 95 of a hundred.
    pub p95_ms: f64,
    /// 99 of a hundred.
    pub p99_ms: f64,
    /// All of them.
    pub max_ms: f64,
}

/// What is counted. The names are those of the totals of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Event {
    /// Tasks and chunks that were enqueued.
    Enqueued,
    /// Tasks and chunks that succeeded.
    Succeeded,
    /// Failed for good.
    Failed,
    /// Attempts that failed and are tried again.
    Retried,
    /// Attempts that asked for another one later.
    Snoozed,
    /// Ended because somebody said so.
    Cancelled,
    /// Were not begun in time.
    Expired,
    /// Deliveries whose worker was lost.
    Reclaimed,
    /// Dead tasks that were let run again.
    Revived,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Enqueued,
        Self::Succeeded,
        Self::Failed,
        Self::Retried,
        Self::Snoozed,
        Self::Cancelled,
        Self::Expired,
        Self::Reclaimed,
        Self::Revived,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enqueued => "enqueued",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Retried => "retried",
            Self::Snoozed => "snoozed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Reclaimed => "reclaimed",
            Self::Revived => "revived",
        }
    }
}

/// How often what happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; Event::ALL.len()]);

/// Counts, and how long tasks waited and ran.
///
/// ```
/// use celeriac_broker_schema::figures::{Event, Figures};
/// let mut figures = Figures::default();
/// figures.counts.add(Event::Succeeded, 2);
/// figures.run.add_us(1_500);
/// figures.run.add_us(80_000);
/// let stored = figures.encode();
/// assert_eq!(stored, r#"{"succeeded":2,"rs":81500,"r22":1,"r39":1}"#);
/// assert_eq!(serde_json::from_str::<Figures>(&stored).expect("it is JSON"), figures);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// How often what happened.
    pub counts: Counts,
    /// How long first attempts waited for a worker since they were enqueued, or since their time had
    /// come; later ones since they might begin.
    pub wait: Histogram,
    /// How long attempts ran.
    pub run: Histogram,
}

/// The bucket of a duration; the last one is for what is longer than all bounds.
fn bucket_of(us: u64) -> u8 {
    let bucket = UPPER_US.partition_point(|upper| *upper < us);
    u8::try_from(bucket).unwrap_or(u8::MAX)
}

fn upper_us(bucket: u8) -> u64 {
    UPPER_US.get(usize::from(bucket)).copied().unwrap_or(UPPER_US[BOUNDS - 1])
}

impl Histogram {
    /// Notes a duration in microseconds.
    pub fn add_us(&mut self, us: u64) {
        self.sum_us = self.sum_us.saturating_add(us);
        self.add_to(bucket_of(us), 1);
    }

    fn add_to(&mut self, bucket: u8, n: u64) {
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(n),
            Err(at) => self.buckets.insert(at, (bucket, n)),
        }
    }

    /// Adds another one.
    pub fn merge(&mut self, other: &Self) {
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        for (bucket, n) in &other.buckets {
            self.add_to(*bucket, *n);
        }
    }

    /// How many durations there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, n)| n).sum()
    }

    /// Their sum in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The mean in milliseconds; None if there was none.
    pub fn mean_ms(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum_us as f64 / count as f64 / 1000.0)
    }

    /// How many were at most so long, in microseconds. Exact if that is one of the bounds.
    pub fn up_to_us(&self, us: u64) -> u64 {
        self.buckets.iter().filter(|(bucket, _)| upper_us(*bucket) <= us).map(|(_, n)| n).sum()
    }

    /// The duration in milliseconds that this share of them (0 to 1) did not exceed; None if there
    /// was none.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let count = self.count();
        let rank = (count as f64 * share.clamp(0.0, 1.0)).max(1.0);
        let mut before = 0.0;
        for (bucket, n) in &self.buckets {
            let n = *n as f64;
            if before + n >= rank {
                let lower = bucket.checked_sub(1).map_or(0, upper_us) as f64;
                let width = upper_us(*bucket) as f64 - lower;
                return Some((lower + width * (rank - before) / n) / 1000.0);
            }
            before += n;
        }
        None
    }

    /// The usual percentiles; None if there was none.
    pub fn percentiles(&self) -> Option<Percentiles> {
        let at = |share| self.quantile_ms(share);
        Some(Percentiles {
            count: self.count(),
            mean_ms: self.mean_ms()?,
            p50_ms: at(0.5)?,
            p90_ms: at(0.9)?,
            p95_ms: at(0.95)?,
            p99_ms: at(0.99)?,
            max_ms: at(1.0)?,
        })
    }
}

impl Counts {
    /// How often this happened.
    pub fn of(&self, event: Event) -> u64 {
        self.0[event as usize]
    }

    /// It happened so often again.
    pub fn add(&mut self, event: Event, n: u64) {
        let count = &mut self.0[event as usize];
        *count = count.saturating_add(n);
    }

    /// Adds other ones.
    pub fn merge(&mut self, other: &Self) {
        for event in Event::ALL {
            self.add(event, other.of(event));
        }
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Counts {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Counts".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names = Event::ALL.map(Event::name);
        let count = serde_json::json!({ "type": "integer", "minimum": 0 });
        let properties = names.map(|name| (name.to_owned(), count.clone()));
        schemars::json_schema!({
            "type": "object",
            "description": "How often what happened.",
            "required": names,
            "properties": serde_json::Map::from_iter(properties),
        })
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Event::ALL.map(|event| (event.name(), self.of(event))))
    }
}

impl Figures {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds other ones.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.wait.merge(&other.wait);
        self.run.merge(&other.run);
    }

    /// As they are stored: a JSON object of numbers; what is 0 is left out.
    pub fn encode(&self) -> String {
        let mut text = String::from("{");
        let mut put = |name: &str, n: u64| {
            let comma = if text.len() > 1 { "," } else { "" };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}\"{name}\":{n}");
        };
        for event in Event::ALL.into_iter().filter(|event| self.counts.of(*event) > 0) {
            put(event.name(), self.counts.of(event));
        }
        for (letter, histogram) in [('w', &self.wait), ('r', &self.run)] {
            if !histogram.buckets.is_empty() {
                put(&format!("{letter}s"), histogram.sum_us);
            }
            for (bucket, n) in &histogram.buckets {
                put(&format!("{letter}{bucket}"), *n);
            }
        }
        text.push('}');
        text
    }

    fn put(&mut self, name: &str, n: f64) {
        // Redis writes numbers beyond 14 digits as floats.
        let n = if n.is_finite() && n > 0.0 { n.round() as u64 } else { 0 };
        if let Some(event) = Event::ALL.into_iter().find(|event| event.name() == name) {
            return self.counts.add(event, n);
        }
        let (histogram, rest) = match name.split_at_checked(1) {
            Some(("w", rest)) => (&mut self.wait, rest),
            Some(("r", rest)) => (&mut self.run, rest),
            // What a newer version counts.
            _ => return,
        };
        if rest == "s" {
            histogram.sum_us = histogram.sum_us.saturating_add(n);
        } else if let Some(bucket) = rest.parse().ok().filter(|_| n > 0) {
            histogram.add_to(bucket, n);
        }
    }
}

impl<'de> Deserialize<'de> for Figures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl<'de> Visitor<'de> for Numbers {
            type Value = Figures;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Figures, A::Error> {
                let mut figures = Figures::default();
                while let Some((name, n)) = map.next_entry::<Cow<'de, str>, f64>()? {
                    figures.put(&name, n);
                }
                Ok(figures)
            }
        }
        deserializer.deserialize_map(Numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_end_at_round_durations() {
        for (us, n) in [(10, 0), (13, 1), (16, 2), (100, 10), (125, 11), (1_000, 20), (2_500, 24)] {
            assert_eq!((UPPER_US[n], usize::from(bucket_of(us))), (us, n));
        }
        assert_eq!((bucket_of(0), bucket_of(11), bucket_of(1_001)), (0, 1, 21));
        assert_eq!(UPPER_US[BOUNDS - 1], 800_000_000_000);
        assert_eq!(usize::from(bucket_of(u64::MAX)), BOUNDS);
        assert!(UPPER_US.is_sorted());
    }

    #[test]
    fn percentiles_are_near_the_truth() {
        let mut histogram = Histogram::default();
        for n in 1..=10_000_u64 {
            histogram.add_us(n * 100);
        }
        let found = histogram.percentiles().expect("there are some");
        assert_eq!(found.count, 10_000);
        let truth = [(found.p50_ms, 500.0), (found.p90_ms, 900.0), (found.p95_ms, 950.0)];
        for (found, truth) in truth.into_iter().chain([(found.p99_ms, 990.0)]) {
            assert!((found / truth - 1.0).abs() < 0.125, "{found} for {truth}");
        }
        assert!((found.mean_ms - 500.05).abs() < 0.001, "{}", found.mean_ms);
        assert_eq!(Histogram::default().percentiles(), None);
    }

    #[test]
    fn sums_are_the_same_in_any_order() {
        let of = |numbers: &[u64]| {
            let mut histogram = Histogram::default();
            numbers.iter().for_each(|us| histogram.add_us(*us));
            histogram
        };
        let (mut one, mut other) = (of(&[5, 700, 9_000]), of(&[700, 1]));
        let all = of(&[1, 5, 700, 700, 9_000]);
        one.merge(&of(&[700, 1]));
        other.merge(&of(&[9_000, 5, 700]));
        assert_eq!((&one, &other), (&all, &all));
        assert_eq!((all.up_to_us(10), all.up_to_us(800), all.up_to_us(10_000)), (2, 4, 5));
    }

    #[test]
    fn what_others_have_written_is_read() {
        let read = |text: &str| serde_json::from_str::<Figures>(text);
        let figures = read(r#"{"failed":3,"rs":1.2e+15,"r3":2,"lost":7,"w1x":1}"#).expect("JSON");
        assert_eq!(figures.counts.of(Event::Failed), 3);
        assert_eq!((figures.run.sum_us(), figures.run.count()), (1_200_000_000_000_000, 2));
        assert_eq!(figures.wait, Histogram::default());
        read("[]").expect_err("it is no object");
    }
}
