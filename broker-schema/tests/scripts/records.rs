//! records: what is stored of tasks that have not ended, and nothing changes.

use celeriac_broker_schema::TaskId;

use crate::support::*;

on_both_servers![those_that_have_not_ended, large_ones_come_in_bites];

async fn records(world: &World, ids: &[TaskId]) -> Vec<Option<String>> {
    let before = world.state().await;
    let found = world.broker.records(ids).await.expect("an answer");
    assert_changes!(world, before, {});
    found
}

async fn those_that_have_not_ended(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.enqueue_job(&job_to_reduce("J", 1)).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.complete("w1", &[succeeded("a")]).await;

    let found = records(&world, &["a", "b", "J", "x"].map(id)).await;

    assert_eq!(found, [None, Some(record("b")), Some(record("J")), None]);
    assert_eq!(records(&world, &[]).await, []);
}

async fn large_ones_come_in_bites(world: World) {
    let large = |name: &str| {
        let mut entry = entry(name);
        entry.record = format!("\"{name}{}\"", "x".repeat(3 << 20));
        entry
    };
    for name in ["a", "b", "c"] {
        world.enqueue_all(&[large(name)]).await;
    }

    let found = world.broker.records(&["a", "b", "c"].map(id)).await.expect("an answer");

    let lengths: Vec<usize> = found.iter().flatten().map(String::len).collect();
    assert_eq!(lengths, [(3 << 20) + 3; 3]);
}
