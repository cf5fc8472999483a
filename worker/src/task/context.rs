//! The context of one attempt: what it is, whether it should stop, how far it is. The handler and
//! the runtime share it; nothing here speaks to Redis.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use celeriac_broker_schema::{
    ChunkIndex, Headers, JobId, Meta, QueueName, Requester, Split, TaskId, Tenant, Timestamp,
};
use celeriac_producer::workflow::Spawns;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use super::TaskError;
use super::post::Post;

/// Longest note about progress, in characters: one line for people, sent with every heartbeat.
const MAX_NOTE_CHARS: usize = 200;

/// The context of one attempt. Clones share it.
///
/// ```
/// # use celeriac_worker::task::{Context, TaskError};
/// fn count(ctx: &Context, total: u64) -> Result<u64, TaskError> {
///     for done in 0..total {
///         if ctx.is_cancelled() {
///             return Err(TaskError::cancelled());
///         }
///         ctx.progress(done, total);
///     }
///     Ok(total)
/// }
/// # assert_eq!(count(&Context::for_test(), 3).unwrap(), 3);
/// ```
#[derive(Debug, Clone)]
pub struct Context {
    shared: Arc<Shared>,
}

// One allocation per attempt: workers make hundreds of thousands of these in a second.
#[derive(Debug)]
struct Shared {
    parts: ContextParts,
    /// 0, or the reason as a number. Changes once, and once more after a soft time-out.
    cancelled: AtomicU8,
    requester: OnceLock<Box<Requester>>,
    cancel: Notify,
    progress: Mutex<Option<Progress>>,
    post: Post,
    /// What a member of a workflow adds to its job. Few do.
    spawns: Mutex<Option<Box<Spawns>>>,
}

/// What a [`Context`] is made of.
#[derive(Debug, Clone)]
pub struct ContextParts {
    /// The task.
    pub id: TaskId,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// Which part of a job the task is.
    pub chunk: Option<Chunk>,
    /// The queue it waited in.
    pub queue: QueueName,
    /// For whom it is run, if that was said.
    pub tenant: Option<Tenant>,
    /// Label, tags and headers, if it has any.
    pub meta: Option<Arc<Meta>>,
}

/// Which part of a job a task is. All parts of a job together are `0..total`, and this one is
/// `offset..offset + len`; in a job that splits no amount every chunk counts as 1.
///
/// As a parameter of a handler it is an extractor, which fails the task for good if it is not a
/// chunk; `Option<Chunk>` never fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// The number of the chunk, from 0.
    pub index: ChunkIndex,
    /// The number of chunks of the job.
    pub count: u64,
    /// Where its part begins.
    pub offset: u64,
    /// How large its part is.
    pub len: u64,
    /// The same for all chunks of a job and different from job to job: with `index` the seed of
    /// what is to be random.
    pub job_seed: u64,
}

/// How far an attempt is, as it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is done, in units of the task.
    pub done: u64,
    /// What there is to do, in the same unit; 0 if nobody knows.
    pub total: u64,
    /// What the task says about it, at most 200 characters.
    pub note: Option<String>,
}

/// Why an attempt should stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelReason {
    /// Somebody cancelled the task or its job.
    Requested,
    /// It ran longer than its time-out.
    Timeout,
    /// The worker lost its lease: whatever the attempt returns, nobody will take it.
    LeaseLost,
    /// The worker stops, and the time for running tasks to finish is over.
    Stopping,
    /// Its soft time-out is over: it may save what it has and end, as it likes. Nobody stops it yet,
    /// and another reason may follow.
    SoftTimeout,
}

impl CancelReason {
    // The order of this list makes the numbers; 0 is left for "not cancelled".
    const ALL: [Self; 5] =
        [Self::Requested, Self::Timeout, Self::LeaseLost, Self::Stopping, Self::SoftTimeout];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }

    fn number(self) -> u8 {
        self as u8 + 1
    }
}

impl Context {
    /// The context of an attempt that begins.
    pub fn new(parts: ContextParts) -> Self {
        Self::with_post(parts, Post::default())
    }

