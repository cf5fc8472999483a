//! What an attempt leaves to be carried to Redis while it runs: its newest state and its partial
//! results. The handler puts them here, the courier of the worker takes them; nothing here speaks to
//! Redis.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use celeriac_broker_schema::limits::{MAX_CHECKPOINT_BYTES, MAX_PART_BYTES};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use super::TaskError;

/// How often a thread that waits for its state to be kept looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// So many partial results wait here, and so many bytes of them; whoever has more waits.
const MOST_PARTS: usize = 1_000;
const MOST_PART_BYTES: usize = 1 << 20;

/// The post of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Post {
    /// The state in which an earlier attempt left the task.
    restored: Option<String>,
    /// Rung when there is something to carry. None where nobody carries: in tests of handlers.
    bell: Option<Arc<Notify>>,
    slot: Mutex<Slot>,
    /// Told when a state was carried, or will not be.
    answered: Notify,
    answered_threads: Condvar,
}

#[derive(Debug, Default)]
struct Slot {
    /// The newest state that is not in Redis yet.
    state: Option<Arc<str>>,
    /// How many states were left here, and up to which of them somebody waits and Redis has them.
    number: u64,
    urgent: u64,
    kept: u64,
    /// Why the newest state that was waited for could not be kept, by its number.
    refused: Option<(u64, String)>,
    carried_at: Option<Instant>,
    /// Partial results that are not in Redis yet.
    parts: VecDeque<Arc<str>>,
    part_bytes: usize,
    parts_at: Option<Instant>,
    /// How many threads wait: to wake none is a system call, too.
    threads: usize,
    closed: bool,
}

/// A state on its way.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) state: Arc<str>,
    number: u64,
}

/// What is known of a state that somebody waits for.
enum Answer {
    Kept,
    Refused(String),
    /// The attempt is over, or not ours any more.
    Closed,
    NotYet,
}

impl Post {
    pub(crate) fn new(restored: Option<String>, bell: Option<Arc<Notify>>) -> Self {
        Self { restored, bell, ..Self::default() }
    }

    // For the handler.

    pub(crate) fn restored<S: DeserializeOwned>(&self) -> Result<Option<S>, TaskError> {
        let unreadable = |error| {
            TaskError::new(format!(
                "the checkpoint of an earlier attempt does not fit the type that is asked for: {error}"
            ))
        };
        self.restored.as_deref().map(serde_json::from_str).transpose().map_err(unreadable)
    }

    /// Leaves a state. Returns its number.
    pub(crate) fn leave(&self, state: &impl Serialize, urgent: bool) -> Result<u64, TaskError> {
        let json = encode("checkpoint", state, MAX_CHECKPOINT_BYTES)?;
        let mut slot = self.slot();
        slot.number += 1;
        let number = slot.number;
        // The first one rings; whoever carries it will see those after it.
        let ring = slot.state.is_none() || urgent;
        slot.state = Some(json);
        if urgent {
            slot.urgent = number;
        }
        drop(slot);
        match &self.bell {
            Some(bell) if ring => bell.notify_one(),
            Some(_) => {}
            // Nobody would ever answer.
            None => self.carried(number),
        }
        Ok(number)
    }

    /// Waits until a state is kept.
    pub(crate) async fn is_kept(&self, number: u64) -> Result<(), TaskError> {
        self.wait_for(|slot| slot.answer(number).result()).await
    }

    /// The same for a thread, until `stop` says so.
    pub(crate) fn wait_until_kept(
        &self,
        number: u64,
        stop: impl Fn() -> bool,
    ) -> Result<(), TaskError> {
        self.block_for(|slot| slot.answer(number).result(), stop)
    }

    /// Writes a partial result.
    pub(crate) fn part(value: &impl Serialize) -> Result<Arc<str>, TaskError> {
        encode("partial result", value, MAX_PART_BYTES)
    }

    /// Leaves a partial result as soon as there is room.
    pub(crate) async fn leave_part(&self, part: Arc<str>) -> Result<(), TaskError> {
        self.wait_for(|slot| self.take_part(slot, &part)).await
    }

    /// The same for a thread, until `stop` says so.
    pub(crate) fn leave_part_blocking(
        &self,
        part: Arc<str>,
        stop: impl Fn() -> bool,
    ) -> Result<(), TaskError> {
        self.block_for(|slot| self.take_part(slot, &part), stop)
    }

    fn take_part(&self, slot: &mut Slot, part: &Arc<str>) -> Option<Result<(), TaskError>> {
        if slot.closed {
            return Some(Err(TaskError::cancelled()));
        }
        // Where nobody carries, nobody reads.
        let Some(bell) = &self.bell else { return Some(Ok(())) };
        if slot.parts.len() >= MOST_PARTS || slot.part_bytes >= MOST_PART_BYTES {
            return None;
        }
        slot.part_bytes += part.len();
        slot.parts.push_back(Arc::clone(part));
        if slot.parts.len() == 1 {
            bell.notify_one();
        }
        Some(Ok(()))
    }

