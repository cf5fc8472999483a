//! What operators set for a namespace.

use celeriac_broker_schema::Setting as Name;

use super::refusal::Refusal;
use super::reply::Told;
use super::shapes::{Setting, Settings};
use super::table::{Call, Table, words};

pub(super) fn add(table: &mut Table) {
    table.get(
        "/settings",
        words("getSettings", "settings", "What is set, and what could be", ""),
        list,
    );
}

async fn list(call: Call) -> Result<Told<Settings>, Refusal> {
    let set = call.monitor.broker().settings(&[]).await?;
    let told = |name: Name| {
        let (value, bounds) = (set.get(&name).copied(), name.bounds());
        let setting = Setting {
            value: value.unwrap_or(name.default_value()),
            is_set: value.is_some(),
            default: name.default_value(),
            min: *bounds.start(),
            max: *bounds.end(),
            meaning: name.meaning(),
        };
        (name.as_str(), setting)
    };
    Ok(Told::new(Settings { settings: Name::ALL.into_iter().map(told).collect() }))
}