    pub(super) fn spawns(&self) -> MutexGuard<'_, Option<Box<Spawns>>> {
        self.shared.spawns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn with_post(parts: ContextParts, post: Post) -> Self {
        let shared = Shared {
            parts,
            cancelled: AtomicU8::new(0),
            requester: OnceLock::new(),
            cancel: Notify::const_new(),
            progress: Mutex::new(None),
            post,
            spawns: Mutex::new(None),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The context of the first attempt of some task that is no chunk. For others:
    /// `Context::new(ContextParts { attempt: 3, ..ContextParts::default() })`.
    pub fn for_test() -> Self {
        Self::new(ContextParts::default())
    }

    /// The context of an attempt that goes on from a checkpoint, for tests of handlers.
    ///
    /// # Errors
    /// A state that cannot be written as JSON.
    pub fn resumed(parts: ContextParts, state: &impl Serialize) -> Result<Self, TaskError> {
        let json = serde_json::to_string(state).map_err(TaskError::fatal)?;
        Ok(Self::with_post(parts, Post::new(Some(json), None)))
    }

    /// The id of the task.
    pub fn id(&self) -> TaskId {
        self.shared.parts.id
    }

    /// The number of this attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.shared.parts.attempt
    }

    /// Which part of a job this task is, if it is one.
    pub fn chunk(&self) -> Option<Chunk> {
        self.shared.parts.chunk
    }

    /// The queue in which the task waited.
    pub fn queue(&self) -> &QueueName {
        &self.shared.parts.queue
    }

    /// For whom the task is run, if that was said: what limits and fair turns go by.
    pub fn tenant(&self) -> Option<&Tenant> {
        self.shared.parts.tenant.as_ref()
    }

    /// Label, tags and headers of the task.
    pub fn meta(&self) -> &Meta {
        static NONE: Meta = Meta { label: None, tags: BTreeSet::new(), headers: Headers::new() };
        self.shared.parts.meta.as_deref().unwrap_or(&NONE)
    }

    /// What travels with the task besides its arguments.
    pub fn headers(&self) -> &Headers {
        &self.meta().headers
    }

    /// One of the headers.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)
    }