    /// Waits until all partial results are carried, or will not be.
    pub(crate) async fn flush(&self) {
        let done = |slot: &mut Slot| (slot.parts.is_empty() || slot.closed).then_some(());
        self.wait_for(done).await;
    }

    /// The same for a thread.
    pub(crate) fn flush_blocking(&self) {
        let done = |slot: &mut Slot| (slot.parts.is_empty() || slot.closed).then_some(Ok(()));
        let _ = self.block_for(done, || false);
    }

    /// Asks again whenever something was carried.
    async fn wait_for<T>(&self, mut ask: impl FnMut(&mut Slot) -> Option<T>) -> T {
        // Most have nothing to wait for.
        let found = ask(&mut self.slot());
        if let Some(found) = found {
            return found;
        }
        loop {
            let answered = self.answered.notified();
            tokio::pin!(answered);
            // Enlisted before the question: an answer between the two is not missed.
            answered.as_mut().enable();
            let found = ask(&mut self.slot());
            if let Some(found) = found {
                return found;
            }
            answered.await;
        }
    }

    fn block_for<T>(
        &self,
        mut ask: impl FnMut(&mut Slot) -> Option<Result<T, TaskError>>,
        stop: impl Fn() -> bool,
    ) -> Result<T, TaskError> {
        let mut slot = self.slot();
        loop {
            if let Some(found) = ask(&mut slot) {
                return found;
            }
            if stop() {
                return Err(TaskError::cancelled());
            }
            slot.threads += 1;
            let waited = self.answered_threads.wait_timeout(slot, LOOK);
            slot = waited.unwrap_or_else(PoisonError::into_inner).0;
            slot.threads -= 1;
        }
    }

    // For the worker.

    /// When partial results are to be carried, if there are some: `distance` after the last ones.
    pub(crate) fn parts_due(&self, begun: Instant, distance: Duration) -> Option<Instant> {
        let slot = self.slot();
        let some = !slot.parts.is_empty() && !slot.closed;
        some.then(|| slot.parts_at.map_or(begun, |at| at + distance))
    }

    /// The partial results that wait, which stay here until they are [`Post::parts_carried`].
    pub(crate) fn parts(&self) -> Vec<Arc<str>> {
        self.slot().parts.iter().cloned().collect()
    }

    /// The oldest partial results are in Redis, or were given up.
    pub(crate) fn parts_carried(&self, parts: usize) {
        let mut slot = self.slot();
        // Nothing is left if the attempt is over by now.
        let parts = parts.min(slot.parts.len());
        let carried = slot.parts.drain(..parts).map(|part| part.len()).sum::<usize>();
        slot.part_bytes -= carried;
        slot.parts_at = Some(Instant::now());
        self.tell(slot);
    }

    /// When the newest state is to be carried, if there is one: a `distance` after the last one or
    /// the beginning of the attempt, at once if somebody waits for it.
    pub(crate) fn due(&self, begun: Instant, distance: Duration) -> Option<Instant> {
        let slot = self.slot();
        slot.state.as_ref().filter(|_| !slot.closed)?;
        let waited_for = slot.urgent > slot.kept && slot.refused.is_none();
        let since = slot.carried_at.unwrap_or(begun);
        Some(if waited_for { since } else { since + distance })
    }

    /// The newest state, which stays here until it is [`Post::carried`].
    pub(crate) fn parcel(&self) -> Option<Parcel> {
        let slot = self.slot();
        let state = Arc::clone(slot.state.as_ref().filter(|_| !slot.closed)?);
        Some(Parcel { state, number: slot.number })
    }

    /// Redis keeps this state.
    pub(crate) fn delivered(&self, parcel: &Parcel) {
        self.carried(parcel.number);
    }

    fn carried(&self, number: u64) {
        let mut slot = self.slot();
        slot.kept = slot.kept.max(number);
        slot.refused = None;
        slot.carried_at = Some(Instant::now());
        if slot.number == number {
            slot.state = None;
        }
        self.tell(slot);
    }

    /// Redis takes no states now. Those who wait hear why; the newest is tried again later.
    pub(crate) fn refused(&self, parcel: &Parcel, reason: &str) {
        let mut slot = self.slot();
        slot.refused = Some((parcel.number, reason.to_owned()));
        slot.carried_at = Some(Instant::now());
        self.tell(slot);
    }

    /// The attempt is over: nothing is carried any more. Returns a state that was not.
    pub(crate) fn close(&self) -> Option<Arc<str>> {
        let mut slot = self.slot();
        slot.closed = true;
        slot.parts.clear();
        slot.part_bytes = 0;
        let left = slot.state.take();
        self.tell(slot);
        left
    }

    fn tell(&self, slot: MutexGuard<'_, Slot>) {
        let threads = slot.threads;
        drop(slot);
        self.answered.notify_waiters();
        if threads > 0 {
            self.answered_threads.notify_all();
        }
    }

    // A task that panicked while it held the lock has left nothing half done in it.
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn answer(&self, number: u64) -> Answer {
        match &self.refused {
            _ if self.kept >= number => Answer::Kept,
            _ if self.closed => Answer::Closed,
            Some((refused, reason)) if *refused >= number => Answer::Refused(reason.clone()),
            _ => Answer::NotYet,
        }
    }
}

