//! Layers around runs: what happens before, after or instead of a handler, for all tasks of a worker.
//!
//! The shape is that of tower's layers, with the names of this domain: one kind of request (a
//! [`Run`]), one kind of answer, and no readiness, since a worker only takes what it has a slot for.

use std::borrow::Cow;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::Thread;

use celeriac_broker_schema::{Headers, QueueName, TaskId, Tenant};
use serde_json::value::RawValue;

use crate::task::{Context, ErasedTask, RunResult, TaskFuture};

/// Wraps every run of every task: it may measure, log, set task-locals, change the arguments, refuse,
/// and map results and errors.
///
/// Write `async fn run`, or pass a function `Fn(Run, Next) -> impl Future<Output = RunResult>`.
///
/// The time-out of a task counts for the whole of it. An attempt that is stopped is dropped, and its
/// layers with it; a panic comes through them. What cannot begin (an unknown name, a record that
/// cannot be read) reaches no layer.
///
/// ```
/// use celeriac_worker::task::{Next, Registry, Run, RunLayer, RunResult, TaskError};
///
/// /// Runs only what belongs to one tenant.
/// struct OnlyFor(&'static str);
///
/// impl RunLayer for OnlyFor {
///     async fn run(&self, run: Run, next: Next) -> RunResult {
///         match run.tenant() {
///             Some(tenant) if tenant.as_str() == self.0 => next.run(run).await,
///             other => Err(TaskError::fatal(format!("tenant {other:?} is not served here"))),
///         }
///     }
/// }
///
/// let registry = Registry::new(())
///     .layer(OnlyFor("acme"))
///     .layer(async |run: Run, next: Next| {
///         let task = run.task().to_owned();
///         next.run(run).await.inspect_err(|error| eprintln!("{task} failed: {error}"))
///     });
/// # let _ = registry;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer around runs",
    label = "not a layer",
    note = "a layer is a type with `impl RunLayer`, or a function `async |run: Run, next: Next| {{ … next.run(run).await }}` whose future is `Send`"
)]
pub trait RunLayer: Send + Sync + 'static {
    /// Runs a task: usually `next.run(run).await` with something around it.
    fn run(&self, run: Run, next: Next) -> impl Future<Output = RunResult> + Send;
}

impl<F, R> RunLayer for F
where
    F: Fn(Run, Next) -> R + Send + Sync + 'static,
    R: Future<Output = RunResult> + Send,
{
    fn run(&self, run: Run, next: Next) -> impl Future<Output = RunResult> + Send {
        self(run, next)
    }
}

/// One run of a task, on its way to the handler.
#[derive(Debug)]
pub struct Run {
    ctx: Context,
    task: Cow<'static, str>,
    args: Box<RawValue>,
}

impl Run {
    /// The name of the task.
    pub fn task(&self) -> &str {
        &self.task
    }

    /// Its id.
    pub fn id(&self) -> TaskId {
        self.ctx.id()
    }

    /// The number of the attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.ctx.attempt()
    }

    /// The queue it waited in.
    pub fn queue(&self) -> &QueueName {
        self.ctx.queue()
    }

    /// For whom it is run, if that was said.
    pub fn tenant(&self) -> Option<&Tenant> {
        self.ctx.tenant()
    }

    /// What travels with it.
    pub fn headers(&self) -> &Headers {
        self.ctx.headers()
    }

    /// The context that the handler gets.
    pub fn ctx(&self) -> &Context {
        &self.ctx
    }

    /// Its arguments, as they were sent.
    pub fn args(&self) -> &RawValue {
        &self.args
    }

    /// Replaces its arguments, for a layer that decrypts them for instance.
    pub fn set_args(&mut self, args: Box<RawValue>) {
        self.args = args;
    }
}

/// What comes after a layer: the next layer, at last the handler.
#[derive(Debug)]
pub struct Next {
    layers: Layers,
    position: usize,
    task: ErasedTask,
}

