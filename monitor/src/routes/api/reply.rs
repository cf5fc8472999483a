//! What operations answer when all is well: documents, and streams of events.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::LazyLock;

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::Stream;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::observation::Observation;

/// An answer.
pub(super) trait Reply: Send + 'static {
    /// Status, words, media type and schema of each form that it may have.
    fn describe(schemas: &mut SchemaGenerator) -> Vec<(u16, &'static str, &'static str, Schema)>;
    /// `asked`: the headers of the request.
    fn send(self, asked: &HeaderMap) -> Response;
}

const JSON: &str = "application/json";

/// A document that is there.
pub(super) struct Told<T> {
    document: T,
    /// The same as long as the document is the same.
    tag: Option<String>,
}

impl<T> Told<T> {
    /// One that is different each time.
    pub(super) fn new(document: T) -> Self {
        Self { document, tag: None }
    }

    /// One that says nothing but what this observation says: it is the same until the next one.
    pub(super) fn seen(document: T, observation: &Observation) -> Self {
        Self { document, tag: Some(format!("{:x}-{:x}", *RUN, observation.number)) }
    }
}

/// Tells the observations of this process from those of one before or beside it.
static RUN: LazyLock<u64> = LazyLock::new(rand::random);

impl<T: Serialize + JsonSchema + Send + 'static> Reply for Told<T> {
    fn describe(schemas: &mut SchemaGenerator) -> Vec<(u16, &'static str, &'static str, Schema)> {
        vec![(200, "What was asked for.", JSON, schemas.subschema_for::<T>())]
    }

    fn send(self, asked: &HeaderMap) -> Response {
        let Some(tag) = self.tag else { return Json(self.document).into_response() };
        tagged(&tag, asked, || Json(self.document).into_response())
    }
}

/// An answer that clients may keep, and ask whether it still holds.
pub(super) fn tagged(tag: &str, asked: &HeaderMap, make: impl FnOnce() -> Response) -> Response {
    let tag = format!("\"{tag}\"");
    let known =
        asked.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag);
    let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { make() };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// Something that was made, and where it is.
pub(super) struct Made<T> {
    pub(super) document: T,
    /// Whether it was made now; false: something that was there stands for it.
    pub(super) new: bool,
    pub(super) location: Option<String>,
}

impl<T: Serialize + JsonSchema + Send + 'static> Reply for Made<T> {
    fn describe(schemas: &mut SchemaGenerator) -> Vec<(u16, &'static str, &'static str, Schema)> {
        let schema = schemas.subschema_for::<T>();
        vec![
            (201, "It is enqueued.", JSON, schema.clone()),
            (
                200,
                "Nothing was enqueued: what has the same idempotency key stands for it.",
                JSON,
                schema,
            ),
        ]
    }

    fn send(self, _: &HeaderMap) -> Response {
        let status = if self.new { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = (status, Json(self.document)).into_response();
        if let Some(location) = self.location.and_then(|text| HeaderValue::try_from(text).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

/// Something that may not be there yet.
pub(super) enum Awaited<T, W> {
    Here(T),
    NotYet(W),
}

impl<T, W> Reply for Awaited<T, W>
where
    T: Serialize + JsonSchema + Send + 'static,
    W: Serialize + JsonSchema + Send + 'static,
{
    fn describe(schemas: &mut SchemaGenerator) -> Vec<(u16, &'static str, &'static str, Schema)> {
        vec![
            (200, "It has ended.", JSON, schemas.subschema_for::<T>()),
            (202, "It has not ended in time: ask again.", JSON, schemas.subschema_for::<W>()),
        ]
    }

    fn send(self, _: &HeaderMap) -> Response {
        match self {
            Self::Here(document) => Json(document).into_response(),
            Self::NotYet(document) => (StatusCode::ACCEPTED, Json(document)).into_response(),
        }
    }
}

/// Server-sent events.
pub(super) struct Events(pub(super) Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>);

impl Reply for Events {
    fn describe(_: &mut SchemaGenerator) -> Vec<(u16, &'static str, &'static str, Schema)> {
        vec![(200, "Server-sent events.", "text/event-stream", json_schema!({ "type": "string" }))]
    }

    fn send(self, _: &HeaderMap) -> Response {
        // Proxies must neither collect nor change what is sent.
        let headers = [
            (header::CACHE_CONTROL, "no-cache, no-transform"),
            (HeaderName::from_static("x-accel-buffering"), "no"),
        ];
        (headers, Sse::new(self.0).keep_alive(KeepAlive::default())).into_response()
    }
}
