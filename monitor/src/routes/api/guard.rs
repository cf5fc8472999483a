//! Who may change something. One place, in front of all that writes.

use super::refusal::Refusal;
use crate::auth::Viewer;

/// Lets those through who may write. The gate in front of all routes has refused the others already;
/// this holds wherever the routes are mounted.
///
/// # Errors
/// Everybody else.
pub(in crate::routes) fn may_write(viewer: &Viewer) -> Result<(), Refusal> {
    if viewer.role.may_act() {
        return Ok(());
    }
    Err(Refusal::forbidden("this is for operators only: ask for that role"))
}
