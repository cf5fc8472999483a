//! What operators do.

mod fields;
mod kind;

pub(crate) use fields::Fields;
pub(crate) use kind::Kind;
