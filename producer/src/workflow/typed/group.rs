//! Parts side by side.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;

use celeriac_broker_schema::{Accumulate, InvalidInput, TaskFailure};
use serde::de::DeserializeOwned;

use super::{Flow, Follower, Follows, IntoFlow, changed};
use crate::call::NewTask;
use crate::workflow::{Fold, Group as Parts, Node, OnError};

/// Parts side by side, which result in `Out`: a list, or a tuple. If one of them fails for good, all fail
/// with it, unless it is told otherwise.
#[must_use = "a group does nothing until it is enqueued"]
pub struct Group<Out> {
    members: Result<Vec<Node>, InvalidInput>,
    out: PhantomData<fn() -> Out>,
}

/// What a group results in: a list, or a tuple.
pub trait Results {
    /// The same if each of them may have failed.
    type Tried;
}

impl<A> Results for Vec<A> {
    type Tried = Vec<Result<A, TaskFailure>>;
}

/// Marks [`Members`] that come one by one.
#[derive(Debug)]
pub struct Each;

/// Marks [`Members`] that are a tuple.
#[derive(Debug)]
pub struct Tuple;

/// What a group can be made of: any iterator over parts of the same result, or a tuple of parts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the members of a group",
    label = "these cannot be put side by side",
    note = "a group is made of a list of tasks or other parts with the same result, or of a tuple of 2 to 8 parts with any results"
)]
pub trait Members<Kind> {
    /// What they result in together.
    type Out: Results;

    #[doc(hidden)]
    fn nodes(self) -> Result<Vec<Node>, InvalidInput>;
}

impl<I> Members<Each> for I
where
    I: IntoIterator,
    I::Item: IntoFlow,
{
    type Out = Vec<<I::Item as IntoFlow>::Out>;

    fn nodes(self) -> Result<Vec<Node>, InvalidInput> {
        self.into_iter().map(|part| part.flow().node).collect()
    }
}

