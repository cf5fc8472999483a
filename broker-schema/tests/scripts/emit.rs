//! emit: partial results of attempts that are held are appended in their order, and no others.

use std::sync::Arc;

use celeriac_broker_schema::TaskId;
use celeriac_broker_schema::script::{Emission, Kept, Run, RunField};

use crate::support::*;

on_both_servers![
    values_are_appended_and_expire,
    what_is_not_held_emits_nothing,
    chunks_have_streams_of_their_own,
    a_stream_keeps_its_last_values,
];

pub(crate) fn emission(
    id: TaskId,
    run: Option<RunField>,
    attempt: u32,
    values: &[&str],
) -> Emission {
    Emission { id, run, attempt, values: values.iter().map(|value| Arc::from(*value)).collect() }
}

pub(crate) async fn emit(world: &World, name: &str, emissions: &[Emission]) -> Vec<Kept> {
    world.broker.emit(&lease(name), emissions).await.expect("it is answered")
}

/// Attempts and values of a stream.
async fn values(world: &World, id: TaskId) -> Vec<(u32, String)> {
    let page = world.broker.stream(id, None).await.expect("it is answered");
    page.parts.into_iter().map(|part| (part.attempt, part.value)).collect()
}

async fn given_two_in_flight(world: &World) {
    world.enqueue(&["a", "b"]).await;
    world.open("w1").await;
    world.claim("w1", 2).await;
}

async fn values_are_appended_and_expire(world: World) {
    given_two_in_flight(&world).await;
    let before = world.dump().await;

    let emissions = [
        emission(id("a"), None, 1, &["1", "\"ä\""]),
        emission(id("b"), None, 1, &[]),
        emission(id("a"), None, 1, &["3"]),
    ];
    assert_eq!(emit(&world, "w1", &emissions).await, [Kept::Saved; 3]);

    assert_eq!(
        values(&world, id("a")).await,
        [(1, "1".to_owned()), (1, "\"ä\"".to_owned()), (1, "3".to_owned())]
    );
    let mut after = world.dump().await;
    let stream = after.remove(&world.key(&format!("stream:{}", id("a")))).expect("a stream");
    assert_eq!(stream["expires"], true);
    assert_eq!(after, before);
}

async fn what_is_not_held_emits_nothing(world: World) {
    given_two_in_flight(&world).await;
    let before = world.state().await;

    let strangers = [emission(id("x"), None, 1, &["1"]), emission(id("a"), None, 2, &["1", "2"])];
    assert_eq!(emit(&world, "w1", &strangers).await, [Kept::Lost; 2]);
    assert_eq!(emit(&world, "w2", &[emission(id("a"), None, 1, &["1"])]).await, [Kept::Lost]);

    assert_changes!(world, before, {});
}

fn of_chunk(run: &Run, index: u64, values: &[&str]) -> Emission {
    emission(TaskId::of_chunk(run.job, index), Some(run.field.clone()), 1, values)
}

async fn chunks_have_streams_of_their_own(world: World) {
    world.enqueue_job(&job("J", 3)).await;
    world.open("w1").await;
    let run = world.claim("w1", 3).await.runs.remove(0);

    let emissions =
        [of_chunk(&run, 0, &["0"]), of_chunk(&run, 2, &["2"]), of_chunk(&run, 3, &["3"])];
    let kept = emit(&world, "w1", &emissions).await;

    assert_eq!(kept, [Kept::Saved, Kept::Saved, Kept::Lost]);
    assert_eq!(values(&world, TaskId::of_chunk(run.job, 2)).await, [(1, "2".to_owned())]);
    world.complete("w1", &[run_succeeded(&run)]).await;
    assert_eq!(emit(&world, "w1", &emissions[..1]).await, [Kept::Lost]);
}

async fn a_stream_keeps_its_last_values(world: World) {
    given_two_in_flight(&world).await;
    let many: Vec<String> = (0..3_000).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();

    emit(&world, "w1", &[emission(id("a"), None, 1, &many)]).await;

    let key = world.key(&format!("stream:{}", id("a")));
    let left: usize = world.redis(redis::cmd("XLEN").arg(key)).await;
    assert!((1_000..1_200).contains(&left), "{left}");
}
