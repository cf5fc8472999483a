//! The page of the API: what can be asked, and forms to try it. It is made of the OpenAPI document,
//! so it cannot differ from it. Without script it can be read; the forms need one.

use maud::{Markup, html};
use serde_json::Value;

use crate::auth::Viewer;
use crate::routes::assets;
use crate::state::Monitor;
use crate::views::frame::still;

/// The page of this document.
pub(crate) fn api_page(monitor: &Monitor, viewer: &Viewer, document: &Value) -> Markup {
    let main = html! {
        link rel="stylesheet" href=(assets::url("api.css"));
        script src=(assets::url("api.js")) defer {}
        div.api data-token=(viewer.csrf) {
            h1 { "API" }
            p { (text(&document["info"]["description"])) }
            p {
                a href="/api/v1/openapi.json" { "OpenAPI document" }
                ", for generators of clients and other tools."
            }
            noscript { p.muted { "The forms need a script; all of this can be read without one." } }
            @for tag in list(&document["tags"]) { (noun(viewer, document, tag)) }
        }
    };
    still(monitor, viewer, "API", main)
}

fn noun(viewer: &Viewer, document: &Value, tag: &Value) -> Markup {
    let of_tag = |operation: &&Value| list(&operation["tags"]).contains(&tag["name"]);
    let paths = document["paths"].as_object().into_iter().flatten();
    html! {
        section.card {
            header { h2 { (text(&tag["name"])) } p.muted { (text(&tag["description"])) } }
            @for (path, operations) in paths {
                @for (method, operation) in operations.as_object().into_iter().flatten() {
                    @if of_tag(&operation) { (described(viewer, document, method, path, operation)) }
                }
            }
        }
    }
}

fn described(
    viewer: &Viewer,
    document: &Value,
    method: &str,
    path: &str,
    operation: &Value,
) -> Markup {
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    html! {
        details id=(text(&operation["operationId"])) {
            summary {
                code { (method.to_uppercase()) " " (path) }
                " " (text(&operation["summary"]))
            }
            @if !operation["description"].is_null() { p { (text(&operation["description"])) } }
            (parameters(operation))
            @if !body.is_null() { (fields(document, body)) }
            (responses(operation))
            @if method == "get" || viewer.role.may_act() {
                (form(method, path, operation))
            } @else {
                p.muted { "Only operators may do this." }
            }
        }
    }
}

fn parameters(operation: &Value) -> Markup {
    let parameters = list(&operation["parameters"]);
    html! {
        @if !parameters.is_empty() {
            table {
                thead { tr { th { "Parameter" } th { "In" } th { "What it is" } } }
                tbody {
                    @for parameter in parameters {
                        tr {
                            td { code { (text(&parameter["name"])) } }
                            td { (text(&parameter["in"])) }
                            td { (text(&parameter["description"])) (bounds(&parameter["schema"])) }
                        }
                    }
                }
            }
        }
    }
}

/// Default and bounds of a parameter.
fn bounds(schema: &Value) -> Markup {
    html! {
        @if let (Some(least), Some(most)) = (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
            " " span.muted { (least) " to " (most) }
        }
        @if !schema["default"].is_null() { span.muted { "; " (plain(&schema["default"])) " unless given" } }
        @for value in list(&schema["enum"]) { " " code { (plain(value)) } }
    }
}

/// The fields of a body.
fn fields(document: &Value, schema: &Value) -> Markup {
    let first = list(&schema["oneOf"]).first().unwrap_or(schema);
    let name = text(&first["$ref"]).rsplit('/').next().unwrap_or_default();
    let object = &document["components"]["schemas"][name];
    let needed = list(&object["required"]);
    html! {
        table {
            thead { tr { th { "Field" } th { "What it is" } } }
            tbody {
                @for (field, schema) in object["properties"].as_object().into_iter().flatten() {
                    tr {
                        td { code { (field) } @if needed.iter().any(|needed| needed == field) { " (needed)" } }
                        td {
                            (text(&schema["description"]))
                            @for example in list(&schema["examples"]) { " " code { (example) } }
                        }
                    }
                }
            }
        }
    }
}

fn responses(operation: &Value) -> Markup {
    html! {
        ul {
            @for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                li { code { (status) } " " (text(&response["description"])) }
            }
        }
    }
}

fn form(method: &str, path: &str, operation: &Value) -> Markup {
    let streams = operation["responses"]["200"]["content"]["text/event-stream"].is_object();
    html! {
        @if streams {
            p.muted { "Try it on a command line: " code { "curl -N " (path) } }
        } @else {
            form.try data-method=(method) data-path=(path) {
                @for parameter in list(&operation["parameters"]) {
                    label {
                        span { (text(&parameter["name"])) }
                        input type="text" name=(text(&parameter["name"])) data-in=(text(&parameter["in"]))
                            required[parameter["required"] == true] autocomplete="off" spellcheck="false";
                    }
                }
                @if operation["requestBody"].is_object() {
                    label {
                        span { "body" }
                        textarea name="body" rows="5" spellcheck="false" { "{\"task\": \"echo\", \"args\": {}}" }
                    }
                }
                button { "Try it" }
                output {}
            }
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
