//! Stock layers around runs: a tracing span per run, timings for a metrics library, trace context.
//! What they have in common is that they only look; see [`RunLayer`] for those that do more.

use std::time::{Duration, Instant};

use celeriac_broker_schema::QueueName;
use celeriac_producer::trace::{Current, TRACEPARENT, TRACESTATE, TraceContext};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::task::{CancelReason, Context, Next, Run, RunLayer, RunResult};

/// How a run ended, as seen from a layer. Whether there is another attempt is decided later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunEnd {
    /// It returned a result.
    Succeeded,
    /// It returned an error.
    Failed,
    /// It panicked.
    Panicked,
    /// It ran longer than its time-out and was dropped.
    TimedOut,
    /// It was dropped because it was cancelled, the worker stops or its lease is lost.
    Stopped,
}

impl RunEnd {
    /// The same as a word, for a label of a metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::TimedOut => "timed_out",
            Self::Stopped => "stopped",
        }
    }
}

/// Tells how a run ended, also one that is dropped or panics.
struct Watch<F: FnMut(RunEnd)> {
    ctx: Context,
    end: Option<RunEnd>,
    tell: F,
}

impl<F: FnMut(RunEnd)> Watch<F> {
    fn new(ctx: &Context, tell: F) -> Self {
        Self { ctx: ctx.clone(), end: None, tell }
    }

    fn returned(mut self, result: &RunResult) {
        self.end = Some(if result.is_ok() { RunEnd::Succeeded } else { RunEnd::Failed });
    }
}

impl<F: FnMut(RunEnd)> Drop for Watch<F> {
    fn drop(&mut self) {
        let dropped = || match self.ctx.cancel_reason() {
            _ if std::thread::panicking() => RunEnd::Panicked,
            Some(CancelReason::Timeout) => RunEnd::TimedOut,
            _ => RunEnd::Stopped,
        };
        let end = self.end.unwrap_or_else(dropped);
        (self.tell)(end);
    }
}

/// A span named `run` around every run, with `task`, `id`, `attempt`, `queue`, and when it is over
/// `outcome` (see [`RunEnd::as_str`]); with [`TraceContext`] outside of it also `trace_id` and
/// `span_id`.
#[derive(Debug, Clone, Copy, Default)]
pub struct TraceSpans;

impl TraceSpans {
    fn span(run: &Run) -> Span {
        let span = tracing::info_span!(
            "run",
            task = run.task(),
            id = %run.id(),
            attempt = run.attempt(),
            queue = run.queue().as_str(),
            trace_id = Empty,
            span_id = Empty,
            outcome = Empty,
        );
        if let Some(Current { parent, .. }) = Current::get() {
            span.record("trace_id", parent.trace_id()).record("span_id", parent.span_id());
        }
        span
    }
}

impl RunLayer for TraceSpans {
    async fn run(&self, run: Run, next: Next) -> RunResult {
        let span = Self::span(&run);
        let told = span.clone();
        let watch = Watch::new(run.ctx(), move |end| {
            told.record("outcome", end.as_str());
        });
        let result = next.run(run).instrument(span).await;
        watch.returned(&result);
        result
    }
}

/// How long a run took, and how it ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct RunTiming<'a> {
    /// The name of the task.
    pub task: &'a str,
    /// The queue it waited in.
    pub queue: &'a QueueName,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// From the first layer inside to the end.
    pub took: Duration,
    /// How it ended.
    pub end: RunEnd,
}

/// Tells how long every run took: a hook for any library of metrics.
///
/// ```
/// use celeriac_worker::layers::Timing;
/// use celeriac_worker::task::Registry;
///
/// let registry = Registry::new(()).layer(Timing::new(|run| {
///     println!("task_seconds{{task={:?},end={:?}}} {}", run.task, run.end.as_str(), run.took.as_secs_f64());
/// }));
/// # let _ = registry;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Timing<F>(F);

