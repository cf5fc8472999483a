//! Following a job while it runs: how far it is ([`ProgressStream`]), and the results of its members as they
//! come ([`MemberResults`]). Redis tells when there is something new; it is asked for then, and every few
//! seconds, since a message can be lost.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::time::Duration;

use celeriac_broker_schema::script::{Completed, WantedResults};
use celeriac_broker_schema::workflow::{Stretch, Value};
use celeriac_broker_schema::{BrokerError, Outcome, TaskFailure, TaskId};
use futures_util::Stream;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use crate::error::ResultError;
use crate::producer::Producer;

/// It asks no more often, however quickly members settle.
const AT_MOST_EVERY: Duration = Duration::from_millis(25);
/// How long it waits when Redis does not answer.
const PAUSE: Duration = Duration::from_millis(200);
/// Results are read for so many members at once.
const BITE: u64 = 500;

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobProgress {
    /// How many members, or chunks, it has. Those that only stand for others are among them.
    pub total: u64,
    /// How many of them succeeded.
    pub succeeded: u64,
    /// How many failed for good.
    pub failed: u64,
    /// Whether the job has ended.
    pub ended: bool,
}

/// Looks at a job whenever there may be news of it.
#[derive(Debug)]
struct Looker {
    id: TaskId,
    producer: Producer,
    /// What to wait for before it looks again.
    news: Option<oneshot::Receiver<()>>,
    last: Option<Instant>,
    ended: bool,
}

impl Looker {
    fn new(id: TaskId, producer: Producer) -> Self {
        Self { id, producer, news: None, last: None, ended: false }
    }

    /// Waits until there may be news, and reads how far the job is; of the bits of its members from a byte
    /// on. Waits through outages of Redis. May be dropped and called again.
    async fn look(&mut self, first: u64) -> Result<Completed, ResultError> {
        if let Some(news) = &mut self.news {
            // Whatever becomes of who tells: it is time to look.
            let _ = news.await;
            self.news = None;
        }
        if let Some(last) = self.last {
            sleep_until(last + AT_MOST_EVERY).await;
        }
        // First the ear, then the question: what happens in between is heard.
        let news = self.producer.news_of(self.id)?;
        let client = self.producer.client().clone();
        let found = self.ask(|producer| {
            let (job, client) = (self.id.job(), client.clone());
            async move { producer.broker().completed(job, Some(&client), first).await }
        });
        let found = found.await?;
        self.last = Some(Instant::now());
        let state = found.state.as_deref().ok_or(ResultError::Unknown(self.id))?;
        self.ended = !["running", "reducing"].contains(&state);
        self.news = Some(news).filter(|_| !self.ended);
        Ok(found)
    }

    /// Asks until there is an answer.
    async fn ask<T, F: Future<Output = Result<T, BrokerError>>>(
        &self,
        question: impl Fn(Producer) -> F,
    ) -> Result<T, ResultError> {
        loop {
            match question(self.producer.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_temporary() => {
                    tracing::debug!(%error, "following a job is interrupted");
                    sleep(PAUSE).await;
                }
                Err(error) => {
                    let reason = error.to_string();
                    return Err(ResultError::Unreadable { id: self.id, reason });
                }
            }
        }
    }
}

/// How far a job is: at once, and again whenever that has changed, to its end. See
/// [`Handle::progress`](crate::Handle::progress).
#[derive(Debug)]
#[must_use = "nothing is looked at until this is asked for what is next"]
pub struct ProgressStream {
    looker: Looker,
    last: Option<JobProgress>,
    over: bool,
}

impl ProgressStream {
    pub(crate) fn new(id: TaskId, producer: Producer) -> Self {
        Self { looker: Looker::new(id, producer), last: None, over: false }
    }

    /// How far it is now, if that differs from what was told before; none when the end of the job was told.
    /// Changes that follow one another quickly are told as one. Waits through outages of Redis; nothing is
    /// lost when this is dropped before it has an answer, so that a time-out may be put around it.
    ///
    /// # Errors
    /// [`ResultError::Unknown`] if there is no such job (any more): that is the end.
    pub async fn next(&mut self) -> Option<Result<JobProgress, ResultError>> {
        while !self.over {
            // Of the bits of members none is wanted.
            let found = match self.looker.look(u64::from(u32::MAX)).await {
                Ok(found) => found,
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            };
            let Completed { total, done: succeeded, failed, .. } = found;
            self.over = self.looker.ended;
            let now = JobProgress { total, succeeded, failed, ended: self.over };
            if self.last.replace(now) != Some(now) {
                return Some(Ok(now));
            }
        }
        None
    }

    /// The same as a [`Stream`].
    pub fn into_stream(self) -> impl Stream<Item = Result<JobProgress, ResultError>> {
        futures_util::stream::unfold(self, async |mut progress| {
            let next = progress.next().await?;
            Some((next, progress))
        })
    }
}

