//! move_queue: what waits in one queue goes over to another, in its order.

use celeriac_broker_schema::script::Moved;
use serde_json::json;

use crate::support::*;

on_both_servers![
    nothing_to_move,
    order_and_priorities_stay,
    no_more_than_asked_for,
    ranges_are_counted_where_they_are,
    suspects_stay_suspects,
    delayed_tasks_keep_their_time,
    what_is_moved_runs_once,
    many_in_bites,
];

async fn carry(world: &World, most: Option<u64>, delayed: bool) -> Moved {
    world.broker.move_queue(&queue(QUEUE), &queue("b"), most, delayed).await.expect("moved")
}

fn moved(elements: u64, tasks: u64) -> Moved {
    Moved { elements, tasks }
}

async fn nothing_to_move(world: World) {
    world.enqueue_all(&[entry_in("a", "b", 5)]).await;
    let before = world.state().await;

    assert_eq!(carry(&world, None, true).await, Moved::default());
    let same = world.broker.move_queue(&queue("b"), &queue("b"), None, true).await;
    assert_eq!(same.expect("nothing"), Moved::default());

    assert_changes!(world, before, {});
}

async fn order_and_priorities_stay(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.enqueue_all(&[entry_in("c", QUEUE, 9), entry_in("d", "b", 5)]).await;
    let before = world.state().await;

    assert_eq!(carry(&world, None, false).await, moved(3, 3));

    assert_changes!(world, before, {
        "ready:default:9": null,
        "ready:default:5": null,
        "ready:b:9": ["c"],
        "ready:b:5": ["d", "a", "b"],
        "moved": { "a": "b", "b": "b", "c": "b" },
    });
}

async fn no_more_than_asked_for(world: World) {
    world.enqueue(&["a", "b", "c"]).await;
    world.enqueue_all(&[entry_in("d", QUEUE, 9), delayed("e", HOUR_MS)]).await;

    assert_eq!(carry(&world, Some(2), true).await, moved(2, 2));

    let state = world.state().await;
    assert_eq!(state["ready:b:9"], json!(["d"]));
    assert_eq!(state["ready:b:5"], json!(["a"]));
    assert_eq!(state["ready:default:5"], json!(["b", "c"]));
    assert_eq!(state["delayed"], json!({ "5:default:e": "now+60min" }));
    assert_eq!(carry(&world, Some(0), true).await, Moved::default());
    // Of delayed ones, too.
    let later: Vec<_> = (0..9).map(|n| delayed(&format!("l{n}"), HOUR_MS)).collect();
    world.enqueue_all(&later).await;
    assert_eq!(carry(&world, Some(5), true).await, moved(5, 5));
    assert_eq!(world.state().await["delayed"].as_object().map(serde_json::Map::len), Some(10));
    assert_eq!(carry(&world, None, true).await, moved(7, 7));
}

async fn ranges_are_counted_where_they_are(world: World) {
    world.enqueue_job(&job("J", 100)).await;
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    world.claim("w1", 10).await;

    assert_eq!(carry(&world, None, false).await, moved(2, 91));

    let state = world.state().await;
    assert_eq!(state["ready:b:5"], json!(["J:10-100", "a"]));
    assert_eq!(state["chunks"], json!({ "default:5": "0", "b:5": "89" }));
    let queues = world.broker.snapshot(9, 0).await.expect("a snapshot").queues;
    let ready: Vec<u64> = queues.iter().map(|queue| queue.ready).collect();
    assert_eq!(ready, [91, 0]);
}

async fn suspects_stay_suspects(world: World) {
    world.enqueue(&["a"]).await;
    for worker in ["w1", "w2"] {
        world.lose_worker(worker, 1).await;
    }
    world.enqueue(&["b"]).await;

    assert_eq!(carry(&world, None, false).await, moved(2, 2));

    let state = world.state().await;
    assert_eq!((&state["suspects:b"], &state["ready:b:5"]), (&json!(["5:a"]), &json!(["b"])));
    assert!(!state.contains_key("suspects:default"));
}

async fn delayed_tasks_keep_their_time(world: World) {
    let other = celeriac_broker_schema::script::Entry {
        start: delayed("x", HOUR_MS).start,
        ..entry_in("c", "other", 5)
    };
    world.enqueue_all(&[delayed("a", HOUR_MS), delayed("b", 2 * HOUR_MS), other]).await;

    assert_eq!(carry(&world, None, true).await, moved(2, 2));

    let expected = json!({ "5:b:a": "now+60min", "5:b:b": "now+120min", "5:other:c": "now+60min" });
    assert_eq!(world.state().await["delayed"], expected);
}

async fn what_is_moved_runs_once(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    carry(&world, None, false).await;

    let grant = world.claim_as("w1", Ask::want(9).from(&[QUEUE, "b"])).await;

    assert_eq!(names(&grant.tasks), ["b"]);
    // What ran while it was moved goes back to where it came from.
    world.complete_as("w1", Ask::want(0), &[released("a"), succeeded("b")]).await;
    assert_eq!(world.state().await["ready:default:5"], json!(["a"]));
}

async fn many_in_bites(world: World) {
    let names: Vec<String> = (0..1_000).map(|n| format!("t{n:04}")).collect();
    world.enqueue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;

    assert_eq!(carry(&world, None, false).await, moved(1_000, 1_000));

    let state = world.state().await;
    assert_eq!(state["ready:b:5"], json!(names));
    assert!(!state.contains_key("ready:default:5"));
}
