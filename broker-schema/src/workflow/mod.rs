//! Workflows as they are stored: what a member of a job knows of the others, and the form in which
//! it is given their results. How a tree of tasks becomes members and barriers is the business of
//! the producer; the scripts move it (`lua/lib/workflow.lua`).

#[cfg(feature = "client")]
mod data;
mod edit;
mod input;
mod outline;
mod shape;

use serde::{Deserialize, Serialize};

#[cfg(feature = "client")]
pub use data::{Data, MAX_DATA_BYTES, digest};
pub use edit::{Barrier, Callback, Edit, Release, Span, When};
pub use input::with_input;
pub use outline::{MOST_PARTS, Outline, OutlineKind};
pub use shape::{Known, Missing, Shape, Value};

use crate::id::ChunkIndex;

/// What the record of a member says beyond those of other tasks. Members that nothing follows and
/// nobody waits for alone have none of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberTerms {
    /// Which results it is given.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub input: Option<Shape>,
    /// Where in its arguments they go.
    #[serde(default, skip_serializing_if = "Target::is_default")]
    pub into: Target,
    /// Whether its result is kept until the job is gone: something follows it, or people ask for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep: bool,
    /// Whether numbers of its result are accumulated as the description of the job says.
    #[serde(default, rename = "acc", skip_serializing_if = "is_false")]
    pub accumulates: bool,
    /// Which accumulators of the job these are; empty: all that it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// How many members spawned one another down to this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u32,
}

/// Where the results of what a task follows go in its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// In front of the other arguments, which are a list; alone, if there are no arguments (`null`).
    #[default]
    First,
    /// Each element of the result, which is a list, in front of the other arguments, which are a list;
    /// or each field of the result, which is an object, among the other arguments, which are an object.
    Spread,
    /// A field of the arguments, which are an object.
    Field(String),
}

impl Target {
    fn is_default(&self) -> bool {
        *self == Self::First
    }
}

/// A stretch of members: the first, and the one behind the last.
pub type Stretch = (ChunkIndex, ChunkIndex);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}
