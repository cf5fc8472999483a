//! The table of the tasks of a worker: built once from handlers, then asked by name.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use celeriac_broker_schema::TaskName;
use celeriac_producer::task::Task;
use serde_json::value::to_raw_value;

use crate::task::handler::{erase_async, erase_cpu};
use crate::task::layer::Layers;
use crate::task::{Context, ErasedTask, Extractors, Handler, RunLayer, TaskError, TaskResult};

type Table = HashMap<Cow<'static, str>, ErasedTask>;

/// Collects the tasks of a worker, and the state that their handlers share.
///
/// A name that is registered twice, or that is no valid name, is a mistake in the program: the
/// call that does it panics, when the worker starts.
///
/// ```
/// use celeriac_worker::task::{Context, Data, Registry, TaskError};
/// use celeriac_producer::task::Task;
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Greet {
///     name: String,
/// }
///
/// impl Task for Greet {
///     const NAME: &'static str = "greet";
///     type Output = String;
/// }
///
/// async fn greet(greeting: Data<String>, task: Greet) -> Result<String, TaskError> {
///     Ok(format!("{}, {}", *greeting, task.name))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), TaskError> {
/// let tasks = Registry::new("Hello".to_owned()).task(greet).build();
/// let greeting = tasks.call(&Context::for_test(), Greet { name: "Ada".to_owned() }).await?;
/// assert_eq!(greeting, "Hello, Ada");
/// # Ok(()) }
/// ```
pub struct Registry<S = ()> {
    state: Arc<S>,
    table: Table,
    layers: Layers,
}

/// A task together with the function that runs it, in a worker with state `S`.
/// `#[celeriac::task]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` comes without a function to run it",
    label = "not made by `#[celeriac::task]`",
    note = "register a handler instead: `.task(handler)`, or `.cpu_task(handler)` for a function that is not async"
)]
pub trait RegisteredTask<S>: Task {
    /// Registers the function.
    ///
    /// # Panics
    /// If the name of the task is taken.
    #[track_caller]
    fn register(registry: Registry<S>) -> Registry<S>;
}

impl<S: Send + Sync + 'static> Registry<S> {
    /// A registry without tasks. Handlers get the state, or parts of it, as [`Data`].
    ///
    /// [`Data`]: crate::task::Data
    pub fn new(state: S) -> Self {
        Self { state: Arc::new(state), table: Table::new(), layers: Layers::default() }
    }

    /// Adds an async handler: extractors first, the task last.
    ///
    /// # Panics
    /// If the name of the task is taken or not valid.
    #[must_use]
    #[track_caller]
    pub fn task<H, P>(self, handler: H) -> Self
    where
        H: Handler<P> + Send + Sync + 'static,
        H::Extract: Extractors<S>,
        H::Task: Task,
        H::Return: Future<Output: TaskResult<Output = <H::Task as Task>::Output>> + Send + 'static,
        P: 'static,
    {
        let task = erase_async(self.state.clone(), handler);
        self.checked(H::Task::NAME, task)
    }

    /// Adds a handler that computes: a function that is not async and gets a thread to itself.
    ///
    /// # Panics
    /// If the name of the task is taken or not valid.
    #[must_use]
    #[track_caller]
    pub fn cpu_task<H, P>(self, handler: H) -> Self
    where
        H: Handler<P> + Send + Sync + 'static,
        H::Extract: Extractors<S>,
        H::Task: Task,
        H::Return: TaskResult<Output = <H::Task as Task>::Output>,
        P: 'static,
    {
        let task = erase_cpu(self.state.clone(), handler);
        self.checked(H::Task::NAME, task)
    }

    /// Adds a task that `#[celeriac::task]` made: `.add::<thumbnail>()`.
    ///
    /// # Panics
    /// If the name of the task is taken.
    #[must_use]
    #[track_caller]
    pub fn add<T: RegisteredTask<S>>(self) -> Self {
        T::register(self)
    }

    /// Adds a task whose name is only known when the worker starts, such as a command from a file.
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    #[track_caller]
    pub fn erased(self, name: &TaskName, task: ErasedTask) -> Self {
        self.insert(Cow::Owned(name.as_str().to_owned()), task)
    }

    /// Puts a layer around the runs of all tasks of this registry, whether they are added before or
    /// after it. The layer that is added first is the outermost.
    #[must_use]
    pub fn layer(mut self, layer: impl RunLayer) -> Self {
        self.layers = self.layers.with_inner(layer);
        self
    }

    /// The table, which changes no more.
    pub fn build(self) -> Tasks {
        Tasks::new(Arc::new(self.table), self.layers)
    }

    #[track_caller]
    fn checked(self, name: &'static str, task: ErasedTask) -> Self {
        if let Err(error) = TaskName::new(name) {
            panic!("cannot register a task: {error}");
        }
        self.insert(Cow::Borrowed(name), task)
    }

    #[track_caller]
    fn insert(mut self, name: Cow<'static, str>, task: ErasedTask) -> Self {
        match self.table.entry(name) {
            Entry::Vacant(free) => free.insert(task),
            Entry::Occupied(taken) => {
                panic!("task `{}` is registered twice: rename one of them", taken.key())
            }
        };
        self
    }
}

