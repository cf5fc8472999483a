//! tidy: dead letters leave when they are too old or too many, and names of queues some time after their
//! last use, and never before.

use celeriac_broker_schema::script::{Control, Entry, RangeJob, Tidied};
use celeriac_broker_schema::{Limit as Cap, TaskId};
use serde_json::{Value, json};

use crate::dead::{died, given_dead, ids, page};
use crate::support::*;

on_both_servers![
    the_name_of_an_empty_queue_is_idle,
    an_idle_queue_is_still_shown,
    what_waits_anywhere_keeps_its_name,
    what_people_have_set_keeps_the_name,
    an_idle_name_is_forgotten_after_a_day,
    whoever_uses_an_idle_queue_keeps_its_name,
    what_comes_back_brings_its_name,
    names_leave_in_bites,
    the_oldest_dead_letters_of_too_many_leave,
    dead_letters_that_are_too_old_leave,
    what_is_too_old_and_too_many_leaves_in_bites,
];

async fn tidy(world: &World) -> Tidied {
    world.broker.tidy(100).await.expect("an answer")
}

/// Tasks of these queues come and are done.
async fn given_used(world: &World, queues: &[&str]) {
    world.open("w").await;
    for (n, name) in queues.iter().enumerate() {
        let task = format!("u{n}");
        world.enqueue_all(&[entry_in(&task, name, 5)]).await;
        world.claim_as("w", Ask::want(1).from(&[name])).await;
        world.complete("w", &[done(&task)]).await;
    }
}

/// All idle names have been idle for more than a day.
async fn a_day_passes(world: &World) {
    let script = "for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
        redis.call('ZINCRBY', KEYS[1], -86400001, member) end";
    let mut eval = redis::cmd("EVAL");
    world.redis::<()>(eval.arg(script).arg(1).arg(world.key("queues:idle"))).await;
}

async fn shown(world: &World, most: u32) -> Vec<String> {
    let queues = world.broker.snapshot(most, 1).await.expect("a snapshot").queues;
    queues.into_iter().map(|queue| queue.name).collect()
}

async fn the_name_of_an_empty_queue_is_idle(world: World) {
    given_used(&world, &["x", "y"]).await;
    world.enqueue_all(&[entry_in("a", "y", 5)]).await;
    let before = world.state().await;

    let done = tidy(&world).await;

    assert_eq!(done, Tidied { dead: 0, names: 1 });
    assert_changes!(world, before, { "queues": ["y"], "queues:idle": { "x": "now" } });
    assert_eq!(tidy(&world).await.names, 0);
}

async fn an_idle_queue_is_still_shown(world: World) {
    given_used(&world, &["x", "y", "z"]).await;
    world.enqueue_all(&[entry_in("a", "y", 5)]).await;
    tidy(&world).await;
    assert_eq!(world.state().await["queues"], json!(["y"]));

    assert_eq!(shown(&world, 9).await, ["x", "y", "z"]);
    let two = shown(&world, 2).await;
    assert!(two.len() == 2 && two.contains(&"y".to_owned()), "those in use first: {two:?}");
    assert_eq!(shown(&world, 0).await, [""; 0]);
    // In use and idle before: shown once.
    world.enqueue_all(&[entry_in("b", "x", 5)]).await;
    assert_eq!(shown(&world, 9).await, ["x", "y", "z"]);
}

async fn what_waits_anywhere_keeps_its_name(world: World) {
    // Ready at the lowest priority, a suspect, behind a turn, parked under a limit.
    world.enqueue_all(&[entry_in("s", "suspect", 5)]).await;
    for worker in ["w1", "w2"] {
        world.open_doomed(worker).await;
        world.claim_as(worker, Ask::want(1).from(&["suspect"])).await;
        world.reclaim_lost(3).await;
    }
    world.enqueue_all(&[entry_in("r", "ready", 0)]).await;
    let one = Cap::new(None, Some(1)).expect("a limit");
    let subject = "task:limited".parse().expect("a subject");
    world.broker.limit(&subject, Some(&one), &ada()).await.expect("it is set");
    let parked = ["p1", "p2"].map(|name| entry_of(name, "limited", None));
    let parked = parked.map(|entry| Entry { queue: queue("parked"), ..entry });
    world.enqueue_all(&parked).await;
    world.open("w").await;
    world.claim_as("w", Ask::want(2).from(&["parked"])).await;
    let before = world.state().await;
    assert!(!before.contains_key("ready:parked:5"), "{before:#?}");

    tidy(&world).await;

    assert_eq!(before["queues"], json!(["parked", "ready", "suspect"]));
    assert_changes!(world, before, {});
}

