//! All that a shard holds, as one value: the model that the invariants are about.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::Timestamp;

/// What a key holds. Long texts may be cut ([`MAX_TEXT`]): no invariant reads that far.
#[derive(Debug, Clone, PartialEq)]
pub enum Held {
    /// A string. Bitmaps are strings, too.
    Text(Vec<u8>),
    /// A list, in order.
    List(Vec<String>),
    /// A set.
    Set(BTreeSet<String>),
    /// A hash.
    Hash(BTreeMap<String, String>),
    /// A sorted set.
    Sorted(BTreeMap<String, f64>),
    /// A stream, of which only the number of entries is known.
    Stream(u64),
}

impl Held {
    /// The Redis type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Hash(_) => "hash",
            Self::Sorted(_) => "zset",
            Self::Stream(_) => "stream",
        }
    }
}

/// So many bytes of a value in a hash, or of a string that is no bitmap, are read.
pub const MAX_TEXT: usize = 4096;

/// A key.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Whether it expires by itself.
    pub expires: bool,
    /// What it holds.
    pub held: Held,
}

/// The keys of a shard by their names without the prefix.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// Redis time when the last of it was read.
    pub now: Timestamp,
    /// The keys.
    pub keys: BTreeMap<String, Stored>,
    /// Whether that is all there is. Of a part only the keys themselves can be judged.
    pub partial: bool,
}

impl Contents {
    /// A hash, empty if there is none.
    pub fn hash(&self, key: &str) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        match self.keys.get(key) {
            Some(Stored { held: Held::Hash(fields), .. }) => fields,
            _ => &NONE,
        }
    }

    /// A sorted set, empty if there is none.
    pub fn sorted(&self, key: &str) -> &BTreeMap<String, f64> {
        static NONE: BTreeMap<String, f64> = BTreeMap::new();
        match self.keys.get(key) {
            Some(Stored { held: Held::Sorted(members), .. }) => members,
            _ => &NONE,
        }
    }

    /// A set, empty if there is none.
    pub fn set(&self, key: &str) -> &BTreeSet<String> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        match self.keys.get(key) {
            Some(Stored { held: Held::Set(members), .. }) => members,
            _ => &NONE,
        }
    }

    /// A list, empty if there is none.
    pub fn list(&self, key: &str) -> &[String] {
        match self.keys.get(key) {
            Some(Stored { held: Held::List(elements), .. }) => elements,
            _ => &[],
        }
    }

    /// The bytes of a string, none if there is none.
    pub fn text(&self, key: &str) -> &[u8] {
        match self.keys.get(key) {
            Some(Stored { held: Held::Text(bytes), .. }) => bytes,
            _ => &[],
        }
    }

    /// The keys whose names begin so, with the rest of their names.
    pub fn with<'a>(&'a self, start: &'a str) -> impl Iterator<Item = (&'a str, &'a Stored)> {
        let from = self.keys.range(start.to_owned()..);
        let ours = from.take_while(move |(name, _)| name.starts_with(start));
        ours.map(move |(name, stored)| (&name[start.len()..], stored))
    }

    /// Whether a bit of a bitmap is set.
    pub fn bit(&self, key: &str, index: u64) -> bool {
        let byte = usize::try_from(index / 8).ok().and_then(|at| self.text(key).get(at));
        byte.is_some_and(|byte| byte & (0x80 >> (index % 8)) != 0)
    }

    /// How many bits of a bitmap are set.
    pub fn bits(&self, key: &str) -> u64 {
        self.text(key).iter().map(|byte| u64::from(byte.count_ones())).sum()
    }
}
