//! Actions, offered twice: to programs as JSON, and to people as forms that work without scripts.
//!
//! `GET /actions/<kind>?fields` is a page that asks for what is missing and whether it is meant.
//! `POST /actions/<kind>?fields` does it and leads back, with a word of what was done; what destroys
//! something leads to that page first. `POST /api/v1/actions/<kind>` does it and tells.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Serialize;

use crate::actions::{Actor, Done, Field, Fields, Kind, Sort, perform, preview, read};
use crate::auth::{self, NOTICE, Peer, Viewer, is_ours};
use crate::error::Problem;
use crate::routes::login::{own_path, with_cookie};
use crate::routes::pages;
use crate::state::Monitor;
use crate::views;

/// How long a browser keeps the word of what was done, if it shows no page meanwhile.
const NOTICE_KEPT: Duration = Duration::from_secs(60);

/// The longest such word, in bytes: a cookie holds 4,096.
const LONGEST_NOTICE: usize = 1_000;

/// Fields of forms that are no fields of actions.
const OF_FORM: [&str; 4] = ["csrf", "back", "confirmed", "ask"];

/// What can be done, for programs.
pub(super) async fn list() -> Json<Vec<Offer>> {
    Json(Kind::ALL.into_iter().map(Offer::new).collect())
}

/// An action, and the fields that it takes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Offer {
    action: &'static str,
    title: &'static str,
    /// What cannot be taken back.
    danger: Option<&'static str>,
    fields: Vec<OfferedField>,
}

#[derive(Serialize, JsonSchema)]
struct OfferedField {
    name: &'static str,
    title: &'static str,
    #[serde(rename = "type")]
    sort: &'static str,
    required: bool,
    many: bool,
}

impl Offer {
    fn new(kind: Kind) -> Self {
        let sort = |field: &Field| match field.sort {
            Sort::Text | Sort::OneOf(_) => "string",
            Sort::Number => "integer",
            Sort::Yes => "boolean",
        };
        let fields = kind.fields().iter().map(|field| OfferedField {
            name: field.name,
            title: field.label,
            sort: sort(field),
            required: field.required,
            many: field.many,
        });
        Self {
            action: kind.word(),
            title: kind.title(),
            danger: kind.danger(),
            fields: fields.collect(),
        }
    }
}

/// Does it, for programs.
pub(super) async fn json(
    State(monitor): State<Monitor>,
    viewer: Viewer,
    Extension(peer): Extension<Peer>,
    Path(word): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Done>, Problem> {
    let kind = Kind::of(&word).ok_or_else(|| Problem::unknown_action(&word))?;
    let content = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_json =
        |content: &str| content.split(';').next().map(str::trim) == Some("application/json");
    if !content.is_some_and(is_json) {
        return Err(Problem::not_json());
    }
    let body = body.map_err(|error| Problem::invalid_action(&[error.body_text()]))?;
    let fields = Fields::of_json(&body).map_err(|wrong| Problem::invalid_action(&wrong))?;
    let actor = Actor { viewer: &viewer, peer: &peer };
    perform(&monitor, kind, &fields, &actor).await.map(Json)
}

/// The page that asks.
pub(super) async fn ask(
    State(monitor): State<Monitor>,
    viewer: Viewer,
    Path(word): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_form(query.unwrap_or_default().as_bytes());
    let Some(kind) = Kind::of(&word) else {
        return pages::problem(&monitor, &viewer, &Problem::unknown_action(&word));
    };
    if !viewer.role.may_act() {
        return pages::problem(&monitor, &viewer, &Problem::operators_only());
    }
    let back = own_path(fields.text("back")).to_owned();
    asking(&monitor, &viewer, kind, &fields, &back, &[]).await
}

async fn asking(
    monitor: &Monitor,
    viewer: &Viewer,
    kind: Kind,
    fields: &Fields,
    back: &str,
    wrong: &[String],
) -> Response {
    let given = fields.without(&OF_FORM);
    // Without a count there is still the question.
    let about = match read(kind, &given) {
        Ok(action) => preview(&action, monitor.broker()).await.ok().flatten(),
        Err(_) => None,
    };
    let question = views::Question { kind, fields: &given, back, about, wrong };
    let page = views::question(monitor, viewer, &question).into_string();
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    (status, Html(page)).into_response()
}

/// Does it, for people.
pub(super) async fn form(
    State(monitor): State<Monitor>,
    viewer: Viewer,
    Extension(peer): Extension<Peer>,
    Path(word): Path<String>,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let problem = |problem: &Problem| pages::problem(&monitor, &viewer, problem);
    let Some(kind) = Kind::of(&word) else { return problem(&Problem::unknown_action(&word)) };
    let body = match body {
        Ok(body) => body,
        Err(error) => return problem(&Problem::invalid_action(&[error.body_text()])),
    };
    // What proves that it is ours must come in the body, which no link has.
    let sent = Fields::of_form(&body);
    if !is_ours(&viewer.csrf, sent.text("csrf")) {
        return problem(&Problem::form_too_old());
    }
    let (back, confirmed) =
        (own_path(sent.text("back")).to_owned(), sent.text("confirmed") == "yes");
    let asked = Fields::of_form(query.unwrap_or_default().as_bytes());
    // A button may want the question, although nothing has to be said.
    let asks = asked.text("ask") == "yes";
    let fields = asked.without(&OF_FORM).and(sent.without(&OF_FORM));
    if let Err(wrong) = read(kind, &fields) {
        // A button may say less than is needed: the page asks for the rest.
        let told: &[String] = if confirmed { &wrong } else { &[] };
        return asking(&monitor, &viewer, kind, &fields, &back, told).await;
    }
    if (asks || kind.danger().is_some()) && !confirmed {
        return asking(&monitor, &viewer, kind, &fields, &back, &[]).await;
    }
    let actor = Actor { viewer: &viewer, peer: &peer };
    match perform(&monitor, kind, &fields, &actor).await {
        Ok(done) => {
            let notice = notice(&done);
            let cookie = auth::cookie(NOTICE, &notice, NOTICE_KEPT, peer.secure);
            with_cookie(Redirect::to(&back).into_response(), &cookie)
        }
        Err(refused) => problem(&refused),
    }
}

/// The word of what was done, as a cookie can hold it.
fn notice(done: &Done) -> String {
    let more = if done.more { ". There is more: do it again" } else { "" };
    let mut text = format!("{}{more}.", done.what);
    while text.len() > LONGEST_NOTICE {
        text.pop();
    }
    if let Some(first) = text.get(..1) {
        text.replace_range(..1, &first.to_uppercase());
    }
    auth::hex(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_fits_into_a_cookie() {
        let what = "queue ä ".repeat(1_000);
        let done = Done { what, changed: 1, more: true, left: Vec::new() };
        let notice = notice(&done);
        assert!(notice.len() <= 2 * LONGEST_NOTICE && notice.starts_with(&auth::hex(b"Queue")));
    }
}
