//! From a tree to a plan. Every task becomes a member of the job; every "then" becomes a barrier, which
//! counts those before it and releases those behind it.
//!
//! Members are numbered by level (how many barriers lie before them), and within a level in their order, so
//! that what is released together lies together: it is one stretch, however many members it has.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use celeriac_broker_schema::Accumulate;
use celeriac_broker_schema::limits::MAX_CHUNKS;
use celeriac_broker_schema::script::Start;
use celeriac_broker_schema::workflow::{MemberTerms, Shape};

use super::plan::Plan;
use super::{Callbacks, Fold, GraphNode, Group, Node, OnError, Step};
use crate::error::{InvalidWorkflow, Problem};

/// Workflows may be nested so deep.
const MOST_DEPTH: usize = 100;

/// A member before it has its number.
#[derive(Debug)]
pub(super) struct Draft {
    /// None: it only stands for others, and is settled as soon as its barrier opens.
    pub(super) step: Option<Box<Step>>,
    /// Of one that stands for others: the shape of their results.
    pub(super) stands_for: Option<Shape>,
    /// The barrier that it waits for.
    pub(super) waits: Option<usize>,
    pub(super) input: Option<Shape>,
    /// The barriers that wait for it; none: the end of the job.
    pub(super) feeds: Vec<usize>,
    /// Where its failure is caught, if not by the end of the job.
    pub(super) catch: Option<usize>,
    pub(super) accumulates: bool,
    /// The names of these accumulators, if they are not all of the job.
    pub(super) only: Option<Arc<[String]>>,
    /// Whether its result is kept although nothing in sight is given it.
    pub(super) keeps: bool,
    /// Of a spawned member: whether it feeds what the one that spawned it would have fed, and its failure goes
    /// where that of the other one would have gone.
    pub(super) as_parent: bool,
    /// Where it stands in what was given, for people.
    pub(super) path: String,
    level: u32,
}

/// A barrier before it has its number.
#[derive(Debug, Default)]
pub(super) struct Join {
    pub(super) missing: u64,
    /// The member that it waits for, if that is only one.
    pub(super) waits_for: Option<usize>,
    pub(super) opens: Vec<usize>,
    pub(super) tolerates: Option<u64>,
    level: u32,
}

/// What is behind a part: those of its members that are waited for, and the shape of its result, in which
/// distances are numbers of drafts.
#[derive(Debug)]
struct Exit {
    leaves: Vec<usize>,
    shape: Shape,
}

/// What a part follows.
#[derive(Debug)]
struct Follow {
    /// None: there was nothing to wait for.
    barrier: Option<usize>,
    shape: Shape,
}

/// All that was made of a tree.
#[derive(Debug, Default)]
pub(super) struct Compiler {
    pub(super) drafts: Vec<Draft>,
    pub(super) joins: Vec<Join>,
    pub(super) accumulate: BTreeMap<String, Accumulate>,
    /// Of each group that catches failures, for each part: the member that takes the failure.
    pub(super) slots: Vec<usize>,
    /// How many members spawned one another down to these.
    pub(super) depth: u32,
    problems: Vec<Problem>,
    path: Vec<String>,
}

/// Turns a workflow into a plan.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn compile(root: Node) -> Result<Plan, InvalidWorkflow> {
    let mut compiler = Compiler::default();
    let exit = compiler.node(root, None, None);
    compiler.plan(&exit.leaves, exit.shape).map(|(plan, _)| plan)
}

impl Compiler {
    /// The plan, whose end waits for these; and the number of each draft.
    fn plan(
        mut self,
        leaves: &[usize],
        exit: Shape,
    ) -> Result<(Plan, Vec<usize>), InvalidWorkflow> {
        if self.drafts.len() as u64 > MAX_CHUNKS {
            self.problem(format!("more than {MAX_CHUNKS} tasks"));
        }
        if !self.problems.is_empty() {
            return Err(InvalidWorkflow { problems: self.problems });
        }
        let numbers = self.order();
        Plan::new(self, &numbers, leaves, exit).map(|plan| (plan, numbers))
    }

    /// The same of spawned members.
    pub(super) fn finish(self, leaves: &[usize]) -> Result<(Plan, Vec<usize>), InvalidWorkflow> {
        self.plan(leaves, Shape::List(Vec::new()))
    }

