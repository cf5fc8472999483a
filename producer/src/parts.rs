//! [`Parts`]: the partial results of a task, while it runs.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::time::Duration;

use celeriac_broker_schema::TaskId;
use celeriac_broker_schema::script::{Part, StreamState};
use futures_util::Stream;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use crate::error::ResultError;
use crate::producer::Producer;

/// How long it waits before it looks again, while nothing comes: at first, and at most.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Partial results in the order in which the task sends them, to the end of the task. Those that were
/// sent before are among them, as far as they are kept: the last thousand, for a day.
///
/// After an attempt that failed or lost its worker the next one sends its own:
/// [`Parts::attempt`] tells them apart. A worker that loses its connection may send some twice.
#[derive(Debug)]
pub struct Parts<P> {
    id: TaskId,
    producer: Producer,
    waiting: VecDeque<Part>,
    after: Option<String>,
    attempt: u32,
    over: bool,
    part: PhantomData<fn() -> P>,
}

impl<P: DeserializeOwned> Parts<P> {
    pub(crate) fn new(id: TaskId, producer: Producer) -> Self {
        let (waiting, part) = (VecDeque::new(), PhantomData);
        Self { id, producer, waiting, after: None, attempt: 0, over: false, part }
    }

    /// The next one; none when the task has ended. Waits through outages of Redis.
    ///
    /// # Errors
    /// [`ResultError::Unreadable`] for a value that is no `P`; those after it can be read.
    /// [`ResultError::Unknown`] if there is no such task; that is the end.
    pub async fn next(&mut self) -> Option<Result<P, ResultError>> {
        let mut pause = PAUSE;
        loop {
            if let Some(part) = self.waiting.pop_front() {
                return Some(self.read(part));
            }
            if self.over {
                return None;
            }
            match self.look().await {
                Ok(StreamState::Unknown) => {
                    self.over = true;
                    return Some(Err(ResultError::Unknown(self.id)));
                }
                Ok(StreamState::Ended) => self.over = self.waiting.is_empty(),
                Ok(StreamState::Open) if !self.waiting.is_empty() => {}
                Ok(StreamState::Open) | Err(()) => {
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// The attempt that the last one is of, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The same as a [`Stream`].
    pub fn into_stream(self) -> impl Stream<Item = Result<P, ResultError>> {
        futures_util::stream::unfold(self, async |mut parts| {
            let next = parts.next().await?;
            Some((next, parts))
        })
    }

    async fn look(&mut self) -> Result<StreamState, ()> {
        match self.producer.broker().stream(self.id, self.after.as_deref()).await {
            Ok(page) => {
                self.waiting.extend(page.parts);
                Ok(page.state)
            }
            Err(error) if error.is_temporary() => {
                tracing::debug!(%error, "waiting for partial results is interrupted");
                Err(())
            }
            Err(error) => {
                tracing::warn!(%error, "partial results cannot be read; it is tried again");
                Err(())
            }
        }
    }

    fn read(&mut self, part: Part) -> Result<P, ResultError> {
        (self.after, self.attempt) = (Some(part.at), part.attempt);
        serde_json::from_str(&part.value)
            .map_err(|error| ResultError::Unreadable { id: self.id, reason: error.to_string() })
    }
}