/// The results of the members of a workflow as they come. See [`Handle::members`](crate::Handle::members).
#[derive(Debug)]
#[must_use = "nothing is looked at until this is asked for what is next"]
pub struct MemberResults<T> {
    looker: Looker,
    /// The bits that were seen so far.
    seen: Vec<u8>,
    /// Members that have settled, and whose results were not read yet.
    settled: VecDeque<Stretch>,
    read: VecDeque<(u64, Option<Value>)>,
    /// How the job ended, once somebody asks.
    outcome: Option<Box<Outcome>>,
    /// Bytes of bits behind those that were read last, if there are any.
    more: Option<u64>,
    over: bool,
    result: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> MemberResults<T> {
    pub(crate) fn new(id: TaskId, producer: Producer) -> Self {
        Self {
            looker: Looker::new(id, producer),
            seen: Vec::new(),
            settled: VecDeque::new(),
            read: VecDeque::new(),
            outcome: None,
            more: None,
            over: false,
            result: PhantomData,
        }
    }

    /// The next member that has ended: its index and its result; none when the job has ended and all were
    /// told. Waits through outages of Redis; nothing is lost when this is dropped before it has an
    /// answer, so that a time-out may be put around it.
    ///
    /// # Errors
    /// [`ResultError::Failed`] for a member that failed for good; [`ResultError::Unknown`] for one whose result
    /// is not kept: it was accumulated, or its failure is that of what it is a part of. An error without
    /// index is about the job, and the end.
    pub async fn next(&mut self) -> Option<Result<(u64, Result<T, ResultError>), ResultError>> {
        while !self.over {
            match self.step().await {
                Ok(Some(member)) => return Some(Ok(member)),
                Ok(None) => {}
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    /// The same as a [`Stream`].
    pub fn into_stream(
        self,
    ) -> impl Stream<Item = Result<(u64, Result<T, ResultError>), ResultError>> {
        futures_util::stream::unfold(self, async |mut members| {
            let next = members.next().await?;
            Some((next, members))
        })
    }

    /// Tells a member that was read, or does one thing that leads there.
    async fn step(&mut self) -> Result<Option<(u64, Result<T, ResultError>)>, ResultError> {
        if let Some((index, value)) = self.read.front() {
            let index = *index;
            let result = match value {
                None => Some(Err(self.unkept(index).await?)),
                Some(Value::Ok(json)) => Some(self.decoded(index, json)),
                Some(Value::Err(failure)) => {
                    Some(self.decoded(index, failure).and_then(|it| Err(self.failed(index, it))))
                }
                // It only stands for others.
                Some(Value::Of(_)) => None,
            };
            self.read.pop_front();
            return Ok(result.map(|result| (index, result)));
        }
        if let Some((lo, hi)) = self.settled.front().copied() {
            self.read_values(lo, hi.min(lo + BITE)).await?;
        } else if let Some(first) = self.more {
            let job = self.looker.id.job();
            let ask = |producer: Producer| async move {
                producer.broker().completed(job, None, first).await
            };
            let found = self.looker.ask(ask).await?;
            self.note(first, &found);
        } else if self.looker.ended {
            self.over = true;
        } else {
            // What is full stays full.
            let first =
                self.seen.iter().position(|byte| *byte != u8::MAX).unwrap_or(self.seen.len());
            let found = self.looker.look(first as u64).await?;
            self.note(first as u64, &found);
        }
        Ok(None)
    }

    /// Notes which members have settled since.
    fn note(&mut self, first: u64, found: &Completed) {
        let at = usize::try_from(first).unwrap_or(usize::MAX);
        let end = at + found.settled.len();
        if self.seen.len() < end {
            self.seen.resize(end, 0);
        }
        for (offset, (seen, now)) in self.seen[at..end].iter_mut().zip(&found.settled).enumerate() {
            let new = now & !*seen;
            *seen |= now;
            for bit in (0..8_u64).filter(|bit| new & (0x80 >> bit) != 0) {
                let index = (first + offset as u64) * 8 + bit;
                match self.settled.back_mut() {
                    Some((_, hi)) if *hi == index => *hi += 1,
                    _ => self.settled.push_back((index, index + 1)),
                }
            }
        }
        let bytes = found.total.div_ceil(8);
        self.more = Some(end as u64).filter(|end| *end < bytes && !found.settled.is_empty());
    }

    async fn read_values(&mut self, lo: u64, hi: u64) -> Result<(), ResultError> {
        let job = self.looker.id.job();
        let ask = |producer: Producer| async move {
            let wanted = WantedResults { members: vec![(lo, hi)], ..WantedResults::default() };
            producer.broker().results(job, &wanted).await
        };
        let found = self.looker.ask(ask).await?;
        if found.values.is_empty() {
            return Err(ResultError::Unknown(self.looker.id));
        }
        let next = lo + found.values.len() as u64;
        self.read.extend((lo..).zip(found.values));
        match self.settled.front_mut() {
            Some((from, to)) if next < *to => *from = next,
            _ => drop(self.settled.pop_front()),
        }
        Ok(())
    }

    fn decoded<D: DeserializeOwned>(&self, index: u64, json: &RawValue) -> Result<D, ResultError> {
        let id = TaskId::of_chunk(self.looker.id.job(), index);
        serde_json::from_str(json.get())
            .map_err(|error| ResultError::Unreadable { id, reason: error.to_string() })
    }

    fn failed(&self, index: u64, failure: TaskFailure) -> ResultError {
        let id = TaskId::of_chunk(self.looker.id.job(), index);
        let failed_task = Some(failure.task.unwrap_or(id).to_string());
        ResultError::Failed { id, failed_task, failure: Box::new(failure) }
    }

    /// Why there is no value of a member that has settled: it may be the one that ended the job.
    async fn unkept(&mut self, index: u64) -> Result<ResultError, ResultError> {
        let id = TaskId::of_chunk(self.looker.id.job(), index);
        if self.looker.ended && self.outcome.is_none() {
            let stored = self.looker.producer.wait_for(self.looker.id).await?;
            self.outcome = serde_json::from_str(&stored).ok().map(Box::new);
        }
        let ended_by = self.outcome.as_ref().filter(|outcome| {
            outcome.failed_task.as_ref().is_some_and(|task| *task == id.to_string())
        });
        Ok(match ended_by.and_then(|outcome| outcome.error.clone()) {
            Some(failure) => self.failed(index, failure),
            None => ResultError::Unknown(id),
        })
    }
}
