//! What operators do. There is one way for all of it: the fields are read and checked ([`read`], all
//! that is wrong at once), the role was asked for by the [gate](crate::auth), the action runs in
//! bounded steps ([`run`]), and what came of it is noted in the audit list ([`perform`]).

mod action;
mod fields;
mod kind;
mod perform;
mod preview;
mod problem;
mod read;
mod run;

pub(crate) use fields::Fields;
pub(crate) use kind::{Field, Kind, Sort};
pub(crate) use perform::{Actor, perform};
pub(crate) use preview::preview;
pub(crate) use read::read;
pub(crate) use run::Done;
