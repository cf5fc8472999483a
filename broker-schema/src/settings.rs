//! What operators set for a whole shard, kept in Redis so that it holds for all processes at once.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::error::InvalidInput;

/// Something that can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Most dead letters that are kept. 10,000 unless set.
    DeadMax,
    /// How long a dead letter is kept, in milliseconds. 30 days unless set.
    DeadAgeMs,
}

impl Setting {
    /// All of them.
    pub const ALL: [Setting; 2] = [Setting::DeadMax, Setting::DeadAgeMs];

    /// Its name, the same everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Setting::DeadMax => "dead_max",
            Setting::DeadAgeMs => "dead_age_ms",
        }
    }

    /// Its name where people write and read it as a duration (`7d`), if it is one: without `_ms`.
    pub fn duration_name(self) -> Option<&'static str> {
        self.as_str().strip_suffix("_ms")
    }

    /// What it means.
    pub fn meaning(self) -> &'static str {
        match self {
            Setting::DeadMax => "most dead letters that are kept",
            Setting::DeadAgeMs => "how long a dead letter is kept",
        }
    }

    /// Its value unless set. `lua/lib/settle.lua` has the same.
    pub fn default_value(self) -> u64 {
        match self {
            Setting::DeadMax => 10_000,
            Setting::DeadAgeMs => 2_592_000_000,
        }
    }

    /// The values that it may have.
    pub fn bounds(self) -> RangeInclusive<u64> {
        match self {
            // A dead letter has a few hundred bytes, and the size of its arguments.
            Setting::DeadMax => 1..=10_000_000,
            // A minute to ten years.
            Setting::DeadAgeMs => 60_000..=315_360_000_000,
        }
    }

    /// Whether it may have this value.
    ///
    /// # Errors
    /// [`InvalidInput::Setting`] if not.
    pub fn check(self, value: u64) -> Result<(), InvalidInput> {
        match self.bounds().contains(&value) {
            true => Ok(()),
            false => Err(InvalidInput::Setting {
                name: self.to_string(),
                reason: format!(
                    "{value} is out of bounds: {} to {}",
                    self.bounds().start(),
                    self.bounds().end()
                ),
            }),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Setting {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        Self::ALL.into_iter().find(|setting| setting.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Setting::as_str).join(", ");
            InvalidInput::Setting {
                name: text.to_owned(),
                reason: format!("there is no such setting: there are {names}"),
            }
        })
    }
}
