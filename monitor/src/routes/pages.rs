//! The pages. Each is complete as it is sent; the script only keeps it up to date.

use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use celeriac_broker_schema::TaskId;
use serde::Deserialize;

use crate::auth::Viewer;
use crate::error::Problem;
use crate::observation::{Detail, Link};
use crate::read;
use crate::state::Monitor;
use crate::topic::Topic;
use crate::views;

pub(super) async fn page(State(monitor): State<Monitor>, viewer: Viewer, uri: Uri) -> Response {
    match Topic::of(&uri) {
        Ok(topic) => show(&monitor, &viewer, topic).await,
        Err(invalid) => problem(&monitor, &viewer, &invalid),
    }
}

#[derive(Deserialize)]
pub(super) struct Find {
    #[serde(default)]
    id: String,
    /// The chunk of the job with this id.
    chunk: Option<u64>,
}

/// Leads from an id to the page of what it names.
pub(super) async fn find(
    State(monitor): State<Monitor>,
    viewer: Viewer,
    Query(find): Query<Find>,
) -> Response {
    let chunk = find.chunk.map(|chunk| format!(":{chunk}")).unwrap_or_default();
    let id: TaskId = match format!("{}{chunk}", find.id.trim()).parse() {
        Ok(id) => id,
        Err(error) => return problem(&monitor, &viewer, &Problem::invalid_id(&error)),
    };
    // While Redis is away, the page of the task tells that.
    let is_job = id.chunk().is_none()
        && monitor.broker().job(id.job()).await.is_ok_and(|(_, job)| job.is_some());
    let topic = if is_job { Topic::Job(id.job()) } else { Topic::Task(id) };
    Redirect::to(&topic.to_string()).into_response()
}

/// A live page, also while Redis is away: it tells that, and recovers by itself.
async fn show(monitor: &Monitor, viewer: &Viewer, topic: Topic) -> Response {
    let observation = monitor.latest().await;
    let away = || (StatusCode::SERVICE_UNAVAILABLE, None);
    let (status, detail) = match &observation.link {
        Link::Connected => {
            let reading = observation.reading.as_deref();
            match read::detail(monitor, &topic, reading).await {
                Ok(Some(Detail::None(problem))) => (problem.status, Some(Detail::None(problem))),
                Ok(detail) => (StatusCode::OK, detail),
                // The poller notices it, too, within a second.
                Err(_) => away(),
            }
        }
        Link::Connecting | Link::Away(_) => away(),
    };
    let fragments = views::fragments(monitor, &topic, viewer.role, &observation, detail.as_ref());
    let page = views::page(monitor, viewer, &topic, &observation, &fragments);
    html(status, page.into_string())
}

pub(super) fn problem(monitor: &Monitor, viewer: &Viewer, problem: &Problem) -> Response {
    html(problem.status, views::problem_page(monitor, viewer, problem).into_string())
}

fn html(status: StatusCode, page: String) -> Response {
    let mut response = (status, Html(page)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let soon = header::HeaderValue::from_static("2");
        response.headers_mut().insert(header::RETRY_AFTER, soon);
    }
    response
}
