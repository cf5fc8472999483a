//! settings: what is set stays set, until it is set back.

use std::collections::BTreeMap;

use celeriac_broker_schema::Setting;
use serde_json::json;

use crate::support::*;

on_both_servers![what_is_set_is_told, settings_of_newer_versions_are_left_alone];

async fn what_is_set_is_told(world: World) {
    let settings = async |changes: &[_]| world.broker.settings(changes).await.expect("set");
    assert_eq!(settings(&[]).await, BTreeMap::new());
    let changes = [(Setting::DeadMax, Some(100)), (Setting::DeadAgeMs, Some(60_000))];
    assert_eq!(
        settings(&changes).await,
        BTreeMap::from([(Setting::DeadMax, 100), (Setting::DeadAgeMs, 60_000)])
    );
    assert_eq!(
        world.state().await["settings"],
        json!({ "dead_max": "100", "dead_age_ms": "60000" })
    );
    assert_eq!(
        settings(&[(Setting::DeadMax, None)]).await,
        BTreeMap::from([(Setting::DeadAgeMs, 60_000)])
    );
    assert_eq!(settings(&[(Setting::DeadAgeMs, None)]).await, BTreeMap::new());
    assert!(!world.state().await.contains_key("settings"));
}

async fn settings_of_newer_versions_are_left_alone(world: World) {
    let mut set = redis::cmd("HSET");
    world.redis::<()>(set.arg(world.key("settings")).arg("colour").arg("green")).await;
    assert_eq!(
        world.broker.settings(&[(Setting::DeadMax, None)]).await.expect("set"),
        BTreeMap::new()
    );
    assert_eq!(world.state().await["settings"], json!({ "colour": "green" }));
}
