//! Any graph of parts: each waits for those that it is told to wait for.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use celeriac_broker_schema::InvalidInput;

use super::{Flow, Follows, IntoFlow, Results};
use crate::workflow::{GraphNode, Group as Parts, Node};

/// Builds a graph, part by part. A part can only wait for parts that were added before it, so that there
/// are no circles.
///
/// ```
/// # use celeriac_producer::workflow::typed::{Flow, Follower, Graph};
/// # fn example(
/// #     load: Flow<String>, count: Follower<String, u64>, translate: Follower<String, String>,
/// #     print: Follower<(u64, String), ()>,
/// # ) {
/// let mut graph = Graph::new();
/// let text = graph.add(load);
/// let words = graph.add_after(text, count);
/// let german = graph.add_after(text, translate);
/// let printed = graph.add_after((words, german), print);
/// let flow: Flow<()> = graph.result(printed);
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a graph does nothing until it is enqueued"]
pub struct Graph {
    number: u64,
    nodes: Result<Vec<GraphNode>, InvalidInput>,
}

/// A part of a [`Graph`] that results in an `Out`.
pub struct Part<Out> {
    graph: u64,
    index: usize,
    out: PhantomData<fn() -> Out>,
}

/// What a part of a graph waits for: a [`Part`], a tuple of 2 to 8 of them, or a list of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a part of a graph can wait for",
    label = "not a part of the graph",
    note = "it waits for what `add` and `add_after` return: for one, for a tuple of 2 to 8, or for a `Vec` of parts with the same result"
)]
pub trait After {
    /// What the follower is given.
    type Given;
    /// The same if each of them may have failed.
    type Tried;

    #[doc(hidden)]
    fn parts(&self) -> Waited;
}

/// The parts that are waited for, and whether their results come as a list even if it is only one.
#[doc(hidden)]
#[derive(Debug)]
pub struct Waited {
    /// Graph and index of each.
    parts: Vec<(u64, usize)>,
    listed: bool,
}

impl<A> After for Part<A> {
    type Given = A;
    type Tried = Result<A, celeriac_broker_schema::TaskFailure>;

    fn parts(&self) -> Waited {
        Waited { parts: vec![(self.graph, self.index)], listed: false }
    }
}

impl<A> After for Vec<Part<A>> {
    type Given = Vec<A>;
    type Tried = <Vec<A> as Results>::Tried;

    fn parts(&self) -> Waited {
        let parts = self.iter().map(|part| (part.graph, part.index)).collect();
        Waited { parts, listed: true }
    }
}

macro_rules! tuples {
    ($($name:ident),+) => {
        impl<$($name),+> After for ($(Part<$name>,)+) {
            type Given = ($($name,)+);
            type Tried = <($($name,)+) as Results>::Tried;

            fn parts(&self) -> Waited {
                #[allow(non_snake_case, reason = "names of types stand for their values")]
                let ($($name,)+) = self;
                Waited { parts: vec![$(($name.graph, $name.index)),+], listed: true }
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

/// The name of the part whose result is that of the graph.
const RESULT: &str = "";

impl Graph {
    /// A graph without parts.
    pub fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        Self { number: NUMBER.fetch_add(1, Ordering::Relaxed), nodes: Ok(Vec::new()) }
    }

    /// Adds a part that waits for nothing.
    pub fn add<P: IntoFlow>(&mut self, part: P) -> Part<P::Out> {
        self.push(part.flow().node, Vec::new(), false)
    }

    /// Adds a part that waits for others and is given their results.
    pub fn add_after<D: After, F: Follows<D::Given>>(
        &mut self,
        after: D,
        follower: F,
    ) -> Part<F::Out> {
        let after = self.names(after.parts());
        self.push(follower.node(), after, false)
    }

    /// Adds a part that waits for others and is run also if they fail for good: it is given the result of
    /// each, or why it failed.
    pub fn add_after_end<D: After, F: Follows<D::Tried>>(
        &mut self,
        after: D,
        follower: F,
    ) -> Part<F::Out> {
        let Waited { parts, listed } = after.parts();
        let after = match (parts.len(), listed) {
            // What stands for one as a list would fail with it.
            (1, true) => {
                self.refuse("a list of one part", "of a part that runs also if it fails");
                Vec::new()
            }
            _ => self.names(Waited { parts, listed }),
        };
        self.push(follower.node(), after, true)
    }

    /// Adds a part that waits for others and is not given their results.
    pub fn run_after<D: After, P: IntoFlow>(&mut self, after: D, part: P) -> Part<P::Out> {
        let after = self.names(after.parts());
        self.push(part.flow().node, after, false)
    }

    /// The whole, with these as its result. Parts that nothing waits for are waited for all the same.
    pub fn result<D: After>(mut self, of: D) -> Flow<D::Given> {
        let after = self.names(of.parts());
        let given = Node::Chain(Vec::new());
        if let Ok(nodes) = &mut self.nodes {
            nodes.push(GraphNode { name: RESULT.to_owned(), node: given, after, collect: false });
        }
        Flow::new(self.nodes.map(Node::Graph))
    }

    fn push<Out>(
        &mut self,
        node: Result<Node, InvalidInput>,
        after: Vec<String>,
        collect: bool,
    ) -> Part<Out> {
        let mut index = 0;
        match (&mut self.nodes, node) {
            (Ok(nodes), Ok(node)) => {
                index = nodes.len();
                nodes.push(GraphNode { name: name(index), node, after, collect });
            }
            (Ok(_), Err(error)) => self.nodes = Err(error),
            (Err(_), _) => {}
        }
        Part { graph: self.number, index, out: PhantomData }
    }

    /// The names of parts. Of a list of one or none, that of a part which makes a list of it.
    fn names(&mut self, Waited { parts, listed }: Waited) -> Vec<String> {
        if parts.iter().any(|(graph, _)| *graph != self.number) {
            self.refuse("part", "of another graph");
        }
        let names: Vec<String> = parts.iter().map(|(_, index)| name(*index)).collect();
        if !listed || names.len() > 1 {
            return names;
        }
        let members = names.iter().map(|_| Node::Chain(Vec::new())).collect();
        let list = Node::Group(Parts { members, ..Parts::default() });
        vec![name(self.push::<()>(Ok(list), names, false).index)]
    }

    fn refuse(&mut self, what: &'static str, value: &str) {
        if self.nodes.is_ok() {
            self.nodes = Err(InvalidInput::OutOfBounds {
                what,
                value: value.to_owned(),
                expected: "parts are those that were added to the same graph; put one alone, not in a list",
            });
        }
    }
}

impl Default for Graph {
    fn default() -> Self {
        Self::new()
    }
}

fn name(index: usize) -> String {
    format!("{index}")
}

impl<Out> Clone for Part<Out> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Out> Copy for Part<Out> {}

impl<Out> std::fmt::Debug for Part<Out> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Part").field(&self.index).finish()
    }
}
