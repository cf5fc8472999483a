//! Who looks at a page or asks the API, as handlers get it: `viewer: Viewer` among their arguments.
//! The gate in front of all routes has found out who it is, and let in only those who may look.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;
use tokio::time::Instant;

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
    /// The role of this word.
    pub(super) fn of(word: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator].into_iter().find(|role| role.word() == word)
    }

    /// Its word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }

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
    /// Whether this is a session, which can be ended.
    pub(crate) session: bool,
    /// When it ends by itself; a live page ends with it.
    pub(crate) until: Option<Instant>,
    /// Whether they may not even look: on the few pages that are for everybody.
    pub(crate) outside: bool,
}

/// Somebody who may only look, if no gate has said otherwise.
impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
