//! Limits with second starts of chunks, and with paused queues.

use super::*;

on_both_servers![
    a_second_start_holds_a_place_of_its_own,
    a_cancelled_job_gives_the_places_of_both_starts_back,
    a_retry_beside_a_second_start_holds_no_second_place,
    a_paused_queue_does_not_stand_before_others,
    a_paused_queue_wakes_nobody,
];

async fn held(world: &World, subject: &str) -> u64 {
    world.assert_places().await;
    let state = world.state().await;
    let held = state.get("held").and_then(|held| held.get(subject)).and_then(Value::as_str);
    held.map_or(0, |n| n.parse().expect("a number"))
}

async fn a_second_start_holds_a_place_of_its_own(world: World) {
    world.limit("task:t", Some(at_once(5))).await;
    let first = given_a_second_start(&world).await;
    world.open("w2").await;
    let copy = world.claim("w2", 1).await.runs.remove(0);
    assert_eq!(held(&world, "task:t").await, 3);

    world.complete("w2", &[run_succeeded(&copy)]).await;
    assert_eq!(held(&world, "task:t").await, 2);
    world.complete("w1", &[run_succeeded(&first[0])]).await;
    assert_eq!(held(&world, "task:t").await, 1);
    world.complete("w1", &[run_succeeded(&first[1])]).await;
    assert_eq!(held(&world, "task:t").await, 0);
}

async fn a_cancelled_job_gives_the_places_of_both_starts_back(world: World) {
    world.limit("task:t", Some(at_once(5))).await;
    let first = given_a_second_start(&world).await;
    world.open("w2").await;
    let copy = world.claim("w2", 1).await.runs.remove(0);
    world.cancel_all(&["J"]).await;

    world.complete("w2", &[run_succeeded(&copy)]).await;
    let released = first.iter().map(|run| chunks_released(run, run.lo, run.hi)).collect::<Vec<_>>();
    world.complete("w1", &released).await;

    assert_eq!(held(&world, "task:t").await, 0);
    assert_empty(&world).await;
}

async fn a_retry_beside_a_second_start_holds_no_second_place(world: World) {
    world.limit("task:t", Some(at_once(9))).await;
    let first = given_a_second_start(&world).await;
    world.open("w2").await;
    let copy = world.claim("w2", 1).await.runs.remove(0);
    // The first start is tried again, under the name that the second one has.
    world.complete("w1", &[chunk_retry(&first[0], 3, 0)]).await;
    assert_eq!(runs(&world.claim("w1", 9).await.runs), [""; 0]);
    assert_eq!(held(&world, "task:t").await, 2);

    world.complete("w2", &[run_succeeded(&copy)]).await;
    world.complete("w1", &[run_succeeded(&first[1])]).await;

    assert_eq!(held(&world, "task:t").await, 0);
    assert_eq!(world.state().await["job:J"]["state"], json!("succeeded"));
    assert_empty(&world).await;
}

async fn a_paused_queue_does_not_stand_before_others(world: World) {
    given_parked(&world, 30).await;
    world.enqueue_all(&[entry_in("q1", "other", 5), entry_in("q2", "other", 5)]).await;
    world.claim_as("w1", Ask::want(2).from(&["other"])).await;
    world.control(QUEUE, Control::Pause).await;
    world.redis::<u64>(redis::cmd("DEL").arg(world.key("bell:default"))).await;

    world.complete("w1", &[done("p0")]).await;

    let state = world.state().await;
    assert_eq!(state["ready:other:5"], json!(["q1"]));
    assert_eq!(state.get("bell:default"), None, "the queue is paused");
    assert_eq!(state["bell:other"], json!(["1"]));
    let depths = [("default".to_owned(), 30), ("other".to_owned(), 2)];
    assert_eq!(world.assert_depths().await, BTreeMap::from(depths));
    let given = world.claim_as("w1", Ask::want(1).from(&[QUEUE, "other"])).await;
    assert_eq!(names(&given.tasks), ["q1"]);
    // In their order, as soon as it goes on.
    world.control(QUEUE, Control::Resume).await;
    world.limit("task:t", None).await;
    assert_eq!(names(&world.claim("w1", 2).await.tasks), ["p1", "p10"]);
}

async fn a_paused_queue_wakes_nobody(world: World) {
    world.limit("task:t", Some(rate(1, 20, 1))).await;
    world.enqueue(&["a", "b", "c"]).await;
    world.open("w1").await;
    assert_eq!(names(&world.claim("w1", 9).await.tasks), ["a"]);
    world.control(QUEUE, Control::Pause).await;
    world.hush().await;

    // Whoever looks when there is something to do is told of nothing to do before long.
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut calls = 0;
    let far = HOUR_MS / 2;
    loop {
        assert!(Instant::now() < deadline, "there is always something");
        let grant: Grant = world.claim("w1", 9).await;
        assert_eq!(names(&grant.tasks), [""; 0]);
        assert_eq!(world.state().await.get("bell:default"), None);
        calls += 1;
        let next = grant.next_event.map_or(u64::MAX, |at| at.0);
        if next > grant.now.0 + far {
            break;
        }
        while world.now().await.0 < next {}
    }
    assert!(calls < 10, "{calls} calls were asked for");
    let state = world.state().await;
    assert_eq!(state["ready:default:5"], json!(["b", "c"]));
    assert!(!state.contains_key("parked"));
}
