//! What is served where.

mod actions;
mod api;
pub(crate) mod assets;
mod audit;
mod events;
mod exposition;
mod flower;
mod headers;
mod health;
mod login;
mod metrics;
mod pages;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::Uri;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

pub(crate) use api::Cursor;

use crate::auth::{self, Viewer};
use crate::error::Problem;
use crate::state::Monitor;

/// The longest body that is read, in bytes.
const LONGEST_BODY: usize = 256 << 10;

/// All routes of a monitor. They show what the poller reads, which only
/// [`serve`](crate::serve) runs: alone, they tell that nothing was read yet. Where a
/// request comes from is read of `ConnectInfo<SocketAddr>` (`into_make_service_with_connect_info`);
/// without that, nothing is shown to those who have not logged in, unless everybody may look.
pub fn router(monitor: Monitor) -> Router {
    Router::new()
        .route("/", get(pages::page))
        .route("/queues", get(pages::page))
        .route("/queues/{name}", get(pages::page))
        .route("/jobs", get(pages::page))
        .route("/jobs/{id}", get(pages::page))
        .route("/tasks", get(pages::page))
        .route("/tasks/{id}", get(pages::page))
        .route("/workers", get(pages::page))
        .route("/dead", get(pages::page))
        .route("/schedules", get(pages::page))
        .route("/limits", get(pages::page))
        .route("/health", get(pages::page))
        .route("/find", get(pages::find))
        .route("/events", get(events::events))
        .route("/jobs/{id}/events", get(events::events))
        .route("/tasks/{id}/events", get(events::events))
        .merge(api::router())
        .merge(flower::router())
        .route("/api", get(api::page))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/actions/{kind}", get(actions::ask).post(actions::form))
        .route("/audit", get(audit::page))
        .route("/login", get(login::page).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/assets/{build}/{name}", get(assets::asset))
        .fallback(no_such_page)
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(from_fn_with_state(monitor.clone(), auth::gate))
        .layer(map_response(headers::secure))
        .with_state(monitor)
}

/// Programs get a document, people a page.
async fn no_such_page(State(monitor): State<Monitor>, viewer: Viewer, uri: Uri) -> Response {
    let problem = Problem::no_such_page(uri.path());
    if uri.path().starts_with("/api/") {
        problem.into_response()
    } else {
        pages::problem(&monitor, &viewer, &problem)
    }
}
