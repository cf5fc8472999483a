//! due: what is due, what comes next, and who watches it.

use celeriac_broker_schema::script::Due;

use crate::support::*;

on_both_servers![
    nothing_is_asked_when_there_is_none,
    what_is_due_comes_with_its_description,
    one_worker_watches,
    an_idle_claim_hears_of_it,
];

async fn due(world: &World, name: &str, most: u32) -> Due {
    world.broker.due(&lease(name), most).await.expect("an answer")
}

fn names(due: &Due) -> Vec<&str> {
    due.schedules.iter().map(|schedule| schedule.name.as_str()).collect()
}

async fn nothing_is_asked_when_there_is_none(world: World) {
    let before = world.state().await;

    let found = due(&world, "w1", 10).await;

    assert_eq!((found.next, found.watching, found.schedules), (None, false, Vec::new()));
    assert_changes!(world, before, {});
}

async fn what_is_due_comes_with_its_description(world: World) {
    let later = world.now().await.0 + HOUR_MS;
    for (name, time) in [("c", 9), ("a", 7), ("b", 8), ("later", later)] {
        world.schedule(name, put_schedule(&format!("I am {name}"), Some(time))).await;
    }

    let found = due(&world, "w1", 2).await;
    assert_eq!((found.next, names(&found)), (Some(at(7)), vec!["a", "b"]));
    let first = &found.schedules[0];
    assert_eq!((first.due, first.revision, &*first.spec), (at(7), 1, "I am a"));
    assert_eq!(names(&due(&world, "w1", 10).await), ["a", "b", "c"]);
}

async fn one_worker_watches(world: World) {
    let later = world.now().await.0 + HOUR_MS;
    world.schedule("s", put_schedule("spec", Some(later))).await;
    let before = world.state().await;

    let [first, again, other] =
        [due(&world, "w1", 10).await, due(&world, "w1", 10).await, due(&world, "w2", 10).await];

    assert_eq!([first.watching, again.watching, other.watching], [true, true, false]);
    assert_eq!((other.next, names(&other)), (Some(at(later)), vec![]));
    assert_changes!(world, before, {
        "watch:schedules": "now+60min:w1",
        "expires": { "watch:schedules": true },
    });

    // Who finds an earlier time watches that.
    world.schedule("t", put_schedule("spec", Some(later - 1))).await;
    assert!(due(&world, "w2", 10).await.watching);
}

async fn an_idle_claim_hears_of_it(world: World) {
    world.open("w1").await;
    assert_eq!(world.claim("w1", 1).await.next_schedule, None);
    let later = world.now().await.0 + HOUR_MS;
    world.schedule("s", put_schedule("spec", Some(later))).await;

    assert_eq!(world.claim("w1", 1).await.next_schedule, Some(at(later)));
    world.enqueue(&["a"]).await;
    // A claim that is filled does not look.
    assert_eq!(world.claim("w1", 1).await.next_schedule, None);
    let completed = world.complete_as("w1", Ask::want(1), &[done("a"), done("b")]).await;
    assert_eq!(completed.next_schedule, Some(at(later)));
    assert_eq!(named(&completed.stale), ["b"]);
}
