//! Two kinds of errors: [`MonitorError`] for whoever runs the monitor, [`Problem`] for whoever
//! asked it something over HTTP.

use std::io;
use std::net::SocketAddr;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use celeriac_broker_schema::{BrokerError, InvalidInput};
use serde::Serialize;

/// Why the monitor does not run (any more). A Redis that is away is no reason: that is shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// The port could not be opened.
    #[error("the monitor cannot listen on {address}: {source}; choose another address")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Others would reach what only this machine may see.
    #[error(
        "whoever reaches {address} could see all names, arguments and results: say who may look with \
         --users, --tokens or --trust-header, or say --public-view"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
    /// The server ended by itself.
    #[error("the monitor's web server ended: {0}")]
    Server(#[source] io::Error),
    /// The task that reads Redis ended by itself: a bug.
    #[error("the task of the monitor that reads Redis ended without being asked to")]
    Poller,
}

/// What went wrong with a request, in the form of RFC 9457 (`application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    /// Tells problems apart; does not change.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// The kind in words; the same for all problems of the kind.
    pub(crate) title: &'static str,
    #[serde(serialize_with = "as_number")]
    pub(crate) status: StatusCode,
    /// This problem in words, and what to do about it.
    pub(crate) detail: String,
}

impl Problem {
    pub(crate) fn invalid_id(error: &InvalidInput) -> Self {
        Self {
            kind: "urn:celeriac:problem:invalid-id",
            title: "Not an id",
            status: StatusCode::BAD_REQUEST,
            detail: error.to_string(),
        }
    }

    pub(crate) fn invalid_field(name: &str) -> Self {
        Self {
            kind: "urn:celeriac:problem:invalid-field",
            title: "Not readable",
            status: StatusCode::BAD_REQUEST,
            detail: format!("what stands for {name} in the address cannot be read"),
        }
    }

    pub(crate) fn unknown_job(id: impl std::fmt::Display) -> Self {
        Self {
            kind: "urn:celeriac:problem:unknown-job",
            title: "Unknown job",
            status: StatusCode::NOT_FOUND,
            detail: format!("job {id} was never enqueued, or is not kept any more"),
        }
    }

    pub(crate) fn unknown_task(id: impl std::fmt::Display) -> Self {
        Self {
            kind: "urn:celeriac:problem:unknown-task",
            title: "Unknown task",
            status: StatusCode::NOT_FOUND,
            detail: format!("task {id} was never enqueued, or its outcome was not kept"),
        }
    }

    pub(crate) fn no_such_page(path: &str) -> Self {
        Self {
            kind: "urn:celeriac:problem:not-found",
            title: "Nothing here",
            status: StatusCode::NOT_FOUND,
            detail: format!("there is nothing at {path}"),
        }
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self {
            kind: "urn:celeriac:problem:method-not-allowed",
            title: "Method not allowed",
            status: StatusCode::METHOD_NOT_ALLOWED,
            detail: "this is not what can be done here: most things are only shown, use GET"
                .to_owned(),
        }
    }

    pub(crate) fn too_many_viewers(most: usize) -> Self {
        Self {
            kind: "urn:celeriac:problem:too-many-viewers",
            title: "Too many viewers",
            status: StatusCode::SERVICE_UNAVAILABLE,
            detail: format!("{most} pages are live already: close one, or reload this one by hand"),
        }
    }

    pub(crate) fn redis_unavailable(detail: impl Into<String>) -> Self {
        Self {
            kind: "urn:celeriac:problem:redis-unavailable",
            title: "No contact with Redis",
            status: StatusCode::SERVICE_UNAVAILABLE,
            detail: detail.into(),
        }
    }
}

/// A broker's error says where Redis is, never with which password.
impl From<BrokerError> for Problem {
    fn from(error: BrokerError) -> Self {
        match &error {
            BrokerError::Script { .. } | BrokerError::Protocol { .. } => Self {
                kind: "urn:celeriac:problem:unreadable",
                title: "Unreadable data in Redis",
                status: StatusCode::INTERNAL_SERVER_ERROR,
                detail: error.to_string(),
            },
            _ => Self::redis_unavailable(error.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
