//! Chunks that succeeded side by side are told as one: their numbers are added up here, as far as
//! that is exact, so that a thousand tiny chunks cost Redis about as much as one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use celeriac_broker_schema::Delta;
use celeriac_broker_schema::script::Ending;
use serde_json::value::RawValue;

use crate::unit::ChunkRun;

/// Sums that are told together at most.
const MOST_DELTAS: usize = 500;

/// A chunk that succeeded: its index, what it adds to the accumulators, its result if that is kept.
type Chunk = (u64, Vec<Delta>, Option<Box<RawValue>>);

/// Collects chunks that succeeded and puts neighbours together.
#[derive(Default)]
pub(crate) struct Merger {
    /// By the address of the run, which is shared by all its chunks.
    runs: HashMap<*const ChunkRun, (Arc<ChunkRun>, Vec<Chunk>)>,
}

/// Neighbours that are told as one.
struct Merged {
    lo: u64,
    hi: u64,
    deltas: Vec<Delta>,
    results: Vec<(u64, String)>,
}

impl Merger {
    pub(crate) fn add(
        &mut self,
        run: Arc<ChunkRun>,
        index: u64,
        deltas: Vec<Delta>,
        result: Option<Box<RawValue>>,
    ) {
        let chunks = &mut self.runs.entry(Arc::as_ptr(&run)).or_insert_with(|| (run, Vec::new())).1;
        chunks.push((index, deltas, result));
    }

    /// The runs whose chunks are in here.
    pub(crate) fn runs(&self) -> Vec<Arc<ChunkRun>> {
        self.runs.values().map(|(run, _)| Arc::clone(run)).collect()
    }

    pub(crate) fn finish(self) -> Vec<Ending> {
        let mut endings = Vec::new();
        for (run, mut chunks) in self.runs.into_values() {
            chunks.sort_unstable_by_key(|(index, ..)| *index);
            let mut merged: Option<Merged> = None;
            for chunk in chunks {
                let next = match &mut merged {
                    Some(merged) => merged.take_in(chunk),
                    None => Some(chunk),
                };
                if let Some(next) = next {
                    endings.extend(merged.replace(Merged::begin(next)).map(|m| m.ending(&run)));
                }
            }
            endings.extend(merged.map(|merged| merged.ending(&run)));
        }
        endings
    }
}

impl Merged {
    fn begin((index, deltas, result): Chunk) -> Self {
        let mut begun = Self { lo: index, hi: index + 1, deltas, results: Vec::new() };
        begun.keep(index, result);
        begun
    }

    fn keep(&mut self, index: u64, result: Option<Box<RawValue>>) {
        self.results.extend(result.map(|json| (index, Box::<str>::from(json).into_string())));
    }

    /// Takes the next chunk in, or returns it if it must be told by itself.
    fn take_in(&mut self, (index, deltas, result): Chunk) -> Option<Chunk> {
        match add(&self.deltas, &deltas) {
            Some(sum) if self.hi == index => {
                (self.deltas, self.hi) = (sum, index + 1);
                self.keep(index, result);
                None
            }
            _ => Some((index, deltas, result)),
        }
    }

    fn ending(self, run: &ChunkRun) -> Ending {
        let Self { lo, hi, deltas, results } = self;
        let field = run.run.field.clone();
        if run.is_member() {
            Ending::MembersSucceeded { run: field, lo, hi, results, deltas }
        } else {
            Ending::ChunksSucceeded { run: field, lo, hi, deltas }
        }
    }
}

/// Joins the release of a chunk to that of the one after it: a range that is handed back chunk by
/// chunk, the last first, comes to be one element again. False if they are not neighbours.
pub(crate) fn join_released(last: &mut Ending, next: &Ending) -> bool {
    match (last, next) {
        (
            Ending::ChunksReleased { run, lo, .. },
            Ending::ChunksReleased { run: before, lo: first, hi },
        ) if run == before && hi == lo => {
            *lo = *first;
            true
        }
        _ => false,
    }
}

/// The sum of both, if they are integer sums that stay exact.
fn add(sum: &[Delta], more: &[Delta]) -> Option<Vec<Delta>> {
    let added = |a: &Delta, b: &Delta| {
        let (left, right): (i64, i64) = (a.number.parse().ok()?, b.number.parse().ok()?);
        Some(Delta { number: left.checked_add(right)?.to_string(), ..a.clone() })
    };
    if sum.iter().chain(more).any(|delta| delta.op != "sum") {
        return None;
    }
    // Mostly they have the same names in the same order; those of maps have others.
    if sum.len() == more.len() && sum.iter().zip(more).all(|(a, b)| a.name == b.name) {
        return sum.iter().zip(more).map(|(a, b)| added(a, b)).collect();
    }
    let mut all: BTreeMap<&str, Delta> =
        sum.iter().map(|delta| (delta.name.as_str(), delta.clone())).collect();
    for delta in more {
        let both = match all.get(delta.name.as_str()) {
            Some(before) => added(before, delta)?,
            None => delta.clone(),
        };
        all.insert(&delta.name, both);
    }
    (all.len() <= MOST_DELTAS).then(|| all.into_values().collect())
}
