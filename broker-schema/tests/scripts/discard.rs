//! discard: dead letters are thrown away, and nothing else.

use serde_json::json;

use crate::support::*;

on_both_servers![dead_letters_are_thrown_away, thousands_are_thrown_away_in_bites];

async fn dead_letters_are_thrown_away(world: World) {
    world.enqueue(&["a", "b", "c"]).await;
    world.open("w1").await;
    world.claim("w1", 3).await;
    world.complete("w1", &["a", "b", "c"].map(failed)).await;
    let before = world.state().await;

    let gone = world.broker.discard(&[id("a"), id("z"), id("c"), id("a")]).await.expect("gone");
    assert_eq!(gone, [true, false, true, false]);

    // The outcomes stay as long as they are kept.
    assert_changes!(world, before, {
        "dead": { "a": null, "c": null },
        "dead:tasks": { "a": null, "c": null },
    });
}

async fn thousands_are_thrown_away_in_bites(world: World) {
    let ids: Vec<_> = (0..5_000).map(|n| id(&n.to_string())).collect();
    assert_eq!(world.broker.discard(&ids).await.expect("nothing is there"), [false; 5_000]);
    assert_eq!(world.state().await["expires"], json!({}));
}
