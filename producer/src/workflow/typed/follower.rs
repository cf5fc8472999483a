//! What follows something: tasks that lack one argument, alone ([`Follower`]) or with what is behind them
//! ([`Branch`]).

use std::marker::PhantomData;
use std::time::Duration;

use celeriac_broker_schema::workflow::Target;
use celeriac_broker_schema::{InvalidInput, JobId, State, TaskFailure, TaskId};
use serde::{Deserialize, Serialize};

use super::group::{Each, Tuple};
use super::{chained, changed};
use crate::call::NewTask;
use crate::task::Task;
use crate::workflow::{Callbacks, Group as Parts, Node, Step};

/// A task that still lacks an argument, an `In`: the result of what it follows. It results in an `Out`.
///
/// `#[celeriac::task]` makes one of each function with an argument: `name::after(…)` takes all arguments
/// but the first.
#[must_use = "a task does nothing until it follows something and is enqueued"]
pub struct Follower<In, Out> {
    step: Result<Box<Step>, InvalidInput>,
    types: PhantomData<fn(In) -> Out>,
}

/// What follows something and is more than one task: it begins with tasks that are given an `In`, and
/// results in an `Out`.
#[must_use = "tasks do nothing until they follow something and are enqueued"]
pub struct Branch<In, Out> {
    node: Result<Node, InvalidInput>,
    types: PhantomData<fn(In) -> Out>,
}

/// What can follow something that results in an `In`: [`Follower`]s and [`Branch`]es.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot follow what results in `{In}`",
    label = "its first argument is not a `{In}`",
    note = "what follows is a task that lacks its first argument, written `name::after(the other arguments)`, and that argument has exactly the type of the result before it: `{In}`",
    note = "after a group that is a `Vec` of the results of its members; a task that is given nothing of it follows with `.then_run(…)`"
)]
pub trait Follows<In> {
    /// The result.
    type Out;

    #[doc(hidden)]
    fn node(self) -> Result<Node, InvalidInput>;
}

impl<In, Out> Follows<In> for Follower<In, Out> {
    type Out = Out;

    fn node(self) -> Result<Node, InvalidInput> {
        self.step.map(Node::Task)
    }
}

impl<In, Out> Follows<In> for Branch<In, Out> {
    type Out = Out;

    fn node(self) -> Result<Node, InvalidInput> {
        self.node
    }
}

/// What a callback is told of what has ended. The first argument of its task has this type and is named
/// `parent`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ended {
    /// What has ended: a task, or a job.
    pub id: TaskId,
    /// Its job.
    pub job: JobId,
    /// How.
    pub state: State,
    /// Why, if it failed.
    pub error: Option<TaskFailure>,
}

impl<In, Out> Follower<In, Out> {
    /// A task that was written without the attribute: `rest` are its arguments but for the one named
    /// `field`, as JSON: an object, or nothing (`&()`). That the argument is an `In` is for you to know.
    pub fn of<T: Task<Output = Out>>(rest: &impl Serialize, field: impl Into<String>) -> Self {
        let args = serde_json::value::to_raw_value(rest)
            .map_err(|error| InvalidInput::Json { what: "arguments", reason: error.to_string() });
        let task = args.and_then(|args| NewTask::of_args::<T>(args));
        Self::new(task, Target::Field(field.into()))
    }

    /// A task by its name, of which you know what it takes and what it results in.
    pub fn task(task: NewTask, into: Target) -> Self {
        Self::new(Ok(task), into)
    }

    fn new(task: Result<NewTask, InvalidInput>, into: Target) -> Self {
        let step =
            |task| Box::new(Step { task, into: Some(into), callbacks: Callbacks::default() });
        Self { step: task.map(step), types: PhantomData }
    }

    /// Changes its options before it is enqueued.
    pub fn with(mut self, change: impl FnOnce(NewTask) -> NewTask) -> Self {
        if let Ok(step) = &mut self.step {
            step.task = change(step.task.clone());
        }
        self
    }

    /// Starts it so long after what it follows has ended.
    pub fn delay(self, delay: Duration) -> Self {
        self.with(|task| task.delay(delay))
    }

    /// Runs a task when this one has succeeded, outside of the workflow.
    pub fn on_success<O>(self, callback: Follower<Ended, O>) -> Self {
        self.called_back(callback, |callbacks| &mut callbacks.on_success)
    }

