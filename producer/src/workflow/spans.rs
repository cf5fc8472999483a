//! Stretches of members that are wired alike: a million members of a group are one span, and so is every
//! step of a million chains.

use std::fmt::Write;

use celeriac_broker_schema::workflow::Span;

/// How one member is wired. Numbers are those of members and barriers in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wire {
    /// The barriers that wait for it; none: the end of the job.
    pub(super) feeds: Vec<Feed>,
    /// Who takes its failure.
    pub(super) catch: Catch,
}

/// Who takes the failure of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Catch {
    /// Nobody: the job fails.
    Nobody,
    /// This member.
    By(u64),
    /// Of a spawned member: whoever takes that of the member that spawned it.
    AsParent,
}

/// A barrier that waits for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feed {
    /// The one before this member, which waits for it alone, in the same place: it is nowhere written down.
    Next(u64),
    /// The one of this number.
    Barrier(u64),
    /// Of a spawned member: those that wait for the member that spawned it.
    AsParent,
}

/// A span that is being drawn longer, with the forms that still fit.
struct Drawn {
    lo: u64,
    hi: u64,
    first: Wire,
    /// Whether the member that takes failures is at the same distance from all, and whether it is the same.
    by_distance: bool,
    by_number: bool,
}

/// Draws the wires of members 0, 1, … together.
pub(super) fn spans(wires: impl Iterator<Item = Wire>) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut drawn: Option<Drawn> = None;
    for (index, wire) in (0..).zip(wires) {
        if let Some(drawn) = &mut drawn
            && drawn.takes(index, &wire)
        {
            continue;
        }
        let begun =
            Drawn { lo: index, hi: index + 1, first: wire, by_distance: true, by_number: true };
        spans.extend(drawn.replace(begun).map(Drawn::finish));
    }
    spans.extend(drawn.map(Drawn::finish));
    spans
}

impl Drawn {
    fn takes(&mut self, index: u64, wire: &Wire) -> bool {
        let shift = index - self.lo;
        let alike = |(a, b): (&Feed, &Feed)| match (a, b) {
            (Feed::Next(a), Feed::Next(b)) => a + shift == *b,
            (a, b) => a == b,
        };
        if self.first.feeds.len() != wire.feeds.len()
            || !self.first.feeds.iter().zip(&wire.feeds).all(alike)
        {
            return false;
        }
        let (by_distance, by_number) = match (self.first.catch, wire.catch) {
            (Catch::Nobody, Catch::Nobody) | (Catch::AsParent, Catch::AsParent) => (true, true),
            (Catch::By(a), Catch::By(b)) => {
                (self.by_distance && a + shift == b, self.by_number && a == b)
            }
            _ => (false, false),
        };
        if !by_distance && !by_number {
            return false;
        }
        (self.by_distance, self.by_number, self.hi) = (by_distance, by_number, index + 1);
        true
    }

    fn finish(self) -> Span {
        let Self { lo, hi, first, by_distance, .. } = self;
        let mut feeds = String::new();
        for (i, feed) in first.feeds.iter().enumerate() {
            feeds.push_str(if i > 0 { "," } else { "" });
            let written = match feed {
                Feed::Next(member) => write!(feeds, "+{}", member - lo),
                Feed::Barrier(barrier) => write!(feeds, "{barrier}"),
                Feed::AsParent => write!(feeds, "p"),
            };
            written.expect("text is written to memory");
        }
        if feeds.is_empty() {
            feeds.push('e');
        }
        let catch = match first.catch {
            Catch::Nobody => "-".to_owned(),
            Catch::AsParent => "p".to_owned(),
            Catch::By(member) if by_distance => {
                format!("+{}", i128::from(member) - i128::from(lo))
            }
            Catch::By(member) => format!("={member}"),
        };
        Span { lo, hi, feeds, catch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(wires: &[(&[Feed], Catch)]) -> Vec<(u64, u64, String, String)> {
        let wires =
            wires.iter().map(|(feeds, catch)| Wire { feeds: feeds.to_vec(), catch: *catch });
        spans(wires).into_iter().map(|span| (span.lo, span.hi, span.feeds, span.catch)).collect()
    }

    #[test]
    fn what_is_wired_alike_is_one_span() {
        use Catch::{By, Nobody};
        use Feed::{Barrier, Next};
        let found = drawn(&[
            (&[Next(3)], By(3)),
            (&[Next(4)], By(4)),
            (&[Barrier(9)], By(5)),
            (&[Barrier(9)], By(5)),
            (&[Barrier(9), Next(7)], Nobody),
            (&[], Nobody),
            (&[], Nobody),
        ]);
        let span = |lo, hi, feeds: &str, catch: &str| (lo, hi, feeds.to_owned(), catch.to_owned());
        let told = [
            span(0, 2, "+3", "+3"),
            span(2, 4, "9", "=5"),
            span(4, 5, "9,+3", "-"),
            span(5, 7, "e", "-"),
        ];
        assert_eq!(found, told);
    }
}