impl Next {
    /// Goes on with it.
    pub fn run(mut self, run: Run) -> TaskFuture {
        match self.layers.0.get(self.position).cloned() {
            Some(layer) => {
                self.position += 1;
                layer.run(run, self)
            }
            None => Box::pin(async move {
                match &self.task {
                    ErasedTask::Async(task) => task(&run.ctx, &run.args).await,
                    // It has this thread to itself.
                    ErasedTask::Cpu(task) => task(&run.ctx, &run.args),
                }
            }),
        }
    }
}

/// The layers of a worker, the outermost first.
#[derive(Clone, Default)]
pub(super) struct Layers(Arc<[Arc<dyn ErasedLayer>]>);

impl std::fmt::Debug for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Layers").field(&self.0.len()).finish()
    }
}

/// A layer whose future is boxed.
trait ErasedLayer: Send + Sync {
    fn run(self: Arc<Self>, run: Run, next: Next) -> TaskFuture;
}

impl<L: RunLayer> ErasedLayer for L {
    fn run(self: Arc<Self>, run: Run, next: Next) -> TaskFuture {
        Box::pin(async move { RunLayer::run(&*self, run, next).await })
    }
}

impl Layers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These layers, and another one inside of them.
    pub(super) fn with_inner(&self, layer: impl RunLayer) -> Self {
        let layer: Arc<dyn ErasedLayer> = Arc::new(layer);
        Self(self.0.iter().cloned().chain([layer]).collect())
    }

    /// These layers, and another one around them.
    pub(super) fn with_outer(&self, layer: impl RunLayer) -> Self {
        let layer: Arc<dyn ErasedLayer> = Arc::new(layer);
        Self([layer].into_iter().chain(self.0.iter().cloned()).collect())
    }

    /// Runs a task through all of them.
    pub(super) fn run(
        &self,
        task: &ErasedTask,
        name: Cow<'static, str>,
        ctx: &Context,
        args: &RawValue,
    ) -> TaskFuture {
        let next = Next { layers: self.clone(), position: 0, task: task.clone() };
        next.run(Run { ctx: ctx.clone(), task: name, args: args.to_owned() })
    }

    /// The same task with the layers around it, for a worker that knows nothing of them.
    pub(super) fn wrap(&self, name: Cow<'static, str>, task: &ErasedTask) -> ErasedTask {
        let (layers, inner) = (self.clone(), task.clone());
        match task {
            ErasedTask::Async(_) => ErasedTask::Async(Arc::new(move |ctx, args| {
                layers.run(&inner, name.clone(), ctx, args)
            })),
            ErasedTask::Cpu(_) => ErasedTask::Cpu(Arc::new(move |ctx, args| {
                block_on(layers.run(&inner, name.clone(), ctx, args))
            })),
        }
    }
}

