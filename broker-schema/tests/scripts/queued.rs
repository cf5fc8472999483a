//! queued: what waits in a place of a queue, page by page, and nothing changes.

use celeriac_broker_schema::script::{Entry, Place, Queued, Start};
use celeriac_broker_schema::{Priority, Requester, TaskId};

use crate::support::*;

on_both_servers![
    a_list_is_read_from_its_back,
    jobs_are_named_once,
    what_is_delayed_is_read_for_one_queue,
    suspects_are_read,
    what_is_cancelled_or_taken_meanwhile_hides_nothing,
];

/// The list of the usual priority.
fn five() -> Place {
    Place::Ready(Priority::default())
}

async fn queued(world: &World, name: &str, place: Place, cursor: u64, limit: u32) -> Queued {
    let before = world.state().await;
    let page = world.broker.queued(&queue(name), &place, cursor, limit).await.expect("an answer");
    assert_changes!(world, before, {});
    assert!(page.now <= world.now().await);
    page
}

fn ids(names: &[&str]) -> Vec<TaskId> {
    names.iter().map(|name| id(name)).collect()
}

async fn a_list_is_read_from_its_back(world: World) {
    world.enqueue(&["a", "b", "c"]).await;
    world.enqueue_all(&[entry_in("d", QUEUE, 6), entry_in("e", "mail", 5)]).await;

    let first = queued(&world, QUEUE, five(), 0, 2).await;
    assert_eq!((first.tasks, first.next), (ids(&["c", "b"]), Some(2)));
    let second = queued(&world, QUEUE, five(), 2, 2).await;
    assert_eq!((second.tasks, second.next), (ids(&["a"]), None));
    assert_eq!(queued(&world, "nothing", five(), 0, 2).await.tasks, []);
}

async fn jobs_are_named_once(world: World) {
    world.enqueue_job(&job("J", 9)).await;
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    let run = world.claim("w1", 2).await.runs.remove(0);
    world.complete("w1", &[chunk_retry(&run, 0, 0), chunk_retry(&run, 1, HOUR_MS)]).await;

    let page = queued(&world, QUEUE, five(), 0, 9).await;

    assert_eq!((page.tasks, page.jobs), (ids(&["a"]), vec![job_id("J")]));
    let delayed = queued(&world, QUEUE, Place::Delayed, 0, 9).await;
    assert_eq!((delayed.tasks, delayed.jobs), (vec![], vec![job_id("J")]));
}

async fn what_is_delayed_is_read_for_one_queue(world: World) {
    let names: Vec<String> = (0..400).map(|number| format!("n{number:03}")).collect();
    let later = Start { delay_ms: Some(HOUR_MS), ..Start::default() };
    let entries: Vec<Entry> = names
        .iter()
        .enumerate()
        .map(|(n, name)| {
            let queue = if n % 4 == 0 { "mail" } else { QUEUE };
            Entry { start: later, ..entry_in(name, queue, 5) }
        })
        .collect();
    world.enqueue_all(&entries).await;

    let (mut found, mut cursor) = (Vec::new(), 0);
    loop {
        let page = queued(&world, "mail", Place::Delayed, cursor, 50).await;
        assert!(page.tasks.len() < 100, "{}", page.tasks.len());
        found.extend(page.tasks);
        match page.next {
            Some(next) => cursor = next,
            None => break,
        }
    }

    found.sort();
    found.dedup();
    assert_eq!(found, names.iter().step_by(4).map(|name| id(name)).collect::<Vec<_>>());
}

async fn suspects_are_read(world: World) {
    world.enqueue(&["a"]).await;
    for worker in ["w1", "w2"] {
        world.lose_worker(worker, 1).await;
    }

    assert_eq!(queued(&world, QUEUE, Place::Suspects, 0, 9).await.tasks, ids(&["a"]));
    assert_eq!(queued(&world, QUEUE, five(), 0, 9).await.tasks, []);
}

async fn what_is_cancelled_or_taken_meanwhile_hides_nothing(world: World) {
    world.enqueue(&["a", "b", "c", "d", "e", "f"]).await;
    let first = queued(&world, QUEUE, five(), 0, 2).await;
    world.broker.cancel(&first.tasks, &Requester::default()).await.expect("an answer");
    world.open("w1").await;
    world.claim("w1", 2).await;

    let second = queued(&world, QUEUE, five(), first.next.expect("more"), 9).await;

    assert_eq!((second.tasks, second.next), (ids(&["d", "c"]), None));
}
