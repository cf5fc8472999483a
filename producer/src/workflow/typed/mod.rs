//! Workflows with the types of their results: what does not fit does not compile. Everything here makes the
//! untyped tree of [`super::Node`]s; nothing of a type is stored.

mod enqueue;
mod follower;
mod graph;
mod group;

use std::marker::PhantomData;
use std::time::Duration;

use celeriac_broker_schema::InvalidInput;
use celeriac_broker_schema::workflow::Target;

pub use enqueue::{EnqueueFlow, Enqueueable};
pub use follower::{Branch, Ended, FollowAll, Follower, Follows, fan_out};
pub use graph::{After, Graph, Part};
pub use group::{
    Accumulator, Group, Members, Results, Spread, Totals, chunks, group, map, max, min, starmap,
    sum,
};

use super::{Callbacks, Node, Step, Workflow};
use crate::call::NewTask;
use crate::task::Task;

/// A workflow, or a part of one, that results in an `Out`.
///
/// ```
/// # use celeriac_producer::task::Task;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Load { url: String }
/// # impl Task for Load { const NAME: &'static str = "load"; type Output = String; }
/// # #[derive(Serialize, Deserialize)] struct Count { texts: Vec<String> }
/// # impl Task for Count { const NAME: &'static str = "count"; type Output = u64; }
/// use celeriac_producer::workflow::typed::{Flow, Follower, group};
///
/// let pages = ["/a", "/b"].map(|url| Load { url: url.to_owned() });
/// let count: Follower<Vec<String>, u64> = Follower::of::<Count>(&(), "texts");
/// let all: Flow<u64> = group(pages).then(count);
/// ```
#[must_use = "a workflow does nothing until it is enqueued"]
pub struct Flow<Out> {
    node: Result<Node, InvalidInput>,
    out: PhantomData<fn() -> Out>,
}

/// What can be a part of a workflow, with nothing before it: tasks, [`Flow`]s, [`Group`]s.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a part of a workflow",
    label = "this cannot be a part of a workflow",
    note = "parts are tasks (what `#[celeriac::task]` makes of a function, with all its arguments), and what `group`, `map`, `then` and `graph` make of them",
    note = "a task that lacks its first argument (`name::after(…)`) goes into `.then(…)`, behind what gives it that argument"
)]
pub trait IntoFlow: Sized {
    /// Its result.
    type Out;

    /// The part.
    fn flow(self) -> Flow<Self::Out>;

    /// This, and then a task that is given its result as its first argument. See [`Flow::then`].
    fn then<F: Follows<Self::Out>>(self, follower: F) -> Flow<F::Out> {
        self.flow().then(follower)
    }
}

impl<T: Task> IntoFlow for T {
    type Out = T::Output;

    fn flow(self) -> Flow<T::Output> {
        Flow::new(NewTask::of(&self).map(|task| step(task, None)))
    }
}

impl<Out> IntoFlow for Flow<Out> {
    type Out = Out;

    fn flow(self) -> Self {
        self
    }
}

impl<Out> Flow<Out> {
    pub(super) fn new(node: Result<Node, InvalidInput>) -> Self {
        Self { node, out: PhantomData }
    }

    /// A task by its name, of which you know what it results in. It is checked when the result arrives.
    pub fn task(task: NewTask) -> Self {
        Self::new(Ok(step(task, None)))
    }

    /// Any tree of tasks, of which you know what it results in.
    pub fn tree(node: Node) -> Self {
        Self::new(Ok(node))
    }

    /// This, and then a task that is given its result as its first argument; behind a group it is given
    /// all of its results: that is a chord. It begins when this has succeeded; if this fails, it is
    /// not run.
    pub fn then<F: Follows<Out>>(self, follower: F) -> Flow<F::Out> {
        Flow::new(self.node.and_then(|before| Ok(chained(before, follower.node()?))))
    }

    /// This, and when it has succeeded the other, which is not given its result.
    pub fn then_run<Next: IntoFlow>(self, next: Next) -> Flow<Next::Out> {
        Flow::new(self.node.and_then(|before| Ok(chained(before, next.flow().node?))))
    }