/// Polls a future on this thread, which computes. Not by the runtime: inside of that a handler could not
/// use clients that block (they refuse to run within a runtime).
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = std::task::Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use celeriac_broker_schema::Meta;
    use celeriac_producer::task::Task;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::task::{ContextParts, Registry, TaskError};

    #[derive(Serialize, Deserialize)]
    struct Double {
        n: u32,
    }

    impl Task for Double {
        const NAME: &'static str = "double";
        type Output = u32;
    }

    #[derive(Serialize, Deserialize)]
    struct Spin {}

    impl Task for Spin {
        const NAME: &'static str = "spin";
        type Output = String;
    }

    tokio::task_local! {
        static AROUND: &'static str;
    }

    type Log = Arc<Mutex<Vec<String>>>;

    /// Notes what goes in and what comes out.
    struct Noting(&'static str, Log);

    impl RunLayer for Noting {
        async fn run(&self, run: Run, next: Next) -> RunResult {
            let note = |what: String| self.1.lock().expect("no panic").push(what);
            note(format!("{} in: {} {}", self.0, run.task(), run.args().get()));
            tokio::task::yield_now().await;
            let result = next.run(run).await;
            note(format!("{} out: {}", self.0, result.is_ok()));
            result
        }
    }

    fn log() -> Log {
        Log::default()
    }

    fn said(log: &Log) -> Vec<String> {
        log.lock().expect("no panic").clone()
    }

    #[tokio::test]
    async fn the_first_layer_is_the_outermost_and_later_ones_see_what_it_changed() {
        let log = log();
        let tasks = Registry::new(())
            .layer(Noting("outer", log.clone()))
            .layer(async |mut run: Run, next: Next| {
                run.set_args(RawValue::from_string(r#"{"n":21}"#.to_owned())?);
                next.run(run).await
            })
            // After layers or before them: they are around all tasks.
            .task(async |task: Double| Ok::<_, TaskError>(task.n * 2))
            .layer(Noting("inner", log.clone()))
            .build()
            .layer(Noting("outermost", log.clone()));
        let result = tasks.call(&Context::for_test(), Double { n: 1 }).await.expect("succeeds");
        assert_eq!(result, 42);
        assert_eq!(
            said(&log),
            [
                r#"outermost in: double {"n":1}"#,
                r#"outer in: double {"n":1}"#,
                r#"inner in: double {"n":21}"#,
                "inner out: true",
                "outer out: true",
                "outermost out: true",
            ]
        );
    }

    #[tokio::test]
    async fn a_layer_refuses_maps_errors_and_sees_whose_task_it_is() {
        let tasks = Registry::new(())
            .task(async |_: Double| Err::<u32, _>("broken"))
            .layer(async |run: Run, next: Next| {
                let Some(tenant) = run.tenant() else { return Err(TaskError::fatal("no tenant")) };
                let whose = format!("{tenant} {:?}", run.headers().get("locale"));
                next.run(run).await.map_err(|error| TaskError::new(format!("{whose}: {error}")))
            })
            .build();
        let refused = tasks.call(&Context::for_test(), Double { n: 1 }).await;
        assert_eq!(refused.expect_err("is refused").to_string(), "no tenant");

        let mut meta = Meta::default();
        meta.headers.set("locale", "de");
        let (tenant, meta) = (Some("acme".parse().expect("a tenant")), Some(Arc::new(meta)));
        let parts = ContextParts { tenant, meta, ..ContextParts::default() };
        let failed = tasks.call(&Context::new(parts), Double { n: 1 }).await;
        assert_eq!(failed.expect_err("fails").to_string(), "acme Some(\"de\"): broken");
    }

    fn spin() -> Registry {
        let around = |_: Spin| AROUND.try_with(|around| (*around).to_owned());
        Registry::new(()).cpu_task(around).layer(async |run: Run, next: Next| {
            // Something that has to be waited for, on a thread without a runtime.
            let (told, heard) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || told.send("set by a layer"));
            let around = heard.await.map_err(TaskError::new)?;
            AROUND.scope(around, next.run(run)).await
        })
    }

    #[test]
    fn a_task_that_computes_sees_what_a_layer_sets() {
        let tasks = spin().build();
        let Some(ErasedTask::Cpu(run)) = tasks.get("spin") else { panic!("it computes") };
        let args = RawValue::from_string("{}".to_owned()).expect("JSON");
        let result = run(&Context::for_test(), &args).expect("succeeds");
        assert_eq!(result.get(), r#""set by a layer""#);
    }

    #[tokio::test]
    async fn a_task_that_computes_can_be_called_with_its_layers() {
        let tasks = spin().build();
        let result = tasks.call(&Context::for_test(), Spin {}).await.expect("succeeds");
        assert_eq!(result, "set by a layer");
    }

    #[test]
    fn without_layers_handlers_are_not_wrapped() {
        let run: Arc<crate::task::CpuRun> = Arc::new(|_, args| Ok(args.to_owned()));
        let name = "bare".parse().expect("a name");
        let tasks = Registry::new(()).erased(&name, ErasedTask::Cpu(Arc::clone(&run))).build();
        let Some(ErasedTask::Cpu(registered)) = tasks.get("bare") else { panic!("it computes") };
        assert!(Arc::ptr_eq(&run, registered));
    }
}