    /// The plan of a job whose group takes members in until it is closed: a member that stands for the group,
    /// behind a barrier that waits for one more than there are; and what follows it.
    pub(super) fn open(
        mut self,
        shape: Shape,
        tolerates: Option<u64>,
        accumulate: BTreeMap<String, Accumulate>,
        then: Vec<Node>,
    ) -> Result<Plan, InvalidWorkflow> {
        self.accumulate = accumulate;
        self.joins.push(Join { missing: 1, tolerates, ..Join::default() });
        let group = self.add(None, Some(shape), Some(0), None, None);
        let mut exit = Exit { leaves: vec![group], shape: Shape::One(distance(group)) };
        for (i, node) in then.into_iter().enumerate() {
            let follow = self.follow(exit);
            exit = self.within(format!("/then/{i}"), |c| c.node(node, Some(&follow), None));
        }
        self.plan(&exit.leaves, exit.shape).map(|(plan, _)| plan)
    }

    /// Adds what takes the place of the member that spawns it. Returns the draft that stands for it.
    pub(super) fn in_place_of_parent(&mut self, node: Node) -> usize {
        let slot = self.slots.len();
        self.slots.push(usize::MAX);
        let exit = self.node(node, None, Some(slot));
        let exit = self.stand_for(exit, None, Some(slot));
        self.slots[slot] = exit.leaves[0];
        self.drafts[exit.leaves[0]].as_parent = true;
        exit.leaves[0]
    }

    /// Adds a part to the group of the member that spawns it. Returns the draft of its result.
    pub(super) fn beside_parent(&mut self, node: Node, parent: &MemberTerms) -> usize {
        let exit = self.caught(node, None);
        let draft = &mut self.drafts[exit.leaves[0]];
        (draft.as_parent, draft.keeps, draft.accumulates) = (true, parent.keep, parent.accumulates);
        draft.only = (!parent.only.is_empty()).then(|| parent.only.as_slice().into());
        exit.leaves[0]
    }

    /// Adds what only the end of the job waits for. Returns these drafts.
    pub(super) fn besides(&mut self, node: Node) -> Vec<usize> {
        self.node(node, None, None).leaves
    }

    fn problem(&mut self, reason: impl Into<String>) {
        let path = self.path.concat();
        self.problems.push(Problem { path, reason: reason.into() });
    }

    fn within<T>(&mut self, step: String, run: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let result = run(self);
        self.path.pop();
        result
    }

    fn node(&mut self, node: Node, follow: Option<&Follow>, catch: Option<usize>) -> Exit {
        if self.path.len() > 2 * MOST_DEPTH {
            self.problem(format!("nested deeper than {MOST_DEPTH} levels"));
            return Exit { leaves: Vec::new(), shape: Shape::List(Vec::new()) };
        }
        match node {
            Node::Task(step) => self.task(step, follow, catch),
            Node::Chain(steps) => self.within("/chain".into(), |c| c.chain(steps, follow, catch)),
            Node::Group(group) => self.within("/group".into(), |c| c.group(group, follow, catch)),
            Node::Fold(fold) => self.within("/fold".into(), |c| c.fold(*fold, follow, catch)),
            Node::Graph(nodes) => self.within("/graph".into(), |c| c.graph(nodes, follow, catch)),
        }
    }

    fn task(&mut self, mut step: Box<Step>, follow: Option<&Follow>, catch: Option<usize>) -> Exit {
        self.check(&step);
        match step.task.clone().placed() {
            Ok(task) => step.task = task,
            Err(error) => self.problem(error.to_string()),
        }
        let input = follow.filter(|_| step.into.is_some()).map(|follow| follow.shape.clone());
        let id = self.add(Some(step), None, follow.and_then(|follow| follow.barrier), input, catch);
        Exit { leaves: vec![id], shape: Shape::One(distance(id)) }
    }

    fn check(&mut self, step: &Step) {
        let Start { delay_ms, .. } = step.task.start;
        if step.task.start != (Start { delay_ms, ..Start::default() }) {
            self.problem("a task of a workflow may have a delay, but no time and no expiry");
        }
        if step.task.unique.is_some() {
            self.problem("a task of a workflow has no idempotency key: the workflow may have one");
        }
        if let Err(error) = step.task.record().and_then(|record| record.encode()) {
            self.problem(error.to_string());
        }
        let Callbacks { on_success, on_failure, on_end } = &step.callbacks;
        for callback in on_success.iter().chain(on_failure).chain(on_end) {
            if let Err(error) = callback.record().and_then(|record| record.encode()) {
                self.problem(format!("a callback: {error}"));
            }
        }
    }

