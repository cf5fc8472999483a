//! note_audit: what somebody did is in the list, and nothing else changes.

use celeriac_broker_schema::Deed;

use crate::support::*;

on_both_servers![a_deed_is_noted, the_list_has_an_end];

async fn a_deed_is_noted(world: World) {
    let before = world.state().await;
    let deed = Deed {
        action: "pause-queue".to_owned(),
        target: "queue=mail".to_owned(),
        who: ada(),
        with: "monitor".to_owned(),
        from: Some("127.0.0.1".to_owned()),
        changed: 1,
        result: "queue mail is paused".to_owned(),
        failed: false,
    };
    world.broker.note_audit(&deed).await.expect("noted");
    let entry = r#"{"action":"pause-queue","target":"queue=mail","by":"ada","why":"t","with":"monitor","from":"127.0.0.1","changed":1,"result":"queue mail is paused","failed":false}"#;
    assert_changes!(world, before, { "audit": [["now-0", [["entry", entry]]]] });
}

async fn the_list_has_an_end(world: World) {
    let mut fill = redis::cmd("EVAL");
    let script = "for i = 1, 12000 do redis.call('XADD', KEYS[1], '*', 'entry', '{}') end";
    world.redis::<()>(fill.arg(script).arg(1).arg(world.key("audit"))).await;
    world.broker.note_audit(&Deed::default()).await.expect("noted");
    let mut length = redis::cmd("XLEN");
    let length: u64 = world.redis(length.arg(world.key("audit"))).await;
    assert!((10_000..10_200).contains(&length), "{length}");
}
