//! What operators do.

mod kind;

pub(crate) use kind::Kind;
