//! dead: pages of dead letters, by time, whatever leaves between two pages.

use celeriac_broker_schema::script::DeadPage;
use celeriac_broker_schema::{ErrorKind, Setting, TaskId, Timestamp};

use crate::support::*;

on_both_servers![
    nobody_is_dead_at_first,
    pages_follow_each_other_though_many_died_at_once,
    a_page_goes_on_where_the_last_one_left,
    a_dead_letter_has_all_that_is_known,
    a_dead_chunk_has_its_own_arguments,
    large_letters_come_in_small_pages,
    the_dead_name_the_workers_that_they_cost,
    the_dead_name_the_machines_of_their_workers,
    upkeep_removes_the_oldest_of_too_many,
    upkeep_removes_what_is_too_old,
    what_is_too_old_and_too_many_leaves_in_bites,
    a_lower_limit_takes_effect_at_once,
];

async fn page(world: &World, after: Option<(Timestamp, TaskId)>, limit: u32) -> DeadPage {
    world.broker.dead(after, limit).await.expect("a page")
}

fn ids(page: &DeadPage) -> Vec<TaskId> {
    page.letters.iter().map(|letter| letter.id).collect()
}

async fn given_dead(world: &World, names: &[&str]) {
    world.enqueue(names).await;
    world.open("w1").await;
    world.claim("w1", names.len()).await;
    for name in names {
        world.complete("w1", &[failed(name)]).await;
    }
}

/// All of them died at the same moment.
async fn died_at_once(world: &World) {
    let script = "for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
        redis.call('ZADD', KEYS[1], 1, id) end";
    let mut eval = redis::cmd("EVAL");
    world.redis::<()>(eval.arg(script).arg(1).arg(world.key("dead"))).await;
}

async fn nobody_is_dead_at_first(world: World) {
    let page = page(&world, None, 10).await;
    assert_eq!((page.total, page.letters.len(), page.next), (0, 0, None));
    assert!(world.broker.dead_letter(id("a")).await.expect("an answer").is_none());
}

async fn pages_follow_each_other_though_many_died_at_once(world: World) {
    let names = ["a", "b", "c", "d", "e"];
    given_dead(&world, &names).await;
    died_at_once(&world).await;

    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = page(&world, after, 2).await;
        assert_eq!(page.total, 5);
        seen.extend(ids(&page));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["e", "d", "c", "b", "a"].map(id));
}

async fn a_page_goes_on_where_the_last_one_left(world: World) {
    given_dead(&world, &["a", "b", "c", "d", "e"]).await;
    for at_once in [false, true] {
        if at_once {
            died_at_once(&world).await;
        }
        let first = page(&world, None, 2).await;
        let newest = first.letters[0].id;
        // What was seen leaves, the one that the cursor names among it.
        world.broker.discard(&ids(&first)).await.expect("gone");
        let rest = page(&world, first.next, 1).await;
        assert!(rest.letters[0].id < newest, "{at_once}: {:?}", rest.letters);
        assert_eq!(rest.total, if at_once { 1 } else { 3 });
    }
}

async fn a_dead_letter_has_all_that_is_known(world: World) {
    given_dead(&world, &["a"]).await;

    let letter = world.broker.dead_letter(id("a")).await.expect("an answer").expect("it is dead");

    assert_eq!((letter.id, &*letter.task, letter.queue.as_str()), (id("a"), "t", "default"));
    assert_eq!((letter.priority.get(), letter.of_job), (5, false));
    assert_eq!((letter.error.kind, &*letter.error.message), (ErrorKind::Error, "no"));
    assert_eq!(letter.args.expect("arguments").get(), "\"a\"");
    assert!(letter.at >= Timestamp(1_700_000_000_000) && letter.at <= world.now().await);
}

async fn a_dead_chunk_has_its_own_arguments(world: World) {
    world.enqueue_job(&job_to_reduce("J", 4)).await;
    world.open("w1").await;
    let run = world.claim("w1", 4).await.runs.remove(0);
    world.complete("w1", &[chunk_failed(&run, 2)]).await;

    let chunk = TaskId::of_chunk(job_id("J"), 2);
    let letter = world.broker.dead_letter(chunk).await.expect("an answer").expect("it is dead");

    assert_eq!((&*letter.task, letter.of_job), ("t", true));
    assert_eq!(letter.args.expect("arguments").get(), "\"chunk\"");
}

async fn large_letters_come_in_small_pages(world: World) {
    given_dead(&world, &["a", "b", "c"]).await;
    for name in ["a", "b", "c"] {
        let mut set = redis::cmd("HSET");
        let large = "x".repeat(600_000);
        set.arg(world.key("dead:tasks")).arg(id(name).to_string()).arg(large);
        world.redis::<()>(&set).await;
    }
    let first = page(&world, None, 10).await;
    assert_eq!(ids(&first), ["c", "b"].map(id));
    assert_eq!(ids(&page(&world, first.next, 10).await), [id("a")]);
    assert_eq!(
        first.letters[0].error.kind,
        ErrorKind::BadRecord,
        "it cannot be read, and is shown"
    );
}

