//! What must hold in Redis at every instant between two calls of scripts, as numbered invariants
//! over [`Contents`]: pure functions. The tests, the fault laboratory and `celeriac doctor --deep`
//! ask the same ones.
//!
//! `places` is about where tasks and chunks are, `counts` about numbers that repeat what lists and
//! bitmaps say, `owners` about keys and what is kept beside tasks.

mod contents;
mod counts;
mod element;
mod owners;
mod places;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

pub use contents::{Contents, Held, MAX_TEXT, Stored};

/// Something that must hold. Its number is its name in reports, and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Invariant {
    /// Every task that has not ended is in exactly one place.
    #[serde(rename = "I1")]
    OnePlace,
    /// Every chunk of a running job that is not settled is in exactly one place (in one or two, if
    /// the job allows second starts).
    #[serde(rename = "I2")]
    ChunkPlace,
    /// What a lease holds of a run is what is counted as left of it.
    #[serde(rename = "I3")]
    RunLeft,
    /// The numbers of what waits beyond the lengths of lists are the truth.
    #[serde(rename = "I4")]
    Depths,
    /// What a job counts as done and failed is the number of its bits; its barrier is open if and
    /// only if all are set.
    #[serde(rename = "I5")]
    JobCounts,
    /// A job is open as long as its state says so, and what it waits for is there.
    #[serde(rename = "I6")]
    JobState,
    /// Nothing is in flight but under a lease, and what an expired lease held is known to be put back.
    #[serde(rename = "I7")]
    Leases,
    /// What limits count as held is in flight.
    #[serde(rename = "I8")]
    Holding,
    /// No lock without its task, and no key without its lock or its expiry.
    #[serde(rename = "I9")]
    Locks,
    /// Nothing is kept beside a task that is no more.
    #[serde(rename = "I10")]
    Beside,
    /// Every key is in the table of keys, with its type, its owner and its expiry.
    #[serde(rename = "I11")]
    Keys,
    /// What waits can be found: its queue has a name, its turn a tenant, what is parked a limit.
    #[serde(rename = "I12")]
    Reach,
    /// No total is below zero.
    #[serde(rename = "I13")]
    Totals,
}

impl Invariant {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::OnePlace,
        Self::ChunkPlace,
        Self::RunLeft,
        Self::Depths,
        Self::JobCounts,
        Self::JobState,
        Self::Leases,
        Self::Holding,
        Self::Locks,
        Self::Beside,
        Self::Keys,
        Self::Reach,
        Self::Totals,
    ];

    /// Its number.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// What must hold, in one sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::OnePlace => "every task that has not ended is in exactly one place",
            Self::ChunkPlace => "every chunk that is not settled is in exactly one place",
            Self::RunLeft => "what a lease holds of a run is what is counted as left of it",
            Self::Depths => "the numbers of what waits are the truth",
            Self::JobCounts => "what a job counts as done and failed is the number of its bits",
            Self::JobState => "a job is open as long as its state says so",
            Self::Leases => "nothing is in flight but under a lease",
            Self::Holding => "what limits count as held is in flight",
            Self::Locks => "no lock without its task, and no key without its lock",
            Self::Beside => "nothing is kept beside a task that is no more",
            Self::Keys => "every key is in the table of keys, with its owner and its expiry",
            Self::Reach => "what waits can be found",
            Self::Totals => "no total is below zero",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "I{}", self.number())
    }
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// Of what: an id, the name of a key without its prefix.
    pub subject: String,
    /// What is the matter with it.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.invariant, self.subject, self.what)
    }
}

/// Everything that is wrong, in a fixed order. Of contents that are a part, only the keys are judged.
pub fn violations(contents: &Contents) -> Vec<Violation> {
    let mut found = Found::default();
    owners::keys(contents, &mut found);
    if !contents.partial {
        places::tasks(contents, &mut found);
        places::chunks(contents, &mut found);
        places::reach(contents, &mut found);
        counts::depths(contents, &mut found);
        counts::jobs(contents, &mut found);
        counts::holding(contents, &mut found);
        counts::totals(contents, &mut found);
        owners::leases(contents, &mut found);
        owners::locks(contents, &mut found);
        owners::beside(contents, &mut found);
    }
    found.0.sort();
    found.0
}

/// Where findings are collected.
#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, invariant: Invariant, subject: impl Into<String>, what: impl Into<String>) {
        self.0.push(Violation { invariant, subject: subject.into(), what: what.into() });
    }

    /// Reports if it does not hold.
    fn expect(
        &mut self,
        holds: bool,
        invariant: Invariant,
        subject: &str,
        what: impl FnOnce() -> String,
    ) {
        if !holds {
            self.add(invariant, subject, what());
        }
    }
}
