//! map_chunks: how far each stretch of a job is, and nothing changes.

use celeriac_broker_schema::script::{ChunkMap, Stretch};

use crate::support::*;

on_both_servers![single_chunks_are_told, stretches_are_counted, a_job_that_is_not_kept_has_no_map];

async fn map(world: &World, name: &str, total: u64, most: u64) -> Option<ChunkMap> {
    let before = world.state().await;
    let map = world.broker.map_chunks(job_id(name), total, most).await.expect("an answer");
    assert_changes!(world, before, {});
    map
}

async fn single_chunks_are_told(world: World) {
    world.enqueue_job(&job("J", 5)).await;
    world.open("w1").await;
    let run = world.claim("w1", 3).await.runs.remove(0);
    world.complete("w1", &[chunks_succeeded(&run, 0, 2, &[]), chunk_retry(&run, 2, HOUR_MS)]).await;

    let found = map(&world, "J", 5, 400).await.expect("a map");

    let told: Vec<_> = found.stretches.iter().map(|each| (each.done, each.retried)).collect();
    assert_eq!((found.total, found.size), (5, 1));
    assert_eq!(told, [(1, 0), (1, 0), (0, 1), (0, 0), (0, 0)]);
}

async fn stretches_are_counted(world: World) {
    world.enqueue_job(&job("J", 1_000)).await;
    world.open("w1").await;
    let run = world.claim("w1", 20).await.runs.remove(0);
    world.complete("w1", &[chunks_succeeded(&run, 0, 20, &[])]).await;

    let found = map(&world, "J", 1_000, 100).await.expect("a map");

    assert_eq!((found.size, found.stretches.len()), (16, 63));
    let done: Vec<_> = found.stretches.iter().map(|each| each.done).collect();
    assert_eq!((&done[..3], done[3..].iter().sum::<u64>()), (&[16, 4, 0][..], 0));
    assert_eq!(found.stretches[62], Stretch::default());
}

async fn a_job_that_is_not_kept_has_no_map(world: World) {
    assert_eq!(map(&world, "J", 5, 400).await, None);
    world.enqueue_job(&job("J", 5)).await;
    assert_eq!(map(&world, "J", 6, 400).await, None);
}
