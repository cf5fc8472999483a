//! What is served where.

mod api;
pub(crate) mod assets;
mod events;
mod exposition;
mod headers;
mod health;
mod id;
mod metrics;
mod pages;
mod past;
mod scale;

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::error::Problem;
use crate::state::Monitor;

/// All routes of a monitor. They show what the poller reads, which only
/// [`serve`](crate::serve) runs: alone, they tell that nothing was read yet.
pub fn router(monitor: Monitor) -> Router {
    Router::new()
        .route("/", get(pages::overview))
        .route("/find", get(pages::find))
        .route("/jobs/{id}", get(pages::job))
        .route("/tasks/{id}", get(pages::task))
        .route("/events", get(events::overview))
        .route("/jobs/{id}/events", get(events::job))
        .route("/tasks/{id}/events", get(events::task))
        .route("/api/v1/overview", get(api::overview))
        .route("/api/v1/queues", get(api::queues))
        .route("/api/v1/jobs", get(api::jobs))
        .route("/api/v1/jobs/{id}", get(api::job))
        .route("/api/v1/workers", get(api::workers))
        .route("/api/v1/tasks/{id}", get(api::task))
        .route("/api/v1/history", get(past::history))
        .route("/api/v1/stragglers", get(past::slow))
        .route("/api/v1/scale", get(scale::scale))
        .route("/api/v1/tasks", get(past::tasks))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/assets/{build}/{name}", get(assets::asset))
        .fallback(no_such_page)
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(map_response(headers::secure))
        .with_state(monitor)
}

/// Programs get a document, people a page.
async fn no_such_page(State(monitor): State<Monitor>, uri: Uri) -> Response {
    let problem = Problem::no_such_page(uri.path());
    if uri.path().starts_with("/api/") {
        problem.into_response()
    } else {
        pages::problem(&monitor, &problem)
    }
}
