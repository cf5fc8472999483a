//! What the API answers when it does not do what was asked: a problem document (RFC 9457), with
//! each single thing that is wrong if there may be several.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use celeriac_broker_schema::{BrokerError, InvalidInput};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Problem;

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Fault {
    /// Where in the body, as a JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pointer: Option<String>,
    /// Which parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parameter: Option<String>,
    /// What is wrong, and how it should be.
    pub(crate) detail: String,
}

impl Fault {
    /// Something in the body.
    pub(crate) fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), parameter: None, detail: detail.into() }
    }

    /// A parameter of the query.
    pub(crate) fn of(parameter: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: None, parameter: Some(parameter.into()), detail: detail.into() }
    }
}

/// A problem with all that is wrong.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Refusal {
    #[serde(flatten)]
    pub(crate) problem: Problem,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<Fault>,
}

/// A problem document (RFC 9457).
#[derive(JsonSchema)]
#[schemars(rename = "Problem")]
#[expect(dead_code, reason = "only its schema is used: what is sent is a Refusal")]
pub(crate) struct ProblemSchema {
    /// Tells problems apart; does not change: `urn:celeriac:problem:…`.
    #[schemars(rename = "type")]
    kind: String,
    /// The kind in words; the same for all problems of the kind.
    title: String,
    /// The status of the answer.
    status: u16,
    /// This problem in words, and what to do about it.
    detail: String,
    /// Each single thing that is wrong with the request, if there may be several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

impl Refusal {
    fn new(
        kind: &'static str,
        title: &'static str,
        status: u16,
        detail: impl Into<String>,
    ) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Problem { kind, title, status, detail: detail.into() }.into()
    }

    fn with(mut self, errors: Vec<Fault>) -> Self {
        if let [only] = errors.as_slice() {
            self.problem.detail.clone_from(&only.detail);
        }
        self.errors = errors;
        self
    }

    /// Parameters of the query that do not exist, or have values that they cannot have.
    pub(crate) fn query(errors: Vec<Fault>) -> Self {
        let detail = format!("{} parameters cannot be used: see `errors`", errors.len());
        Self::new("urn:celeriac:problem:invalid-query", "Not a valid query", 400, detail)
            .with(errors)
    }

    /// A parameter of the path that is none.
    pub(crate) fn path(error: &InvalidInput) -> Self {
        match error {
            InvalidInput::Id(_) => Problem::invalid_id(error).into(),
            _ => {
                Self::new("urn:celeriac:problem:invalid-name", "Not a name", 400, error.to_string())
            }
        }
    }

    /// A cursor that no answer of this list contained.
    pub(crate) fn cursor() -> Self {
        let detail = "this is no cursor of this list: pass `next` of the page before, unchanged";
        Self::query(vec![Fault::of("cursor", detail)])
    }

    /// A body that is no JSON.
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        Self::new(
            "urn:celeriac:problem:invalid-json",
            "Not JSON",
            400,
            format!("the body is no JSON: {error}"),
        )
    }

    /// A body that is JSON, and not what is expected here.
    pub(crate) fn body(errors: Vec<Fault>) -> Self {
        let detail = format!(
            "{} things are wrong with the body, and nothing was done: see `errors`",
            errors.len()
        );
        Self::new("urn:celeriac:problem:invalid-body", "Not what is expected", 422, detail)
            .with(errors)
    }

    /// Headers with values that they cannot have.
    pub(crate) fn header(detail: impl Into<String>) -> Self {
        Self::new("urn:celeriac:problem:invalid-header", "Not a valid header", 400, detail)
    }

    pub(crate) fn too_large(most: usize) -> Self {
        let detail =
            format!("the body is larger than {} KiB, the most that is taken at once", most >> 10);
        Self::new("urn:celeriac:problem:too-large", "Too large", 413, detail)
    }

    pub(crate) fn media_type() -> Self {
        let detail = "send the body as `content-type: application/json`";
        Self::new("urn:celeriac:problem:unsupported-media-type", "Not JSON", 415, detail)
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new("urn:celeriac:problem:forbidden", "Not allowed", 403, detail)
    }

    pub(crate) fn conflict(
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(kind, title, 409, detail)
    }

    /// Not now: try again later.
    pub(crate) fn later(
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(kind, title, 429, detail)
    }

    pub(crate) fn not_found(
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(kind, title, 404, detail)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, errors: Vec::new() }
    }
}

impl From<BrokerError> for Refusal {
    fn from(error: BrokerError) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.problem.status;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}
