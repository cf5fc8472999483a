//! The error of a task: what happened, and what it wishes to be done about it. Whether there is
//! another attempt is decided in `retry`, not here.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use celeriac_broker_schema::limits::MAX_RESULT_BYTES;
use celeriac_broker_schema::retry::Wish;
use celeriac_broker_schema::{ErrorKind, TaskFailure};

/// Why an attempt failed, and whether another one makes sense.
///
/// Every [`std::error::Error`], boxed error and text converts into one that asks for a retry by the
/// policy of the task, so `?` does the usual thing; its message ends with the sources of the error.
///
/// ```
/// # use std::time::Duration;
/// # use celeriac_worker::task::TaskError;
/// fn width(text: &str) -> Result<u32, TaskError> {
///     if text == "later" {
///         return Err(TaskError::retry_after(Duration::from_secs(60), "not measured yet"));
///     }
///     let width = text.parse()?;
///     if width == 0 {
///         return Err(TaskError::fatal("an image of width 0 has no pixels"));
///     }
///     Ok(width)
/// }
/// assert_eq!(width("x").unwrap_err().to_string(), "invalid digit found in string");
/// ```
#[derive(Debug)]
pub struct TaskError {
    kind: ErrorKind,
    message: String,
    trace: Option<String>,
    wish: Wish,
    cancelled: bool,
}

impl TaskError {
    /// An error after which the task is tried again, as its retry policy says.
    pub fn new(message: impl fmt::Display) -> Self {
        Self::of(ErrorKind::Error, Wish::Retry, message.to_string())
    }

    /// An error that every further attempt would meet, too: the task fails for good.
    pub fn fatal(message: impl fmt::Display) -> Self {
        Self::of(ErrorKind::Error, Wish::Fatal, message.to_string())
    }

    /// An error after which the task is tried again after `wait`, if its policy has a retry left.
    pub fn retry_after(wait: Duration, message: impl fmt::Display) -> Self {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self::of(ErrorKind::Error, Wish::RetryAfter(wait_ms), message.to_string())
    }

    /// No error: the task runs again after `wait` (at least a tenth of a second), because what it
    /// needs is not there yet. Counts neither as a failure nor as an attempt, so it may go on for
    /// ever: give the task a time to expire, or an end of its own, if it must not.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use celeriac_worker::task::TaskError;
    /// # fn uploaded() -> bool { false }
    /// fn convert() -> Result<(), TaskError> {
    ///     if !uploaded() {
    ///         return Err(TaskError::snooze(Duration::from_secs(30)));
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn snooze(wait: Duration) -> Self {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let message = format!("the task is to run again after {wait:?}");
        Self::of(ErrorKind::Error, Wish::Snooze(wait_ms), message)
    }

    /// What a handler returns that stopped because [`Context::is_cancelled`] said so. From a task
    /// that was not cancelled it counts as any other error.
    ///
    /// [`Context::is_cancelled`]: crate::task::Context::is_cancelled
    pub fn cancelled() -> Self {
        let message = "the task stopped because it was cancelled".to_owned();
        Self { cancelled: true, ..Self::of(ErrorKind::Error, Wish::Retry, message) }
    }

