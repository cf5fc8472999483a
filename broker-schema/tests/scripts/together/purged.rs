//! What is purged or moved: cancelled, behind turns, parked by a limit, with a key, of a job.

use super::*;
use crate::purge::purged;

on_both_servers![
    purge_drops_cancelled_tasks_for_good,
    purge_takes_what_waits_behind_turns,
    purge_takes_what_a_limit_has_parked,
    purge_ends_a_job_as_cancel_does,
    purge_of_a_second_start_ends_no_job,
    move_drops_cancelled_tasks_for_good,
    move_takes_what_waits_behind_turns,
    move_takes_what_a_limit_has_parked,
    a_turn_that_is_moved_in_part_keeps_its_rest,
    what_was_moved_is_found_and_cancelled_where_it_is,
    keys_go_on_where_their_task_was_moved,
    second_starts_go_where_the_job_was_moved,
    what_is_behind_turns_is_listed,
    a_moved_task_that_is_put_off_to_another_queue_is_found_there,
];

async fn purge_drops_cancelled_tasks_for_good(world: World) {
    world.enqueue(&["s1", "s2"]).await;
    for worker in ["w1", "w2"] {
        world.lose_worker(worker, 2).await;
    }
    world.enqueue(&["a", "b", "c"]).await;
    world.cancel_all(&["a", "c", "s1"]).await;
    assert_eq!(world.assert_depths().await["default"], 2);

    assert_eq!(world.purge(QUEUE, true).await, purged(2, 0, 5));

    assert_empty(&world).await;
}

async fn purge_takes_what_waits_behind_turns(world: World) {
    world.turns().await;
    world.enqueue_all(&[tasks_of("a", 250), tasks_of("b", 3), vec![entry("z")]].concat()).await;
    world.cancel_all(&["a1", "b2"]).await;
    assert_eq!(world.assert_depths().await["default"], 252);

    assert_eq!(world.purge(QUEUE, false).await, purged(252, 0, 254));

    assert_empty(&world).await;
    // A tenant that comes back gets a turn.
    world.enqueue_all(&tasks_of("a", 2)).await;
    world.open("w1").await;
    assert_eq!(names(&world.claim("w1", 9).await.tasks), ["a0", "a1"]);
}

async fn purge_takes_what_a_limit_has_parked(world: World) {
    given_parked(&world, 400).await;
    // Of another queue: it stays.
    world.enqueue_all(&[entry_in("q", "other", 5)]).await;
    world.claim_as("w1", Ask::want(1).from(&["other"])).await;
    world.cancel_all(&["p1", "p200"]).await;

    assert_eq!(world.purge(QUEUE, false).await, purged(398, 0, 400));

    assert_eq!(world.assert_depths().await, BTreeMap::from([("other".to_owned(), 1)]));
    assert!(!world.state().await.contains_key("tombstones"));
    assert_eq!(world.purge("other", false).await, purged(1, 0, 1));
    world.complete("w1", &[done("p0")]).await;
    world.assert_places().await;
    assert_empty(&world).await;
}

async fn purge_ends_a_job_as_cancel_does(world: World) {
    for name in ["J", "K"] {
        world.enqueue_job(&job_to_reduce(name, 10)).await;
    }
    world.open("w1").await;
    let runs = world.claim("w1", 2).await.runs;
    world.complete("w1", &[run_succeeded(&runs[0])]).await;
    let counted = |state: &State| {
        let n = state["stats"].get("cancelled").and_then(Value::as_str).unwrap_or("0").to_owned();
        n.parse::<u64>().expect("a number")
    };
    let end_of = |state: &State, name: &str| {
        let mut job = state[&format!("job:{name}")].clone();
        for one in ["done", "spec", "started"] {
            job.as_object_mut().expect("a hash").remove(one);
        }
        (job, state["expires"][&format!("job:{name}")].clone(), state.get("tasks").cloned())
    };
    world.cancel_all(&["K"]).await;
    let cancelled = world.state().await;
    assert_eq!(counted(&cancelled), 10);

    assert_eq!(world.purge(QUEUE, false).await, purged(0, 1, 2));

    let state = world.state().await;
    assert_eq!(counted(&state) - 10, 8);
    assert_eq!(end_of(&state, "J").0, end_of(&cancelled, "K").0);
    assert_eq!(end_of(&state, "J").1, json!(true));
    assert_empty(&world).await;
}