async fn the_dead_name_the_workers_that_they_cost(world: World) {
    world.enqueue(&["a"]).await;
    for worker in ["w1", "w2", "w3"] {
        world.lose_worker(worker, 1).await;
    }
    let letter = world.broker.dead_letter(id("a")).await.expect("an answer").expect("it is dead");

    assert_eq!(letter.error.kind, ErrorKind::Crashed);
    assert_eq!(letter.error.message, "the worker that ran this was lost 3 times: w1, w2, w3");
    let workers: Vec<&str> = letter.attempts.iter().map(|attempt| &*attempt.worker).collect();
    assert_eq!(workers, ["w1", "w2", "w3"]);
}

async fn the_dead_name_the_machines_of_their_workers(world: World) {
    world.enqueue(&["a"]).await;
    for worker in ["w1", "w2"] {
        let visibility = std::time::Duration::from_millis(1);
        let opened = world.broker.open_on("ma-1.lab \"x\"", &lease(worker), visibility).await;
        opened.expect("opened");
        world.claim(worker, 1).await;
        world.reclaim_lost(2).await;
    }
    let letter = world.broker.dead_letter(id("a")).await.expect("an answer").expect("it is dead");

    let said = "the worker that ran this was lost 2 times: w1 on ma-1.labx, w2 on ma-1.labx";
    assert_eq!(letter.error.message, said);
    assert_eq!(letter.attempts[1].host.as_deref(), Some("ma-1.labx"));
    assert!(!world.state().await.contains_key("hosts"), "none is left");
}

/// Sets when these died, in minutes before now.
async fn died(world: &World, minutes: &[(&str, u64)]) {
    let now = world.now().await.0;
    let mut add = redis::cmd("ZADD");
    add.arg(world.key("dead"));
    for (name, ago) in minutes {
        add.arg(now - ago * 60_000).arg(id(name).to_string());
    }
    world.redis::<()>(&add).await;
}

/// Past the script, which would trim by itself.
async fn set(world: &World, name: &str, value: u64) {
    world.redis::<()>(redis::cmd("HSET").arg(world.key("settings")).arg(name).arg(value)).await;
}

async fn upkeep_removes_the_oldest_of_too_many(world: World) {
    given_dead(&world, &["a", "b", "c", "d"]).await;
    died(&world, &[("a", 40), ("b", 10), ("c", 30), ("d", 20)]).await;
    assert_eq!(world.reclaim(10).await.tidied, 0, "10,000 are kept");
    set(&world, "dead_max", 2).await;
    let before = world.state().await;

    assert_eq!(world.reclaim(10).await.tidied, 2);

    assert_changes!(world, before, {
        "dead": { "a": null, "c": null },
        "dead:tasks": { "a": null, "c": null },
    });
    assert_eq!(world.reclaim(10).await.tidied, 0);
}

async fn upkeep_removes_what_is_too_old(world: World) {
    given_dead(&world, &["a", "b", "c"]).await;
    let month = 30 * 24 * 60;
    died(&world, &[("a", month + 1), ("b", month - 1), ("c", 2)]).await;
    let before = world.state().await;

    assert_eq!(world.reclaim(10).await.tidied, 1);

    assert_changes!(world, before, { "dead": { "a": null }, "dead:tasks": { "a": null } });
    set(&world, "dead_age_ms", 60_000).await;
    assert_eq!(world.reclaim(10).await.tidied, 2);
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
        bites.push(world.reclaim(1).await.tidied);
    }

    assert_eq!(bites, [100, 100, 20, 0]);
    let kept: Vec<TaskId> = names[220..].iter().rev().map(|name| id(name)).collect();
    assert_eq!(ids(&page(&world, None, 20).await), kept);
}

async fn a_lower_limit_takes_effect_at_once(world: World) {
    given_dead(&world, &["a", "b", "c"]).await;
    died(&world, &[("a", 3), ("b", 2), ("c", 0)]).await;
    let before = world.state().await;
    world.broker.settings(&[]).await.expect("told");
    assert_changes!(world, before, {});

    world.broker.settings(&[(Setting::DeadMax, Some(2))]).await.expect("set");
    assert_eq!(ids(&page(&world, None, 9).await), ["c", "b"].map(id));
    world.broker.settings(&[(Setting::DeadAgeMs, Some(60_000))]).await.expect("set");
    assert_eq!(ids(&page(&world, None, 9).await), [id("c")]);
}
