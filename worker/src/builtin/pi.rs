//! The arithmetic of the Monte-Carlo estimate of pi: counts random points in the quarter circle.
//! Not for tasks, queues or cancellation, which belong to the handler that calls it.
//!
//! A point of the unit square first gets 15 bits per coordinate: a cell of a coarse grid, nearly
//! always wholly inside or wholly outside the circle. About one point in 10,000 falls near the arc; it
//! draws 32 more bits per coordinate and is decided by the lower corner of its cell in the grid of
//! 2^47 by 2^47. The arc crosses fewer than 2 * 2^47 of those, so the grid shifts pi by less than
//! 8 / 2^47, or 6e-14. Integers only: the same arguments give the same count on every machine.
//!
//! Points come from interleaved xoshiro128+ generators (David Blackman and Sebastiano Vigna,
//! "Scrambled linear pseudorandom number generators", ACM TOMS 47(4), 2021; period 2^128 - 1). Its
//! weak bits, the lowest of a word, become last bits of a coordinate, where they hardly ever decide.
//! Initial states and additional bits come from SplitMix64 (Guy Steele, Doug Lea and Christine Flood,
//! "Fast splittable pseudorandom number generators", OOPSLA 2014), a one-to-one hash of a counter: of
//! the one sequence of a seed, chunk `c` owns the 64 outputs from `64 * c` on, so that chunks below
//! 2^58 never start alike. That any two of k generators later draw the same stretch of L words has a
//! probability of about k^2 L / 2^128: below 1e-15 for a million chunks of 10^9 points.

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Generators side by side: the fewest that the compiler turns into vector code.
const LANES: usize = 16;
/// Points between two looks for undecided ones: enough to pay for the look, and few rows have one.
const ROW: usize = 128;
/// Points between two questions whether to stop, about a millisecond of work. Whole rows.
const SLICE: u64 = 1 << 20;
/// Squared radius of the circle in the coarse grid.
const RADIUS_SQUARED: u32 = 1 << 30;
/// The corners (x, y) and (x+1, y+1) of a coarse cell differ in their squared distance from the
/// centre by 2x + 2y + 2, which is less than this.
const CELL: u32 = 1 << 17;

/// How many of `samples` random points of the unit square lie in the quarter circle.
///
/// Deterministic in all three arguments. The chunks of a seed draw independent points; a larger
/// number of samples continues the same points.
pub fn hits(seed: u64, chunk: u64, samples: u64) -> u64 {
    hits_until(seed, chunk, samples, || false).expect("nothing stops it")
}

/// Like [`hits`], but asks `stop` before each million of samples (2^20) and gives up with `None` once
/// the answer is true.
pub fn hits_until(seed: u64, chunk: u64, samples: u64, stop: impl Fn() -> bool) -> Option<u64> {
    let mut points = Points::new(seed, chunk);
    let (mut hits, mut left) = (0, samples);
    while left > 0 {
        if stop() {
            return None;
        }
        let slice = left.min(SLICE);
        hits += points.count(slice);
        left -= slice;
    }
    Some(hits)
}

/// What a number of hits says about pi.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Four times the share of hits.
    pub pi: f64,
    /// Distance of the estimate from the true value.
    pub error: f64,
    /// Standard deviation that chance gives the estimate, judged from the counts.
    pub standard_error: f64,
    /// Points drawn.
    pub samples: u64,
    /// Points in the quarter circle.
    pub hits: u64,
}

impl Estimate {
    /// The estimate from `hits` among `samples`; there can't be more hits than samples.
    ///
    /// If every sample hit, or none did, the standard error is 0 and says nothing. Even without samples
    /// all numbers are finite, as JSON demands.
    pub fn from_counts(hits: u64, samples: u64) -> Self {
        debug_assert!(hits <= samples, "{hits} hits among {samples} samples");
        let n = samples.max(1) as f64;
        let share = hits as f64 / n;
        let pi = 4.0 * share;
        let standard_error = 4.0 * (share * (1.0 - share) / n).sqrt();
        Self { pi, error: (pi - PI).abs(), standard_error, samples, hits }
    }
}

/// A point of the coarse grid, both coordinates below 2^15. Signed 16-bit numbers, because one vector
/// instruction squares and adds pairs of them.
type Point = [i16; 2];

/// The endless sequence of points of one chunk; point `i` comes from lane `i % LANES`.
struct Points {
    /// The four words of xoshiro128+, each for all lanes.
    state: [[u32; LANES]; 4],
    /// Source of additional bits, drawn in the order of the points.
    additional: SplitMix64,
}

