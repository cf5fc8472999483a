//! Chunks that succeeded side by side are told as one: their numbers are added up here, as far as
//! that is exact, so that a thousand tiny chunks cost Redis about as much as one.

use std::collections::HashMap;
use std::sync::Arc;

use celeriac_broker_schema::Delta;
use celeriac_broker_schema::script::Ending;

use crate::unit::ChunkRun;

/// The index of a chunk and what it adds to the accumulators.
type Chunk = (u64, Vec<Delta>);

/// Collects chunks that succeeded and puts neighbours together.
#[derive(Default)]
pub(crate) struct Merger {
    /// By the address of the run, which is shared by all its chunks.
    runs: HashMap<*const ChunkRun, (Arc<ChunkRun>, Vec<Chunk>)>,
}

impl Merger {
    pub(crate) fn add(&mut self, run: Arc<ChunkRun>, index: u64, deltas: Vec<Delta>) {
        let chunks = &mut self.runs.entry(Arc::as_ptr(&run)).or_insert_with(|| (run, Vec::new())).1;
        chunks.push((index, deltas));
    }

    /// The runs whose chunks are in here.
    pub(crate) fn runs(&self) -> Vec<Arc<ChunkRun>> {
        self.runs.values().map(|(run, _)| Arc::clone(run)).collect()
    }

    pub(crate) fn finish(self) -> Vec<Ending> {
        let mut endings = Vec::new();
        for (run, mut chunks) in self.runs.into_values() {
            chunks.sort_unstable_by_key(|(index, _)| *index);
            let field = &run.run.field;
            let mut merged: Option<(u64, u64, Vec<Delta>)> = None;
            for (index, deltas) in chunks {
                let joined = match &merged {
                    Some((lo, hi, sum)) if *hi == index => {
                        add(sum, &deltas).map(|sum| (*lo, hi + 1, sum))
                    }
                    _ => None,
                };
                if joined.is_none() {
                    endings.extend(merged.take().map(|(lo, hi, deltas)| Ending::ChunksSucceeded {
                        run: field.clone(),
                        lo,
                        hi,
                        deltas,
                    }));
                }
                merged = joined.or(Some((index, index + 1, deltas)));
            }
            endings.extend(merged.map(|(lo, hi, deltas)| Ending::ChunksSucceeded {
                run: field.clone(),
                lo,
                hi,
                deltas,
            }));
        }
        endings
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
    let added = |(a, b): (&Delta, &Delta)| {
        if a.op != "sum" || b.op != "sum" || a.name != b.name {
            return None;
        }
        let (left, right): (i64, i64) = (a.number.parse().ok()?, b.number.parse().ok()?);
        Some(Delta { number: left.checked_add(right)?.to_string(), ..a.clone() })
    };
    if sum.len() == more.len() { sum.iter().zip(more).map(added).collect() } else { None }
}