impl<S> fmt::Debug for Registry<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("tasks", &self.table.keys()).finish_non_exhaustive()
    }
}

/// The tasks of a worker by name. Clones share them.
#[derive(Clone)]
pub struct Tasks {
    /// With the layers around them; the same as `bare` if there are none.
    table: Arc<Table>,
    bare: Arc<Table>,
    layers: Layers,
}

impl Tasks {
    fn new(bare: Arc<Table>, layers: Layers) -> Self {
        let table = if layers.is_empty() {
            Arc::clone(&bare)
        } else {
            let wrapped =
                bare.iter().map(|(name, task)| (name.clone(), layers.wrap(name.clone(), task)));
            Arc::new(wrapped.collect())
        };
        Self { table, bare, layers }
    }

    /// The same tasks with another layer around their runs, outside of those that they have already.
    #[must_use]
    pub fn layer(self, layer: impl RunLayer) -> Self {
        Self::new(self.bare, self.layers.with_outer(layer))
    }

    /// The task of this name.
    pub fn get(&self, name: &str) -> Option<&ErasedTask> {
        self.table.get(name)
    }

    /// The names of all tasks, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.table.keys().map(AsRef::as_ref).collect();
        names.sort_unstable();
        names
    }

    /// Runs a task here and now, with its layers, as a worker would: for tests without Redis. A task that computes
    /// blocks meanwhile; a panic comes through.
    ///
    /// # Errors
    /// What the task returned, or what is wrong with its arguments or its result.
    ///
    /// # Panics
    /// If the task is not registered.
    pub async fn call<T: Task>(&self, ctx: &Context, task: T) -> Result<T::Output, TaskError> {
        let Some(erased) = self.bare.get(T::NAME) else {
            panic!("task `{}` is not registered, but {:?} are", T::NAME, self.names());
        };
        let args = to_raw_value(&task).map_err(|error| TaskError::bad_arguments(T::NAME, error))?;
        let result = self.layers.run(erased, Cow::Borrowed(T::NAME), ctx, &args).await?;
        serde_json::from_str(result.get()).map_err(|error| TaskError::bad_result(T::NAME, error))
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tasks").field(&self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    macro_rules! task {
        ($type:ident, $name:literal) => {
            #[derive(Serialize, Deserialize)]
            struct $type {}

            impl Task for $type {
                const NAME: &'static str = $name;
                type Output = ();
            }
        };
    }

    task!(First, "first");
    task!(Second, "second");
    task!(AlsoFirst, "first");
    task!(Unnamed, "");

    #[test]
    fn tasks_are_found_by_name() {
        let tasks = Registry::new(())
            .task(async |_: Second| Ok::<_, TaskError>(()))
            .cpu_task(|_: First| Ok::<_, TaskError>(()))
            .build();
        assert_eq!(tasks.names(), ["first", "second"]);
        assert!(matches!(tasks.get("first"), Some(ErasedTask::Cpu(_))));
        assert!(matches!(tasks.get("second"), Some(ErasedTask::Async(_))));
        assert!(tasks.get("third").is_none());
    }

    #[test]
    #[should_panic(expected = "task `first` is registered twice")]
    fn a_name_is_given_once() {
        let _ = Registry::new(())
            .cpu_task(|_: First| Ok::<_, TaskError>(()))
            .cpu_task(|_: AlsoFirst| Ok::<_, TaskError>(()));
    }

    #[test]
    #[should_panic(expected = "cannot register a task: task name")]
    fn a_name_must_be_valid() {
        let _ = Registry::new(()).cpu_task(|_: Unnamed| Ok::<_, TaskError>(()));
    }

    #[tokio::test]
    async fn a_name_may_come_from_a_file() {
        let name = "first".parse().expect("a name");
        let run: Arc<crate::task::CpuRun> = Arc::new(|_, args| Ok(args.to_owned()));
        let tasks = Registry::new(()).erased(&name, ErasedTask::Cpu(run)).build();
        // The arguments come back, and are no `()`.
        let error = tasks.call(&Context::for_test(), First {}).await.expect_err("does not decode");
        assert!(error.to_string().contains("`first`"), "{error}");
    }
}
