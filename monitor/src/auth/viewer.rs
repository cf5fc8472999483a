//! Who looks at a page or asks the API, as handlers get it: `viewer: Viewer` among their arguments.
//! The gate in front of all routes has found out who it is, and let in only those who may look.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;

/// What somebody may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Look.
    #[default]
    Viewer,
    /// Look, and act.
    Operator,
}

impl Role {
    /// Whether actions are offered, and carried out.
    pub(crate) fn may_act(self) -> bool {
        self == Self::Operator
    }
}

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Viewer {
    /// The name under which they logged in; None: nobody had to.
    pub(crate) name: Option<String>,
    pub(crate) role: Role,
    /// Proves that a form is one of ours: the value of its field `csrf`.
    pub(crate) csrf: String,
    /// Path and query of what they ask for: where an action leads back to.
    pub(crate) here: String,
    /// What their last action did, to be shown once.
    pub(crate) notice: Option<String>,
    /// Whether anybody can log in here at all.
    pub(crate) login: bool,
}

/// Somebody who may only look, if no gate has said otherwise.
impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
