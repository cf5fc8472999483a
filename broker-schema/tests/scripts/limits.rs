//! limits: reads what is set, what is held and what waits.

use crate::limit::{at_once, rate};
use crate::support::*;

on_both_servers![a_fresh_namespace_has_none, held_and_waiting_are_counted];

async fn a_fresh_namespace_has_none(world: World) {
    let before = world.dump().await;
    let limits = world.broker.limits(100).await.expect("limits");
    assert!(limits.set.is_empty() && limits.busy.is_empty() && limits.fair.is_empty());
    assert_eq!(world.dump().await, before);
}

async fn held_and_waiting_are_counted(world: World) {
    world.limit("task:mail", Some(at_once(1))).await;
    world.limit("tenant:*", Some(rate(1, HOUR_MS, 1))).await;
    assert!(world.broker.fair(&queue("x"), true, &ada()).await.expect("it is set"));
    let mut tasks = Vec::from(["a", "b", "c"].map(|name| entry_of(name, "mail", None)));
    tasks.extend(["d", "e"].map(|name| entry_of(name, "t", Some("x"))));
    world.enqueue_all(&tasks).await;
    world.open("w1").await;
    assert_eq!(names(&world.claim("w1", 10).await.tasks), ["a", "d"]);
    let before = world.dump().await;

    let limits = world.broker.limits(100).await.expect("limits");

    let set: Vec<_> = limits.set.iter().map(|view| view.subject.as_str()).collect();
    let mut notes: Vec<_> = limits.set.iter().map(|view| view.note.clone()).collect();
    notes.extend(limits.fair.iter().map(|view| view.note.clone()));
    for note in notes {
        let note = note.expect("it was noted");
        assert_eq!(note.who, ada());
        assert!(note.at.0 > 0 && note.at <= limits.now);
    }
    assert_eq!(set, ["task:mail", "tenant:*"]);
    let busy: Vec<_> = limits
        .busy
        .iter()
        .map(|one| (one.subject.as_str(), one.held, one.waiting, one.next.is_some()))
        .collect();
    assert_eq!(busy, [("task:mail", 1, 2, false), ("tenant:x", 0, 1, true)]);
    let fair: Vec<_> = limits.fair.iter().map(|view| view.queue.as_str()).collect();
    assert_eq!(fair, ["x"]);
    assert_eq!(world.dump().await, before);

    // What was set by a version that notes nothing is told all the same.
    world.redis::<()>(redis::cmd("DEL").arg(world.key("limited:why"))).await;
    let limits = world.broker.limits(100).await.expect("limits");
    assert!(limits.set.iter().all(|view| view.note.is_none()) && limits.fair[0].note.is_none());
}