impl Points {
    fn new(seed: u64, chunk: u64) -> Self {
        let mut source = SplitMix64::of_chunk(seed, chunk);
        let mut state = [[0; LANES]; 4];
        for lane in 0..LANES {
            // Outputs never repeat, so at most one half is zero; xoshiro must not start at zero.
            for words in state.chunks_exact_mut(2) {
                let bits = source.draw();
                words[0][lane] = bits as u32;
                words[1][lane] = (bits >> 32) as u32;
            }
        }
        Self { state, additional: SplitMix64(source.draw()) }
    }

    /// Hits among the next points. Drops the rest of a row: only the last call may ask for a part.
    fn count(&mut self, samples: u64) -> u64 {
        let mut row = [[0; 2]; ROW];
        let (mut outside, mut left) = (0, samples as usize);
        while left > 0 {
            let wanted = left.min(ROW);
            self.fill(&mut row);
            outside += self.outside(&row[..wanted]);
            left -= wanted;
        }
        samples - outside
    }

    // Out of line like `outside_by_cell`: whether a loop becomes vector code must not hang on callers.
    #[inline(never)]
    fn fill(&mut self, row: &mut [Point; ROW]) {
        let [mut s0, mut s1, mut s2, mut s3] = self.state;
        for points in row.chunks_exact_mut(LANES) {
            for lane in 0..LANES {
                let word = s0[lane].wrapping_add(s3[lane]);
                points[lane] = [(word & 0x7fff) as i16, (word >> 16 & 0x7fff) as i16];
                let shifted = s1[lane] << 9;
                s2[lane] ^= s0[lane];
                s3[lane] ^= s1[lane];
                s1[lane] ^= s2[lane];
                s0[lane] ^= s3[lane];
                s2[lane] ^= shifted;
                s3[lane] = s3[lane].rotate_left(11);
            }
        }
        self.state = [s0, s1, s2, s3];
    }

    fn outside(&mut self, row: &[Point]) -> u64 {
        let (mut outside, undecided) = outside_by_cell(row);
        if undecided {
            let band = RADIUS_SQUARED - CELL..RADIUS_SQUARED;
            for point in row {
                let near_arc = band.contains(&squared_distance(point));
                outside += u64::from(near_arc && !self.inside_by_fine_cell(point));
            }
        }
        outside
    }

    fn inside_by_fine_cell(&mut self, &[x, y]: &Point) -> bool {
        let bits = self.additional.draw();
        let x = i128::from(x) << 32 | i128::from(bits >> 32);
        let y = i128::from(y) << 32 | i128::from(bits as u32);
        x * x + y * y < 1 << (2 * 47)
    }
}

/// How many cells have their lower corner outside, and whether any other may reach outside.
#[inline(never)]
fn outside_by_cell(row: &[Point]) -> (u64, bool) {
    let (mut outside, mut crossed) = (0, 0);
    for point in row {
        let lower = squared_distance(point);
        outside += lower / RADIUS_SQUARED; // 0 or 1
        crossed |= lower ^ (lower + CELL); // RADIUS_SQUARED's bit differs if the arc lies between
    }
    (u64::from(outside), crossed & RADIUS_SQUARED != 0)
}

/// From the centre to the lower corner; below 2 * RADIUS_SQUARED.
fn squared_distance(point: &Point) -> u32 {
    let [x, y] = [i32::from(point[0]), i32::from(point[1])];
    (x * x + y * y) as u32
}

/// A counter and a hash of it.
struct SplitMix64(u64);

