//! fire: what a schedule is due for is enqueued once, and the schedule moves on with it.

use celeriac_broker_schema::script::{Fired, ScheduleChange};

use crate::support::*;

on_both_servers![
    it_enqueues_and_moves_on,
    of_many_one_fires,
    not_before_redis_says_so,
    not_what_was_changed_meanwhile,
    several_are_caught_up_on,
    missed_runs_are_counted,
    it_waits_for_its_last_run_if_told_so,
    it_runs_now_and_stays_due,
    its_task_may_expire,
];

async fn it_enqueues_and_moves_on(world: World) {
    world.schedule("s", put_schedule("spec", Some(7))).await;
    world.hush().await;
    let before = world.state().await;

    assert_eq!(world.fire("s", Some(7), 1, &["a"]).await, Fired::Enqueued(1));

    assert_changes!(world, before, {
        "tasks": { "a": record("s") },
        "ready:default:5": ["a"],
        "schedules:due": { "s": 8 },
        "schedule:s": { "runs": "1", "last_task": "a", "last_at": "now", "last_due": "7" },
        "stats": { "enqueued": "1" },
        "queues": ["default"],
        "bell:default": ["1"],
    });
}

async fn of_many_one_fires(world: World) {
    world.schedule("s", put_schedule("spec", Some(7))).await;
    let calls = ["a", "b", "c", "d", "e", "f"].map(|name| {
        let world = &world;
        async move { world.fire("s", Some(7), 1, &[name]).await }
    });

    let fired = futures_util::future::join_all(calls).await;

    let count = |what: Fired| fired.iter().filter(|fired| **fired == what).count();
    assert_eq!((count(Fired::Enqueued(1)), count(Fired::Moved)), (1, 5));
    assert_eq!(world.broker.snapshot(10, 10).await.expect("one").stats["enqueued"], 1);
}

async fn not_before_redis_says_so(world: World) {
    let later = world.now().await.0 + HOUR_MS;
    world.schedule("s", put_schedule("spec", Some(later))).await;
    let before = world.state().await;

    assert_eq!(world.fire("s", Some(later), 1, &["a"]).await, Fired::Early);

    assert_changes!(world, before, {});
}

async fn not_what_was_changed_meanwhile(world: World) {
    let pause = ScheduleChange::Pause { by: String::new(), why: String::new() };
    let put = put_schedule("other", Some(7));
    for (name, change) in [("p", pause), ("q", put), ("r", ScheduleChange::Remove)] {
        world.schedule(name, put_schedule("spec", Some(7))).await;
        world.schedule(name, change).await;
    }
    let before = world.state().await;

    for name in ["p", "q", "r", "never"] {
        for due in [Some(7), None] {
            assert_eq!(world.fire(name, due, 1, &["a"]).await, Fired::Moved, "{name}");
        }
    }

    assert_changes!(world, before, {});
}

async fn several_are_caught_up_on(world: World) {
    world.schedule("s", put_schedule("spec", Some(7))).await;

    assert_eq!(world.fire("s", Some(7), 1, &["a", "b", "c"]).await, Fired::Enqueued(3));

    let state = world.state().await;
    assert_eq!(state["ready:default:5"], serde_json::json!(["a", "b", "c"]));
    assert_eq!(state["schedule:s"]["last_task"], "c");
}

async fn missed_runs_are_counted(world: World) {
    world.schedule("s", put_schedule("spec", Some(7))).await;
    world.hush().await;
    let before = world.state().await;
    let mut fire = fire("s", Some(7), 1, &[]);
    fire.missed = 4;
    fire.next = None;

    assert_eq!(world.broker.fire(&fire).await.expect("an answer").1, Fired::Enqueued(0));

    assert_changes!(world, before, {
        "schedules:due": null,
        "schedule:s": { "missed": "4" },
    });
}

async fn it_waits_for_its_last_run_if_told_so(world: World) {
    world.schedule("s", put_schedule("spec", Some(7))).await;
    assert_eq!(world.fire("s", Some(7), 1, &["a"]).await, Fired::Enqueued(1));
    let before = world.state().await;

    let ids = [id("b")];
    let mut again = fire("s", Some(8), 1, &ids);
    again.unless_running = true;
    let fired = world.broker.fire(&again).await.expect("an answer").1;
    assert_eq!(fired, Fired::Overlapped(id("a")));
    assert_changes!(world, before, {
        "schedules:due": { "s": 9 },
        "schedule:s": { "overlapped": "1" },
    });

    world.open("w1").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[failed("a")]).await;
    again.due = Some(at(9));
    let fired = world.broker.fire(&again).await.expect("an answer").1;
    assert_eq!(fired, Fired::Enqueued(1));
}

async fn it_runs_now_and_stays_due(world: World) {
    let later = world.now().await.0 + HOUR_MS;
    world.schedule("s", put_schedule("spec", Some(later))).await;
    world.hush().await;
    let before = world.state().await;

    assert_eq!(world.fire("s", None, 1, &["a"]).await, Fired::Enqueued(1));

    assert_changes!(world, before, {
        "tasks": { "a": record("s") },
        "ready:default:5": ["a"],
        "schedule:s": { "runs": "1", "last_task": "a", "last_at": "now" },
        "stats": { "enqueued": "1" },
        "queues": ["default"],
        "bell:default": ["1"],
    });
}

async fn its_task_may_expire(world: World) {
    world.schedule("s", put_schedule("spec", Some(7))).await;
    let ids = [id("a")];
    let mut fire = fire("s", Some(7), 1, &ids);
    fire.expires_after_ms = Some(HOUR_MS);

    world.broker.fire(&fire).await.expect("an answer");

    assert_eq!(world.state().await["expiry"], serde_json::json!({ "a": "now+60min" }));
}
