//! Random numbers that are the same for the same seed, in every version of this program.

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): small, and good enough to choose faults.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Throws that depend on the seed and on what they are for.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let mut dice = Self(purpose.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, mix));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `lo` on, below `hi`.
    pub fn between(&mut self, lo: u64, hi: u64) -> u64 {
        lo + self.next() % (hi - lo).max(1)
    }

    /// True once in so many throws.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.between(0, n) == 0
    }

    /// One of these, by weight.
    pub fn pick<'a, T>(&mut self, all: &'a [T], weight: impl Fn(&T) -> u64) -> &'a T {
        let total: u64 = all.iter().map(&weight).sum();
        let mut left = self.between(0, total);
        for one in all {
            match left.checked_sub(weight(one)) {
                Some(rest) => left = rest,
                None => return one,
            }
        }
        &all[all.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_tells_all_throws() {
        let throws = |seed, purpose| {
            let mut dice = Dice::new(seed, purpose);
            (0..5).map(|_| dice.between(0, 1_000)).collect::<Vec<_>>()
        };
        assert_eq!(throws(7, "load"), throws(7, "load"));
        assert_ne!(throws(7, "load"), throws(8, "load"));
        assert_ne!(throws(7, "load"), throws(7, "faults"));
        let mut dice = Dice::new(1, "");
        let picked: Vec<u64> = (0..1_000).map(|_| *dice.pick(&[1, 0, 3], |n| *n)).collect();
        let threes = picked.iter().filter(|n| **n == 3).count();
        assert!(!picked.contains(&0) && (700..800).contains(&threes), "{threes}");
    }
}
