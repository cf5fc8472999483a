//! From a typed function to something that takes and gives JSON.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use celeriac_broker_schema::limits::MAX_RESULT_BYTES;
use celeriac_producer::task::Task;
use serde_json::value::{RawValue, to_raw_value};

use crate::task::{Context, Extractors, TaskError};

/// The result of an attempt as it is stored.
pub type RunResult = Result<Box<RawValue>, TaskError>;
/// An attempt of an async task.
pub type TaskFuture = Pin<Box<dyn Future<Output = RunResult> + Send>>;
/// Begins an attempt of an async task; the arguments are decoded before it returns.
pub type AsyncRun = dyn Fn(&Context, &RawValue) -> TaskFuture + Send + Sync;
/// Runs an attempt of a CPU-bound task to its end.
pub type CpuRun = dyn Fn(&Context, &RawValue) -> RunResult + Send + Sync;

/// A task without its types: JSON in, JSON out. Panics of user code come through, from the call
/// as well as from the future.
#[derive(Clone)]
pub enum ErasedTask {
    /// Awaits, and shares threads with others.
    Async(Arc<AsyncRun>),
    /// Computes, and needs a thread to itself.
    Cpu(Arc<CpuRun>),
}

impl std::fmt::Debug for ErasedTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Async(_) => "Async",
            Self::Cpu(_) => "Cpu",
        })
    }
}

/// A function with up to six extractors first and the task last: `fn(E1, …, Task) -> …`. Only
/// its shape; what the types must be is asked where it is registered, so that the compiler can
/// name the one that does not fit.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "not a handler",
    note = "a handler is a function of up to six extractors and, last, the task: `async fn(Data<Db>, Context, Resize) -> Result<Output, Error>`"
)]
pub trait Handler<Params> {
    /// Its extractors, as a tuple.
    type Extract;
    /// Its last parameter: the task.
    type Task;
    /// What it returns: a result, or the future of one.
    type Return;

    /// Calls the function.
    fn call(&self, extract: Self::Extract, task: Self::Task) -> Self::Return;
}

macro_rules! handler {
    ($($E:ident)*) => {
        impl<F, R, T, $($E),*> Handler<($($E,)* T,)> for F
        where
            F: Fn($($E,)* T) -> R,
        {
            type Extract = ($($E,)*);
            type Task = T;
            type Return = R;

            #[allow(non_snake_case, reason = "values named as their types")]
            fn call(&self, ($($E,)*): Self::Extract, task: T) -> R {
                self($($E,)* task)
            }
        }
    };
}

handler!();
handler!(E1);
handler!(E1 E2);
handler!(E1 E2 E3);
handler!(E1 E2 E3 E4);
handler!(E1 E2 E3 E4 E5);
handler!(E1 E2 E3 E4 E5 E6);

/// What a task returns: `Result<Output, E>`, where `E` is [`TaskError`] or converts into it.
#[diagnostic::on_unimplemented(
    message = "a task must return a `Result`, not `{Self}`",
    label = "not a `Result`",
    note = "return `Result<{Self}, E>` with `TaskError` or any other error as `E`"
)]
pub trait TaskResult {
    /// The output of a task that succeeds.
    type Output;

    /// The result with our error.
    ///
    /// # Errors
    /// The error that the task returned.
    fn into_result(self) -> Result<Self::Output, TaskError>;
}

impl<T, E: Into<TaskError>> TaskResult for Result<T, E> {
    type Output = T;

    fn into_result(self) -> Result<T, TaskError> {
        self.map_err(Into::into)
    }
}

/// An async handler without its types.
pub(super) fn erase_async<S, H, P>(state: Arc<S>, handler: H) -> ErasedTask
where
    S: Send + Sync + 'static,
    H: Handler<P> + Send + Sync + 'static,
    H::Extract: Extractors<S>,
    H::Task: Task,
    H::Return: Future<Output: TaskResult<Output = <H::Task as Task>::Output>> + Send + 'static,
    P: 'static,
{
    ErasedTask::Async(Arc::new(move |ctx, args| match start(&*state, &handler, ctx, args) {
        Ok(future) => Box::pin(async move { finish::<H::Task, _>(future.await) }),
        Err(error) => Box::pin(std::future::ready(Err(error))),
    }))
}

/// A handler that computes, without its types.
pub(super) fn erase_cpu<S, H, P>(state: Arc<S>, handler: H) -> ErasedTask
where
    S: Send + Sync + 'static,
    H: Handler<P> + Send + Sync + 'static,
    H::Extract: Extractors<S>,
    H::Task: Task,
    H::Return: TaskResult<Output = <H::Task as Task>::Output>,
    P: 'static,
{
    ErasedTask::Cpu(Arc::new(move |ctx, args| {
        finish::<H::Task, _>(start(&*state, &handler, ctx, args)?)
    }))
}

fn start<S, H, P>(
    state: &S,
    handler: &H,
    ctx: &Context,
    args: &RawValue,
) -> Result<H::Return, TaskError>
where
    H: Handler<P>,
    H::Extract: Extractors<S>,
    H::Task: Task,
{
    let task = serde_json::from_str(args.get())
        .map_err(|error| TaskError::bad_arguments(H::Task::NAME, error))?;
    let extract = H::Extract::extract(ctx, state)?;
    Ok(handler.call(extract, task))
}

