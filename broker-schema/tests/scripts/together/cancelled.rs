//! What is cancelled while it waits for another task, for a limit, for a turn; and what comes back.

use super::*;

on_both_servers![
    a_follower_is_cancelled,
    a_debounced_task_is_cancelled,
    a_parked_task_is_cancelled,
    a_task_behind_a_turn_is_cancelled,
    a_revived_task_takes_its_turn,
];

async fn a_follower_is_cancelled(world: World) {
    world.enqueue_all(&[keyed("a", UniqueMode::KeepLast)]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    let before = world.state().await;
    world.enqueue_all(&[keyed("b", UniqueMode::KeepLast)]).await;
    assert_eq!(members(&world.state().await, "waiting"), ["b"]);

    world.cancel_all(&["b"]).await;

    let state = world.state().await;
    assert_eq!(state["locks"], before["locks"]);
    assert!(!state.contains_key("waiting") && !state.contains_key("tombstones"));
    assert_eq!(state.get("chunks"), None);
    // The next one follows in its place.
    assert_eq!(world.enqueue_all(&[keyed("c", UniqueMode::KeepLast)]).await, []);
    world.complete("w1", &[done("a")]).await;
    assert_eq!(names(&world.claim("w1", 9).await.tasks), ["c"]);
    world.complete("w1", &[done("c")]).await;
    assert_empty(&world).await;
    assert!(!world.state().await.contains_key("unique:k"));
}

async fn a_debounced_task_is_cancelled(world: World) {
    world.enqueue_all(&[keyed("a", DEBOUNCE)]).await;

    world.cancel_all(&["a"]).await;

    assert_empty(&world).await;
    assert!(!world.state().await.contains_key("unique:k"));
    assert_eq!(world.enqueue_all(&[keyed("b", DEBOUNCE)]).await, []);
}

async fn a_parked_task_is_cancelled(world: World) {
    given_parked(&world, 3).await;

    world.cancel_all(&["p1", "p3"]).await;

    assert_eq!(world.assert_depths().await["default"], 1);
    world.complete("w1", &[done("p0")]).await;
    assert_eq!(world.assert_depths().await["default"], 1);
    // The first one that comes out is gone, and leaves the place to the next.
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut given = Vec::new();
    while given.is_empty() {
        assert!(Instant::now() < deadline, "p2 does not come");
        given = names(&world.claim("w1", 9).await.tasks);
    }
    assert_eq!(given, ["p2"]);
    world.complete("w1", &[done("p2")]).await;
    while world.state().await.contains_key("tombstones") {
        assert!(Instant::now() < deadline, "p3 stays");
        world.claim("w1", 9).await;
    }
    assert_empty(&world).await;
}

async fn a_task_behind_a_turn_is_cancelled(world: World) {
    world.turns().await;
    world.enqueue_all(&tasks_of("a", 4)).await;

    world.cancel_all(&["a0", "a2", "a3"]).await;

    assert_eq!(world.assert_depths().await["default"], 1);
    world.open("w1").await;
    assert_eq!(names(&world.claim("w1", 9).await.tasks), ["a1"]);
    world.complete("w1", &[done("a1")]).await;
    assert_empty(&world).await;
}

async fn a_revived_task_takes_its_turn(world: World) {
    world.turns().await;
    world.enqueue_all(&tasks_of("b", 1)).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[failed("b0")]).await;
    world.enqueue_all(&tasks_of("a", 3)).await;
    world.control(QUEUE, Control::Pause).await;

    world.broker.revive(&[id("b0")], &ada()).await.expect("revived");

    assert_eq!(world.state().await["ready:default:5"], json!(["@a", "@b"]));
    assert_eq!(world.assert_depths().await["default"], 4);
    assert!(world.claim("w1", 9).await.tasks.is_empty(), "the queue is paused");
    world.control(QUEUE, Control::Resume).await;
    assert_eq!(names(&world.claim("w1", 2).await.tasks), ["a0", "b0"]);
}