async fn what_people_have_set_keeps_the_name(world: World) {
    given_used(&world, &["a", "b", "c", "d"]).await;
    world.control("a", Control::Pause).await;
    let one = Cap::new(None, Some(1)).expect("a limit");
    world
        .broker
        .limit(&"queue:b".parse().expect("a subject"), Some(&one), &ada())
        .await
        .expect("set");
    world.broker.fair(&queue("c"), true, &ada()).await.expect("it is set");

    assert_eq!(tidy(&world).await.names, 1);

    let state = world.state().await;
    assert_eq!(state["queues"], json!(["a", "b", "c"]));
    assert_eq!(state["queues:idle"], json!({ "d": "now" }));
}

async fn an_idle_name_is_forgotten_after_a_day(world: World) {
    // With a count that is 0, and a token that nobody takes.
    world.open("w").await;
    world.enqueue_job(&RangeJob { queue: queue("x"), ..job("J", 4) }).await;
    let run = world.claim_as("w", Ask::want(4).from(&["x"])).await.runs.remove(0);
    world.complete("w", &[run_succeeded(&run)]).await;
    tidy(&world).await;
    let before = world.state().await;
    assert_eq!(before["chunks"], json!({ "x:5": "0" }));
    assert!(before.contains_key("bell:x") && before.contains_key("queues:idle"), "{before:#?}");
    assert_eq!(tidy(&world).await.names, 0);
    a_day_passes(&world).await;

    assert_eq!(tidy(&world).await.names, 1);

    assert_changes!(world, before, { "queues:idle": null, "chunks": null, "bell:x": null });
    assert_eq!(shown(&world, 9).await, [""; 0]);
}

async fn whoever_uses_an_idle_queue_keeps_its_name(world: World) {
    given_used(&world, &["x", "y"]).await;
    tidy(&world).await;
    a_day_passes(&world).await;
    // One is used again and empty again, one holds something of an older version, which adds no name.
    world.enqueue_all(&[entry_in("a", "x", 5)]).await;
    world.claim_as("w", Ask::want(1).from(&["x"])).await;
    let mut push = redis::cmd("LPUSH");
    world.redis::<()>(push.arg(world.key("ready:y:5")).arg(id("b").to_string())).await;

    tidy(&world).await;

    let state = world.state().await;
    assert_eq!(state["queues"], json!(["y"]));
    assert_eq!(state["queues:idle"], json!({ "x": "now" }), "its day begins anew");
    assert!(state.contains_key("ready:y:5"));
}

/// Whatever has waited outside of the lists: it is delayed, running, lost, a reducer, or follows.
async fn what_comes_back_brings_its_name(world: World) {
    let entries = [("de", "delayed"), ("rt", "retried"), ("rl", "released"), ("lo", "lost")];
    world.enqueue_all(&entries.map(|(name, queue)| entry_in(name, queue, 5))).await;
    let reducer = Some((record("J"), queue("reducer"), priority(5)));
    world.enqueue_job(&RangeJob { reducer, queue: queue("chunks"), ..job("J", 1) }).await;
    world.open("w").await;
    let mut run = None;
    for name in ["delayed", "retried", "released", "chunks"] {
        let grant = world.claim_as("w", Ask::want(1).from(&[name])).await;
        run = grant.runs.into_iter().next();
    }
    world.complete("w", &[retry("de", HOUR_MS)]).await;
    world.open_doomed("w1").await;
    world.claim_as("w1", Ask::want(1).from(&["lost"])).await;
    // All names are forgotten, whatever is still under way.
    world.overdue("w1").await;
    let forget = ["queues", "queues:idle"].map(|name| world.key(name));
    let names = ["delayed", "retried", "released", "lost", "chunks", "reducer"];
    let bells = names.map(|name| world.key(&format!("bell:{name}")));
    world.redis::<u64>(redis::cmd("DEL").arg(&forget).arg(&bells)).await;

    let run = run.expect("a chunk");
    world.complete("w", &[retry("rt", 0), run_succeeded(&run)]).await;
    world.complete("w", &[released("rl")]).await;
    world.delays_pass().await;
    world.reclaim(10).await;

    assert_eq!(shown(&world, 9).await, ["delayed", "lost", "reducer", "released", "retried"]);
}

