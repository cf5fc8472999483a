//! expel: what was given out under an id that is none ends as a dead letter under an id of its own.

use celeriac_broker_schema::{ErrorKind, Outcome};

use crate::support::*;

on_both_servers![
    a_task_under_no_id_becomes_a_dead_letter,
    a_task_called_as_the_call_number_does_no_harm,
    the_others_of_its_batch_are_given,
];

async fn given_a_stray(world: &World, name: &str) {
    let mut put = redis::cmd("HSET");
    put.arg(world.key("tasks")).arg(name).arg(record("x"));
    world.redis::<u64>(&put).await;
    let mut push = redis::cmd("RPUSH");
    push.arg(world.key("ready:default:5")).arg(name);
    world.redis::<u64>(&push).await;
}

async fn a_task_under_no_id_becomes_a_dead_letter(world: World) {
    world.open("w1").await;
    given_a_stray(&world, "{no} id").await;

    assert!(world.claim("w1", 5).await.tasks.is_empty());

    let dead = world.broker.dead(None, 10).await.expect("a page");
    let [letter] = &dead.letters[..] else { panic!("{dead:?}") };
    let state = world.state().await;
    assert_eq!(state.get("tasks"), None);
    assert_eq!(state["inflight:w1"], serde_json::json!({ "#": "1" }));
    assert_eq!(state["stats"]["failed"], "1");
    let mut get = redis::cmd("GET");
    get.arg(world.key(&format!("result:{}", letter.id)));
    let stored: String = world.redis(&get).await;
    let outcome: Outcome = serde_json::from_str(&stored).expect("an outcome");
    let error = outcome.error.expect("an error");
    assert_eq!(error.kind, ErrorKind::BadRecord);
    assert!(error.message.contains(r#"under "{no} id", which is no id"#), "{}", error.message);
}

async fn a_task_called_as_the_call_number_does_no_harm(world: World) {
    world.open("w1").await;
    given_a_stray(&world, "#").await;

    assert!(world.claim("w1", 5).await.tasks.is_empty());

    let state = world.state().await;
    assert_eq!(state["inflight:w1"], serde_json::json!({ "#": "1" }));
    assert_eq!((state.get("tasks"), &state["stats"]["failed"]), (None, &"1".into()));
}

async fn the_others_of_its_batch_are_given(world: World) {
    world.open("w1").await;
    world.enqueue(&["a"]).await;
    given_a_stray(&world, "UPPER").await;
    world.enqueue(&["b"]).await;

    let grant = world.claim("w1", 5).await;

    assert_eq!(names(&grant.tasks), ["a", "b"]);
    world.complete("w1", &[succeeded("a"), succeeded("b")]).await;
    assert_eq!(world.broker.snapshot(1, 1).await.expect("a snapshot").tasks, 0);
}