async fn purge_of_a_second_start_ends_no_job(world: World) {
    let held = given_a_second_start(&world).await;

    assert_eq!(world.purge(QUEUE, false).await, purged(0, 0, 1));

    world.complete("w1", &[run_succeeded(&held[0]), run_succeeded(&held[1])]).await;
    assert_eq!(world.state().await["job:J"]["state"], json!("succeeded"));
    assert_empty(&world).await;
}

async fn move_drops_cancelled_tasks_for_good(world: World) {
    let tasks: Vec<String> = (0..700).map(|n| format!("t{n:03}")).collect();
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    world.enqueue(&tasks).await;
    // More than one bite has nothing else in it.
    world.cancel_all(&tasks[..650]).await;

    assert_eq!(world.carry(QUEUE, "b", None).await, Moved { elements: 50, tasks: 50 });

    assert_eq!(world.assert_depths().await, BTreeMap::from([("b".to_owned(), 50)]));
    assert!(!world.state().await.contains_key("tombstones"));
    assert_eq!(world.purge("b", false).await.tasks, 50);
    assert_empty(&world).await;
}

async fn move_takes_what_waits_behind_turns(world: World) {
    world.turns().await;
    world.enqueue_all(&[tasks_of("a", 400), tasks_of("b", 3)].concat()).await;

    assert_eq!(world.carry(QUEUE, "b", None).await, Moved { elements: 403, tasks: 403 });

    assert_eq!(world.assert_depths().await, BTreeMap::from([("b".to_owned(), 403)]));
    assert!(!world.state().await.keys().any(|key| key.starts_with("turn:")));
    // And back, where tenants take turns.
    assert_eq!(world.carry("b", QUEUE, None).await, Moved { elements: 403, tasks: 403 });
    assert_eq!(world.assert_depths().await, BTreeMap::from([("default".to_owned(), 403)]));
    let state = world.state().await;
    assert_eq!(state["ready:default:5"], json!(["@a", "@b"]));
    world.open("w1").await;
    assert_eq!(names(&world.claim("w1", 2).await.tasks), ["a0", "b0"]);
    assert_eq!(world.assert_depths().await["default"], 401);
}

async fn a_turn_that_is_moved_in_part_keeps_its_rest(world: World) {
    world.turns().await;
    world.enqueue_all(&[tasks_of("a", 5), tasks_of("b", 2)].concat()).await;

    assert_eq!(world.carry(QUEUE, "b", Some(3)).await, Moved { elements: 3, tasks: 3 });

    let state = world.state().await;
    assert_eq!(state["ready:b:5"], json!(["a0", "a1", "b0"]));
    assert_eq!(state["ready:default:5"], json!(["@a", "@b"]));
    let depths = [("b".to_owned(), 3), ("default".to_owned(), 4)];
    assert_eq!(world.assert_depths().await, BTreeMap::from(depths));
}

async fn move_takes_what_a_limit_has_parked(world: World) {
    given_parked(&world, 400).await;
    world.enqueue(&["z"]).await;
    world.cancel_all(&["p7"]).await;

    assert_eq!(world.carry(QUEUE, "b", Some(3)).await, Moved { elements: 3, tasks: 3 });
    let depths = [("b".to_owned(), 3), ("default".to_owned(), 397)];
    assert_eq!(world.assert_depths().await, BTreeMap::from(depths));

    assert_eq!(world.carry(QUEUE, "b", None).await, Moved { elements: 397, tasks: 397 });
    assert_eq!(world.assert_depths().await, BTreeMap::from([("b".to_owned(), 400)]));
    world.complete("w1", &[done("p0")]).await;
    world.claim_as("w1", Ask::want(1).from(&["b"])).await;
    assert_eq!(world.assert_depths().await["b"], 399);
    world.assert_one_place().await;
    world.assert_places().await;
}

