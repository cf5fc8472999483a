//! Ids in paths.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use celeriac_broker_schema::InvalidInput;

use crate::error::Problem;

/// The `{id}` of the path.
pub(super) struct Id<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Id<T>
where
    T: FromStr<Err = InvalidInput>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        // Only what is not UTF-8 is rejected, and that is no id either.
        let text = match &params {
            Ok(params) => params.iter().find(|(name, _)| *name == "id").map_or("", |(_, id)| id),
            Err(_) => "\u{fffd}",
        };
        text.parse().map(Self).map_err(|error| Problem::invalid_id(&error))
    }
}
