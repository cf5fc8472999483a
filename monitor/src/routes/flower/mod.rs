//! What people script against Flower with, answered in Flower's shapes under its paths, as far as our
//! model has it. [docs/flower.md](../../../../docs/flower.md) tells which, and what differs.
//!
//! Errors are plain text, as there; success of what changes something is `{"message": …}`.

mod apply;
mod metrics;
mod shapes;
mod tasks;
mod workers;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use celeriac_broker_schema::{BrokerError, TaskId};

use super::api::Refusal;
use crate::error::Problem;
use crate::state::Monitor;

pub(super) use metrics::exposition;

/// The routes, which are none of the OpenAPI document: Flower's own documentation is about them.
pub(super) fn router() -> Router<Monitor> {
    Router::new()
        .route("/api/workers", get(workers::list))
        .route("/api/tasks", get(tasks::list))
        .route("/api/task/types", get(tasks::types))
        .route("/api/task/info/{id}", get(tasks::info))
        .route("/api/task/result/{id}", get(tasks::result))
        .route("/api/task/apply/{*name}", post(apply::apply))
        .route("/api/task/async-apply/{*name}", post(apply::async_apply))
        .route("/api/task/send-task/{*name}", post(apply::send_task))
        .route("/api/task/revoke/{id}", post(apply::revoke))
        .route("/api/queues/length", get(workers::queues))
}

/// An error as Flower tells it.
#[derive(Debug)]
struct Plain(StatusCode, String);

impl Plain {
    fn bad(words: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, words.into())
    }

    fn unknown_task(name: impl std::fmt::Display) -> Self {
        Self(StatusCode::NOT_FOUND, format!("Unknown task '{name}'"))
    }
}

impl From<Problem> for Plain {
    fn from(problem: Problem) -> Self {
        Self(problem.status, problem.detail)
    }
}

impl From<Refusal> for Plain {
    fn from(refusal: Refusal) -> Self {
        refusal.problem.into()
    }
}

impl From<BrokerError> for Plain {
    fn from(error: BrokerError) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for Plain {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

/// The id of a path. What is none is as unknown as one that was never used.
fn id(text: &str) -> Result<TaskId, Plain> {
    text.parse().map_err(|_| Plain::unknown_task(text.chars().take(80).collect::<String>()))
}

/// `1`, `true`, `yes` and `on` mean yes.
fn is_yes(text: Option<&String>) -> bool {
    text.is_some_and(|text| ["1", "true", "yes", "on"].contains(&text.to_lowercase().as_str()))
}
