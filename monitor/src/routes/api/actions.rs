//! What operators can do, and what they did. The actions themselves are read and carried out by
//! `routes::actions`, as for people; here is their place in the document.

use axum::http::Method;
use axum::routing::{get, post};
use celeriac_broker_schema::{AuditLine, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::cursor::Cursor;
use super::query::{Limit, query};
use super::refusal::Refusal;
use super::reply::Told;
use super::table::{Body, Call, Path, Table, words};
use crate::actions::{Done, Kind};
use crate::routes::actions::{self, Offer};

pub(super) fn add(table: &mut Table) {
    table.mount::<(), (), (), Told<Vec<Offer>>>(
        Method::GET,
        "/actions",
        words("listActions", "actions", "What can be done, and the fields of each", ""),
        get(actions::list),
    );
    table.mount::<Action, (), ActionFields, Told<Done>>(
        Method::POST,
        "/actions/{kind}",
        words(
            "act",
            "actions",
            "Do something",
            "Cancel, revive, pause, purge, drain and so on. What was done is noted in the audit list. `more`: do it again.",
        ),
        post(actions::json),
    );
    table.get(
        "/audit",
        words("listAudit", "actions", "What operators did", "The newest first."),
        audit,
    );
}

/// The word of an action.
struct Action;

impl Path for Action {
    fn read(_: &str) -> Result<Self, Refusal> {
        Ok(Self)
    }

    fn describe(_: &mut SchemaGenerator) -> Option<(Schema, &'static str)> {
        let words = Kind::ALL.map(Kind::word);
        Some((json_schema!({ "type": "string", "enum": words }), "The action."))
    }
}

/// The fields of an action, and `why`.
struct ActionFields;

impl Body for ActionFields {
    const MOST: usize = 1;

    fn read(_: &[u8]) -> Result<Self, Refusal> {
        Ok(Self)
    }

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        Some(json_schema!({
            "type": "object",
            "description": "The fields of the action as `GET /actions` lists them, and `why`.",
            "additionalProperties": { "type": ["string", "number", "boolean", "array", "null"] },
            "examples": [{ "queue": "mail", "why": "the provider is down" }],
        }))
    }
}

query! {
    struct AuditQuery {
        /// Most lines of a page.
        limit: Limit<50, 500>,
        /// `next` of the page before.
        cursor: Cursor,
    }
}

/// A page of the audit list.
#[derive(Serialize, JsonSchema)]
struct Audit {
    now: Timestamp,
    /// The newest first.
    lines: Vec<AuditLine>,
    /// Where the next page begins; null: there is none.
    next: Option<Cursor>,
}

async fn audit(call: Call<(), AuditQuery>) -> Result<Told<Audit>, Refusal> {
    let after = Cursor::read(call.query.cursor.as_ref(), "audit", place)?;
    let page = call.monitor.broker().audit(after.as_deref(), Limit::of(call.query.limit)).await?;
    let next = page.next.map(|next| Cursor::new("audit", next));
    Ok(Told::new(Audit { now: page.now, lines: page.lines, next }))
}

/// Two numbers.
fn place(text: &str) -> Option<String> {
    let (time, number) = text.split_once('-')?;
    let _: (u64, u64) = (time.parse().ok()?, number.parse().ok()?);
    Some(text.to_owned())
}