macro_rules! tuples {
    ($($name:ident),+) => {
        impl<$($name),+> Results for ($($name,)+) {
            type Tried = ($(Result<$name, TaskFailure>,)+);
        }

        impl<$($name: IntoFlow),+> Members<Tuple> for ($($name,)+) {
            type Out = ($($name::Out,)+);

            fn nodes(self) -> Result<Vec<Node>, InvalidInput> {
                #[allow(non_snake_case, reason = "names of types stand for their values")]
                let ($($name,)+) = self;
                Ok(vec![$($name.flow().node?),+])
            }
        }

        impl<Func, Made, $($name),+> Spread<($($name,)+)> for Func
        where
            Func: FnMut($($name),+) -> Made,
        {
            type Made = Made;

            fn call(&mut self, args: ($($name,)+)) -> Made {
                #[allow(non_snake_case, reason = "names of types stand for their values")]
                let ($($name,)+) = args;
                self($($name),+)
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

/// A function that [`starmap`] calls with the elements of a tuple.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not take the elements of `{Args}` as its arguments",
    label = "this takes other arguments",
    note = "`starmap` calls it once for each tuple, with as many arguments as the tuple has elements (2 to 8)"
)]
pub trait Spread<Args> {
    /// What it returns.
    type Made;

    #[doc(hidden)]
    fn call(&mut self, args: Args) -> Self::Made;
}

/// Parts side by side. The result is the list, or the tuple, of their results, in their order.
///
/// ```
/// # use celeriac_producer::workflow::typed::{Flow, Group, group};
/// # fn example(a: Flow<u64>, b: Flow<u64>, c: Flow<String>) {
/// let list: Group<Vec<u64>> = group([a, b]);
/// let both: Group<(Vec<u64>, String)> = group((list, c));
/// # }
/// ```
pub fn group<Kind, M: Members<Kind>>(members: M) -> Group<M::Out> {
    Group { members: members.nodes(), out: PhantomData }
}

/// One task for each argument: `map(square, 0..10)`.
pub fn map<A, P: IntoFlow>(
    make: impl FnMut(A) -> P,
    arguments: impl IntoIterator<Item = A>,
) -> Group<Vec<P::Out>> {
    group::<Each, _>(arguments.into_iter().map(make))
}

/// One task for each tuple of arguments: `starmap(add, [(1, 2), (3, 4)])`.
pub fn starmap<A, F>(
    mut make: F,
    arguments: impl IntoIterator<Item = A>,
) -> Group<Vec<<F::Made as IntoFlow>::Out>>
where
    F: Spread<A>,
    F::Made: IntoFlow,
{
    group::<Each, _>(arguments.into_iter().map(|each| make.call(each)))
}

/// One task for every `size` arguments, which it is given as a list: a million of them need not be a million
/// tasks. The last list may be shorter.
///
/// ```
/// # use celeriac_producer::task::Task;
/// # use celeriac_producer::workflow::typed::{Group, chunks};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Index { pages: Vec<u64> }
/// # impl Task for Index { const NAME: &'static str = "index"; type Output = String; }
/// let indexed: Group<Vec<String>> = chunks(|pages| Index { pages }, 0..1_000_u64, 500);
/// ```
pub fn chunks<A, P: IntoFlow>(
    mut make: impl FnMut(Vec<A>) -> P,
    arguments: impl IntoIterator<Item = A>,
    size: usize,
) -> Group<Vec<P::Out>> {
    let mut rest = arguments.into_iter().peekable();
    let bites = std::iter::from_fn(|| {
        rest.peek()?;
        Some(make(rest.by_ref().take(size.max(1)).collect()))
    });
    group::<Each, _>(bites)
}

impl<Out> IntoFlow for Group<Out> {
    type Out = Out;

    fn flow(self) -> Flow<Out> {
        self.made(OnError::Fail, BTreeMap::new())
    }
}

impl<Out> Group<Out> {
    fn made<T>(self, on_error: OnError, accumulate: BTreeMap<String, Accumulate>) -> Flow<T> {
        let group = |members| Node::Group(Parts { members, on_error, accumulate });
        Flow::new(self.members.map(group))
    }

    /// This, and then a task that is given all results as its first argument: a chord.
    pub fn then<F: Follows<Out>>(self, follower: F) -> Flow<F::Out> {
        self.flow().then(follower)
    }

    /// This, and when all of it has succeeded the other, which is not given the results.
    pub fn then_run<Next: IntoFlow>(self, next: Next) -> Flow<Next::Out> {
        self.flow().then_run(next)
    }

    /// Changes the options of every task in it. See [`Flow::with`].
    pub fn with(mut self, mut change: impl FnMut(NewTask) -> NewTask) -> Self {
        let changed = |node| changed(node, &mut change);
        self.members = self.members.map(|nodes| nodes.into_iter().map(changed).collect());
        self
    }

    /// Starts each of its tasks so long after what it waits for has ended.
    pub fn delay(self, delay: Duration) -> Self {
        self.with(|task| task.delay(delay))
    }
}

impl<Out: Results> Group<Out> {
    /// Goes on when parts fail for good: each result is `Ok`, or `Err` with why the part failed.
    pub fn collect_errors(self) -> Flow<Out::Tried> {
        self.made(OnError::Collect, BTreeMap::new())
    }

    /// Goes on as long as no more than so many parts fail for good. Each result is `Ok` or `Err`.
    pub fn tolerate(self, failures: u64) -> Flow<Out::Tried> {
        self.made(OnError::Tolerate(failures), BTreeMap::new())
    }
}

impl<A> Group<Vec<A>> {
    /// Folds the results into one: `reducer` makes an `A` of up to `width` of them, at least 2, in as many
    /// levels as that takes. It must be associative. No task gets more than `width` results.
    pub fn fold(self, reducer: Follower<Vec<A>, A>, width: usize) -> Flow<A> {
        let of = self.flow().node;
        Flow::new(of.and_then(|of| {
            let with = reducer.step()?;
            Ok(Node::Fold(Box::new(Fold { of, with, width })))
        }))
    }

    /// Accumulates fields of the results of its tasks in place of keeping these. The result is a `T`: a
    /// type with a field for each accumulator, or [`Totals`]. Members must be tasks.
    ///
    /// ```
    /// # use celeriac_producer::workflow::typed::{Flow, Group, Totals, max, sum};
    /// # fn example(pages: Group<Vec<String>>) {
    /// let totals: Flow<Totals> = pages.accumulate([sum("words"), max("longest")]);
    /// # }
    /// ```
    pub fn accumulate<T: DeserializeOwned>(
        self,
        accumulators: impl IntoIterator<Item = Accumulator>,
    ) -> Flow<T> {
        let named = accumulators.into_iter().map(|Accumulator { name, how }| (name, how));
        self.made(OnError::Fail, named.collect())
    }
}

/// Accumulators by name.
pub type Totals = BTreeMap<String, serde_json::Number>;

/// What is accumulated of the results of a group. See [`Group::accumulate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accumulator {
    name: String,
    how: Accumulate,
}

/// The sum of a field of the results. Integers are added exactly.
pub fn sum(field: impl Into<String>) -> Accumulator {
    Accumulator { name: field.into(), how: Accumulate::Sum }
}

/// The smallest value of a field of the results.
pub fn min(field: impl Into<String>) -> Accumulator {
    Accumulator { name: field.into(), how: Accumulate::Min }
}

/// The largest value of a field of the results.
pub fn max(field: impl Into<String>) -> Accumulator {
    Accumulator { name: field.into(), how: Accumulate::Max }
}

impl<Out> Clone for Group<Out> {
    fn clone(&self) -> Self {
        Self { members: self.members.clone(), out: PhantomData }
    }
}

impl<Out> std::fmt::Debug for Group<Out> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Group").field(&self.members).finish()
    }
}
