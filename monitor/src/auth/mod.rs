//! Who asks, and what they may do.

mod viewer;

pub(crate) use viewer::{Role, Viewer};