    fn add(
        &mut self,
        step: Option<Box<Step>>,
        stands_for: Option<Shape>,
        waits: Option<usize>,
        input: Option<Shape>,
        catch: Option<usize>,
    ) -> usize {
        let id = self.drafts.len();
        let level = waits.map_or(0, |barrier| self.joins[barrier].level + 1);
        if let Some(barrier) = waits {
            self.joins[barrier].opens.push(id);
        }
        let (feeds, accumulates, path) = (Vec::new(), false, self.path.concat());
        let (keeps, as_parent) = (false, false);
        let draft = Draft {
            step,
            stands_for,
            waits,
            input,
            feeds,
            catch,
            accumulates,
            only: None,
            keeps,
            as_parent,
            path,
            level,
        };
        self.drafts.push(draft);
        id
    }

    /// A barrier behind these members.
    fn join(&mut self, leaves: &[usize]) -> Option<usize> {
        if leaves.is_empty() {
            return None;
        }
        let barrier = self.joins.len();
        let level = leaves.iter().map(|leaf| self.drafts[*leaf].level).max().unwrap_or(0);
        for leaf in leaves {
            self.drafts[*leaf].feeds.push(barrier);
        }
        let (missing, waits_for) =
            (leaves.len() as u64, Some(leaves[0]).filter(|_| leaves.len() == 1));
        self.joins.push(Join { missing, waits_for, level, ..Join::default() });
        Some(barrier)
    }

    fn follow(&mut self, exit: Exit) -> Follow {
        Follow { barrier: self.join(&exit.leaves), shape: exit.shape }
    }

    /// One member that stands for all behind a part.
    fn stand_for(&mut self, exit: Exit, tolerates: Option<u64>, catch: Option<usize>) -> Exit {
        let barrier = self.join(&exit.leaves);
        if let Some(barrier) = barrier {
            self.joins[barrier].tolerates = tolerates;
        }
        let id = self.add(None, Some(exit.shape), barrier, None, catch);
        Exit { leaves: vec![id], shape: Shape::One(distance(id)) }
    }

    fn chain(&mut self, steps: Vec<Node>, follow: Option<&Follow>, catch: Option<usize>) -> Exit {
        let mut before: Option<Follow> = None;
        let mut last = None;
        if let (true, Some(Follow { barrier, shape })) = (steps.is_empty(), follow) {
            // No steps at all: the result is what it follows.
            let id = self.add(None, Some(shape.clone()), *barrier, None, catch);
            return Exit { leaves: vec![id], shape: Shape::One(distance(id)) };
        }
        for (i, step) in steps.into_iter().enumerate() {
            if let Some(exit) = last.take() {
                before = Some(self.follow(exit));
            }
            let follow = before.as_ref().or(follow);
            last = Some(self.within(format!("/{i}"), |c| c.node(step, follow, catch)));
        }
        last.unwrap_or_else(|| {
            self.problem("a chain needs at least one step");
            Exit { leaves: Vec::new(), shape: Shape::List(Vec::new()) }
        })
    }

    fn group(&mut self, group: Group, follow: Option<&Follow>, catch: Option<usize>) -> Exit {
        let Group { members, on_error, accumulate } = group;
        let collects = on_error != OnError::Fail;
        let names = self.accumulators(accumulate, &members);
        let parts = self.parts(members, collects, follow, catch);
        let mut leaves = Vec::new();
        let mut shapes = Vec::with_capacity(parts.len());
        for part in parts {
            leaves.extend(part.leaves);
            shapes.push(if collects { part.shape.tried() } else { part.shape });
        }
        let shape = match names {
            Some(names) => {
                let only: Arc<[String]> = names.as_slice().into();
                for leaf in &leaves {
                    self.drafts[*leaf].accumulates = true;
                    self.drafts[*leaf].only = Some(Arc::clone(&only));
                }
                Shape::totals(names)
            }
            None => Shape::List(shapes),
        };
        let exit = Exit { leaves, shape };
        match on_error {
            OnError::Tolerate(most) if !exit.leaves.is_empty() => {
                self.stand_for(exit, Some(most), catch)
            }
            // It waits for what it follows all the same.
            _ if exit.leaves.is_empty() => match follow.and_then(|follow| follow.barrier) {
                Some(barrier) => {
                    let id = self.add(None, Some(exit.shape), Some(barrier), None, catch);
                    Exit { leaves: vec![id], shape: Shape::One(distance(id)) }
                }
                None => exit,
            },
            _ => exit,
        }
    }

