//! recent: what ended lately comes in pages that stay what they are, and the search for tasks, which
//! is built on it and on others.

use std::collections::BTreeSet;

use celeriac_broker_schema::find::{TaskCursor, TaskFilter, TaskRow, TasksFound};
use celeriac_broker_schema::script::Tally;
use celeriac_broker_schema::{RecentTask, RunningTask, State, TaskId, Timestamp, WorkerInfo};

use crate::support::*;

on_both_servers![
    pages_are_stable_while_others_end,
    of_an_empty_namespace_nothing_is_found,
    every_state_is_searched,
    conditions_hold_for_all_that_is_found,
    ready_tasks_are_found_page_by_page,
    a_search_goes_on_where_it_was,
];

fn recent(name: &str, ended: u64, others: u64) -> RecentTask {
    RecentTask {
        id: id(name),
        state: State::Succeeded,
        task: format!("task.{}", &name[..1]),
        queue: "default".to_owned(),
        worker: lease("w1").as_str().to_owned(),
        attempt: 1,
        started: Timestamp(ended - 5),
        ended: Timestamp(ended),
        wait_ms: Some(3),
        run_us: 4_700,
        others,
    }
}

async fn given_ended(world: &World, recent: Vec<RecentTask>) {
    world.broker.tally(&Tally { recent, ..Tally::default() }).await.expect("an answer");
}

async fn find(
    world: &World,
    filter: &TaskFilter,
    after: Option<&TaskCursor>,
    limit: usize,
) -> TasksFound {
    let before = world.state().await;
    let found = world.broker.find_tasks(filter, after, limit).await.expect("an answer");
    assert_changes!(world, before, {});
    found
}

/// All pages.
async fn find_all(world: &World, filter: &TaskFilter, limit: usize) -> Vec<TaskRow> {
    let mut rows = Vec::new();
    let mut next: Option<TaskCursor> = None;
    loop {
        let page = find(world, filter, next.as_ref(), limit).await;
        rows.extend(page.tasks);
        // As it goes through an address.
        next = page.next.map(|next| next.to_string().parse().expect("a cursor"));
        if next.is_none() {
            return rows;
        }
    }
}

fn ids(rows: &[TaskRow]) -> Vec<TaskId> {
    rows.iter().map(|row| row.id).collect()
}

fn named(names: &[&str]) -> Vec<TaskId> {
    names.iter().map(|name| id(name)).collect()
}

async fn pages_are_stable_while_others_end(world: World) {
    let now = world.now().await.0;
    given_ended(&world, vec![recent("a", now, 0), recent("b", now, 0), recent("c", now, 7)]).await;
    let of = TaskFilter::of(State::Succeeded);

    let first = find(&world, &of, None, 2).await;
    given_ended(&world, vec![recent("d", now, 0)]).await;
    let second = find(&world, &of, first.next.as_ref(), 2).await;

    assert_eq!((ids(&first.tasks), first.untold), (named(&["c", "b"]), 7));
    assert_eq!((ids(&second.tasks), second.untold, second.next), (named(&["a"]), 0, None));
    let row = &first.tasks[0];
    assert_eq!((row.task.as_deref(), row.queue.as_deref()), (Some("task.c"), Some("default")));
    assert_eq!((row.ended, row.run_us, row.wait_ms), (Some(Timestamp(now)), Some(4_700), Some(3)));
}

async fn of_an_empty_namespace_nothing_is_found(world: World) {
    for state in State::ALL.map(Some).into_iter().chain([None]) {
        let found = find(&world, &TaskFilter { state, ..TaskFilter::default() }, None, 50).await;
        assert_eq!((found.tasks, found.searched, found.next), (Vec::new(), 0, None), "{state:?}");
    }
}

fn info(running: &[&str], now: u64) -> WorkerInfo {
    let running = running.iter().map(|name| RunningTask {
        id: id(name).to_string(),
        task: "task.r".to_owned(),
        queue: Some("default".to_owned()),
        attempt: 1,
        since: Timestamp(now),
        wedged: None,
        progress: None,
    });
    WorkerInfo {
        host: "h".to_owned(),
        pid: 1,
        version: "1".to_owned(),
        queues: vec!["default".to_owned()],
        tasks: Vec::new(),
        slots: 9,
        busy: 1,
        wedged: 0,
        open: Default::default(),
        buffered: 0,
        draining: false,
        leaving: None,
        paused: None,
        order: 0,
        started: Timestamp(1),
        succeeded: 0,
        failed: 0,
        visibility_ms: 1_000,
        rss_bytes: None,
        running: running.collect(),
    }
}

async fn beat(world: &World, worker: &str, running: &[&str]) {
    let now = world.now().await.0;
    let info = serde_json::to_string(&info(running, now)).expect("JSON");
    let live = std::time::Duration::from_secs(60);
    world.broker.beat(&lease(worker), live, Some(&info)).await.expect("an answer");
}

