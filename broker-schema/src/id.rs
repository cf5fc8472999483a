//! Ids. A task is identified by a UUIDv7, written as 32 hex digits; its lowest byte names the
//! shard. A chunk is `<job>:<index>`, and a job has the id of its reducer.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::error::InvalidInput;
use crate::time::Timestamp;

/// The number of a chunk within its job, from 0.
pub type ChunkIndex = u64;

/// The id of a task, or of one chunk of a job.
///
/// ```
/// use celeriac_broker_schema::TaskId;
/// let id: TaskId = "0193a7c2b5e07d4e8a1f3c5d7e9b1a00:17".parse()?;
/// assert_eq!(id.chunk(), Some(17));
/// assert_eq!(id.to_string(), "0193a7c2b5e07d4e8a1f3c5d7e9b1a00:17");
/// # Ok::<(), celeriac_broker_schema::InvalidInput>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    root: Uuid,
    chunk: Option<ChunkIndex>,
}

impl TaskId {
    /// A new id in shard 0. `now` orders ids by time; it is the time of Redis as far as known.
    pub fn new(now: Timestamp) -> Self {
        Self::from_parts(now, rand::random())
    }

    /// An id from a time and 10 random bytes, of which the last is replaced by the shard (0).
    pub fn from_parts(now: Timestamp, mut random: [u8; 10]) -> Self {
        random[9] = 0;
        let uuid = uuid::Builder::from_unix_timestamp_millis(now.0, &random).into_uuid();
        Self { root: uuid, chunk: None }
    }

    /// The id of chunk `index` of a job.
    pub fn of_chunk(job: JobId, index: ChunkIndex) -> Self {
        Self { root: job.0, chunk: Some(index) }
    }

    /// The index of the chunk, if this is one.
    pub fn chunk(self) -> Option<ChunkIndex> {
        self.chunk
    }

    /// The job of a chunk; for others the job that would have this id.
    pub fn job(self) -> JobId {
        JobId(self.root)
    }

    /// When the id was made.
    pub fn time(self) -> Timestamp {
        let bytes = self.root.as_bytes();
        let ms = bytes[..6].iter().fold(0_u64, |ms, byte| ms << 8 | u64::from(*byte));
        Timestamp(ms)
    }

    /// The id that sorts before all others.
    #[cfg(feature = "client")]
    pub(crate) fn first() -> Self {
        Self { root: Uuid::nil(), chunk: None }
    }

    /// The 32 hex digits without the chunk.
    pub fn root_hex(&self) -> [u8; 32] {
        let mut hex = [0; 32];
        self.root.as_simple().encode_lower(&mut hex);
        hex
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.chunk {
            None => write!(f, "{}", self.root.as_simple()),
            Some(index) => write!(f, "{}:{index}", self.root.as_simple()),
        }
    }
}

impl FromStr for TaskId {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let invalid = || InvalidInput::Id(text.chars().take(80).collect());
        let (root, chunk) = match text.split_once(':') {
            None => (text, None),
            Some((root, index)) => {
                let plain = !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit());
                let index = index.parse().ok().filter(|_| plain).ok_or_else(invalid)?;
                (root, Some(index))
            }
        };
        let root = Uuid::try_parse(root).map_err(|_| invalid())?;
        Ok(Self { root, chunk })
    }
}

impl Serialize for TaskId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The id of a job. Its reducer, if it has one, is the task of the same id, so the result of
/// the job is the result of that task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Uuid);

impl JobId {
    /// The id as a task: the reducer of the job.
    pub fn task(self) -> TaskId {
        TaskId { root: self.0, chunk: None }
    }

    /// 64 bits that differ from job to job: the seed of what is to be random in it.
    pub fn seed(self) -> u64 {
        let (high, low) = self.0.as_u64_pair();
        high ^ low
    }
}

impl From<TaskId> for JobId {
    fn from(id: TaskId) -> Self {
        id.job()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task().fmt(f)
    }
}

impl FromStr for JobId {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let id: TaskId = text.parse()?;
        match id.chunk {
            None => Ok(id.job()),
            Some(_) => Err(InvalidInput::Id(text.to_owned())),
        }
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A new random id of 64 bits, written as 16 hex digits.
            #[expect(clippy::new_without_default, reason = "two calls give different ids")]
            pub fn new() -> Self {
                Self(format!("{:016x}", rand::random::<u64>()))
            }

            /// An id as it was read from Redis.
            pub fn from_wire(text: &str) -> Self {
                Self(text.to_owned())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

random_id! {
    /// The random id of a lease, made when it is opened and never configured: two workers can
    /// never share one, and a restarted worker is a new one.
    LeaseId
}

random_id! {
    /// The random id of a process that produces or waits.
    ClientId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_time_and_end_with_the_shard() {
        let id = TaskId::new(Timestamp(1_732_190_000_123));
        assert_eq!(id.time(), Timestamp(1_732_190_000_123));
        assert!(id.to_string().ends_with("00"));
        assert_eq!(id.to_string().len(), 32);
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        let job: JobId = "0193a7c2b5e07d4e8a1f3c5d7e9b1a00".parse().expect("a job id");
        for id in [job.task(), TaskId::of_chunk(job, 0), TaskId::of_chunk(job, u64::MAX)] {
            assert_eq!(id.to_string().parse::<TaskId>(), Ok(id));
        }
        let hyphens = "0193a7c2-b5e0-7d4e-8a1f-3c5d7e9b1a00".parse::<TaskId>();
        assert_eq!(hyphens, Ok(job.task()));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "12",
            ":1",
            "0193a7c2b5e07d4e8a1f3c5d7e9b1a00:",
            "é",
            "0193a7c2b5e07d4e8a1f3c5d7e9b1a00:-1",
            "0193a7c2b5e07d4e8a1f3c5d7e9b1a00:+1",
        ] {
            assert_eq!(text.parse::<TaskId>(), Err(InvalidInput::Id(text.to_owned())), "{text}");
        }
    }
}
