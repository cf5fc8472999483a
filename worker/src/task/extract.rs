//! Extractors: parameters of a handler that come from the attempt or from the state of the
//! worker, not from the arguments of the task.

use std::ops::{Deref, DerefMut};

use crate::task::{Chunk, Context, TaskError};

/// A type that a handler can ask for, given a worker with state `S`.
///
/// There are [`Context`], [`Data`], [`Attempt`], [`Chunk`] and `Option<Chunk>`; an own one is a
/// type with an implementation of this trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an extractor",
    label = "a handler cannot get `{Self}` from its worker",
    note = "extractors are `Context`, `Data<T>`, `Attempt`, `Chunk`, `Option<Chunk>` and types with `impl FromContext`"
)]
pub trait FromContext<S>: Sized {
    /// Makes the value for one attempt.
    ///
    /// # Errors
    /// Whatever ends the attempt before its handler is called.
    fn from_context(ctx: &Context, state: &S) -> Result<Self, TaskError>;
}

/// The state of the worker, or a part of it: a clone, made for each attempt, so keep large things
/// in an `Arc`.
///
/// `Data<T>` fits a worker whose state is `T`, and one whose state `S` tells its part `T` apart
/// with `impl FromRef<S> for T`. That is checked when the worker is compiled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Data<T>(pub T);

impl<T> Deref for Data<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Data<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// A part of the state of a worker.
///
/// ```
/// use std::sync::Arc;
/// use celeriac_worker::task::FromRef;
///
/// struct App {
///     words: Arc<Vec<String>>,
/// }
///
/// impl FromRef<App> for Arc<Vec<String>> {
///     fn from_ref(app: &App) -> Self {
///         app.words.clone()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the state `{S}` of this registry has no `{Self}`",
    label = "a handler asks for `Data<{Self}>`",
    note = "make it the state: `Registry::new(…)` with a `{Self}`, which must be `Clone`",
    note = "or make it a part of the state: `impl FromRef<{S}> for {Self}`"
)]
pub trait FromRef<S> {
    /// The part of this state.
    fn from_ref(state: &S) -> Self;
}

impl<S: Clone> FromRef<S> for S {
    fn from_ref(state: &S) -> Self {
        state.clone()
    }
}

impl<S, T: FromRef<S>> FromContext<S> for Data<T> {
    fn from_context(_: &Context, state: &S) -> Result<Self, TaskError> {
        Ok(Self(T::from_ref(state)))
    }
}

impl<S> FromContext<S> for Context {
    fn from_context(ctx: &Context, _: &S) -> Result<Self, TaskError> {
        Ok(ctx.clone())
    }
}

/// The number of this attempt, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(pub u32);

impl<S> FromContext<S> for Attempt {
    fn from_context(ctx: &Context, _: &S) -> Result<Self, TaskError> {
        Ok(Self(ctx.attempt()))
    }
}

impl<S> FromContext<S> for Chunk {
    fn from_context(ctx: &Context, _: &S) -> Result<Self, TaskError> {
        let not_one =
            "the task must be a chunk of a job: enqueue it as one, or take `Option<Chunk>`";
        ctx.chunk().ok_or_else(|| TaskError::fatal(not_one))
    }
}

impl<S> FromContext<S> for Option<Chunk> {
    fn from_context(ctx: &Context, _: &S) -> Result<Self, TaskError> {
        Ok(ctx.chunk())
    }
}

/// The extractors of a handler, as a tuple.
pub trait Extractors<S>: Sized {
    /// Makes all of them, in order.
    ///
    /// # Errors
    /// The first one.
    fn extract(ctx: &Context, state: &S) -> Result<Self, TaskError>;
}

macro_rules! extractors {
    ($($E:ident)*) => {
        impl<S, $($E: FromContext<S>),*> Extractors<S> for ($($E,)*) {
            #[allow(clippy::unused_unit, unused_variables, reason = "there may be none")]
            fn extract(ctx: &Context, state: &S) -> Result<Self, TaskError> {
                Ok(($($E::from_context(ctx, state)?,)*))
            }
        }
    };
}

extractors!();
extractors!(E1);
extractors!(E1 E2);
extractors!(E1 E2 E3);
extractors!(E1 E2 E3 E4);
extractors!(E1 E2 E3 E4 E5);
extractors!(E1 E2 E3 E4 E5 E6);
