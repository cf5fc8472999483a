//! Who may change something. One place, in front of all that writes.

use axum::http::request::Parts;

use super::refusal::Refusal;
use crate::state::Monitor;

/// Lets those through who may write, and says who that is.
///
/// # Errors
/// Everybody else.
pub(super) async fn may_write(_: &Monitor, _: &mut Parts) -> Result<Option<String>, Refusal> {
    // Nobody can log in: nobody may write.
    Err(Refusal::forbidden("this monitor only shows things: nobody can log in who might do this"))
}
