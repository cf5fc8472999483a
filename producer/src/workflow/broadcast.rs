//! Data that many tasks of a job share: stored once with the job, by what it contains, fetched once by each
//! worker process, and gone with the job.

use std::any::{Any, TypeId};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use celeriac_broker_schema::InvalidInput;
use celeriac_broker_schema::workflow::{Data, digest};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::Workflow;

/// How much data a process keeps for tasks that come later, in bytes of JSON. What running tasks need is kept
/// besides.
const KEPT_BYTES: usize = 256 << 20;

/// A value that is put once per job ([`Workflow::broadcast`]) and given to any number of its tasks, as an
/// argument of this type. What is stored of it in each task is a reference of 50 bytes.
///
/// ```
/// use celeriac_producer::workflow::{Broadcast, Group, Node, Workflow};
/// use celeriac_producer::NewTask;
/// let weights = Broadcast::new(vec![0.25; 1_000])?;
/// let score = |row: u32| NewTask::new("score", &(row, &weights)).map(Node::from);
/// let members = (0..100).map(score).collect::<Result<_, _>>()?;
/// let job = Workflow::from(Node::Group(Group { members, ..Group::default() })).broadcast(&weights);
/// // The handler has an argument `weights: Broadcast<Vec<f64>>` and uses it as a `&Vec<f64>`.
/// assert_eq!(weights.len(), 1_000);
/// # Ok::<(), celeriac_broker_schema::InvalidInput>(())
/// ```
pub struct Broadcast<T> {
    value: Arc<T>,
    shared: Arc<Shared>,
}

/// Data of this process, with the values that were read from it.
pub struct Shared {
    digest: String,
    json: Box<RawValue>,
    values: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

#[derive(Serialize, Deserialize)]
struct Reference {
    #[serde(rename = "$data")]
    digest: String,
}

impl<T: Serialize + Send + Sync + 'static> Broadcast<T> {
    /// A value to share.
    ///
    /// # Errors
    /// It cannot be written as JSON, or is too large.
    pub fn new(value: T) -> Result<Self, InvalidInput> {
        let json = to_raw_value(&value).map_err(|error| InvalidInput::Json {
            what: "shared data",
            reason: error.to_string(),
        })?;
        let value = Arc::new(value);
        let shared = keep(json);
        shared.values().insert(TypeId::of::<T>(), Arc::clone(&value) as Arc<dyn Any + Send + Sync>);
        Ok(Self { value, shared })
    }
}

impl<T> Deref for Broadcast<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Clone for Broadcast<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for Broadcast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast").field("digest", &self.shared.digest).finish_non_exhaustive()
    }
}

impl<T> Serialize for Broadcast<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Reference { digest: self.shared.digest.clone() }.serialize(serializer)
    }
}

impl<'de, T: DeserializeOwned + Send + Sync + 'static> Deserialize<'de> for Broadcast<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Reference { digest } = Reference::deserialize(deserializer)?;
        let shared = shared(&digest).ok_or_else(|| {
            D::Error::custom(format!(
                "the data {digest} is not here: only tasks of a workflow have shared data"
            ))
        })?;
        let value = shared.value::<T>().map_err(D::Error::custom)?;
        Ok(Self { value, shared })
    }
}

impl Workflow {
    /// Puts a value with the job, for its tasks.
    #[must_use]
    pub fn broadcast<T>(mut self, value: &Broadcast<T>) -> Self {
        let Shared { digest, json, .. } = &*value.shared;
        self.data.push(Data { digest: digest.clone(), json: json.clone() });
        self
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Shared {
    fn values(&self) -> MutexGuard<'_, HashMap<TypeId, Arc<dyn Any + Send + Sync>>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value as this type: read once.
    fn value<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<T>, String> {
        let known = self.values().get(&TypeId::of::<T>()).cloned();
        if let Some(value) = known.and_then(|value| value.downcast::<T>().ok()) {
            return Ok(value);
        }
        let value: T = serde_json::from_str(self.json.get())
            .map_err(|error| format!("the data {} does not fit: {error}", self.digest))?;
        let value = Arc::new(value);
        self.values().insert(TypeId::of::<T>(), Arc::clone(&value) as Arc<dyn Any + Send + Sync>);
        Ok(value)
    }
}

/// What this process has of data.
#[derive(Default)]
struct Kept {
    known: HashMap<String, Weak<Shared>>,
    /// The newest, which are kept although nobody needs them now.
    newest: VecDeque<Arc<Shared>>,
    bytes: usize,
}

static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Data that this process has. Whoever holds it can be sure that it stays.
pub fn shared(digest: &str) -> Option<Arc<Shared>> {
    kept().known.get(digest).and_then(Weak::upgrade)
}

/// Notes data that was fetched, or is about to be sent.
pub fn keep(json: Box<RawValue>) -> Arc<Shared> {
    let digest = digest(json.get().as_bytes());
    let mut kept = kept();
    if let Some(known) = kept.known.get(&digest).and_then(Weak::upgrade) {
        return known;
    }
    let bytes = json.get().len();
    let shared = Arc::new(Shared { digest: digest.clone(), json, values: Mutex::default() });
    kept.known.retain(|_, known| known.strong_count() > 0);
    kept.known.insert(digest, Arc::downgrade(&shared));
    kept.newest.push_back(Arc::clone(&shared));
    kept.bytes += bytes;
    while kept.bytes > KEPT_BYTES
        && let Some(oldest) = kept.newest.pop_front()
    {
        kept.bytes -= oldest.json.get().len();
    }
    shared
}

/// The data that stored arguments refer to.
pub fn references(stored: &[u8]) -> Vec<String> {
    const MARK: &[u8] = br#"{"$data":""#;
    let starts = stored.windows(MARK.len()).enumerate().filter(|(_, part)| *part == MARK);
    let mut found = Vec::new();
    for (at, _) in starts {
        let rest = &stored[at + MARK.len()..];
        let Some(end) = rest.iter().position(|byte| *byte == b'"') else { continue };
        if let Ok(digest) = std::str::from_utf8(&rest[..end])
            && !found.iter().any(|known| known == digest)
        {
            found.push(digest.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_once_and_referred_to() {
        let words = Broadcast::new(vec!["a".to_owned(), "b".to_owned()]).expect("JSON");
        let stored = serde_json::to_string(&(7, &words)).expect("JSON");
        assert!(stored.len() < 70, "{stored}");
        assert_eq!(references(stored.as_bytes()), std::slice::from_ref(&words.shared.digest));
        let (_, again): (u8, Broadcast<Vec<String>>) = serde_json::from_str(&stored).expect("here");
        assert!(Arc::ptr_eq(&again.value, &words.value));
        let other: Result<(u8, Broadcast<u8>), _> = serde_json::from_str(&stored);
        assert!(other.expect_err("no number").to_string().contains("does not fit"));
    }

    #[test]
    fn what_is_not_here_is_told() {
        let missing: Result<Broadcast<u8>, _> = serde_json::from_str(r#"{"$data":"no such"}"#);
        assert!(missing.expect_err("nowhere").to_string().contains("not here"));
    }
}