    /// Changes the options of every task in it.
    ///
    /// ```
    /// # use celeriac_producer::workflow::typed::Flow;
    /// # fn example(part: Flow<u64>) -> Flow<u64> {
    /// part.with(|task| task.retries(5).tag("nightly"))
    /// # }
    /// ```
    pub fn with(self, mut change: impl FnMut(NewTask) -> NewTask) -> Self {
        Self::new(self.node.map(|node| changed(node, &mut change)))
    }

    /// Starts each of its tasks so long after what it waits for has ended.
    pub fn delay(self, delay: Duration) -> Self {
        self.with(|task| task.delay(delay))
    }

    /// Runs a task whenever one of its tasks has succeeded, outside of the workflow. For what ends with
    /// the job see [`EnqueueFlow::on_success`].
    pub fn on_success<O>(self, callback: Follower<Ended, O>) -> Self {
        self.called_back(callback, |callbacks| &mut callbacks.on_success)
    }

    /// Runs a task whenever one of its tasks has failed for good or was cancelled, outside of the workflow.
    pub fn on_failure<O>(self, callback: Follower<Ended, O>) -> Self {
        self.called_back(callback, |callbacks| &mut callbacks.on_failure)
    }

    /// Runs a task whenever one of its tasks has ended, outside of the workflow.
    pub fn on_end<O>(self, callback: Follower<Ended, O>) -> Self {
        self.called_back(callback, |callbacks| &mut callbacks.on_end)
    }

    fn called_back<O>(
        self,
        callback: Follower<Ended, O>,
        of: impl Fn(&mut Callbacks) -> &mut Vec<NewTask>,
    ) -> Self {
        Self::new(self.node.and_then(|mut node| {
            let task = callback.callback()?;
            let add = &mut |step: &mut Step| of(&mut step.callbacks).push(task.clone());
            node.each_step(add);
            Ok(node)
        }))
    }

    /// The untyped form: what a running task adds to its job (`ctx.spawn`), or pushes into one.
    ///
    /// # Errors
    /// As [`Flow::workflow`].
    pub fn into_node(self) -> Result<Node, InvalidInput> {
        self.node
    }

    /// The untyped form, with the settings of its job.
    ///
    /// # Errors
    /// Arguments of a task could not be written as JSON, or its type has no valid name.
    pub fn workflow(self) -> Result<Workflow, InvalidInput> {
        self.node.map(Workflow::from)
    }
}

impl<Out> Clone for Flow<Out> {
    fn clone(&self) -> Self {
        Self::new(self.node.clone())
    }
}

impl<Out> std::fmt::Debug for Flow<Out> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Flow").field(&self.node).finish()
    }
}

/// A task as a part of a tree.
fn step(task: NewTask, into: Option<Target>) -> Node {
    Step { task, into, callbacks: Callbacks::default() }.into()
}

/// One behind the other. Chains do not nest: a long one is built step by step.
fn chained(before: Node, behind: Node) -> Node {
    let steps = |node| match node {
        Node::Chain(steps) => steps,
        node => vec![node],
    };
    let mut all = steps(before);
    all.extend(steps(behind));
    Node::Chain(all)
}

fn changed(mut node: Node, change: &mut impl FnMut(NewTask) -> NewTask) -> Node {
    node.each_step(&mut |step: &mut Step| step.task = change(step.task.clone()));
    node
}

impl Node {
    /// Calls this for each step in it.
    fn each_step(&mut self, run: &mut impl FnMut(&mut Step)) {
        match self {
            Self::Task(step) => run(step),
            Self::Chain(steps) => steps.iter_mut().for_each(|step| step.each_step(run)),
            Self::Group(group) => group.members.iter_mut().for_each(|node| node.each_step(run)),
            Self::Fold(fold) => {
                fold.of.each_step(run);
                run(&mut fold.with);
            }
            Self::Graph(nodes) => nodes.iter_mut().for_each(|node| node.node.each_step(run)),
        }
    }
}