    /// Whether the task should stop now. Cheap enough for an inner loop. Async tasks are also
    /// stopped at their next `.await`; tasks on a thread of their own stop only by asking this.
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::Relaxed) != 0
    }

    /// Why the task should stop, if it should.
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        CancelReason::from_number(self.shared.cancelled.load(Ordering::Acquire))
    }

    /// Who cancelled the task or its job, and why, if somebody did and said so.
    pub fn cancelled_by(&self) -> Option<&Requester> {
        self.shared.requester.get().map(|requester| &**requester)
    }

    /// Waits until the task should stop.
    pub async fn cancelled(&self) -> CancelReason {
        self.told(|_| true).await
    }

    /// Waits until the task has to stop: as [`Context::cancelled`], but a soft time-out does not
    /// count. For those who go on after it.
    pub async fn interrupted(&self) -> CancelReason {
        self.told(|reason| reason != CancelReason::SoftTimeout).await
    }

    async fn told(&self, counts: impl Fn(CancelReason) -> bool) -> CancelReason {
        loop {
            // Made before the question: a notice between the two is not missed.
            let notice = self.shared.cancel.notified();
            if let Some(reason) = self.cancel_reason().filter(|reason| counts(*reason)) {
                return reason;
            }
            notice.await;
        }
    }

    /// Tells those who watch how far the task is: `done` of `total` in a unit of its choice, with
    /// a total of 0 if it is not known. Costs nanoseconds; what is shown is the last call.
    pub fn progress(&self, done: u64, total: u64) {
        let mut progress = self.progress_slot();
        let progress = progress.get_or_insert_default();
        (progress.done, progress.total) = (done, total);
    }

    /// Tells those who watch what the task is doing, in up to 200 characters.
    pub fn progress_note(&self, text: impl Into<String>) {
        let note = short(text.into());
        self.progress_slot().get_or_insert_default().note = Some(note);
    }

    /// Both in one: nobody sees the numbers of one step with the note of another.
    ///
    /// ```
    /// # use celeriac_worker::task::Context;
    /// # let ctx = Context::for_test();
    /// for (n, file) in ["a.csv", "b.csv"].into_iter().enumerate() {
    ///     ctx.progress_with(n as u64, 2, format!("reads {file}"));
    /// }
    /// assert_eq!(ctx.progress_now().unwrap().note.as_deref(), Some("reads b.csv"));
    /// ```
    pub fn progress_with(&self, done: u64, total: u64, note: impl Into<String>) {
        let note = Some(short(note.into()));
        *self.progress_slot() = Some(Progress { done, total, note });
    }

    /// How far the task is, if it ever said so.
    pub fn progress_now(&self) -> Option<Progress> {
        self.progress_slot().clone()
    }

    /// The state in which an earlier attempt of this task left it with [`Context::checkpoint`]; none
    /// in the first attempt, or if none was saved. It does not change during an attempt.
    ///
    /// # Errors
    /// The state is not a `State`: other code wrote it. Take `.unwrap_or_default()` to begin anew
    /// then.
    pub fn restored<State: DeserializeOwned>(&self) -> Result<Option<State>, TaskError> {
        self.shared.post.restored()
    }

    /// Leaves the state from which the next attempt goes on, should this one fail, be handed back or
    /// lose its worker. Does not wait: the newest state is saved about once a second, and when the
    /// attempt fails or its worker stops in good order. Only a worker that dies costs the work since
    /// the last second.
    ///
    /// ```
    /// # use celeriac_worker::task::{Context, TaskError};
    /// fn sum(ctx: &Context, numbers: &[u64]) -> Result<u64, TaskError> {
    ///     let (mut next, mut sum): (usize, u64) = ctx.restored()?.unwrap_or_default();
    ///     while next < numbers.len() {
    ///         sum += numbers[next];
    ///         next += 1;
    ///         ctx.checkpoint(&(next, sum))?;
    ///     }
    ///     Ok(sum)
    /// }
    /// # use celeriac_worker::task::ContextParts;
    /// let ctx = Context::resumed(ContextParts::default(), &(2, 30))?;
    /// assert_eq!(sum(&ctx, &[10, 20, 3])?, 33);
    /// # Ok::<(), TaskError>(())
    /// ```
    ///
    /// # Errors
    /// A state that cannot be written as JSON, or is longer than a mebibyte.
    pub fn checkpoint(&self, state: &impl Serialize) -> Result<(), TaskError> {
        self.shared.post.leave(state, false).map(|_| ())
    }

    /// As [`Context::checkpoint`], but saves the state at once and waits until Redis has it; through
    /// outages of Redis, if need be.
    ///
    /// # Errors
    /// As [`Context::checkpoint`]; and if Redis is full, or the task is not this worker's any more.
    pub async fn checkpoint_now(&self, state: &impl Serialize) -> Result<(), TaskError> {
        let number = self.shared.post.leave(state, true)?;
        self.shared.post.is_kept(number).await
    }

    /// As [`Context::checkpoint_now`], for tasks that compute on a thread of their own. Do not call
    /// it in an async task.
    ///
    /// # Errors
    /// As [`Context::checkpoint_now`]; and if the task was told to stop while it waited.
    pub fn checkpoint_now_blocking(&self, state: &impl Serialize) -> Result<(), TaskError> {
        let number = self.shared.post.leave(state, true)?;
        self.shared.post.wait_until_kept(number, || self.is_cancelled())
    }

    /// Sends a partial result to those who read the stream of the task (`Handle::stream`). Waits only
    /// when a thousand values or a mebibyte of them are on their way to Redis. They arrive in order,
    /// before the result; another attempt sends its own again. The last thousand are kept.
    ///
    /// # Errors
    /// A value that cannot be written as JSON, or is longer than 64 KiB; or if the task is not this
    /// worker's any more.
    pub async fn emit(&self, value: &impl Serialize) -> Result<(), TaskError> {
        self.shared.post.leave_part(Post::part(value)?).await
    }

    /// As [`Context::emit`], for tasks that compute on a thread of their own. Do not call it in an
    /// async task.
    ///
    /// # Errors
    /// As [`Context::emit`]; and if the task was told to stop while it waited.
    pub fn emit_blocking(&self, value: &impl Serialize) -> Result<(), TaskError> {
        self.shared.post.leave_part_blocking(Post::part(value)?, || self.is_cancelled())
    }

    pub(crate) fn post(&self) -> &Post {
        &self.shared.post
    }

    /// Asks the task to stop. The first reason counts; only a soft time-out gives way to others.
    pub fn cancel(&self, reason: CancelReason) {
        let soft = CancelReason::SoftTimeout;
        let gives_way = |old| old == 0 || (old == soft.number() && reason != soft);
        let set = |old| gives_way(old).then(|| reason.number());
        if self.shared.cancelled.fetch_update(Ordering::AcqRel, Ordering::Acquire, set).is_ok() {
            self.shared.cancel.notify_waiters();
        }
    }

    /// Asks the task to stop because somebody said so.
    pub fn cancel_for(&self, requester: Requester) {
        // The first one counts, as the first reason does.
        let _ = self.shared.requester.set(Box::new(requester));
        self.cancel(CancelReason::Requested);
    }

    // A task that panicked while it held the lock has left nothing half done in it.
    fn progress_slot(&self) -> MutexGuard<'_, Option<Progress>> {
        self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A note that is not too long.
