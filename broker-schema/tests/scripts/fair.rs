//! fair: the tenants of a queue take turns, and what waits is counted.

use celeriac_broker_schema::script::{Entry, Start};
use serde_json::json;

use crate::limit::at_once;
use crate::support::*;

on_both_servers![
    tenants_take_turns,
    without_turns_it_is_first_come_first_served,
    a_turn_is_one_element_however_many_wait,
    one_tenant_alone_gets_all_there_is_room_for,
    delayed_and_retried_tasks_take_turns,
    what_a_lost_worker_held_comes_first,
    a_tenant_at_its_limit_waits_as_one,
    a_range_takes_turns_with_tenants,
    turns_can_be_ended,
];

async fn set(world: &World, on: bool) -> bool {
    world.broker.fair(&queue(QUEUE), on, &ada()).await.expect("it is set")
}

async fn ready(world: &World) -> u64 {
    world.broker.snapshot(10, 1).await.expect("a snapshot").queues[0].ready
}

/// Tasks `<letter>0` … of the tenant with this letter.
fn tasks_of(letter: &str, n: usize) -> Vec<Entry> {
    (0..n).map(|i| entry_of(&format!("{letter}{i}"), "t", Some(letter))).collect()
}

/// Takes one after the other until nothing is left, and counts what is ready in between.
async fn one_by_one(world: &World, lease: &str) -> Vec<String> {
    let mut order = Vec::new();
    loop {
        let left = ready(world).await;
        let given = names(&world.claim(lease, 1).await.tasks);
        let Some(name) = given.into_iter().next() else { return order };
        order.push(name);
        assert_eq!(ready(world).await, left - 1);
    }
}

async fn tenants_take_turns(world: World) {
    assert!(set(&world, true).await);
    assert!(!set(&world, true).await);
    let tasks = [tasks_of("a", 5), tasks_of("b", 2), tasks_of("c", 1), vec![entry("z")]].concat();
    world.enqueue_all(&tasks).await;
    world.open("w1").await;
    assert_eq!(ready(&world).await, 9);
    assert_eq!(
        one_by_one(&world, "w1").await,
        ["a0", "b0", "c0", "z", "a1", "b1", "a2", "a3", "a4"]
    );
    let state = world.state().await;
    assert!(!state.keys().any(|key| key.starts_with("turn:") || key.starts_with("ready:")));
    assert_eq!(state["chunks"], json!({ "default:5": "0" }));
}

async fn without_turns_it_is_first_come_first_served(world: World) {
    world.enqueue_all(&[tasks_of("a", 3), tasks_of("b", 1)].concat()).await;
    world.open("w1").await;
    assert_eq!(one_by_one(&world, "w1").await, ["a0", "a1", "a2", "b0"]);
}

async fn a_turn_is_one_element_however_many_wait(world: World) {
    set(&world, true).await;
    let before = world.state().await;
    world.enqueue_all(&[tasks_of("a", 3), tasks_of("b", 1)].concat()).await;
    let changes = world.changes(&before).await;
    assert_eq!(changes["ready:default:5"], json!(["@a", "@b"]));
    assert_eq!(changes["turn:default:5:a"], json!(["a0", "a1", "a2"]));
    assert_eq!(changes["turn:default:5:b"], json!(["b0"]));
    assert_eq!(changes["chunks"], json!({ "default:5": "2" }));
}

async fn one_tenant_alone_gets_all_there_is_room_for(world: World) {
    set(&world, true).await;
    world.enqueue_all(&tasks_of("a", 9)).await;
    world.open("w1").await;
    assert_eq!(world.claim("w1", 6).await.tasks.len(), 6);
    world.enqueue_all(&tasks_of("b", 9)).await;
    let given = names(&world.claim("w1", 4).await.tasks);
    assert_eq!(given, ["a6", "a7", "b0", "a8"]);
    assert_eq!(ready(&world).await, 8);
}

async fn delayed_and_retried_tasks_take_turns(world: World) {
    set(&world, true).await;
    let start = Start { delay_ms: Some(HOUR_MS), ..Start::default() };
    let later = tasks_of("a", 3).into_iter().map(|entry| Entry { start, ..entry });
    world.enqueue_all(&later.collect::<Vec<_>>()).await;
    world.open("w1").await;
    world.delays_pass().await;
    let first = names(&world.claim("w1", 1).await.tasks);
    assert_eq!(first, ["a0"]);
    world.enqueue_all(&tasks_of("b", 1)).await;
    world.complete("w1", &[retry("a0", 0)]).await;
    assert_eq!(one_by_one(&world, "w1").await, ["a1", "b0", "a2", "a0"]);
}

async fn what_a_lost_worker_held_comes_first(world: World) {
    set(&world, true).await;
    world.enqueue_all(&[tasks_of("a", 3), tasks_of("b", 2)].concat()).await;
    assert_eq!(names(&world.lose_worker("w1", 2).await.tasks), ["a0", "b0"]);
    world.open("w2").await;
    assert_eq!(one_by_one(&world, "w2").await, ["a0", "b0", "a1", "b1", "a2"]);
}

async fn a_tenant_at_its_limit_waits_as_one(world: World) {
    set(&world, true).await;
    world.limit("tenant:*", Some(at_once(2))).await;
    world.enqueue_all(&[tasks_of("a", 9), tasks_of("b", 3)].concat()).await;
    world.open("w1").await;
    assert_eq!(names(&world.claim("w1", 10).await.tasks), ["a0", "a1", "b0", "b1"]);
    world.assert_places().await;
    let state = world.state().await;
    assert_eq!(state["parked:tenant:a"], json!({ "@a 5 default": 14 }));
    assert_eq!(ready(&world).await, 8);
    let limits = world.broker.limits(10).await.expect("limits");
    let busy: Vec<_> = limits.busy.iter().map(|one| (one.held, one.waiting)).collect();
    assert_eq!(busy, [(2, 7), (2, 1)]);

    world.complete("w1", &[done("a0")]).await;
    assert_eq!(one_by_one(&world, "w1").await, ["a2"]);
    world.complete("w1", &[done("b0"), done("b1")]).await;
    assert_eq!(one_by_one(&world, "w1").await, ["b2"]);
    world.assert_places().await;
    assert_eq!(ready(&world).await, 6);
}

async fn a_range_takes_turns_with_tenants(world: World) {
    set(&world, true).await;
    world.enqueue_job(&job("J", 100)).await;
    world.enqueue_all(&tasks_of("a", 1)).await;
    world.open("w1").await;
    let first = world.claim("w1", 4).await;
    assert_eq!(runs(&first.runs), ["J:0-4 #1"]);
    assert_eq!(names(&world.claim("w1", 1).await.tasks), ["a0"]);
    assert_eq!(ready(&world).await, 96);
}

async fn turns_can_be_ended(world: World) {
    set(&world, true).await;
    world.enqueue_all(&[tasks_of("a", 2), tasks_of("b", 1)].concat()).await;
    set(&world, false).await;
    world.enqueue_all(&[entry_of("a9", "t", Some("a"))]).await;
    world.open("w1").await;
    assert_eq!(one_by_one(&world, "w1").await, ["a0", "b0", "a9", "a1"]);
    assert_eq!(world.state().await.get("fair"), None);
}
