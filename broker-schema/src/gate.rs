//! Limits across the fleet: what they are on, and what they let go. How they are kept to is told in
//! `lua/lib/gate.lua`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::InvalidInput;
use crate::limits::{MAX_RATE, MAX_RATE_PERIOD_MS};
use crate::name::{QueueName, TaskName, Tenant};

/// What a limit is on: `queue:mail`, `task:mail.send` or `tenant:acme`. With `*` for the name it
/// is the default of all of that kind, each by itself.
///
/// ```
/// use celeriac_broker_schema::Subject;
/// let subject: Subject = "task:mail.send".parse()?;
/// assert_eq!((subject.kind(), subject.name()), ("task", "mail.send"));
/// assert!("tenant:*".parse::<Subject>().is_ok());
/// assert!("mail".parse::<Subject>().is_err());
/// # Ok::<(), celeriac_broker_schema::InvalidInput>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Subject(String);

impl Subject {
    /// All tasks of a queue.
    pub fn queue(name: &QueueName) -> Self {
        Self(format!("queue:{name}"))
    }

    /// All tasks of a name.
    pub fn task(name: &TaskName) -> Self {
        Self(format!("task:{name}"))
    }

    /// All tasks of a tenant.
    pub fn tenant(tenant: &Tenant) -> Self {
        Self(format!("tenant:{tenant}"))
    }

    /// `queue`, `task` or `tenant`.
    pub fn kind(&self) -> &str {
        self.0.split_once(':').map_or("", |(kind, _)| kind)
    }

    /// Which one, or `*`.
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, name)| name)
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Subject {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let unknown = || InvalidInput::OutOfBounds {
            what: "subject of a limit",
            value: text.chars().take(80).collect(),
            expected: "use queue:NAME, task:NAME or tenant:NAME, with * for each of them",
        };
        let (kind, name) = text.split_once(':').ok_or_else(unknown)?;
        match (kind, name) {
            ("queue" | "task" | "tenant", "*") => {}
            ("queue", name) => drop(name.parse::<QueueName>()?),
            ("task", name) => drop(name.parse::<TaskName>()?),
            ("tenant", name) => drop(name.parse::<Tenant>()?),
            _ => return Err(unknown()),
        }
        Ok(Self(text.to_owned()))
    }
}

/// So many tasks per period: evenly, or up to `burst` at once after a pause. In any time `t` no more
/// than `burst + tasks * t / per` begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rate {
    /// How many.
    pub tasks: u64,
    /// In how many milliseconds.
    pub per_ms: u64,
    /// How many at once at most, from 1.
    pub burst: u64,
}

/// What a subject may do: a rate, a concurrency, or both.
///
/// ```
/// use celeriac_broker_schema::{Limit, Rate};
/// let rate = Rate { tasks: 100, per_ms: 1_000, burst: 10 };
/// let limit = Limit::new(Some(rate), Some(5))?;
/// assert_eq!(limit.concurrency(), Some(5));
/// assert!(Limit::new(None, None).is_err());
/// # Ok::<(), celeriac_broker_schema::InvalidInput>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limit {
    rate: Option<Rate>,
    concurrency: Option<u64>,
}

fn within(
    what: &'static str,
    value: u64,
    max: u64,
    expected: &'static str,
) -> Result<(), InvalidInput> {
    let wrong = InvalidInput::OutOfBounds { what, value: value.to_string(), expected };
    if (1..=max).contains(&value) { Ok(()) } else { Err(wrong) }
}

impl Limit {
    /// A limit on how many tasks are given to workers in a time, and on how many they hold at once.
    ///
    /// # Errors
    /// [`InvalidInput::OutOfBounds`] for a limit of nothing, and for numbers that are 0 or too large.
    pub fn new(rate: Option<Rate>, concurrency: Option<u64>) -> Result<Self, InvalidInput> {
        if rate.is_none() && concurrency.is_none() {
            return Err(InvalidInput::OutOfBounds {
                what: "limit",
                value: "nothing".to_owned(),
                expected: "give a rate, a concurrency, or both",
            });
        }
        if let Some(Rate { tasks, per_ms, burst }) = rate {
            within("rate", tasks, MAX_RATE, "use 1 to 1,000,000 tasks per period")?;
            within("period of a rate", per_ms, MAX_RATE_PERIOD_MS, "use 1 ms to 30 days")?;
            within("burst", burst, MAX_RATE, "use 1 to 1,000,000")?;
        }
        if let Some(most) = concurrency {
            within("concurrency", most, MAX_RATE, "use 1 to 1,000,000")?;
        }
        Ok(Self { rate, concurrency })
    }

    /// How many tasks may be given to workers in a time.
    pub fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// How many of them workers may hold at once.
    pub fn concurrency(&self) -> Option<u64> {
        self.concurrency
    }

    /// The stored form: `<n> <period ms> <burst> <concurrency>`, with 0 where there is no limit.
    pub fn encode(&self) -> String {
        let Rate { tasks, per_ms, burst } =
            self.rate.unwrap_or(Rate { tasks: 0, per_ms: 0, burst: 0 });
        format!("{tasks} {per_ms} {burst} {}", self.concurrency.unwrap_or(0))
    }

    /// Reads the stored form; None if it is none.
    pub fn decode(stored: &str) -> Option<Self> {
        let mut numbers = stored.split(' ').map(|number| number.parse::<u64>().ok());
        let mut next = || numbers.next().flatten();
        let (tasks, per_ms, burst, most) = (next()?, next()?, next()?, next()?);
        let rate = (tasks > 0).then_some(Rate { tasks, per_ms, burst });
        Self::new(rate, (most > 0).then_some(most)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_survive_the_stored_form() {
        let rate = Some(Rate { tasks: 100, per_ms: 1_000, burst: 10 });
        for (rate, concurrency, stored) in [
            (rate, Some(5), "100 1000 10 5"),
            (rate, None, "100 1000 10 0"),
            (None, Some(5), "0 0 0 5"),
        ] {
            let limit = Limit::new(rate, concurrency).expect("a limit");
            assert_eq!(limit.encode(), stored);
            assert_eq!(Limit::decode(stored), Some(limit));
        }
        assert_eq!(Limit::decode("1 2 3"), None);
    }

    #[test]
    fn limits_that_let_nothing_go_are_refused() {
        let rate = |tasks, per_ms, burst| Limit::new(Some(Rate { tasks, per_ms, burst }), None);
        for limit in [
            Limit::new(None, None),
            rate(0, 1, 1),
            rate(1, 0, 1),
            rate(1, 1, 0),
            rate(MAX_RATE + 1, 1, 1),
            rate(1, MAX_RATE_PERIOD_MS + 1, 1),
            Limit::new(None, Some(0)),
        ] {
            assert!(limit.is_err(), "{limit:?}");
        }
    }

    #[test]
    fn hostile_subjects_are_refused() {
        for text in ["", "mail", "queue:", "task:a b", "tenant:a:b", "worker:a", "queue:a/b"] {
            assert!(text.parse::<Subject>().is_err(), "{text:?}");
        }
    }
}
