//! The page of the API: what can be asked, and a form to try what only reads. It is made of the
//! OpenAPI document, so it cannot differ from it.

use maud::{Markup, html};
use serde_json::Value;

use crate::state::Monitor;
use crate::views::frame::still;

/// The page of this document.
pub(crate) fn api_page(monitor: &Monitor, document: &Value) -> Markup {
    still(
        monitor,
        "API",
        html! { h1 { "API" } p { (document["info"]["description"].as_str().unwrap_or_default()) } },
    )
}