    /// Runs a task when this one has failed for good or was cancelled, outside of the workflow.
    pub fn on_failure<O>(self, callback: Follower<Ended, O>) -> Self {
        self.called_back(callback, |callbacks| &mut callbacks.on_failure)
    }

    /// Runs a task when this one has ended, outside of the workflow.
    pub fn on_end<O>(self, callback: Follower<Ended, O>) -> Self {
        self.called_back(callback, |callbacks| &mut callbacks.on_end)
    }

    fn called_back<O>(
        mut self,
        callback: Follower<Ended, O>,
        of: impl FnOnce(&mut Callbacks) -> &mut Vec<NewTask>,
    ) -> Self {
        self.step = self.step.and_then(|mut step| {
            of(&mut step.callbacks).push(callback.callback()?);
            Ok(step)
        });
        self
    }

    /// This, and then what is given its result.
    pub fn then<F: Follows<Out>>(self, follower: F) -> Branch<In, F::Out> {
        let node = self.node().and_then(|before| Ok(chained(before, follower.node()?)));
        Branch { node, types: PhantomData }
    }

    pub(super) fn step(self) -> Result<Step, InvalidInput> {
        self.step.map(|step| *step)
    }
}

impl<O> Follower<Ended, O> {
    /// As a callback.
    pub(super) fn callback(self) -> Result<NewTask, InvalidInput> {
        let Step { task, into, .. } = self.step()?;
        match into {
            Some(Target::Field(field)) if field != "parent" => Err(InvalidInput::OutOfBounds {
                what: "argument of a callback",
                value: format!("`{field}` of task `{}`", task.name()),
                expected: "what a callback is told is the argument `parent`",
            }),
            _ => Ok(task),
        }
    }
}

impl<In, Out> Branch<In, Out> {
    /// This, and then what is given its result.
    pub fn then<F: Follows<Out>>(self, follower: F) -> Branch<In, F::Out> {
        let node = self.node.and_then(|before| Ok(chained(before, follower.node()?)));
        Branch { node, types: PhantomData }
    }

    /// Changes the options of every task in it.
    pub fn with(self, mut change: impl FnMut(NewTask) -> NewTask) -> Self {
        Self { node: self.node.map(|node| changed(node, &mut change)), types: PhantomData }
    }
}

/// Several that follow the same: what [`fan_out`] takes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot all follow what results in `{In}`",
    label = "not all of these are given a `{In}`",
    note = "`fan_out` takes a list, or a tuple of 2 to 8, of tasks that lack their first argument (`name::after(…)`), all of the same type of argument"
)]
pub trait FollowAll<In, Kind> {
    /// Their results.
    type Out;

    #[doc(hidden)]
    fn nodes(self) -> Result<Vec<Node>, InvalidInput>;
}

impl<In, I> FollowAll<In, Each> for I
where
    I: IntoIterator,
    I::Item: Follows<In>,
{
    type Out = Vec<<I::Item as Follows<In>>::Out>;

    fn nodes(self) -> Result<Vec<Node>, InvalidInput> {
        self.into_iter().map(Follows::node).collect()
    }
}

macro_rules! tuples {
    ($($name:ident),+) => {
        impl<In, $($name: Follows<In>),+> FollowAll<In, Tuple> for ($($name,)+) {
            type Out = ($($name::Out,)+);

            fn nodes(self) -> Result<Vec<Node>, InvalidInput> {
                #[allow(non_snake_case, reason = "names of types stand for their values")]
                let ($($name,)+) = self;
                Ok(vec![$($name.node()?),+])
            }
        }
    };
}

tuples!(A, B);
tuples!(A, B, C);
tuples!(A, B, C, D);
tuples!(A, B, C, D, E);
tuples!(A, B, C, D, E, F);
tuples!(A, B, C, D, E, F, G);
tuples!(A, B, C, D, E, F, G, H);

/// Several that are each given the same result, side by side. What follows is given all of theirs.
pub fn fan_out<In, Kind, F: FollowAll<In, Kind>>(followers: F) -> Branch<In, F::Out> {
    let group = |members| Node::Group(Parts { members, ..Parts::default() });
    Branch { node: followers.nodes().map(group), types: PhantomData }
}