/// One task in each state that is listed.
async fn given_one_of_each(world: &World) {
    let now = world.now().await.0;
    world.enqueue_all(&[entry_in("f", "default", 9)]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[failed("f")]).await;
    world.enqueue_all(&[entry_in("q", "mail", 5), delayed("l", HOUR_MS)]).await;
    beat(world, "w1", &["r"]).await;
    let cancelled = RecentTask { state: State::Cancelled, ..recent("x", now, 0) };
    given_ended(world, vec![recent("s", now, 0), cancelled]).await;
}

async fn every_state_is_searched(world: World) {
    given_one_of_each(&world).await;

    let all = find(&world, &TaskFilter::default(), None, 50).await;

    assert_eq!((ids(&all.tasks), all.next), (named(&["r", "q", "l", "f", "s", "x"]), None));
    let states: Vec<State> = all.tasks.iter().map(|row| row.state).collect();
    use State::{Cancelled, Delayed, Failed, Ready, Running, Succeeded};
    assert_eq!(states, [Running, Ready, Delayed, Failed, Succeeded, Cancelled]);
    for row in &all.tasks {
        let of_state = find(&world, &TaskFilter::of(row.state), None, 50).await;
        assert_eq!(of_state.tasks, std::slice::from_ref(row));
    }
    let queues: Vec<&str> = all.tasks.iter().filter_map(|row| row.queue.as_deref()).collect();
    assert_eq!(queues, ["default", "mail", "default", "default", "default", "default"]);
    assert!(all.tasks[2].due.is_some_and(|due| due > all.now));
    assert!(all.tasks[3].error.is_some() && all.tasks[3].ended.is_some());
}

async fn conditions_hold_for_all_that_is_found(world: World) {
    given_one_of_each(&world).await;
    let any = TaskFilter::default;
    let hour_ago = Timestamp(world.now().await.0 - HOUR_MS);

    for (filter, expected) in [
        (TaskFilter { queue: Some(queue("mail")), ..any() }, vec!["q"]),
        (TaskFilter { task: Some("task.s".to_owned()), ..any() }, vec!["s"]),
        (TaskFilter { worker: Some("w1".to_owned()), ..any() }, vec!["r", "s", "x"]),
        (TaskFilter { worker: Some(lease("w2").as_str().to_owned()), ..any() }, vec![]),
        (TaskFilter { until: Some(hour_ago), ..TaskFilter::of(State::Succeeded) }, vec![]),
        (TaskFilter { since: Some(hour_ago), ..TaskFilter::of(State::Failed) }, vec!["f"]),
        (TaskFilter { until: Some(hour_ago), ..TaskFilter::of(State::Failed) }, vec![]),
    ] {
        assert_eq!(ids(&find_all(&world, &filter, 50).await), named(&expected), "{filter:?}");
    }
}

async fn ready_tasks_are_found_page_by_page(world: World) {
    let names: Vec<String> = (0..25).map(|n| format!("t{n:02}")).collect();
    for (n, name) in names.iter().enumerate() {
        let at = ["a", "b"][n % 2];
        world.enqueue_all(&[entry_in(name, at, u8::try_from(n % 3).expect("small"))]).await;
    }
    let all: BTreeSet<TaskId> = names.iter().map(|name| id(name)).collect();

    for limit in [1, 4, 100] {
        let found = ids(&find_all(&world, &TaskFilter::of(State::Ready), limit).await);
        assert_eq!((found.len(), found.into_iter().collect()), (25, all.clone()));
    }
    let of_a = TaskFilter { queue: Some(queue("a")), ..TaskFilter::of(State::Ready) };
    assert_eq!(find_all(&world, &of_a, 5).await.len(), 13);
}

async fn a_search_goes_on_where_it_was(world: World) {
    for worker in ["w1", "w2", "w3"] {
        beat(&world, worker, &[&format!("{worker}a"), &format!("{worker}b")]).await;
    }
    let names: Vec<String> = (0..7).map(|n| format!("d{n}")).collect();
    for name in &names {
        world.enqueue_all(&[delayed(name, HOUR_MS)]).await;
    }

    let running = find_all(&world, &TaskFilter::of(State::Running), 1).await;
    let waiting = find_all(&world, &TaskFilter::of(State::Delayed), 2).await;

    let distinct = |rows: &[TaskRow]| ids(rows).into_iter().collect::<BTreeSet<_>>().len();
    assert_eq!((running.len(), distinct(&running)), (6, 6));
    assert_eq!((waiting.len(), distinct(&waiting)), (7, 7));
    assert!(waiting.is_sorted_by_key(|row| row.due), "the earliest comes first");
}
