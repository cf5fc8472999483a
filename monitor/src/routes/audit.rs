//! What operators did.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use celeriac_broker_schema::AuditPage;
use serde::Deserialize;

use crate::auth::Viewer;
use crate::error::Problem;
use crate::routes::pages;
use crate::state::Monitor;
use crate::views;

/// Lines of a page, unless it is said.
const LINES: u32 = 50;

#[derive(Deserialize)]
pub(super) struct Ask {
    /// Lines behind this place.
    after: Option<String>,
    /// So many, at most 500.
    limit: Option<u32>,
}

async fn read(monitor: &Monitor, ask: &Ask) -> Result<AuditPage, Problem> {
    let limit = ask.limit.unwrap_or(LINES);
    Ok(monitor.broker().audit(ask.after.as_deref(), limit).await?)
}

pub(super) async fn page(
    State(monitor): State<Monitor>,
    viewer: Viewer,
    Query(ask): Query<Ask>,
) -> Response {
    match read(&monitor, &ask).await {
        Ok(lines) => {
            let first = ask.after.is_none();
            let page = views::audit(&monitor, &viewer, &lines, first).into_string();
            (StatusCode::OK, Html(page)).into_response()
        }
        Err(problem) => pages::problem(&monitor, &viewer, &problem),
    }
}