impl SplitMix64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    /// The sequence of a seed, moved on to the 64 outputs that the chunk owns: two per lane, one for
    /// the additional bits, the rest spare.
    fn of_chunk(seed: u64, chunk: u64) -> Self {
        let start = Self(seed).draw(); // hashed, lest related seeds share a stretch of the sequence
        Self(start.wrapping_add(Self::STEP.wrapping_mul(chunk.wrapping_mul(64))))
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(Self::STEP);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar_xoshiro(state: &mut [u32; 4]) -> u32 {
        let [a, b, c, d] = *state;
        let (a2, b2) = (a ^ b ^ d, a ^ b ^ c);
        *state = [a2, b2, a ^ c ^ (b << 9), (b ^ d).rotate_left(11)];
        a.wrapping_add(d)
    }

    /// One point after the other, by both corners of its cell.
    fn scalar_hits(seed: u64, chunk: u64, samples: u64) -> u64 {
        let mut source = SplitMix64::of_chunk(seed, chunk);
        let mut lanes = [(); LANES].map(|()| {
            let [a, b] = [source.draw(), source.draw()];
            [a, a >> 32, b, b >> 32].map(|bits| bits as u32)
        });
        let mut additional = SplitMix64(source.draw());
        let mut is_hit = |i| {
            let word = u128::from(scalar_xoshiro(&mut lanes[i as usize % LANES]));
            let (x, y) = (word % (1 << 15), (word >> 16) % (1 << 15));
            let lower = x * x + y * y;
            if ((1 << 30) - (1 << 17)..1 << 30).contains(&lower) {
                let bits = u128::from(additional.draw());
                let (x, y) = ((x << 32) + (bits >> 32), (y << 32) + bits % (1 << 32));
                return x * x + y * y < 1 << 94;
            }
            let inside = (x + 1).pow(2) + (y + 1).pow(2) <= 1 << 30;
            assert_ne!(inside, lower >= 1 << 30, "the arc crosses cell ({x}, {y})");
            inside
        };
        (0..samples).map(|i| u64::from(is_hit(i))).sum()
    }

    #[test]
    fn generators_give_their_published_sequences() {
        let mut split = SplitMix64(1_234_567);
        let drawn = [split.draw(), split.draw()];
        assert_eq!(drawn, [6457827717110365317, 3203168211198807973]);
        let mut state = [1, 2, 3, 4];
        let words = [(); 5].map(|()| scalar_xoshiro(&mut state));
        assert_eq!(words, [5, 12295, 25178119, 27286542, 39879690]);
    }

    #[test]
    fn counts_equal_the_scalar_count_and_never_change() {
        for (seed, chunk, samples, pinned) in [
            (0, 0, 0, 0),
            (0, 0, 1_000, 797),
            (42, 7, 100_000, 78_489),
            (42, 8, 100_000, 78_494),
            (u64::MAX, 123_456_789, 250_001, 196_455),
            (7, u64::MAX, 65_537, 51_413),
            (3, 1, SLICE + 129, 823_891),
        ] {
            let scalar = scalar_hits(seed, chunk, samples);
            assert_eq!(scalar, pinned, "{seed} {chunk} {samples}");
            assert_eq!(hits(seed, chunk, samples), pinned, "{seed} {chunk} {samples}");
        }
    }

    #[test]
    fn every_point_counts_once() {
        for n in (0..3 * ROW as u64).chain(SLICE - 2..SLICE + 2) {
            let more = hits(5, 5, n + 1) - hits(5, 5, n);
            assert!(more <= 1, "point {n} counted {more} times");
        }
    }

    #[test]
    fn estimates_lie_within_five_standard_errors() {
        for seed in [0, 1, 2, 42, u64::MAX] {
            let found = Estimate::from_counts(hits(seed, 0, 10_000_000), 10_000_000);
            assert!(found.error < 5.0 * found.standard_error, "{seed}: {found:?}");
        }
    }

    /// Chi-square and the sum of products of neighbours, each within five standard deviations.
    #[test]
    fn chunks_scatter_like_independent_draws() {
        let (chunks, n, p) = (2_000_u32, 5_000.0, PI / 4.0);
        let score = |chunk| (hits(9, chunk, n as u64) as f64 - n * p) / (n * p * (1.0 - p)).sqrt();
        let scores: Vec<f64> = (0..chunks.into()).map(score).collect();
        let chi_square: f64 = scores.iter().map(|z| z * z).sum();
        let neighbours: f64 = scores.windows(2).map(|pair| pair[0] * pair[1]).sum();
        let k = f64::from(chunks);
        assert!((chi_square - k).abs() < 5.0 * (2.0 * k).sqrt(), "{chi_square}");
        assert!(neighbours.abs() < 5.0 * k.sqrt(), "{neighbours}");
    }

    #[test]
    fn stops_when_told_and_asks_once_a_slice() {
        let n = 2 * SLICE + 1;
        for (stop_at, expected, questions) in [(4, Some(hits(1, 1, n)), 3), (2, None, 2)] {
            let asked = std::cell::Cell::new(0);
            let stop = || asked.replace(asked.get() + 1) + 1 == stop_at;
            assert_eq!(hits_until(1, 1, n, stop), expected);
            assert_eq!(asked.get(), questions);
        }
    }

    #[test]
    fn estimate_follows_from_the_counts() {
        let half = Estimate::from_counts(50, 100);
        assert_eq!([half.pi, half.standard_error, half.error], [2.0, 0.2, PI - 2.0]);
        let none = Estimate::from_counts(0, 0);
        assert_eq!([none.pi, none.standard_error, none.error], [0.0, 0.0, PI]);
    }
}