    /// The names of what a group accumulates, if it does.
    fn accumulators(
        &mut self,
        accumulate: BTreeMap<String, Accumulate>,
        members: &[Node],
    ) -> Option<Vec<String>> {
        if accumulate.is_empty() {
            return None;
        }
        if members.iter().any(|member| !matches!(member, Node::Task(_))) {
            self.problem("a group with accumulators may only have tasks as its members");
        }
        let names = accumulate.keys().cloned().collect();
        for (name, how) in accumulate {
            if self.accumulate.insert(name.clone(), how).is_some() {
                self.problem(format!("two groups have an accumulator named `{name}`"));
            }
        }
        Some(names)
    }

    fn parts(
        &mut self,
        members: Vec<Node>,
        collects: bool,
        follow: Option<&Follow>,
        catch: Option<usize>,
    ) -> Vec<Exit> {
        let mut parts = Vec::with_capacity(members.len());
        for (i, member) in members.into_iter().enumerate() {
            parts.push(self.within(format!("/{i}"), |c| {
                if collects { c.caught(member, follow) } else { c.node(member, follow, catch) }
            }));
        }
        parts
    }

    /// A part whose failure is caught: it has one member that takes it.
    fn caught(&mut self, node: Node, follow: Option<&Follow>) -> Exit {
        let slot = self.slots.len();
        self.slots.push(usize::MAX);
        let mut exit = self.node(node, follow, Some(slot));
        if !matches!((&exit.leaves[..], &exit.shape), ([leaf], Shape::One(id)) if *id == distance(*leaf))
        {
            exit = self.stand_for(exit, None, Some(slot));
        }
        self.slots[slot] = exit.leaves[0];
        exit
    }

    fn fold(&mut self, fold: Fold, follow: Option<&Follow>, catch: Option<usize>) -> Exit {
        let Fold { of, with, width } = fold;
        if width < 2 {
            self.problem(format!("a fold of {width} results at a time never ends: use at least 2"));
        }
        let width = width.max(2);
        let mut parts = match of {
            Node::Group(Group { members, on_error: OnError::Fail, accumulate })
                if accumulate.is_empty() =>
            {
                self.parts(members, false, follow, catch)
            }
            _ => {
                self.problem(
                    "only a group that fails with its parts, without accumulators, is folded",
                );
                return Exit { leaves: Vec::new(), shape: Shape::List(Vec::new()) };
            }
        };
        if parts.is_empty() {
            self.problem("there is nothing to fold: the group is empty");
            return Exit { leaves: Vec::new(), shape: Shape::List(Vec::new()) };
        }
        // Also one result alone is folded, so that what comes out is always of the task.
        loop {
            let mut level = Vec::with_capacity(parts.len() / width + 1);
            let mut rest = parts.into_iter().peekable();
            while rest.peek().is_some() {
                let (mut leaves, mut shapes) = (Vec::new(), Vec::new());
                for part in rest.by_ref().take(width) {
                    leaves.extend(part.leaves);
                    shapes.push(part.shape);
                }
                let before = self.follow(Exit { leaves, shape: Shape::List(shapes) });
                level.push(self.task(Box::new(with.clone()), Some(&before), catch));
            }
            parts = level;
            if let [_] = parts[..] {
                return parts.remove(0);
            }
        }
    }