    /// A caught panic, with where it happened if that is known.
    pub fn from_panic(payload: Box<dyn Any + Send>, trace: Option<String>) -> Self {
        let message = match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => match payload.downcast::<&'static str>() {
                Ok(text) => (*text).to_owned(),
                Err(_) => "the task panicked with a value that is not text".to_owned(),
            },
        };
        Self { trace, ..Self::of(ErrorKind::Panic, Wish::Retry, message) }
    }

    /// An attempt that ran longer than it may.
    pub fn timeout(limit: Duration) -> Self {
        let message = format!("the task ran longer than its time-out of {limit:?}");
        Self::of(ErrorKind::Timeout, Wish::Retry, message)
    }

    /// Arguments that do not fit the task. Fatal: they will not change.
    pub fn bad_arguments(task: &str, reason: impl fmt::Display) -> Self {
        let message = format!("the arguments do not fit task `{task}`: {reason}");
        Self::of(ErrorKind::BadArguments, Wish::Fatal, message)
    }

    /// A result that cannot be stored. Fatal: the work is done, and would end the same again.
    pub fn bad_result(task: &str, reason: impl fmt::Display) -> Self {
        let message = format!("the result of task `{task}` cannot be stored: {reason}");
        Self::of(ErrorKind::BadResult, Wish::Fatal, message)
    }

    /// A result that does not fit the accumulators of its job. Fatal for the same reason.
    pub(crate) fn bad_accumulator(task: &str, reason: impl fmt::Display) -> Self {
        let message = format!("the result of task `{task}` cannot be accumulated: {reason}");
        Self::of(ErrorKind::BadAccumulator, Wish::Fatal, message)
    }

    /// Tasks that cannot be added to a job. Fatal: they would be the same again.
    pub(crate) fn bad_spawn(task: &str, reason: impl fmt::Display) -> Self {
        let message = format!("what task `{task}` spawns cannot be added to its job: {reason}");
        Self::of(ErrorKind::BadResult, Wish::Fatal, message)
    }

    pub(super) fn oversized_result(task: &str, bytes: usize) -> Self {
        let reason = format!(
            "it has {bytes} bytes and {MAX_RESULT_BYTES} are allowed; put large data elsewhere and return its address"
        );
        Self::bad_result(task, reason)
    }

    fn of(kind: ErrorKind, wish: Wish, message: String) -> Self {
        Self { kind, message, trace: None, wish, cancelled: false }
    }

    /// The same with where it happened, or what else is known; unless that is nothing.
    #[must_use]
    pub(crate) fn with_trace(self, trace: String) -> Self {
        let trace = Some(trace).filter(|trace| !trace.is_empty());
        Self { trace, ..self }
    }

    /// What kind of trouble it was.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the error asks for.
    pub fn wish(&self) -> Wish {
        self.wish
    }

    /// Whether it was made by [`TaskError::cancelled`].
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// The error as it is stored, and what it asks for.
    pub fn into_failure(self) -> (TaskFailure, Wish) {
        let failure = TaskFailure::new(self.kind, self.message);
        let failure = match self.trace {
            Some(trace) => failure.with_trace(trace),
            None => failure,
        };
        (failure, self.wish)
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// Everything that converts into a boxed error: error types, `String`, `&str`, boxed errors and those
// of crates such as `anyhow`. `TaskError` itself must not be one of them, and therefore is no
// `std::error::Error`: this conversion would overlap with that of every type into itself.
impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for TaskError {
    fn from(error: E) -> Self {
        let error: Box<dyn Error + Send + Sync> = error.into();
        Self::of(ErrorKind::Error, Wish::Retry, with_sources(&*error))
    }
}

/// The message of an error followed by those of its sources, without the ones that it quotes.
fn with_sources(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let text = source.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        next = source.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the settings")]
    struct Settings(#[source] Quoting);

    #[derive(Debug, thiserror::Error)]
    #[error("line 3: {0}")]
    struct Quoting(#[source] std::num::ParseIntError);

    #[test]
    fn errors_keep_their_sources_once() {
        let parse = "x".parse::<u8>().expect_err("no number");
        let error = TaskError::from(Settings(Quoting(parse)));
        assert_eq!(
            error.to_string(),
            "cannot read the settings: line 3: invalid digit found in string"
        );
        assert_eq!((error.kind(), error.wish()), (ErrorKind::Error, Wish::Retry));
    }

    #[test]
    fn texts_and_boxed_errors_convert() {
        let boxed: Box<dyn Error + Send + Sync> = Box::new(std::fmt::Error);
        assert_eq!(TaskError::from(boxed).to_string(), std::fmt::Error.to_string());
        assert_eq!(TaskError::from("late").to_string(), "late");
        assert_eq!(TaskError::from("late".to_owned()).wish(), Wish::Retry);
    }

    #[test]
    fn wishes_reach_the_failure() {
        let (failure, wish) = TaskError::fatal("no").into_failure();
        assert_eq!((failure, wish), (TaskFailure::new(ErrorKind::Error, "no"), Wish::Fatal));
        let (_, wish) = TaskError::retry_after(Duration::from_secs(2), "soon").into_failure();
        assert_eq!(wish, Wish::RetryAfter(2_000));
        let (_, wish) = TaskError::retry_after(Duration::MAX, "never").into_failure();
        assert_eq!(wish, Wish::RetryAfter(u64::MAX));
        let (_, wish) = TaskError::snooze(Duration::from_secs(3)).into_failure();
        assert_eq!(wish, Wish::Snooze(3_000));
        let (failure, wish) = TaskError::timeout(Duration::from_secs(30)).into_failure();
        assert_eq!((failure.kind, wish), (ErrorKind::Timeout, Wish::Retry));
        assert_eq!(failure.message, "the task ran longer than its time-out of 30s");
        assert!(TaskError::cancelled().is_cancelled());
        assert!(!TaskError::new("x").is_cancelled());
    }

    #[test]
    fn panics_say_what_they_said() {
        let said = |payload: Box<dyn Any + Send>| TaskError::from_panic(payload, None).to_string();
        assert_eq!(said(Box::new("static")), "static");
        assert_eq!(said(Box::new("owned".to_owned())), "owned");
        assert_eq!(said(Box::new(7)), "the task panicked with a value that is not text");

        let (failure, wish) =
            TaskError::from_panic(Box::new("x"), Some("main.rs:7".to_owned())).into_failure();
        assert_eq!((failure.kind, wish), (ErrorKind::Panic, Wish::Retry));
        assert_eq!(failure.trace.as_deref(), Some("main.rs:7"));
    }
}
