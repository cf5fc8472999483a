//! The JSON API, version 1: one file a noun, and the [`table`] of them that makes the routes and the
//! OpenAPI document. Fields have the names of the glossary; times are milliseconds since the Unix
//! epoch by the clock of Redis, `_ms` are milliseconds, `_per_s` is per second. What is not known is
//! null. Errors are problem documents (RFC 9457). Every call to Redis is bounded; what would take
//! more comes in pages.

mod actions;
mod body;
mod cursor;
mod dead;
mod document;
mod enqueue;
mod guard;
mod health;
mod jobs;
mod limits;
mod openapi;
mod overview;
mod past;
mod query;
mod queues;
mod refusal;
mod reply;
mod request;
mod results;
mod scale;
mod schedules;
mod settings;
mod shapes;
mod table;
mod tasks;
mod workers;

use axum::Router;
use celeriac_broker_schema::{JobId, Label, QueueName, State, TaskId, TaskName, Tenant};

use self::table::Table;
use crate::state::Monitor;

pub(crate) use cursor::Cursor;
pub(crate) use document::page;
pub(in crate::routes) use enqueue::enqueue;
pub(in crate::routes) use guard::may_write;
pub(in crate::routes) use refusal::Refusal;
pub(in crate::routes) use results::wait_for;

/// All operations. A noun of its own gets a file of its own and a line here.
fn table() -> Table {
    let mut table = Table::new();
    table.know::<(QueueName, TaskName, Tenant, Label, TaskId, JobId, State)>();
    overview::add(&mut table);
    queues::add(&mut table);
    tasks::add(&mut table);
    results::add(&mut table);
    enqueue::add(&mut table);
    jobs::add(&mut table);
    workers::add(&mut table);
    dead::add(&mut table);
    schedules::add(&mut table);
    limits::add(&mut table);
    health::add(&mut table);
    settings::add(&mut table);
    past::add(&mut table);
    scale::add(&mut table);
    actions::add(&mut table);
    document::add(&mut table);
    table
}

/// The routes below `/api/v1`.
pub(super) fn router() -> Router<Monitor> {
    table().router()
}
