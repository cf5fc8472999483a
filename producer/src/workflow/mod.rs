//! Workflows: tasks joined to one job, in sequence, side by side, or as any graph without circles.
//!
//! A [`Workflow`] is a tree of [`Node`]s with the settings of its job. It says nothing of types: the typed
//! compositions and the JSON form both make one. [`Workflow::plan`] turns it into a plan of
//! members and barriers, which one script moves from then on (`broker-schema/lua/lib/workflow.lua`).

mod broadcast;
mod compile;
mod enqueue;
mod json;
mod open;
mod outline;
mod plan;
mod spans;
mod spawn;
pub mod typed;

use std::collections::BTreeMap;

use celeriac_broker_schema::workflow::Target;
use celeriac_broker_schema::{Accumulate, Unique};

use crate::call::NewTask;

pub use broadcast::{Broadcast, Shared, keep, references, shared};
pub(crate) use compile::compile;
pub use json::SCHEMA;
pub use open::OpenJob;
pub use plan::Plan;
pub use spawn::{Spawn, Spawns};

/// How many members a job may come to have, unless it says otherwise.
pub const MOST_MEMBERS: u64 = 10_000_000;
/// How many members may spawn one another down to the last, unless a job says otherwise.
pub const MOST_DEPTH: u32 = 1_000;

/// A job as it is to be enqueued: what is to be done, and what is true of it as a whole.
#[derive(Debug, Clone)]
pub struct Workflow {
    /// What is to be done.
    pub root: Node,
    /// What people call the job, in at most 256 bytes.
    pub label: Option<String>,
    /// Who enqueues it, in at most 256 bytes.
    pub submitted_by: Option<String>,
    /// An idempotency key, and for how many milliseconds it stands for the job.
    pub unique: Option<Unique>,
    /// For how many milliseconds the job and its results are kept after its end.
    pub keep_ms: u64,
    /// Tasks that run when the job has ended, outside of it.
    pub callbacks: Callbacks,
    /// Data that its tasks share (see [`Workflow::broadcast`]).
    pub data: Vec<celeriac_broker_schema::workflow::Data>,
    /// How many members it may come to have when members spawn others, and how deep they may do so.
    pub most: (u64, u32),
}

/// A part of a workflow.
#[derive(Debug, Clone)]
pub enum Node {
    /// One task.
    Task(Box<Step>),
    /// One after the other; each is given the result of the one before it. The result is that of the last.
    Chain(Vec<Node>),
    /// Side by side; the result is the list of their results, in their order. What follows a group in a
    /// chain waits for all of it and is given that list: that is a chord.
    Group(Group),
    /// The results of a group, folded by a task that makes one of several: in bites of at most `width`, in
    /// as many levels as that takes.
    Fold(Box<Fold>),
    /// Any graph without circles.
    Graph(Vec<GraphNode>),
}

/// A task of a workflow.
#[derive(Debug, Clone)]
pub struct Step {
    /// The task with its own arguments and options. Of the times only a delay is allowed, which begins
    /// when what the task waits for has ended; no idempotency key.
    pub task: NewTask,
    /// Where in its arguments the result of what it follows goes. None: it is not given it.
    pub into: Option<Target>,
    /// Tasks that run when this one has ended, outside of the job.
    pub callbacks: Callbacks,
}

/// Tasks that run after something has ended, whatever comes of them. They are given what ended as the
/// field `parent` of their arguments, an object: `{"id", "job", "state", "error"}`.
#[derive(Debug, Clone, Default)]
pub struct Callbacks {
    /// If it succeeded.
    pub on_success: Vec<NewTask>,
    /// If it failed for good or was cancelled.
    pub on_failure: Vec<NewTask>,
    /// In any case.
    pub on_end: Vec<NewTask>,
}

/// Parts side by side.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// The parts.
    pub members: Vec<Node>,
    /// What becomes of it when a part fails for good.
    pub on_error: OnError,
    /// Fields of the results of its tasks that are accumulated. If there are any, no results are kept, and
    /// the result of the group is the object of these accumulators. Only for groups of tasks.
    pub accumulate: BTreeMap<String, Accumulate>,
}

/// What becomes of a group when a part fails for good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnError {
    /// The group fails at once, and with it what it is a part of: in the end its job.
    #[default]
    Fail,
    /// The others go on. The result is a list of `{"Ok": result}` and `{"Err": failure}`.
    Collect,
    /// The same as long as no more than so many parts fail.
    Tolerate(u64),
}

/// Results that are folded.
#[derive(Debug, Clone)]
pub struct Fold {
    /// Whose results: a group, or whatever has a list as its result when it is compiled.
    pub of: Node,
    /// The task that makes one of several: it is given a list of results, also of its own. It must be
    /// associative; the order of the results is kept.
    pub with: Step,
    /// How many results one task is given at most, from 2.
    pub width: usize,
}

/// A part of a graph.
#[derive(Debug, Clone)]
pub struct GraphNode {
    /// Its name in the graph.
    pub name: String,
    /// The part.
    pub node: Node,
    /// The names of the parts that it waits for. It is given the result of one, or the list of the results
    /// of several in this order. The result of the graph is the object of the results of those parts
    /// that no other waits for, by name.
    pub after: Vec<String>,
    /// Whether it is also run when parts that it waits for have failed; it is given `{"Ok": result}` or
    /// `{"Err": failure}` of each.
    pub collect: bool,
}

impl Workflow {
    /// What would be enqueued. Nothing is.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn plan(&self) -> Result<Plan, crate::InvalidWorkflow> {
        compile(self.root.clone())
    }
}

impl Node {
    /// Calls this for each task in it, callbacks included.
    pub(crate) fn each_task<E>(
        &mut self,
        run: &mut impl FnMut(&mut NewTask) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Task(step) => step.each_task(run),
            Self::Chain(steps) => steps.iter_mut().try_for_each(|step| step.each_task(run)),
            Self::Group(group) => group.members.iter_mut().try_for_each(|node| node.each_task(run)),
            Self::Fold(fold) => {
                fold.of.each_task(run)?;
                fold.with.each_task(run)
            }
            Self::Graph(nodes) => nodes.iter_mut().try_for_each(|node| node.node.each_task(run)),
        }
    }
}

impl Step {
    fn each_task<E>(
        &mut self,
        run: &mut impl FnMut(&mut NewTask) -> Result<(), E>,
    ) -> Result<(), E> {
        run(&mut self.task)?;
        let Callbacks { on_success, on_failure, on_end } = &mut self.callbacks;
        on_success.iter_mut().chain(on_failure).chain(on_end).try_for_each(run)
    }
}

impl Callbacks {
    fn is_empty(&self) -> bool {
        self.on_success.is_empty() && self.on_failure.is_empty() && self.on_end.is_empty()
    }
}

impl From<Step> for Node {
    fn from(step: Step) -> Self {
        Self::Task(Box::new(step))
    }
}

impl From<NewTask> for Node {
    /// A task that is given the result of what it follows in front of its own arguments.
    fn from(task: NewTask) -> Self {
        Step { task, into: Some(Target::First), callbacks: Callbacks::default() }.into()
    }
}

impl From<Node> for Workflow {
    fn from(root: Node) -> Self {
        Self {
            root,
            label: None,
            submitted_by: None,
            unique: None,
            keep_ms: celeriac_broker_schema::limits::DEFAULT_KEEP_MS,
            callbacks: Callbacks::default(),
            data: Vec::new(),
            most: (MOST_MEMBERS, MOST_DEPTH),
        }
    }
}