fn finish<T: Task, R: TaskResult<Output = T::Output>>(returned: R) -> RunResult {
    let result = to_raw_value(&returned.into_result()?)
        .map_err(|error| TaskError::bad_result(T::NAME, error))?;
    match result.get().len() {
        bytes if bytes > MAX_RESULT_BYTES => Err(TaskError::oversized_result(T::NAME, bytes)),
        _ => Ok(result),
    }
}

#[cfg(test)]
mod tests {
    use celeriac_broker_schema::ErrorKind;
    use celeriac_broker_schema::retry::Wish;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::task::{Attempt, Chunk, ContextParts, Data, FromRef, Registry, Tasks};

    #[derive(Serialize, Deserialize)]
    struct Repeat {
        text: String,
        times: usize,
    }

    impl Task for Repeat {
        const NAME: &'static str = "repeat";
        type Output = String;
    }

    fn repeat(Repeat { text, times }: Repeat) -> Result<String, TaskError> {
        match times {
            0 => Err(TaskError::fatal("nothing to repeat")),
            times => Ok(text.repeat(times)),
        }
    }

    fn json(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    fn run_cpu(tasks: &Tasks, name: &str, args: &str) -> RunResult {
        match tasks.get(name).expect("a task") {
            ErasedTask::Cpu(run) => run(&Context::for_test(), &json(args)),
            ErasedTask::Async(_) => panic!("{name} is async"),
        }
    }

    #[test]
    fn json_goes_in_and_comes_out() {
        let tasks = Registry::new(()).cpu_task(repeat).build();
        let result = run_cpu(&tasks, "repeat", r#"{"text":"ab","times":2,"new_field":1}"#);
        assert_eq!(result.expect("succeeds").get(), r#""abab""#);
        let failed = run_cpu(&tasks, "repeat", r#"{"text":"ab","times":0}"#).expect_err("fails");
        assert_eq!((failed.kind(), failed.wish()), (ErrorKind::Error, Wish::Fatal));
    }

    #[test]
    fn bad_arguments_and_oversized_results_are_fatal_and_named() {
        let tasks = Registry::new(()).cpu_task(repeat).build();
        let args = run_cpu(&tasks, "repeat", r#"{"text":"ab"}"#).expect_err("a field is missing");
        assert_eq!((args.kind(), args.wish()), (ErrorKind::BadArguments, Wish::Fatal));
        let said = args.to_string();
        assert!(said.contains("`repeat`") && said.contains("missing field `times`"), "{said}");

        // Two quotes make it one byte too long.
        let args = format!(r#"{{"text":"a","times":{}}}"#, MAX_RESULT_BYTES - 1);
        let result = run_cpu(&tasks, "repeat", &args).expect_err("too large");
        assert_eq!((result.kind(), result.wish()), (ErrorKind::BadResult, Wish::Fatal));
        assert!(result.to_string().contains("1048577 bytes"), "{result}");
        let args = format!(r#"{{"text":"a","times":{}}}"#, MAX_RESULT_BYTES - 2);
        assert_eq!(run_cpu(&tasks, "repeat", &args).expect("fits").get().len(), MAX_RESULT_BYTES);
    }

    struct App {
        greeting: String,
    }

    impl FromRef<App> for String {
        fn from_ref(app: &App) -> Self {
            app.greeting.clone()
        }
    }

    #[derive(Serialize, Deserialize)]
    struct Everything {}

    impl Task for Everything {
        const NAME: &'static str = "everything";
        type Output = (String, String, u32, u64, Option<u64>);
    }

    async fn everything(
        greeting: Data<String>,
        ctx: Context,
        Attempt(attempt): Attempt,
        chunk: Chunk,
        maybe: Option<Chunk>,
        Data(again): Data<String>,
        _: Everything,
    ) -> Result<(String, String, u32, u64, Option<u64>), std::io::Error> {
        assert_eq!(ctx.attempt(), attempt);
        Ok((greeting.0, again, attempt, chunk.index, maybe.map(|chunk| chunk.count)))
    }

    #[tokio::test]
    async fn six_extractors_come_first() {
        let app = App { greeting: "hi".to_owned() };
        let tasks = Registry::new(app).task(everything).build();
        let parts = ContextParts::default();
        let chunk = Chunk::new(parts.id.job(), 7, 9, None);
        let ctx = Context::new(ContextParts { attempt: 2, chunk: Some(chunk), ..parts });
        let got = tasks.call(&ctx, Everything {}).await.expect("succeeds");
        assert_eq!(got, ("hi".to_owned(), "hi".to_owned(), 2, 7, Some(9)));

        let not_a_chunk = tasks.call(&Context::for_test(), Everything {}).await.expect_err("fails");
        assert_eq!(not_a_chunk.wish(), Wish::Fatal);
        assert!(not_a_chunk.to_string().contains("must be a chunk"), "{not_a_chunk}");
    }
}
