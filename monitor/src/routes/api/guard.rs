//! Who may change something. One place, in front of all that writes.

use axum::http::request::Parts;

use super::refusal::Refusal;
use crate::auth::Viewer;

/// Lets those through who may write, and says who that is. The gate in front of all routes has
/// refused the others already; this holds wherever the routes are mounted.
///
/// # Errors
/// Everybody else.
pub(super) fn may_write(parts: &Parts) -> Result<Option<String>, Refusal> {
    match parts.extensions.get::<Viewer>() {
        Some(viewer) if viewer.role.may_act() => Ok(viewer.name.clone()),
        _ => Err(Refusal::forbidden("this is for operators only: ask for that role")),
    }
}