async fn what_was_moved_is_found_and_cancelled_where_it_is(world: World) {
    world.enqueue_all(&[entry("a"), delayed("d", HOUR_MS)]).await;
    world.carry(QUEUE, "b", None).await;
    let found = world.broker.inspect(id("d")).await.expect("an answer");
    assert!(matches!(&found, Found::Task { .. }), "{found:?}");
    assert!(format!("{found:?}").contains("Delayed"), "{found:?}");

    world.cancel_all(&["a", "d"]).await;

    let state = world.state().await;
    assert_eq!(state["tombstones"], json!({ "a": "b:5" }));
    assert!(!state.contains_key("delayed") && !state.contains_key("moved"));
    assert_eq!(world.assert_depths().await, BTreeMap::new());
    world.open("w1").await;
    world.claim_as("w1", Ask::want(9).from(&["b"])).await;
    assert_empty(&world).await;
}

async fn keys_go_on_where_their_task_was_moved(world: World) {
    world.enqueue_all(&[keyed("d", DEBOUNCE)]).await;
    world.carry(QUEUE, "b", None).await;
    let state = world.state().await;
    assert_eq!(state["locks"], json!({ "d": "b::5:b:k" }));
    // One more finds it there and puts it off; it is not doubled.
    assert_eq!(world.enqueue_all(&[keyed("e", DEBOUNCE)]).await.len(), 1);
    assert_eq!(members(&world.state().await, "delayed"), ["5:default:d"]);
    world.cancel_all(&["d"]).await;
    assert_empty(&world).await;

    world.enqueue_all(&[keyed("f", UniqueMode::KeepLast)]).await;
    world.carry(QUEUE, "b", None).await;
    assert_eq!(world.state().await["locks"], json!({ "f": "k::5:b:k" }));
    world.cancel_all(&["f"]).await;
    assert_eq!(world.state().await["tombstones"], json!({ "f": "b:5" }));
    world.purge("b", false).await;
    assert_empty(&world).await;
    assert!(!world.state().await.contains_key("unique:k"));
}

async fn second_starts_go_where_the_job_was_moved(world: World) {
    world.enqueue_job(&RangeJob { speculate: Some(300), ..job("J", 5) }).await;
    world.open("w1").await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.extend(world.claim("w1", 1).await.runs);
    }
    let endings: Vec<_> = held.drain(..3).map(|run| run_succeeded(&run)).collect();
    world.complete("w1", &endings).await;
    world.carry(QUEUE, "b", None).await;

    start_again(&world, 3).await;

    assert_eq!(world.state().await["ready:b:5"], json!(["J:3", "J:4-5"]));
}

async fn what_is_behind_turns_is_listed(world: World) {
    world.turns().await;
    let tasks = [tasks_of("a", 7), vec![entry("z")], tasks_of("b", 4), tasks_of("c", 1)].concat();
    world.enqueue_all(&tasks).await;
    let mut all: Vec<TaskId> = tasks.iter().map(|entry| entry.id).collect();
    all.sort();
    for limit in 1..9 {
        let (mut found, mut cursor) = (Vec::new(), Some(0));
        while let Some(at) = cursor {
            let five = Place::Ready(priority(5));
            let page = world.broker.queued(&queue(QUEUE), &five, at, limit).await.expect("a page");
            assert!(page.tasks.len() <= 2 * limit as usize, "{} of {limit}", page.tasks.len());
            found.extend(page.tasks);
            cursor = page.next;
        }
        found.sort();
        assert_eq!(found, all, "pages of {limit}");
    }
}

async fn a_moved_task_that_is_put_off_to_another_queue_is_found_there(world: World) {
    world.enqueue_all(&[keyed("a", DEBOUNCE)]).await;
    world.carry(QUEUE, "b", None).await;
    let unique = keyed("c", DEBOUNCE).unique;
    world.enqueue_all(&[Entry { unique, ..entry_in("c", "other", 5) }]).await;
    assert!(!world.state().await.contains_key("moved"));
    // The key is released by the claim; what comes back is found by the record.
    world.delays_pass().await;
    world.open("w1").await;
    assert_eq!(names(&world.claim_as("w1", Ask::want(1).from(&["other"])).await.tasks), ["a"]);
    world.complete("w1", &[retry("a", HOUR_MS)]).await;

    world.cancel_all(&["a"]).await;

    assert_empty(&world).await;
}
