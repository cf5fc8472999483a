//! What stands in lists and in-flight hashes, read as `lua/lib/ready.lua` writes it.

/// An element of a list, or the name of something in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element<'a> {
    /// A task, or text that somebody else put there.
    Task(&'a str),
    /// Chunks `lo..hi` of a job. `alone`: one that goes its own way.
    Chunks { job: &'a str, lo: u64, hi: u64, alone: bool },
    /// The turn of a tenant.
    Turn(&'a str),
}

impl<'a> Element<'a> {
    pub(super) fn read(text: &'a str) -> Self {
        if let Some(tenant) = text.strip_prefix('@') {
            return Self::Turn(tenant);
        }
        chunks(text).unwrap_or(Self::Task(text))
    }

    /// For how many tasks and chunks it counts in a list; a turn counts for those behind it.
    pub(super) fn count(self) -> u64 {
        match self {
            Self::Task(_) | Self::Turn(_) => 1,
            Self::Chunks { lo, hi, .. } => hi.saturating_sub(lo),
        }
    }
}

fn chunks(text: &str) -> Option<Element<'_>> {
    let (job, rest) = text.split_once(':')?;
    let rest = rest.split('+').next()?;
    let number = |text: &str| text.parse::<u64>().ok();
    Some(match rest.split_once('-') {
        Some((lo, hi)) => Element::Chunks { job, lo: number(lo)?, hi: number(hi)?, alone: false },
        None => {
            let index = number(rest)?;
            Element::Chunks { job, lo: index, hi: index.checked_add(1)?, alone: true }
        }
    })
}

/// What an in-flight hash says of something: `attempt:claimed:priority:queue`, then, of chunks, how
/// many are left and the stretches that were handed back.
pub(super) struct Flight {
    pub(super) left: Option<u64>,
    pub(super) handed_back: Vec<(u64, u64)>,
}

impl Flight {
    pub(super) fn read(value: &str) -> Self {
        let mut parts = value.split(':').skip(4);
        let left = parts.next().and_then(|left| left.parse().ok());
        let span = |text: &str| {
            let (lo, hi) = text.split_once('-')?;
            Some((lo.parse().ok()?, hi.parse().ok()?))
        };
        Self { left, handed_back: parts.filter_map(span).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_as_scripts_write_them() {
        let chunks = |lo, hi, alone| Element::Chunks { job: "ab", lo, hi, alone };
        for (text, expected, count) in [
            ("ab", Element::Task("ab"), 1),
            ("ab:7", chunks(7, 8, true), 1),
            ("ab:2-9", chunks(2, 9, false), 7),
            ("ab:2-9+1", chunks(2, 9, false), 7),
            ("@ada", Element::Turn("ada"), 1),
            ("ab:x", Element::Task("ab:x"), 1),
            ("", Element::Task(""), 1),
        ] {
            assert_eq!(Element::read(text), expected, "{text}");
            assert_eq!(Element::read(text).count(), count, "{text}");
        }
    }

    #[test]
    fn what_is_in_flight_tells_what_is_left() {
        let flight = Flight::read("2:17:5:default:4:3-5:8-9");
        assert_eq!((flight.left, flight.handed_back), (Some(4), vec![(3, 5), (8, 9)]));
        assert_eq!(Flight::read("1:17:5:default").left, None);
    }
}