    fn graph(
        &mut self,
        nodes: Vec<GraphNode>,
        follow: Option<&Follow>,
        catch: Option<usize>,
    ) -> Exit {
        let Some(order) = self.sorted(&nodes) else {
            return Exit { leaves: Vec::new(), shape: Shape::List(Vec::new()) };
        };
        // Who waits for whom, and whether the failure of a part is something that its followers are given.
        let mut followers: HashMap<String, Vec<bool>> = HashMap::new();
        for node in &nodes {
            for name in &node.after {
                followers.entry(name.clone()).or_default().push(node.collect);
            }
        }
        let mut nodes: Vec<Option<GraphNode>> = nodes.into_iter().map(Some).collect();
        let mut exits: HashMap<String, Exit> = HashMap::new();
        for i in order {
            let Some(GraphNode { name, node, after, collect }) = nodes[i].take() else { continue };
            let before = (!after.is_empty()).then(|| {
                let mut leaves: Vec<usize> =
                    after.iter().flat_map(|name| exits[name].leaves.iter().copied()).collect();
                leaves.sort_unstable();
                leaves.dedup();
                let mut shapes: Vec<Shape> = after
                    .iter()
                    .map(|name| exits[name].shape.clone())
                    .map(|shape| if collect { shape.tried() } else { shape })
                    .collect();
                let shape = if shapes.len() == 1 { shapes.remove(0) } else { Shape::List(shapes) };
                self.follow(Exit { leaves, shape })
            });
            let given = followers.get(&name).is_some_and(|all| all.iter().all(|collect| *collect));
            let told = followers.get(&name).is_some_and(|all| all.contains(&true));
            let before = before.as_ref().or(follow);
            let exit = self.within(format!("/{name}"), |c| {
                if given {
                    return c.caught(node, before);
                }
                let exit = c.node(node, before, catch);
                // What collects is given one `Ok` of all of it.
                let whole = !told || matches!(exit.shape, Shape::One(_));
                if whole { exit } else { c.stand_for(exit, None, catch) }
            });
            exits.insert(name, exit);
        }
        let mut leaves = Vec::new();
        let mut fields = BTreeMap::new();
        for (name, exit) in exits {
            if !followers.contains_key(&name) {
                leaves.extend(exit.leaves);
                fields.insert(name, exit.shape);
            }
        }
        leaves.sort_unstable();
        // A part without a name is the result.
        let shape = fields.remove("").unwrap_or_else(|| Shape::map(fields));
        Exit { leaves, shape }
    }

    /// The parts of a graph, each behind those that it waits for.
    fn sorted(&mut self, nodes: &[GraphNode]) -> Option<Vec<usize>> {
        let before = self.problems.len();
        let mut names: HashMap<&str, usize> = HashMap::new();
        for (i, node) in nodes.iter().enumerate() {
            if names.insert(&node.name, i).is_some() {
                self.problem(format!("two parts are named `{}`", node.name));
            }
        }
        let mut missing = vec![0; nodes.len()];
        let mut behind = vec![Vec::new(); nodes.len()];
        for (i, node) in nodes.iter().enumerate() {
            for name in &node.after {
                match names.get(name.as_str()) {
                    Some(of) => {
                        missing[i] += 1;
                        behind[*of].push(i);
                    }
                    None => self.within(format!("/{}/after", node.name), |c| {
                        c.problem(format!("there is no part named `{name}`"));
                    }),
                }
            }
        }
        let mut order: Vec<usize> = (0..nodes.len()).filter(|i| missing[*i] == 0).collect();
        let mut next = 0;
        while let Some(&i) = order.get(next) {
            next += 1;
            for &follower in &behind[i] {
                missing[follower] -= 1;
                if missing[follower] == 0 {
                    order.push(follower);
                }
            }
        }
        if nodes.is_empty() {
            self.problem("a graph needs at least one part");
        } else if order.len() < nodes.len() && self.problems.len() == before {
            let all = nodes.iter().zip(&missing).filter(|(_, missing)| **missing > 0);
            let names: Vec<&str> = all.map(|(node, _)| node.name.as_str()).collect();
            self.problem(format!(
                "these parts wait for one another in a circle: {}",
                names.join(", ")
            ));
        }
        (self.problems.len() == before).then_some(order)
    }

    /// For each draft its number.
    fn order(&self) -> Vec<usize> {
        let mut by_level: Vec<usize> = (0..self.drafts.len()).collect();
        by_level.sort_by_key(|id| self.drafts[*id].level);
        let mut numbers = vec![0; by_level.len()];
        for (number, id) in by_level.into_iter().enumerate() {
            numbers[id] = number;
        }
        numbers
    }
}

/// A draft in a shape.
fn distance(id: usize) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}
