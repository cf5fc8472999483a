//! Trace context that travels with tasks, in the headers that W3C Trace Context names:
//! `traceparent` and `tracestate`. Not a tracer: what is measured and where it is sent is left to
//! one, such as OpenTelemetry, which reads and writes the same headers.

use std::fmt;
use std::future::Future;
use std::str::FromStr;

use thiserror::Error;

use crate::call::NewTask;
use crate::layer::{BoxError, EnqueueLayer};

/// The header that holds a [`TraceParent`].
pub const TRACEPARENT: &str = "traceparent";
/// The header with what vendors add to it.
pub const TRACESTATE: &str = "tracestate";

/// Where in a trace something happens.
///
/// ```
/// use celeriac_producer::trace::TraceParent;
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent: TraceParent = text.parse()?;
/// assert!(parent.is_sampled());
/// assert_eq!(parent.to_string(), text);
/// // What happens within it has the same trace, and a span of its own.
/// let child = parent.child();
/// assert_eq!(child.trace_id(), parent.trace_id());
/// assert_ne!(child.span_id(), parent.span_id());
/// # Ok::<(), celeriac_producer::trace::NotATraceParent>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace: u128,
    span: u64,
    flags: u8,
}

/// A text that is no `traceparent` of a known form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "not a traceparent: expected 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, not all zeros"
)]
pub struct NotATraceParent;

const SAMPLED: u8 = 1;

impl TraceParent {
    /// The beginning of a trace, sampled.
    pub fn begin() -> Self {
        // Zeros would mean that there is none.
        let trace = rand::random::<u128>().max(1);
        Self { trace, span: rand::random::<u64>().max(1), flags: SAMPLED }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span: rand::random::<u64>().max(1), ..self }
    }

    /// The trace, in 32 hex digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The span within it, in 16 hex digits.
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// Whether the caller recorded it.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

impl FromStr for TraceParent {
    type Err = NotATraceParent;

    fn from_str(text: &str) -> Result<Self, NotATraceParent> {
        let parts: Vec<&str> = text.split('-').collect();
        // A later version may add parts behind these four.
        let &[version, trace, span, flags, ref more @ ..] = &parts[..] else {
            return Err(NotATraceParent);
        };
        let hex = |text: &str, digits: usize| {
            let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            text.len() == digits && text.bytes().all(digit)
        };
        let known = hex(version, 2) && version != "ff" && (version != "00" || more.is_empty());
        if !(known && hex(trace, 32) && hex(span, 16) && hex(flags, 2)) {
            return Err(NotATraceParent);
        }
        let read = |text: &str| u128::from_str_radix(text, 16).map_err(|_| NotATraceParent);
        let span = u64::try_from(read(span)?).map_err(|_| NotATraceParent)?;
        let flags = u8::try_from(read(flags)?).map_err(|_| NotATraceParent)?;
        let parent = Self { trace: read(trace)?, span, flags };
        if parent.trace == 0 || span == 0 { Err(NotATraceParent) } else { Ok(parent) }
    }
}

/// The trace context in which the current code runs: what tasks that it enqueues are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// Where in the trace.
    pub parent: TraceParent,
    /// What vendors add to it.
    pub state: Option<String>,
}

tokio::task_local! {
    static CURRENT: Current;
}

impl Current {
    /// That of the task that runs here, or of the [`Current::scope`] around. It does not reach into
    /// what is spawned: take it along and begin a scope there.
    pub fn get() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs a future in this trace context.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }
}

/// The layer that passes the trace context on, from whoever enqueues a task to whoever runs it, and
/// from there to the tasks that are enqueued meanwhile. It belongs on producers and on workers.
///
/// A producer gives a task the context of the code that enqueues it, unless the task has one already.
/// The task of a schedule gets none: its runs would all be part of the trace of whoever put the schedule.
#[derive(Debug, Clone, Copy, Default)]
pub struct TraceContext {
    begins: bool,
}

impl TraceContext {
    /// Passes on what there is.
    pub const fn new() -> Self {
        Self { begins: false }
    }

    /// Also begins a trace where there is none, so that every task has one.
    pub const fn begin_traces() -> Self {
        Self { begins: true }
    }

    /// The trace context of something that begins, given what travelled with it.
    #[doc(hidden)]
    pub fn entered(self, parent: Option<&str>, state: Option<&str>) -> Option<Current> {
        match parent.and_then(|text| text.parse::<TraceParent>().ok()) {
            Some(parent) => {
                Some(Current { parent: parent.child(), state: state.map(str::to_owned) })
            }
            None => self.begins.then(|| Current { parent: TraceParent::begin(), state: None }),
        }
    }
}

impl EnqueueLayer for TraceContext {
    fn enqueue(&self, task: &mut NewTask) -> Result<(), BoxError> {
        let headers = &mut task.meta.headers;
        if headers.get(TRACEPARENT).is_some() {
            return Ok(());
        }
        let begun = || self.begins.then(|| Current { parent: TraceParent::begin(), state: None });
        if let Some(Current { parent, state }) = Current::get().or_else(begun) {
            headers.set(TRACEPARENT, parent.to_string());
            if let Some(state) = state {
                headers.set(TRACESTATE, state);
            }
        }
        Ok(())
    }

    fn schedule(&self, _: &mut NewTask) -> Result<(), BoxError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_a_traceparent_is_one() {
        for text in [TEXT, &TEXT.replace("-01", "-00"), &TEXT.replace("00-4", "cc-4")] {
            assert!(text.parse::<TraceParent>().is_ok(), "{text}");
        }
        assert!(TEXT.replace("00-4", "01-4").add("-more").parse::<TraceParent>().is_ok());
        let zeros = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"]
            .map(|id| TEXT.replace(id, &"0".repeat(id.len())));
        let wrong = [
            "",
            "00",
            &TEXT.to_uppercase(),
            &TEXT[1..],
            &TEXT.to_owned().add("-more"),
            &TEXT.replace("00-4", "ff-4"),
            &TEXT.replace("-01", "-+1"),
            &zeros[0],
            &zeros[1],
        ];
        for text in wrong {
            assert_eq!(text.parse::<TraceParent>(), Err(NotATraceParent), "{text}");
        }
    }

    trait Add {
        fn add(self, more: &str) -> String;
    }

    impl Add for String {
        fn add(self, more: &str) -> String {
            self + more
        }
    }

    fn enqueued(layer: TraceContext, mut task: NewTask) -> Vec<(String, String)> {
        layer.enqueue(&mut task).expect("is let through");
        let headers = task.meta.headers.iter();
        headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[tokio::test]
    async fn a_task_gets_the_context_around_it_unless_it_has_one() {
        let task = || NewTask::new("t", &()).expect("a task");
        assert_eq!(enqueued(TraceContext::new(), task()), []);
        let begun = enqueued(TraceContext::begin_traces(), task());
        assert!(begun[0].1.parse::<TraceParent>().is_ok(), "{begun:?}");

        let state = Some("vendor=1".to_owned());
        let around = Current { parent: TEXT.parse().expect("a parent"), state };
        let inside = async { enqueued(TraceContext::begin_traces(), task()) };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            around.clone().scope(inside).await,
            [pair("traceparent", TEXT), pair("tracestate", "vendor=1")]
        );
        let own = async { enqueued(TraceContext::new(), task().header(TRACEPARENT, "own")) };
        assert_eq!(around.clone().scope(own).await, [pair("traceparent", "own")]);
        let mut daily = task();
        let scheduled = async { TraceContext::begin_traces().schedule(&mut daily) };
        around.scope(scheduled).await.expect("is let through");
        assert!(daily.meta.headers.is_empty());
    }
}