fn short(mut note: String) -> String {
    if let Some((end, _)) = note.char_indices().nth(MAX_NOTE_CHARS) {
        note.truncate(end);
    }
    note
}

impl Default for ContextParts {
    /// The first attempt of a task that is no chunk, with an id of zeros: for tests.
    fn default() -> Self {
        Self {
            id: TaskId::from_parts(Timestamp(0), [0; 10]),
            attempt: 1,
            chunk: None,
            queue: QueueName::default(),
            tenant: None,
            meta: None,
        }
    }
}

impl Chunk {
    /// Chunk `index` of the `count` chunks of a job, with its part of what the job splits.
    pub fn new(job: JobId, index: ChunkIndex, count: u64, split: Option<&Split>) -> Self {
        let (offset, len) = match split {
            Some(split) => (split.offset(index, count), split.share(index, count)),
            None => (index, 1),
        };
        Self { index, count, offset, len, job_seed: job.seed() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_wait_and_those_who_ask_learn_the_first_reason() {
        let ctx = Context::for_test();
        assert_eq!((ctx.is_cancelled(), ctx.cancel_reason()), (false, None));
        // The first of the two is polled first: it waits when the cancellation comes.
        let cancel = async {
            ctx.cancel(CancelReason::LeaseLost);
            ctx.cancel(CancelReason::Requested);
        };
        let (waited, ()) = tokio::join!(ctx.cancelled(), cancel);
        assert_eq!(waited, CancelReason::LeaseLost);
        assert_eq!(ctx.cancelled().await, CancelReason::LeaseLost);
        assert!(ctx.is_cancelled());
    }

    #[tokio::test]
    async fn a_soft_timeout_gives_way_and_interrupts_nothing() {
        let ctx = Context::for_test();
        ctx.cancel(CancelReason::SoftTimeout);
        assert_eq!(ctx.cancelled().await, CancelReason::SoftTimeout);
        let cancel = async {
            ctx.cancel(CancelReason::SoftTimeout);
            ctx.cancel_for(Requester::new("ada"));
            ctx.cancel(CancelReason::SoftTimeout);
        };
        let (interrupted, ()) = tokio::join!(ctx.interrupted(), cancel);
        assert_eq!(interrupted, CancelReason::Requested);
        assert_eq!(ctx.cancelled_by(), Some(&Requester::new("ada")));
    }

    #[test]
    fn every_reason_survives_its_number() {
        for reason in CancelReason::ALL {
            assert_eq!(CancelReason::from_number(reason.number()), Some(reason));
        }
        assert_eq!(CancelReason::from_number(0), None);
    }

    #[test]
    fn progress_is_the_last_word_and_short() {
        let ctx = Context::for_test();
        assert_eq!(ctx.progress_now(), None);
        ctx.progress(1, 10);
        ctx.progress_note("ä".repeat(1_000));
        ctx.progress(2, 10);
        let progress = ctx.progress_now().expect("it was told");
        assert_eq!((progress.done, progress.total), (2, 10));
        assert_eq!(progress.note.map(|note| note.chars().count()), Some(200));

        ctx.progress_with(3, 11, "ö".repeat(201));
        let all = Progress { done: 3, total: 11, note: Some("ö".repeat(200)) };
        assert_eq!(ctx.progress_now(), Some(all));
    }

    #[test]
    fn chunks_know_their_part() {
        let job = ContextParts::default().id.job();
        let split = Split { field: "n".to_owned(), total: 10 };
        let part = |index| {
            let chunk = Chunk::new(job, index, 3, Some(&split));
            (chunk.offset, chunk.len)
        };
        assert_eq!([part(0), part(1), part(2)], [(0, 4), (4, 3), (7, 3)]);
        let whole = Chunk::new(job, 2, 3, None);
        assert_eq!((whole.offset, whole.len, whole.count), (2, 1, 3));
    }
}
