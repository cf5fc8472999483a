//! What a filter means: tasks wherever they wait in a queue, and dead letters; page by page.

use std::collections::BTreeSet;
use std::time::Duration;

use celeriac_broker_schema::script::{Cancelled, Entry, Place, Revived, Start};
use celeriac_broker_schema::{CancelFilter, DeadFilter, DeadGroups, State, TaskId, Timestamp};

use crate::limit::at_once;
use crate::support::*;

on_both_servers![
    what_a_limit_keeps_back_is_met,
    each_place_of_a_queue_is_met,
    a_filter_cancels_what_it_means,
    many_pages_come_to_an_end,
    the_dead_are_met_between_two_times,
    the_dead_are_grouped_revived_and_thrown_away,
];

/// All pages of it.
async fn found(world: &World, filter: &CancelFilter) -> BTreeSet<TaskId> {
    let (mut all, mut after) = (BTreeSet::new(), None);
    loop {
        let before = world.state().await;
        let page = world.broker.tasks_where(filter, after).await.expect("a page");
        assert_changes!(world, before, {});
        assert!(page.tasks.len() <= 1_000);
        all.extend(page.tasks);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

fn ids(names: &[&str]) -> BTreeSet<TaskId> {
    names.iter().map(|name| id(name)).collect()
}

fn default() -> CancelFilter {
    CancelFilter::of(queue(QUEUE))
}

/// `a0`, `t0` and `x0` run. What waits for the limits of their names and tenants is parked; a turn
/// with what stands behind it, too.
async fn given_parked(world: &World) {
    world.limit("task:t", Some(at_once(1))).await;
    world.limit("tenant:a", Some(at_once(1))).await;
    world.broker.fair(&queue("fair"), true, &ada()).await.expect("it is set");
    let of = |name: &str, task, tenant| entry_of(name, task, tenant);
    let fair = |name: &str| Entry { queue: queue("fair"), ..entry_of(name, "u", Some("a")) };
    world.enqueue_all(&["t0", "t1", "t2"].map(|name| of(name, "t", None))).await;
    world.enqueue_all(&["a0", "a1"].map(|name| of(name, "u", Some("a")))).await;
    world.enqueue_all(&["f0", "f1", "f2"].map(fair)).await;
    world.open("w1").await;
    let grant = world.claim_as("w1", Ask::want(20).from(&[QUEUE, "fair"])).await;
    assert_eq!(names(&grant.tasks), ["t0", "a0"]);
    let state = world.state().await;
    assert!(state["parked:tenant:a"].to_string().contains("@a 5 fair"), "{state:?}");
    assert!(!state.contains_key("ready:default:5"), "{state:?}");
}

async fn what_a_limit_keeps_back_is_met(world: World) {
    given_parked(&world).await;

    assert_eq!(found(&world, &default()).await, ids(&["t1", "t2", "a1"]));
    assert_eq!(found(&world, &CancelFilter::of(queue("fair"))).await, ids(&["f0", "f1", "f2"]));
    let delayed = CancelFilter { state: Some(State::Delayed), ..default() };
    assert_eq!(found(&world, &delayed).await, ids(&[]));
    // A place by itself: only turns name further places.
    let parked = Place::Parked("tenant:a".parse().expect("a subject"));
    let page = world.broker.queued(&queue("fair"), &parked, 0, 9).await.expect("a page");
    let turn = Place::Turn(priority(5), "a".parse().expect("a tenant"));
    assert_eq!((page.tasks, page.turns, page.next), (vec![], vec![turn.clone()], None));
    let behind = world.broker.queued(&queue("fair"), &turn, 1, 1).await.expect("a page");
    assert_eq!((behind.tasks, behind.next), (vec![id("f1")], Some(2)));

    let (mut answers, mut after) = (Vec::new(), None);
    loop {
        let page = world.broker.cancel_where(&default(), after, &ada()).await.expect("a page");
        answers.extend(page.answers);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(answers.iter().all(|(_, answer)| *answer == Cancelled::Done), "{answers:?}");
    assert_eq!(
        answers.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>(),
        ids(&["t1", "t2", "a1"])
    );
    assert_eq!(found(&world, &default()).await, ids(&[]));
    // Their places go to none of them.
    world.complete("w1", &[done("t0"), done("a0")]).await;
    assert_eq!(world.given("w1").await, [""; 0]);
}

async fn each_place_of_a_queue_is_met(world: World) {
    for lost in ["w1", "w2"] {
        if lost == "w1" {
            world.enqueue(&["suspect"]).await;
        }
        world.lose_worker(lost, 1).await;
    }
    world.enqueue_all(&[entry_in("low", QUEUE, 0), entry_in("high", QUEUE, 9)]).await;
    world.enqueue_all(&[delayed("later", HOUR_MS), entry_in("other", "mail", 5)]).await;
    world.enqueue_job(&job("J", 9)).await;

    assert_eq!(found(&world, &default()).await, ids(&["suspect", "low", "high", "later"]));
    let ready = CancelFilter { state: Some(State::Ready), ..default() };
    assert_eq!(found(&world, &ready).await, ids(&["suspect", "low", "high"]));
    let running = CancelFilter { state: Some(State::Running), ..default() };
    assert_eq!(found(&world, &running).await, ids(&[]));
    // The ids of tests are of 2023.
    let older = |years: u64| CancelFilter {
        older_than: Duration::from_secs(31_536_000 * years),
        ..default()
    };
    assert_eq!(found(&world, &older(1)).await, ids(&["suspect", "low", "high", "later"]));
    assert_eq!(found(&world, &older(50)).await, ids(&[]));
}

async fn a_filter_cancels_what_it_means(world: World) {
    let later = Start { delay_ms: Some(HOUR_MS), ..Start::default() };
    world
        .enqueue_all(&[
            entry_of("a", "mail", Some("acme")),
            entry_of("b", "mail", Some("other")),
            Entry { start: later, ..entry_of("c", "mail", Some("acme")) },
            entry_of("d", "print", Some("acme")),
        ])
        .await;
    let filter = CancelFilter {
        task: Some("mail".parse().expect("a name")),
        tenant: Some("acme".parse().expect("a tenant")),
        ..default()
    };

    let (mut answers, mut after) = (Vec::new(), None);
    loop {
        let page = world.broker.cancel_where(&filter, after, &ada()).await.expect("a page");
        answers.extend(page.answers);
        after = page.next;
        if after.is_none() {
            break;
        }
    }

    answers.sort_by_key(|(id, _)| *id);
    let mut done = vec![(id("a"), Cancelled::Done), (id("c"), Cancelled::Done)];
    done.sort_by_key(|(id, _)| *id);
    assert_eq!(answers, done);
    let outcome = world.state().await["result:a"].to_string();
    assert!(outcome.contains(r#"\"by\":\"ada\",\"why\":\"t\""#), "{outcome}");
    assert_eq!(found(&world, &default()).await, ids(&["b", "d"]));
}

async fn many_pages_come_to_an_end(world: World) {
    world.broker.fair(&queue(QUEUE), true, &ada()).await.expect("it is set");
    world.limit("task:t", Some(at_once(1))).await;
    let name = |n: usize| format!("n{n:04}");
    let tasks: Vec<Entry> =
        (0..1_300).map(|n| entry_of(&name(n), "t", (n % 2 == 0).then_some("a"))).collect();
    world.enqueue_all(&tasks).await;
    world.open("w1").await;
    world.claim("w1", 100).await;

    let all = found(&world, &default()).await;

    assert!(world.state().await["parked:task:t"].as_object().expect("a set").len() > 1);
    assert_eq!(all.len(), 1_299);
}

async fn given_dead(world: &World, names: &[&str]) -> Vec<Timestamp> {
    world.open("w1").await;
    let mut times = Vec::new();
    for name in names {
        world.enqueue(&[name]).await;
        world.claim("w1", 1).await;
        let before = world.now().await;
        // Each at a time of its own.
        while world.now().await == before {}
        world.complete("w1", &[failed(name)]).await;
        let letter = world.broker.dead_letter(id(name)).await.expect("an answer");
        times.push(letter.expect("it is dead").at);
    }
    times
}

async fn the_dead_are_met_between_two_times(world: World) {
    let at = given_dead(&world, &["a", "b", "c"]).await;
    let between = async |since: Option<Timestamp>, until: Option<Timestamp>| {
        let filter = DeadFilter { since, until, ..DeadFilter::default() };
        let page = world.broker.dead_where(&filter, None).await.expect("a page");
        assert_eq!((page.total, page.next), (3, None));
        page.letters.iter().map(|letter| letter.id).collect::<Vec<_>>()
    };
    assert_eq!(between(None, None).await, ["c", "b", "a"].map(id));
    assert_eq!(between(Some(at[1]), None).await, ["c", "b"].map(id));
    assert_eq!(between(None, Some(at[1])).await, ["a"].map(id));
    assert_eq!(between(Some(at[1]), Some(at[2])).await, ["b"].map(id));
    assert_eq!(between(Some(at[2]), Some(at[2])).await, []);
}

async fn the_dead_are_grouped_revived_and_thrown_away(world: World) {
    let at = given_dead(&world, &["a", "b", "c"]).await;
    let all = DeadFilter::default();

    let page = world.broker.dead_groups(&all, None).await.expect("a page");
    let mut groups = DeadGroups::default();
    groups.merge(page.groups);
    let groups = groups.sorted();
    assert_eq!(groups.len(), 1);
    assert_eq!((groups[0].count, groups[0].newest, groups[0].first), (3, id("c"), at[0]));

    let late = DeadFilter { since: Some(at[2]), ..all.clone() };
    let revived = world.broker.revive_where(&late, None, &ada()).await.expect("a page");
    assert_eq!((revived.done, revived.next), (vec![(id("c"), Revived::Revived)], None));
    let gone = world.broker.discard_where(&all, None).await.expect("a page");
    assert_eq!((gone.done, gone.next), (vec![(id("b"), true), (id("a"), true)], None));
    assert_eq!(world.broker.dead_where(&all, None).await.expect("a page").total, 0);
}