async fn names_leave_in_bites(world: World) {
    let mut add = redis::cmd("SADD");
    add.arg(world.key("queues"));
    for n in 0..250 {
        add.arg(format!("tenant{n}"));
    }
    world.redis::<()>(&add).await;

    let mut bites = Vec::new();
    while bites.last() != Some(&0) {
        bites.push(tidy(&world).await.names);
    }
    assert_eq!(bites, [100, 100, 50, 0]);
    a_day_passes(&world).await;
    bites.clear();
    while bites.last() != Some(&0) {
        bites.push(tidy(&world).await.names);
    }

    assert_eq!(bites, [100, 100, 50, 0]);
    assert_eq!(world.state().await.get("queues:idle"), None::<&Value>);
}

/// Past the script, which would trim by itself.
async fn set(world: &World, name: &str, value: u64) {
    world.redis::<()>(redis::cmd("HSET").arg(world.key("settings")).arg(name).arg(value)).await;
}

async fn the_oldest_dead_letters_of_too_many_leave(world: World) {
    given_dead(&world, &["a", "b", "c", "d"]).await;
    died(&world, &[("a", 40), ("b", 10), ("c", 30), ("d", 20)]).await;
    world.enqueue(&["z"]).await;
    assert_eq!(tidy(&world).await.dead, 0, "10,000 are kept");
    set(&world, "dead_max", 2).await;
    let before = world.state().await;

    assert_eq!(tidy(&world).await.dead, 2);

    assert_changes!(world, before, {
        "dead": { "a": null, "c": null },
        "dead:tasks": { "a": null, "c": null },
    });
    assert_eq!(tidy(&world).await.dead, 0);
}

async fn dead_letters_that_are_too_old_leave(world: World) {
    given_dead(&world, &["a", "b", "c"]).await;
    world.enqueue(&["z"]).await;
    let month = 30 * 24 * 60;
    died(&world, &[("a", month + 1), ("b", month - 1), ("c", 2)]).await;
    let before = world.state().await;

    assert_eq!(tidy(&world).await.dead, 1);

    assert_changes!(world, before, { "dead": { "a": null }, "dead:tasks": { "a": null } });
    set(&world, "dead_age_ms", 60_000).await;
    assert_eq!(tidy(&world).await.dead, 2);
    let state = world.state().await;
    assert!(!state.contains_key("dead") && !state.contains_key("dead:tasks"), "{state:#?}");
}

async fn what_is_too_old_and_too_many_leaves_in_bites(world: World) {
    let names: Vec<String> = (0..230).map(|n| format!("t{n:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    given_dead(&world, &names).await;
    let old: Vec<(&str, u64)> = names[..50].iter().map(|name| (*name, 60)).collect();
    died(&world, &old).await;
    set(&world, "dead_max", 10).await;
    set(&world, "dead_age_ms", 30 * 60_000).await;

    let mut bites = Vec::new();
    while bites.last() != Some(&0) {
        bites.push(tidy(&world).await.dead);
    }

    assert_eq!(bites, [100, 100, 20, 0]);
    let kept: Vec<TaskId> = names[220..].iter().rev().map(|name| id(name)).collect();
    assert_eq!(ids(&page(&world, None, 20).await), kept);
}
