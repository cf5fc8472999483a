//! The map of a job's chunks: what every stretch of them is doing.

use celeriac_broker_schema::script::{ChunkMap, Stretch};
use celeriac_broker_schema::{JobId, TaskId};

use crate::model::{Worker, running_of};

/// A job's chunks in cells of equal length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) total: u64,
    /// Chunks of a cell.
    pub(crate) size: u64,
    pub(crate) cells: Vec<Cell>,
}

/// What is to be seen of a cell: the worst thing in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Cell {
    Waiting,
    /// Some of its chunks are settled: less than half of them, or more.
    Begun,
    Mostly,
    Done,
    /// All are settled, and not all at the first attempt.
    Retried,
    Running,
    /// One of them was retried and is not settled yet.
    Troubled,
    /// Its failure ended the job.
    Failed,
}

impl Cell {
    /// The letter of the cell in the page, and its word.
    pub(crate) const ALL: [(Self, char, &str); 8] = [
        (Self::Waiting, 'w', "not begun"),
        (Self::Begun, 'b', "some done"),
        (Self::Mostly, 'm', "most done"),
        (Self::Done, 'd', "done"),
        (Self::Retried, 'o', "done after a retry"),
        (Self::Running, 'r', "running"),
        (Self::Troubled, 't', "being retried"),
        (Self::Failed, 'f', "failed"),
    ];

    pub(crate) fn letter(self) -> char {
        Self::ALL.iter().find(|(cell, ..)| *cell == self).map_or('w', |(_, letter, _)| *letter)
    }

    fn of(stretch: Stretch, chunks: u64) -> Self {
        let Stretch { done, retried } = stretch;
        match done {
            _ if done >= chunks && retried > 0 => Self::Retried,
            _ if done >= chunks => Self::Done,
            _ if retried > 0 => Self::Troubled,
            0 => Self::Waiting,
            _ if done * 2 >= chunks => Self::Mostly,
            _ => Self::Begun,
        }
    }
}

impl Map {
    /// `failed`: the task whose failure ended the job.
    pub(crate) fn new(
        map: &ChunkMap,
        job: JobId,
        failed: Option<&str>,
        workers: &[Worker],
    ) -> Self {
        let ChunkMap { total, size, stretches } = map;
        let chunks_of = |cell: usize| (*size).min(total - cell as u64 * size);
        let cells = stretches.iter().enumerate();
        let mut cells: Vec<Cell> =
            cells.map(|(i, stretch)| Cell::of(*stretch, chunks_of(i))).collect();
        let running = running_of(workers, job);
        let ids = running.iter().filter_map(|(_, task)| task.id.parse::<TaskId>().ok());
        let running = ids.filter_map(|id| Some((id.chunk()?, Cell::Running)));
        let failed = failed.and_then(|id| id.parse::<TaskId>().ok()?.chunk());
        for (chunk, what) in running.chain(failed.map(|chunk| (chunk, Cell::Failed))) {
            // What a worker tells may be a moment old.
            let cell = usize::try_from(chunk / size).ok().and_then(|i| cells.get_mut(i));
            if let Some(cell) = cell.filter(|cell| **cell < Cell::Done || what == Cell::Failed) {
                *cell = what;
            }
        }
        Self { total: *total, size: *size, cells }
    }

    /// The first chunks of the cells that are in trouble.
    pub(crate) fn troubled(&self) -> Vec<(u64, Cell)> {
        let bad = |(_, cell): &(u64, &Cell)| **cell >= Cell::Troubled;
        let cells = (0..).step_by(self.size as usize).zip(&self.cells);
        cells.filter(bad).map(|(first, cell)| (first, *cell)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_shows_the_worst_that_is_in_it() {
        let of = |done, retried| Cell::of(Stretch { done, retried }, 8);
        let cells = [(0, 0), (3, 0), (4, 0), (8, 0), (8, 1), (7, 1)].map(|(d, r)| of(d, r));
        let expected =
            [Cell::Waiting, Cell::Begun, Cell::Mostly, Cell::Done, Cell::Retried, Cell::Troubled];
        assert_eq!(cells, expected);
    }

    #[test]
    fn the_chunk_that_failed_is_in_its_cell() {
        let job: JobId = "0193a7c2b5e07d4e8a1f3c5d7e9b1a00".parse().expect("an id");
        let stretches = vec![Stretch { done: 16, retried: 0 }, Stretch { done: 2, retried: 0 }];
        let map = ChunkMap { total: 20, size: 16, stretches };
        let failed = format!("{job}:17");
        let map = Map::new(&map, job, Some(&failed), &[]);
        assert_eq!(map.cells, [Cell::Done, Cell::Failed]);
        assert_eq!(map.troubled(), [(16, Cell::Failed)]);
    }
}
