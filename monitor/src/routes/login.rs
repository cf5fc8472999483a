//! Logging in and out.

use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};

use crate::actions::Fields;
use crate::auth::{LoginFailed, Peer, Viewer, is_ours};
use crate::state::Monitor;
use crate::views;

/// The page where one logs in.
pub(super) async fn page(viewer: Viewer, RawQuery(query): RawQuery) -> Response {
    let fields = Fields::of_form(query.unwrap_or_default().as_bytes());
    let back = own_path(fields.text("back"));
    if viewer.name.is_some() {
        return Redirect::to(back).into_response();
    }
    (StatusCode::OK, form(&viewer, back, None)).into_response()
}

fn form(viewer: &Viewer, back: &str, trouble: Option<&str>) -> Html<String> {
    Html(views::login(viewer, back, trouble).into_string())
}

pub(super) async fn log_in(
    State(monitor): State<Monitor>,
    viewer: Viewer,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Response {
    let fields = Fields::of_form(&body);
    let back = own_path(fields.text("back")).to_owned();
    if !is_ours(&viewer.csrf, fields.text("csrf")) {
        let trouble = "This page was too old. Try again.";
        return (StatusCode::FORBIDDEN, form(&viewer, &back, Some(trouble))).into_response();
    }
    let (name, password) = (fields.text("name"), fields.text("password"));
    match monitor.guard().log_in(name, password, &peer).await {
        Ok(cookie) => {
            tracing::info!(from = ?peer.address, "somebody logged in");
            with_cookie(Redirect::to(&back).into_response(), &cookie)
        }
        // Not the name: people type passwords into its place.
        Err(LoginFailed::Wrong) => {
            tracing::warn!(from = ?peer.address, "a login failed");
            let trouble = "Name and password do not fit.";
            (StatusCode::UNAUTHORIZED, form(&viewer, &back, Some(trouble))).into_response()
        }
        Err(LoginFailed::Wait(wait)) => {
            tracing::warn!(from = ?peer.address, "too many logins failed");
            too_many(wait, form(&viewer, &back, Some("Too many attempts. Wait a minute.")))
        }
    }
}

fn too_many(wait: Duration, page: Html<String>) -> Response {
    let mut response = (StatusCode::TOO_MANY_REQUESTS, page).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    response
}

pub(super) async fn log_out(
    State(monitor): State<Monitor>,
    viewer: Viewer,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !is_ours(&viewer.csrf, Fields::of_form(&body).text("csrf")) {
        return Redirect::to("/").into_response();
    }
    let gone = monitor.guard().log_out(&headers, &peer);
    with_cookie(Redirect::to("/login").into_response(), &gone)
}

pub(super) fn with_cookie(mut response: Response, cookie: &str) -> Response {
    let cookie = HeaderValue::try_from(cookie).expect("hex digits and words of ours");
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

/// A path of this monitor, or its first page: no link leads elsewhere by way of us.
pub(super) fn own_path(text: &str) -> &str {
    let odd = |c: char| c.is_control() || c == '\\';
    let own = text.starts_with('/') && !text.starts_with("//") && !text.contains(odd);
    if own && text.len() <= 4_096 && text.is_ascii() { text } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_elsewhere() {
        for own in ["/", "/jobs/1?x=%20#y", "/login"] {
            assert_eq!(own_path(own), own);
        }
        for other in [
            "",
            "jobs",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nb",
            "/ä",
        ] {
            assert_eq!(own_path(other), "/", "{other:?}");
        }
    }
}
