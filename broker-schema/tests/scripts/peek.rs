//! peek: what waits in a place of a queue, in the order in which it goes, and nothing changes.

use celeriac_broker_schema::script::{Peeked, Place, Waiting};
use celeriac_broker_schema::{Priority, Timestamp};

use crate::support::*;

on_both_servers![
    a_list_is_read_from_its_front,
    ranges_chunks_and_turns_are_told_apart,
    what_is_delayed_comes_in_the_order_of_its_time,
    suspects_are_read,
];

/// The list of the usual priority.
fn five() -> Place {
    Place::Ready(Priority::default())
}

async fn peek(world: &World, name: &str, place: Place, from: u64, limit: u32) -> Peeked {
    let before = world.state().await;
    let page = world.broker.peek(&queue(name), &place, from, limit).await.expect("an answer");
    assert_changes!(world, before, {});
    assert!(page.now <= world.now().await);
    page
}

fn tasks(names: &[&str]) -> Vec<Waiting> {
    names.iter().map(|name| Waiting::Task(id(name), None)).collect()
}

async fn a_list_is_read_from_its_front(world: World) {
    world.enqueue(&["a", "b", "c"]).await;
    world.enqueue_all(&[entry_in("d", QUEUE, 6), entry_in("e", "mail", 5)]).await;

    let first = peek(&world, QUEUE, five(), 0, 2).await;
    assert_eq!((first.waiting, first.next), (tasks(&["a", "b"]), Some(2)));
    let second = peek(&world, QUEUE, five(), 2, 2).await;
    assert_eq!((second.waiting, second.next), (tasks(&["c"]), None));
    assert_eq!(peek(&world, "nothing", five(), 0, 2).await.waiting, []);

    world.open("w1").await;
    assert_eq!(names(&world.claim("w1", 2).await.tasks), ["d", "a"]);
}

async fn ranges_chunks_and_turns_are_told_apart(world: World) {
    world.broker.fair(&queue(QUEUE), true, &ada()).await.expect("it is set");
    world.enqueue_job(&job("J", 9)).await;
    world.open("w1").await;
    let run = world.claim("w1", 2).await.runs.remove(0);
    world.complete("w1", &[chunk_retry(&run, 0, 0)]).await;
    world.enqueue_all(&[entry_of("a", "t", Some("acme")), entry_of("b", "t", Some("acme"))]).await;

    let mut waiting = peek(&world, QUEUE, five(), 0, 9).await.waiting;
    waiting.sort_by_key(|waiting| format!("{waiting:?}"));

    let job = job_id("J");
    let chunk = celeriac_broker_schema::TaskId::of_chunk(job, 0);
    let expected = [
        Waiting::Range(job, 2, 9),
        Waiting::Task(chunk, None),
        Waiting::Turn("acme".parse().expect("a tenant"), 2),
    ];
    assert_eq!(waiting, expected);
}

async fn what_is_delayed_comes_in_the_order_of_its_time(world: World) {
    world.enqueue_all(&[delayed("b", 2 * HOUR_MS), delayed("a", HOUR_MS)]).await;
    let mut mail = entry_in("m", "mail", 5);
    mail.start.delay_ms = Some(90 * 60_000);
    world.enqueue_all(&[mail]).await;

    let page = peek(&world, QUEUE, Place::Delayed, 0, 9).await;
    let told = |waiting: &Waiting| match waiting {
        Waiting::Task(id, Some(due)) => (*id, due.since(Timestamp(0)) / 1_000),
        other => panic!("not delayed: {other:?}"),
    };
    let found: Vec<_> = page.waiting.iter().map(told).collect();
    let in_s = |hours: u64| (page.now.0 + hours * HOUR_MS) / 1_000;
    assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id("a"), id("b")]);
    assert!(found[0].1 <= in_s(1) && found[0].1 + 60 > in_s(1), "{found:?}");
    assert_eq!(page.next, None);

    // The next page begins behind what was told, whatever stands between.
    let first = peek(&world, QUEUE, Place::Delayed, 0, 1).await;
    assert_eq!((first.waiting.len(), first.next), (1, Some(1)));
    let second = peek(&world, QUEUE, Place::Delayed, 1, 1).await;
    assert_eq!(second.waiting, page.waiting[1..]);
}

async fn suspects_are_read(world: World) {
    world.enqueue(&["a"]).await;
    for worker in ["w1", "w2"] {
        world.lose_worker(worker, 1).await;
    }

    assert_eq!(peek(&world, QUEUE, Place::Suspects, 0, 9).await.waiting, tasks(&["a"]));
    assert_eq!(peek(&world, QUEUE, five(), 0, 9).await.waiting, []);
}
