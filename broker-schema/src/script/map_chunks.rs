//! `map_chunks`: how far each stretch of a job is.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::JobId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;

script!(MAP_CHUNKS, "map_chunks", " flags=no-writes", ["base"]);

/// Most stretches of one call, and of one map.
const MOST: u64 = 512;
/// Chunks whose bits one call may count: 1 MiB of them.
const CHUNKS_OF_A_CALL: u64 = 8 << 20;

/// The chunks of a job in stretches of the same length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkMap {
    /// Chunks in all.
    pub total: u64,
    /// Chunks of a stretch; the last one may have fewer.
    pub size: u64,
    /// The stretches, in order.
    pub stretches: Vec<Stretch>,
}

/// Chunks that follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stretch {
    /// Those that are settled.
    pub done: u64,
    /// Those that were retried, settled or not.
    pub retried: u64,
}

/// None if the job is not kept. `most`: stretches, up to 512.
pub(crate) async fn map_chunks(
    connections: &Connections,
    keys: &Keys,
    job: JobId,
    total: u64,
    most: u64,
) -> Result<Option<ChunkMap>, BrokerError> {
    let size = size_of(total, most);
    let at_once = (CHUNKS_OF_A_CALL / size).clamp(1, MOST);
    let mut map = ChunkMap { total, size, stretches: Vec::new() };
    while (map.stretches.len() as u64) * size < total {
        let first = map.stretches.len() as u64 * size;
        let mut command = MAP_CHUNKS.command(keys.prefix());
        command.arg(job.to_string()).arg(first).arg(size).arg(at_once);
        let mut reply = Reply::new(MAP_CHUNKS.name, connections.run(&MAP_CHUNKS, &command).await?)?;
        let known: u64 = reply.number("total")?;
        let mut counts = reply.array("counts")?;
        if known != total || counts.is_empty() {
            return Ok(None);
        }
        while !counts.is_empty() {
            let (done, retried) = (counts.number("done")?, counts.number("retried")?);
            map.stretches.push(Stretch { done, retried });
        }
    }
    Ok(Some(map))
}

/// Chunks of a stretch: 1, or whole bytes of bits.
fn size_of(total: u64, most: u64) -> u64 {
    match total.div_ceil(most.clamp(1, MOST)) {
        0 | 1 => 1,
        more => more.next_multiple_of(8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_single_chunks_or_whole_bytes() {
        let sizes = [(1, 400), (400, 400), (401, 400), (1_000_000, 400), (100_000_000, 9_999)];
        assert_eq!(sizes.map(|(total, most)| size_of(total, most)), [1, 1, 8, 2_504, 195_320]);
    }
}
