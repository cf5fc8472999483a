//! Why an action was not done.

use std::fmt::Display;

use axum::http::StatusCode;

use crate::error::Problem;

impl Problem {
    /// Somebody may look, but not act.
    pub(crate) fn operators_only() -> Self {
        Self {
            kind: "urn:celeriac:problem:forbidden",
            title: "For operators only",
            status: StatusCode::FORBIDDEN,
            detail: "you may look, but not act".to_owned(),
        }
    }

    /// The fields of an action are wrong; nothing was done.
    pub(crate) fn invalid_action(wrong: &[String]) -> Self {
        Self {
            kind: "urn:celeriac:problem:invalid-action",
            title: "Not done",
            status: StatusCode::BAD_REQUEST,
            detail: wrong.join("; "),
        }
    }

    /// There is no such action.
    pub(crate) fn unknown_action(word: &str) -> Self {
        Self::unknown("action", word.chars().take(80).collect::<String>())
    }

    /// There is no such thing.
    pub(crate) fn unknown(what: &str, name: impl Display) -> Self {
        Self {
            kind: "urn:celeriac:problem:unknown",
            title: "Not there",
            status: StatusCode::NOT_FOUND,
            detail: format!("there is no {what} {name} (any more)"),
        }
    }

    /// It cannot be done as things stand.
    pub(crate) fn not_now(detail: impl Into<String>) -> Self {
        Self {
            kind: "urn:celeriac:problem:not-now",
            title: "Not now",
            status: StatusCode::CONFLICT,
            detail: detail.into(),
        }
    }

    /// The body is of a type that is not read here.
    pub(crate) fn not_json() -> Self {
        Self {
            kind: "urn:celeriac:problem:not-json",
            title: "Not JSON",
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            detail: "send a JSON object, with `Content-Type: application/json`".to_owned(),
        }
    }

    /// The token of a form is missing, or of another session.
    pub(crate) fn form_too_old() -> Self {
        Self {
            kind: "urn:celeriac:problem:form-token",
            title: "The page is too old",
            status: StatusCode::FORBIDDEN,
            detail: "nothing was done: go back, reload the page and try again".to_owned(),
        }
    }
}
