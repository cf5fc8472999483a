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
    a_lower_limit_takes_effect_when_workers_tidy_up,
];

pub(crate) async fn page(
    world: &World,
    after: Option<(Timestamp, TaskId)>,
    limit: u32,
) -> DeadPage {
    world.broker.dead(after, limit).await.expect("a page")
}

pub(crate) fn ids(page: &DeadPage) -> Vec<TaskId> {
    page.letters.iter().map(|letter| letter.id).collect()
}

pub(crate) async fn given_dead(world: &World, names: &[&str]) {
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
pub(crate) async fn died(world: &World, minutes: &[(&str, u64)]) {
    let now = world.now().await.0;
    let mut add = redis::cmd("ZADD");
    add.arg(world.key("dead"));
    for (name, ago) in minutes {
        add.arg(now - ago * 60_000).arg(id(name).to_string());
    }
    world.redis::<()>(&add).await;
}

async fn a_lower_limit_takes_effect_when_workers_tidy_up(world: World) {
    given_dead(&world, &["a", "b", "c"]).await;
    died(&world, &[("a", 3), ("b", 2), ("c", 0)]).await;
    let before = world.state().await;
    world.broker.settings(&[]).await.expect("told");
    assert_changes!(world, before, {});

    // Until then a slip of the hand can be taken back.
    world.broker.settings(&[(Setting::DeadMax, Some(2))]).await.expect("set");
    assert_eq!(ids(&page(&world, None, 9).await), ["c", "b", "a"].map(id));
    world.broker.tidy(100).await.expect("tidied");
    assert_eq!(ids(&page(&world, None, 9).await), ["c", "b"].map(id));
    world.broker.settings(&[(Setting::DeadAgeMs, Some(60_000))]).await.expect("set");
    world.broker.tidy(100).await.expect("tidied");
    assert_eq!(ids(&page(&world, None, 9).await), [id("c")]);
}