impl<F: Fn(&RunTiming<'_>) + Send + Sync + 'static> Timing<F> {
    /// Calls this function at the end of every run.
    pub fn new(tell: F) -> Self {
        Self(tell)
    }
}

impl<F: Fn(&RunTiming<'_>) + Send + Sync + 'static> RunLayer for Timing<F> {
    async fn run(&self, run: Run, next: Next) -> RunResult {
        let (task, ctx, begun) = (run.task().to_owned(), run.ctx().clone(), Instant::now());
        let watch = Watch::new(&ctx.clone(), |end| {
            let (queue, attempt, took) = (ctx.queue(), ctx.attempt(), begun.elapsed());
            (self.0)(&RunTiming { task: &task, queue, attempt, took, end });
        });
        let result = next.run(run).await;
        watch.returned(&result);
        result
    }
}

/// On a worker it takes the trace context out of the headers of a task and holds it while the task
/// runs, as a span of its own: tasks that it enqueues through a producer with the same layer belong to
/// the same trace, and [`Current::get`] tells it to anybody else.
impl RunLayer for TraceContext {
    async fn run(&self, run: Run, next: Next) -> RunResult {
        let headers = run.headers();
        match self.entered(headers.get(TRACEPARENT), headers.get(TRACESTATE)) {
            Some(current) => current.scope(next.run(run)).await,
            None => next.run(run).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use celeriac_broker_schema::Meta;
    use celeriac_producer::task::Task;
    use celeriac_producer::{EnqueueLayer, NewTask};
    use futures_util::FutureExt;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::task::{ContextParts, Registry, TaskError, Tasks};

    #[derive(Serialize, Deserialize)]
    struct Do {
        what: String,
    }

    impl Task for Do {
        const NAME: &'static str = "do";
        type Output = Vec<(String, String)>;
    }

    /// Does as told; returns the headers of a task that it would enqueue.
    async fn act(task: Do) -> Result<Vec<(String, String)>, TaskError> {
        match task.what.as_str() {
            "panic" => panic!("as told"),
            "fail" => Err(TaskError::new("as told")),
            "wait" => std::future::pending().await,
            _ => {
                let mut next = NewTask::new("next", &())?;
                EnqueueLayer::enqueue(&TraceContext::new(), &mut next).map_err(TaskError::from)?;
                let headers = next.meta.headers.iter();
                Ok(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
            }
        }
    }

    type Ends = Arc<Mutex<Vec<(String, u32, RunEnd)>>>;

    fn timed() -> (Tasks, Ends) {
        let ends = Ends::default();
        let told = ends.clone();
        let timing = Timing::new(move |run: &RunTiming<'_>| {
            let end = (run.task.to_owned(), run.attempt, run.end);
            told.lock().expect("no panic").push(end);
        });
        (Registry::new(()).task(act).layer(TraceSpans).layer(timing).build(), ends)
    }

    async fn end_of(what: &str, cancel: Option<CancelReason>) -> RunEnd {
        let (tasks, ends) = timed();
        let ctx = Context::new(ContextParts { attempt: 2, ..ContextParts::default() });
        let run = tasks.call(&ctx, Do { what: what.to_owned() });
        let mut run = Box::pin(std::panic::AssertUnwindSafe(run).catch_unwind());
        let pending = futures_util::poll!(&mut run).is_pending();
        assert_eq!(pending, what == "wait");
        if let Some(reason) = cancel {
            ctx.cancel(reason);
        }
        drop(run);
        let ends = ends.lock().expect("no panic");
        let [(task, attempt, end)] = ends.as_slice() else { panic!("one end: {ends:?}") };
        assert_eq!((task.as_str(), *attempt), ("do", 2));
        *end
    }

    #[tokio::test]
    async fn every_end_is_told_once() {
        assert_eq!(end_of("succeed", None).await, RunEnd::Succeeded);
        assert_eq!(end_of("fail", None).await, RunEnd::Failed);
        assert_eq!(end_of("panic", None).await, RunEnd::Panicked);
        assert_eq!(end_of("wait", Some(CancelReason::Timeout)).await, RunEnd::TimedOut);
        assert_eq!(end_of("wait", Some(CancelReason::Stopping)).await, RunEnd::Stopped);
    }

    #[tokio::test]
    async fn what_a_task_enqueues_belongs_to_its_trace_under_a_span_of_its_own() {
        let tasks = Registry::new(()).task(act).layer(TraceContext::new()).build();
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut meta = Meta::default();
        meta.headers.set(TRACEPARENT, parent);
        meta.headers.set(TRACESTATE, "vendor=1");
        let parts = ContextParts { meta: Some(Arc::new(meta)), ..ContextParts::default() };
        let passed = tasks.call(&Context::new(parts), Do { what: String::new() }).await;
        let passed = passed.expect("succeeds");
        let [(name, child), state] = passed.as_slice() else { panic!("{passed:?}") };
        assert_eq!((name.as_str(), &child[..36]), (TRACEPARENT, &parent[..36]));
        assert_ne!(child, parent);
        assert_eq!(*state, ("tracestate".to_owned(), "vendor=1".to_owned()));

        // Without a context there is nothing to pass on.
        let none = tasks.call(&Context::for_test(), Do { what: String::new() }).await;
        assert_eq!(none.expect("succeeds"), []);
    }
}