impl Answer {
    fn result(self) -> Option<Result<(), TaskError>> {
        match self {
            Self::Kept => Some(Ok(())),
            Self::Refused(reason) => {
                Some(Err(TaskError::new(format!("the checkpoint was not saved: {reason}"))))
            }
            Self::Closed => Some(Err(TaskError::cancelled())),
            Self::NotYet => None,
        }
    }
}

fn encode(what: &str, value: &impl Serialize, most: usize) -> Result<Arc<str>, TaskError> {
    let json = serde_json::to_string(value)
        .map_err(|error| TaskError::fatal(format!("the {what} cannot be written: {error}")))?;
    match json.len() {
        bytes if bytes > most => Err(TaskError::fatal(format!(
            "the {what} has {bytes} bytes and {most} are allowed; put large data elsewhere and keep its address"
        ))),
        _ => Ok(json.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISTANCE: Duration = Duration::from_secs(1);

    fn post() -> (Post, Arc<Notify>) {
        let bell = Arc::new(Notify::new());
        (Post::new(None, Some(Arc::clone(&bell))), bell)
    }

    #[test]
    fn the_newest_state_is_carried_and_older_answers_do_not_count_for_it() {
        let (post, _) = post();
        let begun = Instant::now();
        assert_eq!(post.due(begun, DISTANCE), None);
        post.leave(&1, false).expect("is left");
        post.leave(&2, false).expect("is left");
        assert_eq!(post.due(begun, DISTANCE), Some(begun + DISTANCE));
        let second = post.parcel().expect("a state");
        assert_eq!(&*second.state, "2");
        post.leave(&3, false).expect("is left");

        post.delivered(&second);

        let third = post.parcel().expect("a newer one");
        assert_eq!(&*third.state, "3");
        post.delivered(&third);
        assert!(post.parcel().is_none() && post.due(begun, DISTANCE).is_none());
    }

    #[tokio::test]
    async fn who_waits_is_told_what_became_of_the_state() {
        let (post, bell) = post();
        let begun = Instant::now();
        let kept = post.leave(&1, true).expect("is left");
        bell.notified().await;
        assert_eq!(post.due(begun, DISTANCE), Some(begun));
        let parcel = post.parcel().expect("a state");
        let (told, ()) = tokio::join!(post.is_kept(kept), async { post.delivered(&parcel) });
        told.expect("it is kept");

        let refused = post.leave(&2, true).expect("is left");
        let parcel = post.parcel().expect("a state");
        post.refused(&parcel, "Redis is full");
        let told = post.is_kept(refused).await.expect_err("is refused").to_string();
        assert_eq!(told, "the checkpoint was not saved: Redis is full");
        // It waits for its turn now.
        assert!(post.due(begun, DISTANCE).is_some_and(|due| due > begun + DISTANCE));

        let late = post.leave(&3, true).expect("is left");
        assert_eq!(post.close().as_deref(), Some("3"));
        assert!(post.wait_until_kept(late, || false).expect_err("is closed").is_cancelled());
    }

    #[tokio::test]
    async fn parts_wait_for_room_and_leave_in_order() {
        let (post, bell) = post();
        let begun = Instant::now();
        assert_eq!(post.parts_due(begun, DISTANCE), None);
        let part = |n: usize| Post::part(&n).expect("is written");
        for n in 0..MOST_PARTS {
            post.leave_part(part(n)).await.expect("there is room");
        }
        bell.notified().await;
        assert_eq!(post.parts_due(begun, DISTANCE), Some(begun));
        assert!(post.leave_part_blocking(part(0), || true).expect_err("full").is_cancelled());
        let (left, ()) =
            tokio::join!(post.leave_part(part(MOST_PARTS)), async { post.parts_carried(2) });
        left.expect("there is room again");

        let parts = post.parts();
        assert_eq!((&*parts[0], parts.len()), ("2", MOST_PARTS - 1));
        assert!(post.parts_due(begun, DISTANCE).is_some_and(|due| due >= begun + DISTANCE));
        let ((), ()) = tokio::join!(post.flush(), async { post.parts_carried(MOST_PARTS - 1) });
        post.close();
        assert!(post.leave_part(part(0)).await.expect_err("closed").is_cancelled());
    }

    #[test]
    fn where_nobody_carries_nothing_waits() {
        let post = Post::new(Some("[1]".to_owned()), None);
        let number = post.leave(&1, true).expect("is left");
        post.wait_until_kept(number, || false).expect("nobody waits");
        assert_eq!(post.restored::<Vec<u8>>().expect("fits"), Some(vec![1]));
        assert!(post.restored::<String>().is_err());
        assert_eq!(Post::default().restored::<String>().expect("nothing"), None);
    }

    #[test]
    fn large_states_are_refused_with_their_size() {
        let error =
            post().0.leave(&"x".repeat(MAX_CHECKPOINT_BYTES), false).expect_err("too large");
        assert!(error.to_string().contains("1048578 bytes and 1048576 are allowed"), "{error}");
    }
}
