//! The OpenAPI document, and the page to read and try it.

use std::sync::LazyLock;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::refusal::Refusal;
use super::reply::{Reply, tagged};
use super::table::{Call, Table, words};
use crate::auth::Viewer;
use crate::state::Monitor;

/// The document as text. It is the same for all monitors of this build.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut text = serde_json::to_string_pretty(&super::table().document()).unwrap_or_default();
    text.push('\n');
    text
});

static TAG: LazyLock<String> = LazyLock::new(|| {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    DOCUMENT.hash(&mut hasher);
    format!("{:x}", hasher.finish())
});

pub(super) fn add(table: &mut Table) {
    table.get("/openapi.json", words("getDocument", "document", "This document", ""), document);
}

struct Document;

impl Reply for Document {
    fn describe(_: &mut SchemaGenerator) -> Vec<(u16, &'static str, &'static str, Schema)> {
        vec![(200, "This document.", "application/json", json_schema!({ "type": "object" }))]
    }

    fn send(self, asked: &HeaderMap) -> Response {
        let kind = [(header::CONTENT_TYPE, "application/json")];
        tagged(&TAG, asked, || (kind, DOCUMENT.as_str()).into_response())
    }
}

async fn document(_: Call) -> Result<Document, Refusal> {
    Ok(Document)
}

/// The page `/api`.
pub(crate) async fn page(State(monitor): State<Monitor>, viewer: Viewer) -> Response {
    let document: Value = serde_json::from_str(&DOCUMENT).unwrap_or_default();
    axum::response::Html(crate::views::api_page(&monitor, &viewer, &document).into_string())
        .into_response()
}
