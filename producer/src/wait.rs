//! Waiting for several at once. All of it goes over the one connection of the producer, however many are
//! waited for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;

use crate::error::ResultError;
use crate::handle::Handle;

/// The result of the first of these that ends, and its index; None if there are none. The others go on.
///
/// ```no_run
/// # use celeriac_producer::{Handle, ResultError, wait_any};
/// # async fn example(mirrors: Vec<Handle<String>>) -> Result<(), ResultError> {
/// if let Some((index, page)) = wait_any(&mirrors).await {
///     println!("mirror {index} was the first: {}", page?);
/// }
/// # Ok(()) }
/// ```
pub async fn wait_any<T: DeserializeOwned + 'static>(
    handles: &[Handle<T>],
) -> Option<(usize, Result<T, ResultError>)> {
    as_completed(handles.iter().cloned()).next().await
}

/// As [`wait_any`], but gives up after some time, with [`ResultError::Timeout`].
pub async fn wait_any_within<T: DeserializeOwned + 'static>(
    handles: &[Handle<T>],
    wait: Duration,
) -> Option<(usize, Result<T, ResultError>)> {
    as_completed_within(handles.iter().cloned(), wait).next().await
}

/// The results of these in the order in which they end, each with its index.
///
/// ```no_run
/// # use celeriac_producer::{Handle, ResultError, as_completed};
/// # async fn example(handles: Vec<Handle<f64>>) -> Result<(), ResultError> {
/// let mut results = as_completed(handles);
/// while let Some((index, result)) = results.next().await {
///     println!("{index}: {}", result?);
/// }
/// # Ok(()) }
/// ```
pub fn as_completed<T: DeserializeOwned + 'static>(
    handles: impl IntoIterator<Item = Handle<T>>,
) -> AsCompleted<T> {
    collect(handles, None)
}

/// As [`as_completed`], but each that has not ended after this time, counted from now, is told as
/// [`ResultError::Timeout`]. They go on.
pub fn as_completed_within<T: DeserializeOwned + 'static>(
    handles: impl IntoIterator<Item = Handle<T>>,
    wait: Duration,
) -> AsCompleted<T> {
    collect(handles, Some(wait))
}

fn collect<T: DeserializeOwned + 'static>(
    handles: impl IntoIterator<Item = Handle<T>>,
    wait: Option<Duration>,
) -> AsCompleted<T> {
    let since = tokio::time::Instant::now();
    let ends = handles.into_iter().enumerate().map(|(index, handle)| -> End<T> {
        Box::pin(async move {
            let result = match wait {
                None => handle.result().await,
                Some(wait) => {
                    let timeout = ResultError::Timeout { id: handle.id(), waited: wait };
                    let ended = tokio::time::timeout_at(since + wait, handle.result()).await;
                    ended.unwrap_or(Err(timeout))
                }
            };
            (index, result)
        })
    });
    AsCompleted { ends: ends.collect() }
}

type End<T> = Pin<Box<dyn Future<Output = (usize, Result<T, ResultError>)> + Send>>;

/// Results in the order in which they arrive. Also a [`Stream`]. Dropping it changes nothing for the tasks.
#[must_use = "nothing is waited for until this is asked for its next result"]
pub struct AsCompleted<T> {
    ends: FuturesUnordered<End<T>>,
}

impl<T> AsCompleted<T> {
    /// The next one that has ended, with its index; None when all have. Waits through outages of Redis.
    /// Nothing is lost when this is dropped before it has an answer.
    pub async fn next(&mut self) -> Option<(usize, Result<T, ResultError>)> {
        self.ends.next().await
    }

    /// How many have not been told yet.
    pub fn left(&self) -> usize {
        self.ends.len()
    }
}

impl<T> Stream for AsCompleted<T> {
    type Item = (usize, Result<T, ResultError>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.ends.poll_next_unpin(cx)
    }
}

impl<T> std::fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsCompleted").field("left", &self.left()).finish()
    }
}
